use super::*;
use crate::auth::jwks::Jwks;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const CALLERS: &str = "
[[callers]]
name = \"tos\"
keys = \"all\"
operate = true

[[callers]]
name = \"gate\"
keys = []
";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn set(text: &str, keys: &Keys, before: &Set) -> Set {
    made(text, Some(keys.clone()), before)
}

fn made(text: &str, keys: Option<Keys>, before: &Set) -> Set {
    let parts = Parts {
        callers: Callers::parse(text).unwrap(),
        keys,
        jwks: HashMap::new(),
    };
    Set::new(parts, before)
}

#[test]
fn a_key_is_its_callers_as_long_as_it_is_good() {
    let mut keys = Keys::none().unwrap();
    let good = keys.create("tos", at(0), None).unwrap();
    let short = keys.create("tos", at(0), Some(at(10))).unwrap();
    let gates = keys.create("gate", at(0), None).unwrap();
    let strangers = keys.create("stranger", at(0), None).unwrap();
    let revoked = keys.create("tos", at(0), None).unwrap();
    keys.revoke(revoked.id(), at(1)).unwrap();
    let wrong = Key::of(good.id(), [0; 32]).unwrap();
    let unknown = Key::draw().unwrap();
    let set = set(CALLERS, &keys, &Set::default());
    let who = |key: &Key, second| {
        let caller = set.of_key(key, at(second))?;
        Ok(caller.name().unwrap().to_string())
    };
    assert_eq!(who(&good, 100), Ok("tos".into()));
    assert_eq!(who(&short, 9), Ok("tos".into()));
    assert_eq!(who(&short, 10), Err(Cause::KeyExpired));
    assert_eq!(who(&revoked, 2), Err(Cause::KeyRevoked));
    assert_eq!(who(&gates, 2), Err(Cause::KeyUnassigned));
    assert_eq!(who(&strangers, 2), Err(Cause::KeyUnassigned));
    assert_eq!(who(&wrong, 2), Err(Cause::KeyWrong));
    assert_eq!(who(&unknown, 2), Err(Cause::KeyUnknown));
    let none = made(CALLERS, None, &Set::default());
    assert_eq!(none.of_key(&good, at(1)).err(), Some(Cause::KeyUnknown));
}

#[test]
fn a_listed_key_must_be_made_for_who_lists_it() {
    let mut keys = Keys::none().unwrap();
    let listed = keys.create("gate", at(0), None).unwrap();
    let stolen = keys.create("tos", at(0), None).unwrap();
    let both = format!("keys = [\"{}\", \"{}\"]", listed.id(), stolen.id());
    let text = CALLERS
        .replace("keys = []", &both)
        .replace("keys = \"all\"", "");
    let set = set(&text, &keys, &Set::default());
    assert_eq!(
        set.of_key(&listed, at(1)).unwrap().name().unwrap().as_ref(),
        "gate"
    );
    assert_eq!(set.of_key(&stolen, at(1)).err(), Some(Cause::KeyUnassigned));
}

/// Whether a caller of one set has ended once another took its place.
fn ends(keys: &Keys, key: &Key, text: &str, after: &Keys) -> bool {
    let before = set(CALLERS, keys, &Set::default());
    let caller = before.of_key(key, at(1)).unwrap();
    let next = set(text, after, &before);
    before.end(&next);
    drop(before);
    let ended = futures_util::FutureExt::now_or_never(caller.ended());
    assert!(ended.is_none_or(|why| why == Ended::Revoked));
    ended.is_some()
}

