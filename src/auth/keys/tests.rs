use super::*;
use proptest::prelude::*;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("callers.keys");
    (dir, path)
}

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).unwrap()
}

fn create(path: &Path, caller: &str) -> Key {
    Keys::change(path, |keys| keys.create(caller, second(7), None)).unwrap()
}

#[test]
fn keys_are_kept_as_hashes_under_one_pepper() {
    let (_dir, path) = place();
    assert!(Keys::load(&path).unwrap().is_none());
    let (first, other) = (create(&path, "tos"), create(&path, "gate"));
    let keys = Keys::load(&path).unwrap().unwrap();
    let found: BTreeMap<_, _> = keys.iter().collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[first.id()].caller, "tos");
    assert_eq!(found[first.id()].digest, keys.digest(&first));
    assert_ne!(found[first.id()].digest, keys.digest(&other));
    let text = fs::read_to_string(&path).unwrap();
    let secret = first.text();
    let secret = secret.strip_prefix(&format!("qm_{}_", first.id())).unwrap();
    assert!(!text.contains(&secret[..43]), "{text}");
}

#[test]
fn a_revoked_key_stays_with_the_time_of_its_first_revocation() {
    let (_dir, path) = place();
    let key = create(&path, "tos");
    for at in [9, 11] {
        Keys::change(&path, |keys| keys.revoke(key.id(), second(at)).map(drop)).unwrap();
    }
    let keys = Keys::load(&path).unwrap().unwrap();
    let (_, entry) = keys.iter().next().unwrap();
    assert_eq!(entry.revoked, Some(second(9)));
    let unknown = Keys::change(&path, |keys| keys.revoke("00", second(1)).map(drop));
    assert!(matches!(unknown, Err(Error::Unknown { .. })));
}

#[test]
fn a_file_open_to_others_is_refused_and_not_changed() {
    let (_dir, path) = place();
    create(&path, "tos");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = fs::read_to_string(&path).unwrap();
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let refused = Keys::load(&path).unwrap_err();
        assert!(matches!(refused, Error::Open { mode: found, .. } if found == mode));
        let changed = Keys::change(&path, |keys| keys.create("a", second(1), None));
        assert!(matches!(changed, Err(Error::Open { .. })));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let (_dir, path) = place();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || create(path, &format!("caller-{n}")));
        }
    });
    let keys = Keys::load(&path).unwrap().unwrap();
    assert_eq!(keys.iter().count(), 8);
}

#[test]
fn a_malformed_file_is_told_by_line_and_never_by_what_it_holds() {
    let (_dir, path) = place();
    let key = create(&path, "tos");
    let good = fs::read_to_string(&path).unwrap();
    let pepper = good
        .lines()
        .find(|line| line.starts_with("pepper"))
        .unwrap();
    let secret = pepper.split('"').nth(1).unwrap();
    let one = &good[good.find("[[keys]]").unwrap()..];
    for (bad, told) in [
        (
            good.replace(secret, &secret[1..]),
            "pepper: expected 64 hex digits",
        ),
        (
            good.replace(pepper, &format!("pepper = {secret}")),
            "line 3 is not as",
        ),
        (
            good.replace(key.id(), "XYZ"),
            "keys[0].id: expected 12 hex digits",
        ),
        (
            good.replace("\"tos\"", "\"a b\""),
            "keys[0].caller: expected 1 to 64",
        ),
        (
            good.replace("hash = \"", "hash = \"0"),
            "keys[0].hash: expected 64 hex",
        ),
        (good.replace("hash =", "hush ="), "line 8 is not as"),
        (
            format!("{good}\n{one}"),
            "keys[1].id: expected an id that no key before",
        ),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = Keys::load(&path).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(told), "{told:?} is not in {shown}");
        assert!(!shown.contains(&secret[1..20]), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(pepper|keys|id|[\\[\\]={}\",.0-9a-z \\n]){0,200}") {
        let _ = form::read(&text);
    }
}
