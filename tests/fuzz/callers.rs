//! Who may call: the callers' file, an issuer's key set, and the file of API keys.
//!
//! The first byte says which the rest is.

use crate::{event, memory};
use quaymeter::auth::callers::{Algorithm, Callers};
use quaymeter::auth::jwks::Jwks;
use quaymeter::auth::key::Key;
use quaymeter::auth::keys::Keys;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

pub const WORDS: &[&str] = &[
    "[[callers]]\n", "[[issuers]]\n", "name = ", "keys = \"all\"", "publish = {", "facilities = ",
    "\"CNNBO/BLCT2\"", "read = \"all\"", "read = [", "operate = true", "quota = {", "streams = 1",
    "certificates = [", "\"spiffe://a/b\"", "\"kty\":\"RSA\"", "\"kty\":\"oct\"", "\"crv\":\"P-256\"",
    "\"alg\":\"HS256\"", "\"alg\":\"none\"", "\"use\":\"enc\"", "\"key_ops\":[\"sign\"]", "1e999",
];

const CALLERS: &str = r#"
[[issuers]]
issuer = "https://login.example/port"
audience = ["quaymeter"]
jwks_url = "https://login.example/port/keys"
algorithms = ["RS256", "ES256"]
clock_skew_s = 30
refresh_minutes = 5

[[callers]]
name = "tos"
keys = ["0123456789ab"]
certificates = ["spiffe://port/tos", "tos.example"]
tokens = [{ issuer = "https://login.example/port", claims = { azp = "tos" } }]
publish = { facilities = ["cnngb/blct2"], enterprises = "all", vessel_calls = true }
operate = true
quota = { events_per_s = 5, streams = 1 }

[[callers]]
name = "fleet"
read = [{ enterprise = "ygt:F1", roles = ["fleet"] }, { enterprise = "smdg:COS", roles = "all" }]
"#;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const JWKS: &str = r#"{"keys":[
 {"kty":"RSA","kid":"r","alg":"RS256","use":"sig","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"},
 {"kty":"OKP","kid":"o","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
 {"kty":"oct","kid":"s","k":"AAAA","alg":"HS256"}]}"#;

pub fn seeds() -> Vec<Vec<u8>> {
    let of = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let key = Key::of("0123456789ab", [7; 32]).unwrap().text();
    let keys = format!(
        "pepper = \"{HEX}\"\n\n[[keys]]\nid = \"0123456789ab\"\ncaller = \"tos\"\n\
         hash = \"{HEX}\"\ncreated = \"2026-11-01T00:00:00Z\"\n"
    );
    vec![of(0, CALLERS), of(1, JWKS), of(2, &keys), of(3, &key)]
}

pub fn judge(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else {
        return;
    };
    // A list's brackets and commas become tables of TOML and JSON.
    let room = (256 << 10) + 1024 * rest.len();
    memory::within(room, || match kind % 4 {
        0 => callers(&String::from_utf8_lossy(rest)),
        1 => key_set(rest),
        2 => keys(rest),
        _ => key(&String::from_utf8_lossy(rest)),
    });
}

fn callers(text: &str) {
    match Callers::parse(text) {
        Ok(file) => {
            let names: BTreeSet<_> = file.callers.iter().map(|caller| &caller.name).collect();
            assert_eq!(names.len(), file.callers.len(), "two of one name");
            let issuers: BTreeSet<_> = file.issuers.iter().map(|issuer| &issuer.name).collect();
            for token in file.callers.iter().flat_map(|caller| &caller.tokens) {
                assert!(issuers.contains(&token.issuer), "{token:?} of nobody");
                assert!(token.subject.is_some() || !token.claims.is_empty());
            }
            assert!(file.issuers.iter().all(|issuer| {
                !issuer.algorithms.is_empty() && !issuer.audiences.is_empty()
            }));
            assert_eq!(Callers::parse(text).ok(), Some(file));
        }
        Err(faults) => {
            assert!((1..=100).contains(&faults.len()), "{} faults", faults.len());
            for fault in faults {
                event::told(&fault.path, &fault.found, &fault.expected);
            }
        }
    }
}

fn key_set(bytes: &[u8]) {
    let Ok(set) = Jwks::parse(bytes) else { return };
    let found = [None, Some("r"), Some("o"), Some("s"), Some("")].map(|id| {
        let mut all = Algorithm::ALL.iter();
        all.any(|algorithm| set.find(id, *algorithm).is_ok())
    });
    // A secret is no public key, whatever else it claims to be.
    let read: Value = serde_json::from_slice(bytes).unwrap();
    let mut keys = read["keys"].as_array().unwrap().iter();
    let public = keys.any(|key| matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP")));
    assert!(public || !found.contains(&true), "a secret verifies: {read}");
}

/// There is one text of each key.
fn key(text: &str) {
    if let Ok(key) = Key::parse(text) {
        assert_eq!(key.text(), text);
    }
}

/// It is a file that nobody else may read.
fn keys(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("callers.keys");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    match Keys::load(&path) {
        Ok(keys) => assert!(keys.is_some(), "it is there"),
        Err(error) => {
            let told = format!("{:#}", anyhow::Error::from(error));
            assert!(told.contains("callers.keys"), "{told}");
        }
    }
}
