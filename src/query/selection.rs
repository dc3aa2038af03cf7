//! Which cells a question is about.

use super::ask;
use super::sight::{RoleSet, Sight};
use crate::event::{Classifier, Role, enterprise, facility};
use crate::meter::cell::{Cells, Owner, Series};
use crate::meter::names::{NameId, Names};
use crate::{pb, status};
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use tonic::Status;

/// The most enterprises, and the most facilities, of a filter.
pub const NAMES_MAX: usize = 1_000;

/// The most roles or classifiers of a filter: none needs to be named twice.
const ENUMS_MAX: usize = 16;

/// A checked filter, of what the caller may see.
#[derive(Clone, Debug)]
pub struct Selection {
    sight: Sight,
    /// Ids of those that are asked for and may be seen, and in which roles; all if none.
    enterprises: Option<Vec<(CompactString, RoleSet)>>,
    /// Roles; all if empty.
    roles: Vec<Role>,
    /// Classifiers, never empty.
    classifiers: Vec<Classifier>,
    /// Facilities and bare UN/LOCODEs; all if empty.
    facilities: Vec<CompactString>,
}

impl Selection {
    /// All that may be seen of one role and classifier at some facilities, or at all if
    /// none is named.
    pub fn of_role(
        sight: &Sight,
        (role, classifier): (Role, Classifier),
        facilities: Vec<CompactString>,
    ) -> Self {
        Self {
            sight: sight.clone(),
            enterprises: visible(sight, &BTreeSet::new()),
            roles: vec![role],
            classifiers: vec![classifier],
            facilities,
        }
    }

    /// What a filter selects of what may be seen. No filter selects all that is ACTUAL.
    pub fn parse(filter: Option<&pb::Filter>, sight: &Sight) -> Result<Self, Status> {
        let none = pb::Filter::default();
        let filter = filter.unwrap_or(&none);
        within("filter.enterprises", filter.enterprises.len(), NAMES_MAX)?;
        within("filter.roles", filter.roles.len(), ENUMS_MAX)?;
        within("filter.classifiers", filter.classifiers.len(), ENUMS_MAX)?;
        let enterprises = each("filter.enterprises", &filter.enterprises, |field, id| {
            enterprise(field, id)
        })?;
        let roles = each("filter.roles", &filter.roles, |field, &role| {
            ask::role(field, role)?.ok_or_else(|| status::invalid(field, "unspecified", "a role"))
        })?;
        let classifiers = each(
            "filter.classifiers",
            &filter.classifiers,
            |field, &found| Ok(ask::classifier(field, found)?.unwrap_or(Classifier::Actual)),
        )?;
        Ok(Self {
            sight: sight.clone(),
            enterprises: visible(sight, &enterprises.into_iter().collect()),
            roles,
            classifiers: if classifiers.is_empty() {
                vec![Classifier::Actual]
            } else {
                classifiers
            },
            facilities: facilities("filter.facilities", &filter.facilities)?,
        })
    }

    /// What the caller may see.
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Whether it is of all facilities.
    pub fn is_everywhere(&self) -> bool {
        self.facilities.is_empty()
    }

    /// The selection with the numbers that names have in these cells.
    pub fn resolve<'a>(&'a self, names: &'a Names) -> Resolved<'a> {
        let enterprises = self.enterprises.as_ref().map(|wanted| {
            let known = |(id, roles): &(CompactString, _)| Some((names.find(id)?, *roles));
            wanted.iter().filter_map(known).collect()
        });
        Resolved {
            selection: self,
            enterprises,
            facilities: Facilities::new(&self.facilities, names),
        }
    }
}

/// A selection that knows the numbers of names.
pub struct Resolved<'a> {
    selection: &'a Selection,
    enterprises: Option<FxHashMap<NameId, RoleSet>>,
    facilities: Facilities<'a>,
}

impl Resolved<'_> {
    /// Whether an owner is selected.
    pub fn owner(&self, owner: &Owner) -> bool {
        let Selection {
            roles, classifiers, ..
        } = self.selection;
        classifiers.contains(&owner.classifier)
            && (roles.is_empty() || roles.contains(&owner.role))
            && self.enterprises.as_ref().is_none_or(|ids| {
                let roles = ids.get(&owner.enterprise);
                roles.is_some_and(|roles| roles.has(owner.role))
            })
    }

    /// Whether a facility is selected.
    pub fn facility(&mut self, id: NameId) -> bool {
        self.facilities.has(id)
    }

    /// The selected owners that have cells.
    pub fn owners<'c>(&self, cells: &'c Cells) -> Vec<(Owner, &'c Series)> {
        let Some(named) = self.named() else {
            let all = cells.owners();
            return all.filter(|(owner, _)| self.owner(owner)).collect();
        };
        let found = |owner| Some((owner, cells.owner(owner)?));
        named.into_iter().filter_map(found).collect()
    }

    /// The selected owners, whether or not they have cells, those of an enterprise together;
    /// none if that is all of some roles.
    pub fn named(&self) -> Option<Vec<Owner>> {
        let enterprises = self.enterprises.as_ref()?.iter();
        let owners = enterprises.flat_map(|(&id, roles)| roles.owners(id));
        Some(owners.filter(|owner| self.owner(owner)).collect())
    }
}

