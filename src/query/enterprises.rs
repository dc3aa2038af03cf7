//! ListEnterprises: who has figures or a name.

use super::ask;
use super::asker::Asker;
use super::page::Fingerprint;
use super::sight::{RoleSet, Sight};
use crate::event::Role;
use crate::meter::cell::{Cells, Owner};
use crate::pb;
use crate::status;
use std::collections::BTreeMap;
use tonic::Status;

/// The longest text to look for, in bytes.
const CONTAINS_MAX: usize = 256;

/// Where names come from: the enterprise registry.
pub trait Directory: Send + Sync + 'static {
    /// What is known of an enterprise.
    fn find(&self, id: &str) -> Option<pb::Enterprise>;
    /// Gives each known enterprise.
    fn each(&self, give: &mut dyn FnMut(pb::Enterprise));
}

/// No registry.
impl Directory for () {
    fn find(&self, _: &str) -> Option<pb::Enterprise> {
        None
    }

    fn each(&self, _: &mut dyn FnMut(pb::Enterprise)) {}
}

/// An enterprise with the names that the registry gives it, and those of the roles
/// there that the caller may see.
pub fn named(directory: &dyn Directory, sight: &Sight, id: &str) -> pb::Enterprise {
    let known = directory.find(id);
    seen(known.unwrap_or_else(|| unnamed(id)), sight)
}

fn unnamed(id: &str) -> pb::Enterprise {
    pb::Enterprise {
        id: id.into(),
        ..Default::default()
    }
}

/// The same without the roles that the caller may not see.
fn seen(mut enterprise: pb::Enterprise, sight: &Sight) -> pb::Enterprise {
    if !sight.is_everything() {
        let visible = sight.roles(&enterprise.id).unwrap_or(RoleSet::NONE);
        let is_visible = |role: &i32| Role::try_from(*role).is_ok_and(|role| visible.has(role));
        enterprise.roles.retain(is_visible);
    }
    enterprise
}

/// A checked question.
pub struct Question {
    role: Option<Role>,
    contains: String,
    after: Option<String>,
    limit: usize,
    request: Fingerprint,
    sight: Sight,
}

impl Question {
    /// What a request asks.
    pub fn parse(request: &pb::ListEnterprisesRequest, asker: &Asker) -> Result<Self, Status> {
        if request.contains.len() > CONTAINS_MAX {
            let found = format!("{} bytes", request.contains.len());
            return Err(status::invalid(
                "contains",
                found,
                format!("at most {CONTAINS_MAX} bytes"),
            ));
        }
        let fingerprint = asker.asks(
            "ListEnterprises",
            &pb::ListEnterprisesRequest {
                role: request.role,
                contains: request.contains.clone(),
                ..Default::default()
            },
        );
        Ok(Self {
            role: ask::role("role", request.role)?,
            contains: request.contains.to_lowercase(),
            after: fingerprint.after(&request.page_token)?,
            limit: ask::page_size(request.page_size)?,
            request: fingerprint,
            sight: asker.sight().clone(),
        })
    }

    /// A page, and the token of the next one.
    pub fn page(&self, cells: &Cells, directory: &dyn Directory) -> (Vec<pb::Enterprise>, String) {
        let found = self.visible(cells, directory);
        let found = found.unwrap_or_else(|| self.all(cells, directory));
        let mut matching = found.into_values().filter_map(|mut enterprise| {
            enterprise.roles.sort_unstable();
            enterprise.roles.dedup();
            self.admits(&enterprise).then_some(enterprise)
        });
        let page: Vec<_> = matching.by_ref().take(self.limit).collect();
        let token = match (page.last(), matching.next()) {
            (Some(last), Some(_)) => self.request.token(&last.id),
            _ => String::new(),
        };
        (page, token)
    }

    /// Whose cells must be posted for it; none if those of all.
    pub fn owners(&self, cells: &Cells) -> Option<Vec<Owner>> {
        let named = self.seen()?;
        let owners = named.filter_map(|(id, roles)| Some(roles.owners(cells.names.find(id)?)));
        Some(owners.flatten().collect())
    }

    /// Those after the page before that the caller may see; none if he may see all.
    fn seen(&self) -> Option<impl Iterator<Item = (&str, RoleSet)>> {
        Some(self.sight.visible()?.filter(|(id, _)| self.is_beyond(id)))
    }

    fn is_beyond(&self, id: &str) -> bool {
        self.after.as_ref().is_none_or(|after| id > &**after)
    }

    /// All after the page before.
    fn all(&self, cells: &Cells, directory: &dyn Directory) -> BTreeMap<String, pb::Enterprise> {
        let mut found = BTreeMap::new();
        directory.each(&mut |enterprise| {
            if self.is_beyond(&enterprise.id) {
                found.insert(enterprise.id.clone(), enterprise);
            }
        });
        for (owner, _) in cells.owners() {
            let id = cells.names.get(owner.enterprise);
            if self.is_beyond(id) {
                let new = found.entry(id.into()).or_insert_with(|| unnamed(id));
                new.roles.push(owner.role.into());
            }
        }
        found
    }

    /// The same of those whom the caller may see, looked up one by one: nobody else is
    /// looked at. None if he may see all.
    fn visible(
        &self,
        cells: &Cells,
        directory: &dyn Directory,
    ) -> Option<BTreeMap<String, pb::Enterprise>> {
        let one = |(id, roles): (&str, RoleSet)| {
            let known = directory.find(id).map(|known| seen(known, &self.sight));
            let counted = roles_with_cells(cells, id, roles);
            if known.is_none() && counted.is_empty() {
                return None;
            }
            let mut enterprise = known.unwrap_or_else(|| unnamed(id));
            enterprise.roles.extend(counted);
            Some((id.to_owned(), enterprise))
        };
        Some(self.seen()?.filter_map(one).collect())
    }

    fn admits(&self, enterprise: &pb::Enterprise) -> bool {
        let texts = [&enterprise.id, &enterprise.name_zh, &enterprise.name_en];
        self.role
            .is_none_or(|role| enterprise.roles.contains(&role.into()))
            && texts
                .iter()
                .any(|text| text.to_lowercase().contains(&self.contains))
    }
}

/// The roles of some in which an enterprise has cells, each maybe more than once.
fn roles_with_cells(cells: &Cells, id: &str, roles: RoleSet) -> Vec<i32> {
    let Some(enterprise) = cells.names.find(id) else {
        return Vec::new();
    };
    let has_cells = |owner: &Owner| {
        let series = cells.owner(*owner);
        series.is_some_and(|series| !series.is_empty())
    };
    let those = roles.owners(enterprise).filter(has_cells);
    those.map(|owner| owner.role.into()).collect()
}
