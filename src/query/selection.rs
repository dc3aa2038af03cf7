//! Which cells a question is about.

use super::ask;
use crate::event::{Classifier, Role, enterprise, facility};
use crate::meter::cell::{Cells, Owner, Series};
use crate::meter::names::{NameId, Names};
use crate::{pb, status};
use compact_str::CompactString;
use rustc_hash::{FxHashMap, FxHashSet};
use tonic::Status;

/// The most enterprises, and the most facilities, of a filter.
pub const NAMES_MAX: usize = 1_000;

/// The most roles or classifiers of a filter: none needs to be named twice.
const ENUMS_MAX: usize = 16;

/// A checked filter.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Ids; all if none.
    pub enterprises: Option<Vec<CompactString>>,
    /// Roles; all if empty.
    pub roles: Vec<Role>,
    /// Classifiers, never empty.
    pub classifiers: Vec<Classifier>,
    /// Facilities and bare UN/LOCODEs; all if empty.
    pub facilities: Vec<CompactString>,
}

impl Selection {
    /// What a filter selects. No filter selects all that is ACTUAL.
    pub fn parse(filter: Option<&pb::Filter>) -> Result<Self, Status> {
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
            enterprises: (!enterprises.is_empty()).then_some(enterprises),
            roles,
            classifiers: if classifiers.is_empty() {
                vec![Classifier::Actual]
            } else {
                classifiers
            },
            facilities: facilities("filter.facilities", &filter.facilities)?,
        })
    }

    /// The selection with the numbers that names have in these cells.
    pub fn resolve<'a>(&'a self, names: &'a Names) -> Resolved<'a> {
        let ids =
            |wanted: &Vec<CompactString>| wanted.iter().filter_map(|n| names.find(n)).collect();
        let enterprises = self.enterprises.as_ref().map(ids);
        Resolved {
            selection: self,
            names,
            enterprises,
            facilities: FxHashMap::default(),
        }
    }
}

/// A selection that knows the numbers of names.
pub struct Resolved<'a> {
    selection: &'a Selection,
    names: &'a Names,
    enterprises: Option<FxHashSet<NameId>>,
    facilities: FxHashMap<NameId, bool>,
}

impl Resolved<'_> {
    /// Whether an owner is selected.
    pub fn owner(&self, owner: &Owner) -> bool {
        let Selection {
            roles, classifiers, ..
        } = self.selection;
        classifiers.contains(&owner.classifier)
            && (roles.is_empty() || roles.contains(&owner.role))
            && self
                .enterprises
                .as_ref()
                .is_none_or(|ids| ids.contains(&owner.enterprise))
    }

    /// Whether a facility is selected.
    pub fn facility(&mut self, id: NameId) -> bool {
        let wanted = &self.selection.facilities;
        if wanted.is_empty() {
            return true;
        }
        *self.facilities.entry(id).or_insert_with(|| {
            let name = self.names.get(id);
            let place = name.split('/').next().unwrap_or(name);
            wanted
                .iter()
                .any(|wanted| wanted == name || wanted == place)
        })
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

    /// The selected owners, whether or not they have cells; none if that is all of some
    /// roles.
    pub fn named(&self) -> Option<Vec<Owner>> {
        let enterprises = self.enterprises.as_ref()?;
        let mut owners = Vec::new();
        for &enterprise in enterprises {
            for role in (1..).map_while(|number| Role::try_from(number).ok()) {
                for &classifier in &[
                    Classifier::Actual,
                    Classifier::Estimated,
                    Classifier::Planned,
                ] {
                    let owner = Owner {
                        enterprise,
                        role,
                        classifier,
                    };
                    if self.owner(&owner) {
                        owners.push(owner);
                    }
                }
            }
        }
        Some(owners)
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
    use tonic::Code;

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
            let selection = Selection::parse(Some(&filter(wanted))).unwrap();
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
        let bad = Selection::parse(Some(&bad)).unwrap_err();
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
            Selection::parse(Some(&role))
                .unwrap_err()
                .message()
                .starts_with("filter.roles[0]")
        );
        let many = pb::Filter {
            facilities: vec!["CNNBO".into(); NAMES_MAX + 1],
            ..Default::default()
        };
        assert!(
            Selection::parse(Some(&many))
                .unwrap_err()
                .message()
                .contains("1001 elements")
        );
    }
}