/// Those that are asked for and may be seen, in which roles; none if all. To ask for
/// none of them is to ask for all.
fn visible(
    sight: &Sight,
    asked: &BTreeSet<CompactString>,
) -> Option<Vec<(CompactString, RoleSet)>> {
    if !asked.is_empty() {
        let seen = |id: &CompactString| Some((id.clone(), sight.roles(id)?));
        return Some(asked.iter().filter_map(seen).collect());
    }
    let visible = sight.visible()?;
    Some(visible.map(|(id, roles)| (id.into(), roles)).collect())
}

/// Facilities that a resolved selection is of.
pub struct Facilities<'a> {
    wanted: &'a [CompactString],
    names: &'a Names,
    known: FxHashMap<NameId, bool>,
}

impl<'a> Facilities<'a> {
    /// Those with these names and UN/LOCODEs; all if there are none.
    pub fn new(wanted: &'a [CompactString], names: &'a Names) -> Self {
        Self {
            wanted,
            names,
            known: FxHashMap::default(),
        }
    }

    /// Whether a facility is selected.
    pub fn has(&mut self, id: NameId) -> bool {
        let wanted = self.wanted;
        if wanted.is_empty() {
            return true;
        }
        *self.known.entry(id).or_insert_with(|| {
            let name = self.names.get(id);
            let place = name.split('/').next().unwrap_or(name);
            wanted
                .iter()
                .any(|wanted| wanted == name || wanted == place)
        })
    }
}

/// Facilities and bare UN/LOCODEs, in the form that events keep them in.
pub fn facilities(field: &str, found: &[String]) -> Result<Vec<CompactString>, Status> {
    within(field, found.len(), NAMES_MAX)?;
    each(field, found, |field, name| facility(field, name))
}

fn facility(field: &str, found: &str) -> Result<CompactString, Status> {
    // A bare UN/LOCODE is folded as the first half of some facility would be.
    let bare = || facility::normalise(&format!("{found}/-")).map(|name| name[..5].into());
    facility::normalise(found).or_else(bare).ok_or_else(|| {
        let expected = "a UN/LOCODE, alone or with a terminal or depot code, such as CNNBO/BLCT2";
        status::invalid(field, found, expected)
    })
}

/// An enterprise's id.
pub fn enterprise(field: &str, found: &str) -> Result<CompactString, Status> {
    enterprise::judge(found).map_err(|wrong| {
        let expected = match wrong {
            enterprise::Wrong::CheckCharacter => "a 统一社会信用代码 with a right check character",
            _ => "uscc:, smdg:, nmfta: or ygt: and a code",
        };
        status::invalid(field, found, expected)
    })?;
    Ok(found.into())
}

fn within(field: &str, found: usize, most: usize) -> Result<(), Status> {
    if found <= most {
        return Ok(());
    }
    Err(status::invalid(
        field,
        format!("{found} elements"),
        format!("at most {most}"),
    ))
}

