//! What a caller may publish, read and do.

use crate::pb::Role;
use std::collections::{BTreeMap, BTreeSet};

/// What a caller may do. The default is nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// What he may send, if anything.
    pub publish: Option<Publish>,
    /// What he may see, if anything.
    pub read: Option<Read>,
    /// Whether he may run the service: backups, dumps, explanations, metrics, the state of
    /// the whole, and to watch all. Dead letters are not among it: the command that handles them
    /// works on Kafka, and whom that lets in is for Kafka to say.
    pub operate: bool,
    /// What he may take of the service in a second and at once.
    pub quota: Quota,
}

/// Which events a caller may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// At these facilities, by their normalised names (`CNNBO/BLCT2`).
    pub facilities: Only,
    /// With no other parties than these, by id (`USCC:…`); what the event's rules
    /// ask for may not name others either.
    pub enterprises: Only,
    /// Whether vessel calls are among them: they are a port's own, and everybody's
    /// figures hang on them.
    pub vessel_calls: bool,
}

/// Whose figures a caller may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Everybody's.
    All,
    /// Those of these enterprises, by id, each in these roles.
    These(BTreeMap<String, Roles>),
}

/// In which roles an enterprise's figures may be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roles {
    /// In every role.
    All,
    /// In these.
    These(BTreeSet<Role>),
}

/// All, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// Without a limit.
    All,
    /// Nothing but these.
    These(BTreeSet<String>),
}

/// A caller's own limits; none where there is only the service's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Events that he may send in a second.
    pub events_per_s: Option<u32>,
    /// Bytes of requests that he may send in a second.
    pub bytes_per_s: Option<u32>,
    /// Event streams that he may have open.
    pub streams: Option<u32>,
    /// Events in a batch.
    pub batch_events: Option<u32>,
    /// Questions that he may ask at the same time.
    pub concurrent_queries: Option<u32>,
}

impl Rights {
    /// Everything: what whoever calls may do when no callers are configured.
    pub fn all() -> Self {
        Self {
            publish: Some(Publish {
                facilities: Only::All,
                enterprises: Only::All,
                vessel_calls: true,
            }),
            read: Some(Read::All),
            operate: true,
            quota: Quota::default(),
        }
    }
}

impl Only {
    /// Whether it has a name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(name),
        }
    }
}

impl Read {
    /// Whether an enterprise may be seen in a role.
    pub fn sees(&self, enterprise: &str, role: Role) -> bool {
        match self {
            Self::All => true,
            Self::These(enterprises) => match enterprises.get(enterprise) {
                None => false,
                Some(Roles::All) => true,
                Some(Roles::These(roles)) => roles.contains(&role),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enterprise_is_seen_in_its_roles_and_no_other_is() {
        let roles = Roles::These(BTreeSet::from([Role::Fleet]));
        let read = Read::These(BTreeMap::from([("A:1".to_owned(), roles)]));
        assert!(read.sees("A:1", Role::Fleet));
        assert!(!read.sees("A:1", Role::Shipper));
        assert!(!read.sees("A:2", Role::Fleet));
        assert!(Read::All.sees("A:2", Role::Shipper));
    }

    #[test]
    fn nobody_may_do_anything() {
        let nobody = Rights::default();
        assert!(nobody.publish.is_none() && nobody.read.is_none() && !nobody.operate);
    }
}
