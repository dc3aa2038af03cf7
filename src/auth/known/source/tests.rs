use super::*;
use jiff::Timestamp;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

const CALLERS: &str = "[[callers]]\nname = \"tos\"\nkeys = \"all\"\n";

const JWKS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A source in a directory, with a caller and a key of his, whose id is told.
fn made() -> (tempfile::TempDir, Source, String) {
    let dir = tempfile::tempdir().unwrap();
    let source = Source {
        callers: dir.path().join("callers.toml"),
        keys: dir.path().join("callers.keys"),
        good: Mutex::default(),
        seen: Mutex::default(),
    };
    fs::write(&source.callers, CALLERS).unwrap();
    let at = Timestamp::UNIX_EPOCH;
    let key = Keys::change(&source.keys, |keys| keys.create("tos", at, None));
    (dir, source, key.unwrap().id().into())
}

/// Reads the files; whether they come to the same as before, and the faults.
fn read(source: &Source) -> (bool, usize) {
    let mut good = source.good.lock();
    let (read, faults) = source.read(&good);
    let same = read.is_as(&good);
    *good = read;
    (same, faults.len())
}

fn is_revoked(source: &Source, id: &str) -> bool {
    let good = source.good.lock();
    let keys = good.parts.keys.as_ref().unwrap();
    keys.get(id).unwrap().revoked.is_some()
}

fn name(source: &Source) -> String {
    source.good.lock().parts.callers.callers[0].name.clone()
}

#[test]
fn a_fault_in_one_file_holds_up_no_change_of_another() {
    let (_dir, source, id) = made();
    assert_eq!(read(&source), (false, 0));
    fs::write(&source.callers, "callers = 1\n").unwrap();
    assert_eq!(read(&source), (true, 1));
    Keys::change(&source.keys, |keys| {
        keys.revoke(&id, Timestamp::UNIX_EPOCH).map(drop)
    })
    .unwrap();
    assert_eq!(read(&source), (false, 1));
    assert!(is_revoked(&source, &id));
    assert_eq!(name(&source), "tos");
    fs::write(&source.keys, "pepper = 1\n").unwrap();
    fs::write(&source.callers, CALLERS.replace("tos", "gate")).unwrap();
    assert_eq!(read(&source), (false, 1));
    assert!(is_revoked(&source, &id));
    assert_eq!(name(&source), "gate");
}

#[test]
fn an_issuer_keeps_his_keys_where_they_were_and_has_none_where_they_never_were() {
    let (dir, source, _) = made();
    let there = dir.path().join("keys.json");
    let issuer = |path: &Path| {
        let issuer = "[[issuers]]\nissuer = \"i\"\naudience = \"a\"\nalgorithms = [\"EdDSA\"]\n";
        let callers = format!("{issuer}jwks_file = {path:?}\n{CALLERS}");
        fs::write(&source.callers, callers).unwrap();
    };
    let sets = || source.good.lock().parts.jwks.len();
    issuer(&there);
    fs::write(&there, JWKS).unwrap();
    assert_eq!((read(&source), sets()), ((false, 0), 1));
    fs::remove_file(&there).unwrap();
    assert_eq!((read(&source), sets()), ((true, 1), 1));
    issuer(&dir.path().join("other.json"));
    assert_eq!((read(&source), sets()), ((false, 1), 0));
}

#[test]
fn whatever_changes_of_a_file_is_a_change_once_it_stands_still() {
    let (_dir, source, _) = made();
    read(&source);
    let looks = || [(); 2].map(|()| source.has_changed());
    assert_eq!(looks(), [false, false]);
    let mode = |mode| fs::set_permissions(&source.keys, Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    assert_eq!(looks(), [false, true]);
    assert_eq!(read(&source), (true, 1));
    assert_eq!(looks(), [false, false], "it was tried");
    mode(0o600);
    assert_eq!(looks(), [false, true]);
    assert_eq!(read(&source), (true, 0));
    fs::remove_file(&source.callers).unwrap();
    assert_eq!(looks(), [false, true]);
    assert_eq!(read(&source), (true, 1));
    assert_eq!(looks(), [false, false]);
}