fn each<T, U>(
    field: &str,
    found: &[T],
    parse: impl Fn(&str, &T) -> Result<U, Status>,
) -> Result<Vec<U>, Status> {
    let path = |at| format!("{field}[{at}]");
    found
        .iter()
        .enumerate()
        .map(|(at, one)| parse(&path(at), one))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::caller::Caller;
    use crate::auth::rights::{Read, Rights, Roles};
    use tonic::Code;

    fn all() -> Sight {
        Sight::everything(0)
    }

    /// Of who may see one enterprise as a fleet, and another in every role.
    fn limited() -> Sight {
        let fleet = Roles::These([Role::Fleet].into());
        let these = [
            ("ygt:a".to_owned(), fleet),
            ("ygt:b".to_owned(), Roles::All),
        ];
        let rights = Rights {
            read: Some(Read::These(these.into())),
            ..Rights::default()
        };
        let (_, ended) = tokio::sync::watch::channel(None);
        Sight::of(&Caller::known("a".into(), rights.into(), ended), 0)
    }

    #[test]
    fn nothing_is_selected_that_may_not_be_seen() {
        let mut names = Names::default();
        let ids = ["ygt:a", "ygt:b", "ygt:hidden"].map(|name| names.intern(name));
        let selected = |asked: &[&str], sight: &Sight| {
            let filter = pb::Filter {
                enterprises: asked.iter().map(|&id| id.into()).collect(),
                ..Default::default()
            };
            let selection = Selection::parse(Some(&filter), sight).unwrap();
            let resolved = selection.resolve(&names);
            let owner = |enterprise, role| Owner {
                enterprise,
                role,
                classifier: Classifier::Actual,
            };
            let owns = |role| ids.map(|id| resolved.owner(&owner(id, role)));
            let named = resolved.named().map(|named| named.len());
            (owns(Role::Fleet), owns(Role::Carrier), named)
        };
        let roles = (1..).map_while(|role| Role::try_from(role).ok()).count();
        let (yes, no) = (true, false);
        let cases: [(&[&str], _); 4] = [
            (&[], ([yes, yes, no], [no, yes, no], Some(roles + 1))),
            (&["ygt:a"], ([yes, no, no], [no; 3], Some(1))),
            (
                &["ygt:hidden", "ygt:b"],
                ([no, yes, no], [no, yes, no], Some(roles)),
            ),
            (&["ygt:hidden"], ([no; 3], [no; 3], Some(0))),
        ];
        for (asked, expected) in cases {
            assert_eq!(selected(asked, &limited()), expected, "{asked:?}");
        }
        assert_eq!(selected(&[], &all()), ([yes; 3], [yes; 3], None));
        let hidden = selected(&["ygt:hidden"], &all());
        assert_eq!(hidden, ([no, no, yes], [no, no, yes], Some(roles)));
    }

    #[test]
    fn facilities_are_folded_and_aliased_like_those_of_events() {
        let folded = |name: &str| facility("f", name).map(|name| name.to_string()).ok();
        assert_eq!(folded("cnngb/blct2").as_deref(), Some("CNNBO/BLCT2"));
        assert_eq!(folded("CNNBG").as_deref(), Some("CNNBO"));
        assert_eq!(folded("CNZOS/A-1_b").as_deref(), Some("CNZOS/A-1_B"));
        for bad in [
            "",
            "CNNB",
            "CNNBO/",
            "CNNBO/ABCDEFGHIJKLMNOPQ",
            "1NNBO",
            "CNNBO/A B",
            "甬",
        ] {
            assert_eq!(folded(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bare_locode_selects_all_its_facilities_and_no_others() {
        let mut names = Names::default();
        let ids = ["CNNBO/BLCT2", "CNNBO/BLCT3", "CNZOS/BLCT2"].map(|name| names.intern(name));
        let filter = |names: &[&str]| pb::Filter {
            facilities: names.iter().map(|&name| name.into()).collect(),
            ..Default::default()
        };
        for (wanted, expected) in [
            (&["CNNBO"][..], [true, true, false]),
            (&["CNZOS/BLCT2", "CNNBO/BLCT3"], [false, true, true]),
            (&[], [true; 3]),
            (&["CNDAX"], [false; 3]),
        ] {
            let selection = Selection::parse(Some(&filter(wanted)), &all()).unwrap();
            let mut resolved = selection.resolve(&names);
            assert_eq!(ids.map(|id| resolved.facility(id)), expected);
        }
    }

    #[test]
    fn a_wrong_filter_names_its_element() {
        let bad = pb::Filter {
            enterprises: vec!["smdg:COS".into(), "COS".into()],
            ..Default::default()
        };
        let bad = Selection::parse(Some(&bad), &all()).unwrap_err();
        assert_eq!(bad.code(), Code::InvalidArgument);
        assert!(
            bad.message()
                .starts_with("filter.enterprises[1]: found \"COS\""),
            "{}",
            bad.message()
        );
        let role = pb::Filter {
            roles: vec![0],
            ..Default::default()
        };
        assert!(
            Selection::parse(Some(&role), &all())
                .unwrap_err()
                .message()
                .starts_with("filter.roles[0]")
        );
        let many = pb::Filter {
            facilities: vec!["CNNBO".into(); NAMES_MAX + 1],
            ..Default::default()
        };
        assert!(
            Selection::parse(Some(&many), &all())
                .unwrap_err()
                .message()
                .contains("1001 elements")
        );
    }
}
