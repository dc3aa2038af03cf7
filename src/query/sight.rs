//! What a caller may see. Whatever adds up, ranks, lists or counts for a question
//! asks it which owners there are: to a caller no others exist.

use crate::auth::caller::Caller;
use crate::auth::rights::{Read, Roles};
use crate::event::{Classifier, Millis, Role};
use crate::meter::cell::{Cells, Day, Owner, Quarter, utc_day_of};
use crate::meter::names::NameId;
use crate::pb;
use std::collections::BTreeMap;

/// Quarter-hours of a UTC day.
const QUARTERS_PER_DAY: i32 = 96;

/// Enterprises of which a caller is told that he may see them.
const TOLD_MAX: usize = 1_000;

/// Who may read nothing sees nobody.
static NOBODY: BTreeMap<String, Roles> = BTreeMap::new();

/// What a caller may see, for the length of one call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sight {
    /// None: everything. He who asks, for what is kept with him.
    limited: Option<Caller>,
    /// The UTC day of the question.
    today: Day,
}

const CLASSIFIERS: [Classifier; 3] = [
    Classifier::Actual,
    Classifier::Estimated,
    Classifier::Planned,
];

/// Some roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleSet(u64);

impl RoleSet {
    /// Every role.
    pub const ALL: Self = Self(u64::MAX);

    /// No role.
    pub const NONE: Self = Self(0);

    /// Those in which an enterprise may be seen.
    fn of(roles: &Roles) -> Self {
        match roles {
            Roles::All => Self::ALL,
            Roles::These(roles) => Self(roles.iter().fold(0, |set, &role| set | bit(role))),
        }
    }

    /// Whether a role is one of them.
    pub fn has(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }

    /// An enterprise's owners in them, whether or not they have cells.
    pub fn owners(self, enterprise: NameId) -> impl Iterator<Item = Owner> {
        let roles = (1..).map_while(|number| Role::try_from(number).ok());
        let roles = roles.filter(move |&role| self.has(role));
        roles.flat_map(move |role| {
            CLASSIFIERS.map(|classifier| Owner {
                enterprise,
                role,
                classifier,
            })
        })
    }
}

fn bit(role: Role) -> u64 {
    // Roles are numbered from 0 and few.
    1u64.checked_shl(role as u32).unwrap_or(0)
}

impl Sight {
    /// What a caller may see of a question that is asked now.
    pub fn of(caller: &Caller, now: Millis) -> Self {
        let limited = !matches!(caller.rights().read, Some(Read::All));
        Self {
            limited: limited.then(|| caller.clone()),
            today: utc_day_of(now),
        }
    }

    /// Everything: for what only those may ask who run the service.
    pub fn everything(now: Millis) -> Self {
        Self {
            limited: None,
            today: utc_day_of(now),
        }
    }

    /// The same of one from whom nothing is hidden.
    #[must_use]
    pub fn of_all(self) -> Self {
        Self {
            limited: None,
            ..self
        }
    }

    /// Whether nothing is hidden from him.
    pub fn is_everything(&self) -> bool {
        self.limited.is_none()
    }

    /// The enterprises that he may see, by id; none if all.
    fn enterprises(&self) -> Option<&BTreeMap<String, Roles>> {
        let rights = self.limited.as_ref()?.rights();
        match &rights.read {
            Some(Read::These(enterprises)) => Some(enterprises),
            Some(Read::All) => None,
            None => Some(&NOBODY),
        }
    }

    /// The enterprises that he may see, by id, each with its roles; none if all.
    pub fn visible(&self) -> Option<impl Iterator<Item = (&str, RoleSet)>> {
        let enterprises = self.enterprises()?.iter();
        Some(enterprises.map(|(id, roles)| (&**id, RoleSet::of(roles))))
    }

    /// The same as a message, the first of them; none if all.
    pub fn message(&self) -> Option<pb::ReadRights> {
        let one = |(id, roles): (&String, &Roles)| pb::ReadableEnterprise {
            enterprise: id.clone(),
            roles: match roles {
                Roles::All => Vec::new(),
                Roles::These(roles) => roles.iter().map(|&role| role.into()).collect(),
            },
        };
        let enterprises = self.enterprises()?.iter();
        Some(pb::ReadRights {
            enterprises: enterprises.take(TOLD_MAX).map(one).collect(),
        })
    }

    /// The roles in which he may see an enterprise; none if he may not see it at all.
    pub fn roles(&self, enterprise: &str) -> Option<RoleSet> {
        match self.enterprises() {
            None => Some(RoleSet::ALL),
            Some(visible) => visible.get(enterprise).map(RoleSet::of),
        }
    }

    /// The oldest day that a question may ask for. When the log's clock reached a day
    /// tells that somebody sent something then, so where not all may be seen, it is
    /// by the time of the question.
    pub fn oldest_day(&self, cells: &Cells) -> Day {
        let oldest = cells.oldest_day();
        match self.limited {
            None => oldest,
            Some(_) => oldest.max(self.today - cells.keeping().day_days),
        }
    }

    /// The same of quarter-hours.
    pub fn oldest_quarter(&self, cells: &Cells) -> Quarter {
        let oldest = cells.oldest_quarter();
        match self.limited {
            None => oldest,
            Some(_) => oldest.max((self.today - cells.keeping().quarter_days) * QUARTERS_PER_DAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rights::Rights;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use tokio::sync::watch;

    fn reader(read: Option<Read>) -> Sight {
        let rights = Rights {
            read,
            ..Rights::default()
        };
        let (_, ended) = watch::channel(None);
        Sight::of(&Caller::known("a".into(), Arc::new(rights), ended), 0)
    }

    #[test]
    fn a_role_that_is_not_his_to_see_is_none() {
        let fleet = Roles::These(BTreeSet::from([Role::Fleet]));
        let these = [
            ("ygt:a".to_owned(), fleet),
            ("ygt:b".to_owned(), Roles::All),
        ];
        let sight = reader(Some(Read::These(these.into())));
        let sees = |id, role| sight.roles(id).is_some_and(|roles| roles.has(role));
        assert!(sees("ygt:a", Role::Fleet) && !sees("ygt:a", Role::Carrier));
        assert!(sees("ygt:b", Role::Carrier) && !sees("ygt:c", Role::Fleet));
        let visible: Vec<_> = sight.visible().unwrap().map(|(id, _)| id).collect();
        assert_eq!(visible, ["ygt:a", "ygt:b"]);
        assert!(!sight.is_everything());
    }

    #[test]
    fn who_may_read_nothing_sees_nobody_and_who_may_read_all_sees_all() {
        let none = reader(None);
        assert_eq!(none.visible().unwrap().count(), 0);
        assert_eq!(none.roles("ygt:a"), None);
        let all = reader(Some(Read::All));
        assert!(all.is_everything() && all.visible().is_none());
        assert_eq!(all.roles("ygt:a"), Some(RoleSet::ALL));
    }
}
