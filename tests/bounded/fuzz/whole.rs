//! Whether every method has a row: one without is one to which nobody has sent garbage.

use super::endpoints;
use crate::declared::declared;
use std::collections::BTreeSet;

#[test]
fn every_method_that_is_declared_is_called_with_garbage() {
    let rows: Vec<_> = endpoints::served().iter().map(|row| row.path).collect();
    let called: BTreeSet<String> = rows.iter().map(|path| (*path).into()).collect();
    assert_eq!(
        called,
        declared().into_iter().collect(),
        "with a row, and declared"
    );
    assert_eq!(called.len(), rows.len(), "twice: {rows:?}");
}
