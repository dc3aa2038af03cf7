use super::*;
use crate::auth::rights::{Only, Publish, Quota, Read, Roles};
use crate::pb::Role;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const WHOLE: &str = r#"
[[issuers]]
issuer = "https://login.example/port"
audience = "quaymeter"
jwks_url = "https://login.example/port/keys"
algorithms = ["RS256", "ES256"]
clock_skew_s = 30
refresh_minutes = 5

[[issuers]]
issuer = "other"
audience = ["a", "b"]
jwks_file = "keys.json"
algorithms = ["EdDSA"]

[[callers]]
name = "tos"
keys = ["0123456789ab"]
certificates = ["spiffe://port/tos", "tos.example"]
tokens = [{ issuer = "other", subject = "tos" }, { issuer = "other", claims = { azp = "tos" } }]
publish = { facilities = ["cnngb/blct2"], enterprises = "all", vessel_calls = true }
operate = true
quota = { events_per_s = 5, streams = 1 }

[[callers]]
name = "customs"
keys = "all"
read = "all"

[[callers]]
name = "fleet"
read = [{ enterprise = "ygt:F1", roles = ["fleet", "service_provider"] }, { enterprise = "smdg:COS", roles = "all" }]
"#;

fn faults(text: &str) -> Vec<String> {
    let faults = Callers::parse(text).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_file_is_read() {
    let Callers { callers, issuers } = Callers::parse(WHOLE).unwrap();
    let [first, second] = &issuers[..] else {
        panic!("{issuers:?}")
    };
    assert_eq!(first.audiences, ["quaymeter"]);
    assert_eq!(first.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
    assert_eq!(first.skew, Duration::from_secs(30));
    let every = Duration::from_secs(300);
    let url = "https://login.example/port/keys".into();
    assert_eq!(first.source, Source::Url { url, every });
    assert_eq!(second.source, Source::File("keys.json".into()));
    assert_eq!(second.skew, Duration::from_secs(60));
    let [tos, customs, fleet] = &callers[..] else {
        panic!("{callers:?}")
    };
    assert_eq!(tos.keys, OfHis::These(vec!["0123456789ab".into()]));
    assert_eq!(tos.certificates, ["spiffe://port/tos", "tos.example"]);
    assert_eq!(tos.tokens[0].subject.as_deref(), Some("tos"));
    assert_eq!(tos.tokens[1].claims["azp"], "tos");
    let publish = Publish {
        facilities: Only::These(BTreeSet::from(["CNNBO/BLCT2".into()])),
        enterprises: Only::All,
        vessel_calls: true,
    };
    assert_eq!(tos.rights.publish, Some(publish));
    assert!(tos.rights.operate && tos.rights.read.is_none());
    let quota = Quota {
        events_per_s: Some(5),
        streams: Some(1),
        ..Quota::default()
    };
    assert_eq!(tos.rights.quota, quota);
    assert_eq!(
        (&customs.keys, &customs.rights.read),
        (&OfHis::All, &Some(Read::All))
    );
    assert!(customs.rights.publish.is_none() && !customs.rights.operate);
    let roles = Roles::These(BTreeSet::from([Role::Fleet, Role::ServiceProvider]));
    let Some(Read::These(these)) = &fleet.rights.read else {
        panic!()
    };
    assert_eq!(
        (&these["ygt:F1"], &these["smdg:COS"]),
        (&roles, &Roles::All)
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_path() {
    let told = faults(
        r#"
colour = 1
[[issuers]]
issuer = "a"
jwks_url = "http://login.example/keys"
algorithms = ["HS256", "none"]
[[callers]]
name = "a b"
keys = ["qm_secret"]
oprate = true
publish = { facilities = ["Ningbo"], enterprises = ["COS"] }
read = [{ enterprise = "uscc:1", roles = ["driver"] }]
tokens = [{ issuer = "b" }]
[[callers]]
name = "x"
publish = {}
read = "some"
quota = { events_per_s = 0 }
"#,
    );
    let told = told.join("\n");
    for expected in [
        "colour: found an unknown name, expected one of issuers, callers",
        "issuers[0].audience: found nothing",
        "issuers[0].algorithms[0]: found \"HS256\", expected one of RS256",
        "issuers[0].algorithms[1]: found \"none\"",
        "issuers[0].jwks_url: found \"http://login.example/keys\", expected an https:// URL",
        "callers[0].name: found \"a b\", expected 1 to 64",
        "callers[0].keys[0]: found something else, expected ids of API keys",
        "callers[0].oprate: found an unknown name, expected a known name; did you mean operate?",
        "callers[0].publish.facilities[0]: found \"Ningbo\", expected a UN/LOCODE",
        "callers[0].publish.enterprises[0]: found \"COS\"",
        "callers[0].read[0].enterprise: found \"uscc:1\"",
        "callers[0].read[0].roles[0]: found \"driver\"",
        "callers[0].tokens[0].subject: found nothing, expected a subject, or claims",
        "callers[1].publish.facilities: found nothing",
        "callers[1].publish.enterprises: found nothing",
        "callers[1].read: found \"some\"",
        "callers[1].quota.events_per_s: found 0, expected a whole number from 1",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in\n{told}");
    }
    assert!(!told.contains("qm_secret"), "{told}");
}

#[test]
fn what_is_of_two_callers_is_refused() {
    let twice = |line: &str| {
        let both = format!("{WHOLE}\n[[callers]]\n{line}");
        faults(&both).join("\n")
    };
    for (line, told) in [
        ("name = \"tos\"", "callers.name"),
        ("name = \"x\"\nkeys = [\"0123456789ab\"]", "callers.keys"),
        (
            "name = \"x\"\ncertificates = [\"tos.example\"]",
            "callers.certificates",
        ),
        (
            "name = \"x\"\ntokens = [{ issuer = \"other\", subject = \"tos\" }]",
            "callers.tokens",
        ),
        (
            "name = \"x\"\ntokens = [{ issuer = \"new\", subject = \"tos\" }]",
            "one of the issuers",
        ),
    ] {
        assert!(twice(line).contains(told), "{}", twice(line));
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_by_line() {
    let told = faults("[[callers]]\nname = \n");
    assert!(told[0].starts_with("line 2: "), "{told:?}");
}

#[test]
fn what_is_not_said_is_not_allowed() {
    let callers = Callers::parse("[[callers]]\nname = \"x\"\n").unwrap();
    assert_eq!(callers.callers[0].rights, Rights::default());
    assert_eq!(callers.callers[0].keys, OfHis::These(Vec::new()));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        text in "(callers|issuers|name|keys|read|publish|roles|tokens|[\\[\\]={}\",.0-9a-z \\n]){0,200}"
    ) {
        let _ = Callers::parse(&text);
    }

    /// A part of a good file that is something else is a fault, and no panic.
    #[test]
    fn a_value_of_another_type_is_no_panic(at in 0usize..1200, other in "(1|true|\"x\"|\\[\\]|\\{\\}|\\[1\\]|\\[\\{\\}\\])") {
        let at = WHOLE.char_indices().map(|(at, _)| at).find(|&found| found >= at).unwrap_or(0);
        let Some(equals) = WHOLE[at..].find("= ") else { return Ok(()) };
        let start = at + equals + 2;
        let end = start + WHOLE[start..].find('\n').unwrap_or(0);
        let mut text = WHOLE.to_owned();
        text.replace_range(start..end, &other);
        let _ = Callers::parse(&text);
    }
}
