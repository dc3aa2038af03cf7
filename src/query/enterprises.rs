//! ListEnterprises: who has figures or a name.

use super::ask;
use super::page::Fingerprint;
use crate::event::Role;
use crate::meter::cell::Cells;
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

/// An enterprise with the names that the registry gives it.
pub fn named(directory: &dyn Directory, id: &str) -> pb::Enterprise {
    let unknown = || pb::Enterprise {
        id: id.into(),
        ..Default::default()
    };
    directory.find(id).unwrap_or_else(unknown)
}

/// A checked question.
pub struct Question {
    role: Option<Role>,
    contains: String,
    after: Option<String>,
    limit: usize,
    request: Fingerprint,
}

impl Question {
    /// What a request asks.
    pub fn parse(request: &pb::ListEnterprisesRequest) -> Result<Self, Status> {
        if request.contains.len() > CONTAINS_MAX {
            let found = format!("{} bytes", request.contains.len());
            return Err(status::invalid(
                "contains",
                found,
                format!("at most {CONTAINS_MAX} bytes"),
            ));
        }
        let fingerprint = Fingerprint::of(
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
        })
    }

    /// A page, and the token of the next one.
    pub fn page(&self, cells: &Cells, directory: &dyn Directory) -> (Vec<pb::Enterprise>, String) {
        let mut found = BTreeMap::new();
        let beyond = |id: &str| self.after.as_ref().is_none_or(|after| id > &**after);
        directory.each(&mut |enterprise| {
            if beyond(&enterprise.id) {
                found.insert(enterprise.id.clone(), enterprise);
            }
        });
        for (owner, _) in cells.owners() {
            let id = cells.names.get(owner.enterprise);
            if beyond(id) {
                let new = || pb::Enterprise {
                    id: id.into(),
                    ..Default::default()
                };
                found
                    .entry(id.into())
                    .or_insert_with(new)
                    .roles
                    .push(owner.role.into());
            }
        }
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

    fn admits(&self, enterprise: &pb::Enterprise) -> bool {
        let texts = [&enterprise.id, &enterprise.name_zh, &enterprise.name_en];
        self.role
            .is_none_or(|role| enterprise.roles.contains(&role.into()))
            && texts
                .iter()
                .any(|text| text.to_lowercase().contains(&self.contains))
    }
}
