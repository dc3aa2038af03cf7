//! Where an event happened, and for whom.

use super::shape::{self, OPERATORS, PLACES};
use crate::pb;
use serde_json::Value;

/// What one of an event's places says.
#[derive(Default)]
struct Place {
    locode: Option<String>,
    code: Option<String>,
    kind: Option<String>,
}

impl Place {
    fn read(event: &Value, at: &str) -> Self {
        let text = |field: &str| {
            let found = shape::at(event, &format!("{at}{field}"));
            found.map(|text| text.to_ascii_uppercase())
        };
        Self {
            locode: text("/UNLocationCode"),
            code: text("/facilityCode").or_else(|| text("/facility/facilityCode")),
            kind: text("/facilityTypeCode")
                .or_else(|| text("/facilityType"))
                .map(kind_code),
        }
    }

    /// Whether both can be the same place: nothing that both tell differs.
    fn agrees(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        same(&self.locode, &other.locode) && same(&self.kind, &other.kind)
    }

    fn fill(&mut self, other: Self) {
        self.locode = self.locode.take().or(other.locode);
        self.code = self.code.take().or(other.code);
        self.kind = self.kind.take().or(other.kind);
    }
}

/// The facility that an event names: UN/LOCODE and facility code, else UN/LOCODE
/// and facility type. What a better place leaves out, a worse one fills in, but
/// not if it speaks of another place.
pub(super) fn facility(event: &Value) -> Option<String> {
    let mut place = Place::default();
    for at in PLACES {
        let other = Place::read(event, at);
        if place.agrees(&other) {
            place.fill(other);
        }
    }
    let code = place.code.or(place.kind)?;
    Some(format!("{}/{code}", place.locode?))
}

/// The code of a facility type that 3.0.0 spells out, so that a facility has one
/// name in all versions.
fn kind_code(kind: String) -> String {
    let code = match kind.as_str() {
        "BORDER" => "BOCR",
        "CUSTOMER_LOCATION" => "CLOC",
        "CONTAINER_FREIGHT_STATION" => "COFS",
        "OFF_DOCK_STORAGE" => "OFFD",
        "DEPOT" => "DEPO",
        "INLAND_TERMINAL" => "INTE",
        "PORT_TERMINAL" => "POTE",
        "WAYPOINT" => "WAYP",
        _ => return kind,
    };
    code.into()
}

/// The enterprises that an event names: the vessel's operator as carrier, and
/// the originating parties in the roles of their functions. A role is filled
/// once, by the first, so that nobody is counted under two ids.
pub(super) fn parties(event: &Value) -> Vec<pb::Party> {
    let mut parties: Vec<pb::Party> = Vec::new();
    let mut add = |role: pb::Role, enterprise: String| {
        if parties.iter().all(|party| party.role() != role) {
            parties.push(pb::Party {
                role: role.into(),
                enterprise,
            });
        }
    };
    for (code, list) in OPERATORS {
        if let Some(code) = shape::at(event, code) {
            add(
                pb::Role::Carrier,
                enterprise(&code, shape::at(event, list).as_deref()),
            );
        }
    }
    for (role, enterprise) in originators(event) {
        add(role, enterprise);
    }
    parties
}

/// The originating parties: 3.0's one or several, or Beta-1's publisher.
fn originators(event: &Value) -> Vec<(pb::Role, String)> {
    let one = event.pointer("/eventRouting/originatingParty").into_iter();
    let several = event
        .pointer("/eventRouting/originatingParties")
        .and_then(Value::as_array);
    let routed = one
        .chain(several.into_iter().flatten())
        .filter_map(|party| {
            let role = role(&shape::at(party, "/partyFunction")?)?;
            let code = shape::at(party, "/partyCode")?;
            Some((
                role,
                enterprise(&code, shape::at(party, "/codeListProvider").as_deref()),
            ))
        });
    let publisher = || {
        let role = role(&shape::at(event, "/metadata/publisherRole")?)?;
        let code = shape::at(event, "/metadata/publisher/carrierCode")?;
        let list = shape::at(event, "/metadata/publisher/carrierCodeListProvider");
        Some((role, enterprise(&code, list.as_deref())))
    };
    routed.chain(publisher()).collect()
}

/// The role of a party function.
fn role(function: &str) -> Option<pb::Role> {
    Some(match function {
        "CA" => pb::Role::Carrier,
        "AG" => pb::Role::Agent,
        "TR" => pb::Role::Terminal,
        "DDR" | "DDS" => pb::Role::Forwarder,
        "OS" => pb::Role::Shipper,
        _ => return None,
    })
}

/// The id of an enterprise by its code and the list that the code is from.
fn enterprise(code: &str, list: Option<&str>) -> String {
    let scheme = match list {
        Some("SMDG") => "smdg",
        Some("NMFTA") => "nmfta",
        _ => "ygt",
    };
    format!("{scheme}:{code}")
}
