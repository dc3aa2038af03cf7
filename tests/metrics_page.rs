//! The page of metrics is what the code says.

use quaymeter::metrics::Metrics;
use std::fs;
use std::path::Path;

#[test]
fn docs_metrics_is_made_from_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = Metrics::page();
    if std::env::var_os("QUAYMETER_RENEW").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == page,
        "docs/metrics.md is not what the code says: `make docs`"
    );
}
