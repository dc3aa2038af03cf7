//! Who sends: whose events these are, and of what they may be.

use super::check;
use crate::auth::caller::Caller;
use crate::auth::quota::Taken;
use crate::auth::rights::{Only, Publish};
use crate::status;
use crate::wire::Allowed;
use std::collections::BTreeSet;
use tonic::Status;

/// A caller who sends, and the source of his events.
#[derive(Clone, Debug)]
pub struct Sender {
    caller: Caller,
    source: String,
    /// If he has limits of his own.
    taken: Option<Taken>,
}

impl Sender {
    /// The sender of a call that names a source. One who is known may leave it empty,
    /// and can be no other than himself.
    ///
    /// # Errors
    /// He may not send at all, or names another; without callers, what he names is no
    /// source.
    pub fn of(caller: Caller, taken: Option<Taken>, named: String) -> Result<Self, Status> {
        if caller.rights().publish.is_none() {
            return Err(status::not_allowed(
                "publish",
                "the caller may not send events",
            ));
        }
        let source = match caller.name() {
            None => {
                check::source(&named)?;
                named
            }
            Some(own) if named.is_empty() || named == **own => own.to_string(),
            Some(own) => return Err(status::foreign_source(&named, own)),
        };
        Ok(Self {
            caller,
            source,
            taken,
        })
    }

    /// Who he is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whose the events are.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What he takes of the service, if he has limits of his own.
    pub fn taken(&self) -> Option<&Taken> {
        self.taken.as_ref()
    }

    /// Judges how many events a batch of his has, where the service takes so many.
    ///
    /// # Errors
    /// None, or too many.
    pub fn judge_batch(&self, events: usize, most: usize) -> Result<(), Status> {
        check::batch_size(events, self.batch_events_max(most))
    }

    /// The most events of a batch of his, where the service takes so many.
    pub fn batch_events_max(&self, most: usize) -> usize {
        let own = self.taken.as_ref();
        own.map_or(most, |own| own.batch_events_max(most))
    }

    /// The events that a stream of his may have unacknowledged, where the service
    /// grants so many.
    pub fn credit_events(&self, most: u64) -> u64 {
        let own = self.taken.as_ref();
        own.map_or(most, |own| own.credit_events(most))
    }

    /// Of what they may be.
    pub fn allowed(&self) -> Allowed<'_> {
        match &self.caller.rights().publish {
            None => Allowed::default(),
            Some(Publish {
                facilities,
                enterprises,
                vessel_calls,
            }) => Allowed {
                facilities: these(facilities),
                enterprises: these(enterprises),
                vessel_calls: *vessel_calls,
            },
        }
    }
}

fn these(only: &Only) -> Option<&BTreeSet<String>> {
    match only {
        Only::All => None,
        Only::These(names) => Some(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rights::Rights;
    use std::sync::Arc;
    use tokio::sync::watch;
    use tonic::Code;

    fn known(rights: Rights) -> Caller {
        Caller::known("truckers".into(), Arc::new(rights), watch::channel(None).1)
    }

    fn source(caller: Caller, named: &str) -> Result<String, Code> {
        let sender = Sender::of(caller, None, named.into()).map_err(|status| status.code())?;
        Ok(sender.source().to_owned())
    }

    #[test]
    fn who_is_known_is_his_own_source_and_no_other() {
        let known = || known(Rights::all());
        assert_eq!(source(known(), "").as_deref(), Ok("truckers"));
        assert_eq!(source(known(), "truckers").as_deref(), Ok("truckers"));
        assert_eq!(source(known(), "tos"), Err(Code::PermissionDenied));
        let refused = Sender::of(known(), None, "tos".into()).unwrap_err();
        assert!(refused.message().contains("\"tos\""), "{refused}");
        assert!(refused.message().contains("\"truckers\""), "{refused}");
    }

    #[test]
    fn without_callers_a_source_names_itself() {
        assert_eq!(source(Caller::anyone(), "tos").as_deref(), Ok("tos"));
        assert_eq!(source(Caller::anyone(), ""), Err(Code::InvalidArgument));
    }

    #[test]
    fn who_may_not_publish_sends_nothing() {
        let nothing = known(Rights::default());
        assert_eq!(source(nothing, "truckers"), Err(Code::PermissionDenied));
        assert_eq!(source(Caller::nobody(), "tos"), Err(Code::PermissionDenied));
    }

    #[test]
    fn whoever_may_send_all_is_asked_nothing_for_an_event() {
        let sender = Sender::of(Caller::anyone(), None, "tos".into()).unwrap();
        let allowed = sender.allowed();
        assert!(allowed.facilities.is_none() && allowed.enterprises.is_none());
    }
}