#[tokio::test]
async fn a_caller_ends_with_his_key_his_name_and_his_rights() {
    let mut keys = Keys::none().unwrap();
    let key = keys.create("tos", at(0), None).unwrap();
    let mut more = keys.clone();
    let other = more.create("tos", at(0), None).unwrap();
    let mut revoked = more.clone();
    revoked.revoke(key.id(), at(1)).unwrap();
    let mut unrelated = more.clone();
    unrelated.revoke(other.id(), at(1)).unwrap();
    assert!(!ends(&keys, &key, CALLERS, &keys));
    assert!(!ends(&keys, &key, CALLERS, &unrelated));
    assert!(!ends(&keys, &key, &CALLERS.replace("gate", "depot"), &more));
    assert!(ends(&more, &key, CALLERS, &revoked));
    assert!(ends(&more, &other, CALLERS, &keys), "a removed key");
    assert!(ends(
        &keys,
        &key,
        &CALLERS.replace("\"tos\"", "\"toss\""),
        &keys
    ));
    assert!(ends(
        &keys,
        &key,
        &CALLERS.replace("operate = true", ""),
        &keys
    ));
    assert!(ends(&keys, &key, &CALLERS.replace("\"all\"", "[]"), &keys));
}

/// Two issuers.
const ISSUERS: [&str; 2] = ["one", "two"];

/// A set in which the keys of both are at the same place.
fn trusting(place: &str, jwks: HashMap<Source, Arc<Held>>, before: &Set) -> Set {
    let issuer = |name| {
        format!(
            "[[issuers]]\nissuer = \"{name}\"\naudience = \"q\"\nalgorithms = [\"EdDSA\"]\n{place}\n"
        )
    };
    let issuers = ISSUERS.map(issuer).concat();
    let parts = Parts {
        callers: Callers::parse(&format!("{issuers}{CALLERS}")).unwrap(),
        keys: None,
        jwks,
    };
    Set::new(parts, before)
}

fn jwks(ids: &[&str]) -> Jwks {
    let key = |id: &&str| {
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"{id}"}}"#
        )
    };
    let keys: Vec<_> = ids.iter().map(key).collect();
    Jwks::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).unwrap()
}

/// Whether each of the issuers has a key of this id: a token that names it fails by its
/// signature then.
fn have(set: &Set, id: &str) -> [bool; 2] {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = part(format!("{{\"alg\":\"EdDSA\",\"kid\":\"{id}\"}}"));
    ISSUERS.map(|name| {
        let claims = part(format!("{{\"iss\":\"{name}\"}}"));
        let text = format!("{header}.{claims}.{}", part("none".into()));
        match set.of_token(&text, at(0)).err() {
            Some(Cause::TokenSignature) => true,
            Some(Cause::TokenKeyUnknown) => false,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn issuers_with_one_file_have_the_same_keys_and_lose_them_together() {
    let read = |ids: &[&str], before: &Set| {
        let held = Arc::new(Held::of(jwks(ids)));
        let place = Source::File("keys.json".into());
        trusting(
            "jwks_file = \"keys.json\"",
            HashMap::from([(place, held)]),
            before,
        )
    };
    let set = read(&["old", "new"], &Set::default());
    assert_eq!(have(&set, "old"), [true; 2]);
    assert_eq!(have(&set, "new"), [true; 2]);
    let set = read(&["new"], &set);
    assert_eq!(have(&set, "old"), [false; 2]);
    assert_eq!(have(&set, "new"), [true; 2]);
}

#[test]
fn issuers_with_one_url_have_what_was_fetched_for_either() {
    let url = "jwks_url = \"https://login.example/keys\"";
    let trusting = |before: &Set| trusting(url, HashMap::new(), before);
    let set = trusting(&Set::default());
    assert_eq!(have(&set, "old"), [false; 2]);
    // Whoever fetches does it once for a source.
    let fetched = |set: &Set, ids: &[&str]| set.sources()[0].1.put(jwks(ids));
    fetched(&set, &["old"]);
    assert_eq!(have(&set, "old"), [true; 2]);
    let set = trusting(&set);
    assert_eq!(have(&set, "old"), [true; 2], "it is kept");
    fetched(&set, &["new"]);
    assert_eq!(have(&set, "old"), [false; 2]);
    assert_eq!(have(&set, "new"), [true; 2]);
}
