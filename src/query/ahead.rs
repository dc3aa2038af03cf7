//! Questions whose records are read from the shelf before they are evaluated:
//! else the writer, and with it all who ask, would wait for the disk with them.

use super::throughput::{Key, Question};
use crate::meter::cell::{Ahead, Cells};
use crate::view::{State, View};
use std::sync::Arc;
use tonic::Status;

/// How often what was read ahead may be true no more before it is read under the
/// view's lock: that takes a checkpoint that begins meanwhile.
const READ_AGAIN_MAX: usize = 3;

/// Evaluates `ask`, with what `question` needs from the shelf for the rows after a key.
pub fn evaluate<T>(
    view: &View,
    question: &Question,
    after: Option<&Key>,
    ask: impl Fn(&State, &Ahead) -> Result<T, Status>,
) -> Result<T, Status> {
    let owners = |cells: &Cells| question.owners(cells);
    let mut ahead = Ahead::default();
    for _ in 0..READ_AGAIN_MAX {
        let answered = view.read_of(owners, |state| {
            let is_read = ahead.is_of(&state.cells);
            let wanted = (!is_read).then(|| question.to_read(&state.cells, after));
            match wanted.filter(|wanted| !wanted.is_empty()) {
                None => Ok(ask(state, &ahead)),
                Some(wanted) => Err((wanted, Arc::clone(state.cells.shelf()))),
            }
        });
        match answered {
            Ok(answer) => return answer,
            Err((wanted, shelf)) => ahead = wanted.read(&*shelf)?,
        }
    }
    view.read_of(owners, |state| ask(state, &ahead))
}
