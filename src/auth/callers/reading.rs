//! Reads callers, and holds them against each other.

use super::fields::{self, Faults, Fields};
use super::{Entry, Issuer, OfHis, Token};
use crate::auth::key::is_id;
use crate::auth::rights::{Only, Publish, Quota, Read, Rights, Roles};
use crate::event::{enterprise, facility};
use crate::pb::Role;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use toml::Value;

const NAME: &str = "1 to 64 characters A-Z a-z 0-9 . _ : -";
const FACILITY: &str = "a UN/LOCODE, / and a terminal, such as CNNBO/BLCT2";
const ENTERPRISE: &str = "uscc:, smdg:, nmfta: or ygt: and a right code";
const CERTIFICATE: &str = "a SPIFFE id, or the common name of a subject";

/// Reads one.
pub fn caller(mut fields: Fields, faults: &mut Faults) -> Option<Entry> {
    let path = fields.path("name");
    let name = fields.text("name", NAME, faults).filter(|name| {
        let good = enterprise::is_name(name);
        if !good {
            faults.add(&path, format!("{name:?}"), NAME);
        }
        good
    });
    let keys = keys(&mut fields, faults);
    let certificates = certificates(&mut fields, faults);
    let tokens = fields.tables("tokens", faults);
    let tokens = tokens
        .into_iter()
        .filter_map(|fields| token(fields, faults))
        .collect();
    let rights = Rights {
        publish: fields
            .table("publish", faults)
            .and_then(|fields| publish(fields, faults)),
        read: read(&mut fields, faults),
        operate: fields.flag("operate", faults),
        quota: fields
            .table("quota", faults)
            .map_or_else(Quota::default, |fields| quota(fields, faults)),
    };
    fields.end(faults);
    Some(Entry {
        name: name?,
        keys,
        certificates,
        tokens,
        rights,
    })
}

fn keys(fields: &mut Fields, faults: &mut Faults) -> OfHis {
    const EXPECTED: &str = "ids of API keys, 12 hex digits each, or \"all\" that were made for him";
    let path = fields.path("keys");
    let texts = match fields.take("keys") {
        None => Vec::new(),
        Some(Value::String(all)) if all == "all" => return OfHis::All,
        Some(value) => fields::texts(&path, value, EXPECTED, faults),
    };
    for (path, text) in &texts {
        if !is_id(text) {
            // It may be a whole key, which is nobody's business.
            faults.add(path, "something else", EXPECTED);
        }
    }
    OfHis::These(texts.into_iter().map(|(_, text)| text).collect())
}

fn certificates(fields: &mut Fields, faults: &mut Faults) -> Vec<String> {
    let texts = fields.texts("certificates", CERTIFICATE, faults);
    for (path, text) in &texts {
        let spiffe = text.strip_prefix("spiffe://");
        let whole = spiffe.is_none_or(|rest| {
            rest.split_once('/')
                .is_some_and(|(d, p)| !d.is_empty() && !p.is_empty())
        });
        if text.is_empty() || !whole || text.chars().any(char::is_control) {
            faults.add(path, format!("{text:?}"), CERTIFICATE);
        }
    }
    texts.into_iter().map(|(_, text)| text).collect()
}

fn token(mut fields: Fields, faults: &mut Faults) -> Option<Token> {
    let issuer = fields.text("issuer", "the name of one of the issuers", faults);
    let path = fields.path("subject");
    let subject = fields.take("subject");
    let subject = subject.and_then(|value| fields::text(&path, value, "the claim sub", faults));
    let at = fields.path("claims");
    let mut claims = BTreeMap::new();
    if let Some(value) = fields.take("claims") {
        let Value::Table(table) = value else {
            faults.add(&at, value.to_string(), "a table of claims and their values");
            return None;
        };
        for (claim, value) in table {
            let path = format!("{at}.{claim}");
            if let Some(text) = fields::text(&path, value, "a text", faults) {
                claims.insert(claim, text);
            }
        }
    }
    if subject.is_none() && claims.is_empty() {
        // Else whoever the issuer knows would be this caller.
        faults.add(&path, "nothing", "a subject, or claims");
    }
    fields.end(faults);
    Some(Token {
        issuer: issuer?,
        subject,
        claims,
    })
}

fn publish(mut fields: Fields, faults: &mut Faults) -> Option<Publish> {
    let facility = |path: &str, text: &str, faults: &mut Faults| {
        let name = facility::normalise(text);
        if name.is_none() {
            faults.add(path, format!("{text:?}"), FACILITY);
        }
        name.map(Into::into)
    };
    let enterprise = |path: &str, text: &str, faults: &mut Faults| {
        judged(path, text, faults).then(|| text.to_owned())
    };
    let facilities = only(&mut fields, "facilities", FACILITY, facility, faults);
    let enterprises = only(&mut fields, "enterprises", ENTERPRISE, enterprise, faults);
    let vessel_calls = fields.flag("vessel_calls", faults);
    fields.end(faults);
    Some(Publish {
        facilities: facilities?,
        enterprises: enterprises?,
        vessel_calls,
    })
}

