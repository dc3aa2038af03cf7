//! What a sender may speak of. It is judged field by field, where each is read, so
//! that the first fault is told in the order of the fields.

use crate::event::fault::{Fault, Path, excerpt};
use crate::pb::Reason;
use std::collections::BTreeSet;

/// What a sender may speak of; the default is everything, and costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// Nothing but these facilities, by their normalised names.
    pub facilities: Option<&'a BTreeSet<String>>,
    /// No parties but these enterprises, by id.
    pub enterprises: Option<&'a BTreeSet<String>>,
    /// Whether vessel calls are among it.
    pub vessel_calls: bool,
}

impl Default for Allowed<'_> {
    fn default() -> Self {
        Self {
            facilities: None,
            enterprises: None,
            vessel_calls: true,
        }
    }
}

impl Allowed<'_> {
    /// Judges a normalised facility.
    pub(super) fn facility(self, name: &str) -> Result<(), Fault> {
        judge(
            self.facilities,
            name,
            "facility",
            "a facility of the caller",
        )
    }

    /// Judges an enterprise.
    pub(super) fn enterprise(self, id: &str, path: Path) -> Result<(), Fault> {
        judge(self.enterprises, id, path, "an enterprise of the caller")
    }

    /// Judges that it is about a vessel call.
    pub(super) fn vessel_call(self) -> Result<(), Fault> {
        if self.vessel_calls {
            return Ok(());
        }
        let (found, expected) = ("a vessel call".into(), "another kind of event");
        Err(Fault::new(
            Reason::NotAllowed,
            "vessel_call",
            found,
            expected,
        ))
    }
}

fn judge(
    these: Option<&BTreeSet<String>>,
    name: &str,
    path: impl Into<Path>,
    expected: &'static str,
) -> Result<(), Fault> {
    match these {
        Some(these) if !these.contains(name) => Err(Fault::new(
            Reason::NotAllowed,
            path,
            excerpt(name),
            expected,
        )),
        _ => Ok(()),
    }
}