/// `"all"`, or a list; it must be said which.
fn only(
    fields: &mut Fields,
    name: &'static str,
    expected: &str,
    judge: impl Fn(&str, &str, &mut Faults) -> Option<String>,
    faults: &mut Faults,
) -> Option<Only> {
    let path = fields.path(name);
    match fields.take(name) {
        Some(Value::String(all)) if all == "all" => Some(Only::All),
        Some(value @ Value::Array(_)) => {
            let texts = fields::texts(&path, value, expected, faults);
            let names = texts
                .iter()
                .filter_map(|(path, text)| judge(path, text, faults));
            Some(Only::These(names.collect()))
        }
        other => {
            let found = other.map_or_else(|| "nothing".into(), |value| value.to_string());
            faults.add(&path, found, format!("\"all\", or a list of {expected}"));
            None
        }
    }
}

fn judged(path: &str, id: &str, faults: &mut Faults) -> bool {
    let good = enterprise::judge(id).is_ok();
    if !good {
        faults.add(path, format!("{id:?}"), ENTERPRISE);
    }
    good
}

fn read(fields: &mut Fields, faults: &mut Faults) -> Option<Read> {
    let path = fields.path("read");
    match fields.take("read")? {
        Value::String(all) if all == "all" => Some(Read::All),
        value @ Value::Array(_) => {
            let mut found = BTreeMap::new();
            for (at, mut one) in fields::tables(&path, value, faults).into_iter().enumerate() {
                let whose = one.path("enterprise");
                let id = one.text("enterprise", ENTERPRISE, faults);
                let roles = roles(&mut one, faults);
                one.end(faults);
                let Some(id) = id.filter(|id| judged(&whose, id, faults)) else {
                    continue;
                };
                if found.insert(id, roles).is_some() {
                    let path = format!("{path}[{at}].enterprise");
                    faults.add(&path, "one that stands before", "each enterprise once");
                }
            }
            Some(Read::These(found))
        }
        other => {
            let expected = "\"all\", or a list of { enterprise, roles }";
            faults.add(&path, other.to_string(), expected);
            None
        }
    }
}

fn roles(fields: &mut Fields, faults: &mut Faults) -> Roles {
    let known = (1..).map_while(|number| Role::try_from(number).ok());
    let known: BTreeMap<String, Role> = known.map(|role| (word(role), role)).collect();
    let words: Vec<_> = known.keys().map(String::as_str).collect();
    let expected = format!("\"all\", or a list of some of {}", words.join(", "));
    let path = fields.path("roles");
    match fields.take("roles") {
        Some(Value::String(all)) if all == "all" => Roles::All,
        Some(value @ Value::Array(_)) => {
            let mut found = BTreeSet::new();
            for (path, text) in fields::texts(&path, value, &expected, faults) {
                match known.get(&text) {
                    Some(role) => drop(found.insert(*role)),
                    None => faults.add(&path, format!("{text:?}"), words.join(", ")),
                }
            }
            Roles::These(found)
        }
        other => {
            let found = other.map_or_else(|| "nothing".into(), |value| value.to_string());
            faults.add(&path, found, expected);
            Roles::These(BTreeSet::new())
        }
    }
}

fn word(role: Role) -> String {
    let name = role.as_str_name();
    name.strip_prefix("ROLE_")
        .unwrap_or(name)
        .to_ascii_lowercase()
}

fn quota(mut fields: Fields, faults: &mut Faults) -> Quota {
    let mut limit = |name| {
        let number = fields.number(name, 1..=i64::from(u32::MAX), faults)?;
        u32::try_from(number).ok()
    };
    let quota = Quota {
        events_per_s: limit("events_per_s"),
        bytes_per_s: limit("bytes_per_s"),
        streams: limit("streams"),
        batch_events: limit("batch_events"),
        concurrent_queries: limit("concurrent_queries"),
    };
    fields.end(faults);
    quota
}

/// What belongs to two callers would be neither's.
pub fn relate(callers: &[Entry], issuers: &[Issuer], faults: &mut Faults) {
    let mut seen = HashMap::new();
    let mut once = |what: &str, of: String, by: &str, faults: &mut Faults| {
        if let Some(other) = seen.insert((what.to_owned(), of.clone()), by.to_owned()) {
            faults.add(
                &format!("callers.{what}"),
                format!("{of:?} of {other} and of {by}"),
                "each once",
            );
        }
    };
    for issuer in issuers {
        once("issuer", issuer.name.clone(), "the issuers", faults);
    }
    for caller in callers {
        let by = &caller.name;
        once("name", by.clone(), by, faults);
        if let OfHis::These(keys) = &caller.keys {
            keys.iter()
                .for_each(|key| once("keys", key.clone(), by, faults));
        }
        for certificate in &caller.certificates {
            once("certificates", certificate.clone(), by, faults);
        }
        for token in &caller.tokens {
            once("tokens", format!("{token:?}"), by, faults);
            if !issuers.iter().any(|issuer| issuer.name == token.issuer) {
                let found = format!("{:?} of {by}", token.issuer);
                faults.add("callers.tokens.issuer", found, "one of the issuers");
            }
        }
    }
}
