//! Files that come back after a while: a backup's manifest, and the keys of the
//! pseudonyms.
//!
//! The first byte says which the rest is.

use crate::memory;
use quaymeter::backup::MANIFEST;
use quaymeter::backup::manifest::{FileSum, Manifest, TableSum, VERSION};
use quaymeter::pseudonym::Pseudonyms;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

pub const WORDS: &[&str] = &[
    "../", "/etc/passwd", "log/00000000000000000000.log", "format.json", "\"bytes\":18446744073709551615",
    "\"files\":[", "\"tables\":[", "\"backup_version\":2", " from 2026-12-01 = ", " erased = ", " = ", "\n",
    "999 = ", "#",
];

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub fn seeds() -> Vec<Vec<u8>> {
    let manifest = Manifest {
        backup_version: VERSION,
        service_version: "0.1.0".into(),
        begun_at: "2026-11-23T04:00:00Z".into(),
        start_offset: 0,
        end_offset: 7,
        checkpoint_offset: 5,
        pseudonyms_check: "0011223344556677".into(),
        files: vec![FileSum {
            name: format!("log/{:020}.log", 0),
            bytes: 300,
            sha256: KEY.into(),
        }],
        tables: vec![TableSum {
            name: "meta".into(),
            entries: 3,
            sha256: KEY.into(),
        }],
    };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let keys = format!("# keys\n1 = {KEY}\n2 from 2026-12-01 = {KEY}\n");
    let erased = format!("1 erased = 0011223344556677\n2 from 2026-12-01 = {KEY}\n");
    vec![
        [&[0], &manifest[..]].concat(),
        [&[1], keys.as_bytes()].concat(),
        [&[1], erased.as_bytes()].concat(),
    ]
}

pub fn judge(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    memory::within((64 << 10) + 512 * input.len(), || match kind % 2 {
        0 => manifest(dir.path(), rest),
        _ => keys(dir.path(), rest),
    });
}

fn manifest(dir: &Path, bytes: &[u8]) {
    fs::write(dir.join(MANIFEST), bytes).unwrap();
    let manifest = match Manifest::read(dir) {
        Ok(manifest) => manifest,
        Err(error) => {
            let told = format!("{:#}", anyhow::Error::from(error));
            return assert!(told.contains(dir.to_str().unwrap()), "{told}");
        }
    };
    let mut names = BTreeSet::new();
    for file in &manifest.files {
        let mut parts = Path::new(&file.name).components();
        assert!(parts.all(|part| matches!(part, Component::Normal(_))), "{}", file.name);
        assert!(names.insert(&file.name), "{} twice", file.name);
    }
    let exact = |numbers: &mut dyn Iterator<Item = u64>| numbers.map(u128::from).sum::<u128>();
    let bytes = exact(&mut manifest.files.iter().map(|file| file.bytes));
    let entries = exact(&mut manifest.tables.iter().map(|table| table.entries));
    let sums = (manifest.file_bytes().into(), manifest.entries().into());
    assert_eq!(sums, (bytes, entries));
    fs::remove_file(dir.join(MANIFEST)).unwrap();
    manifest.write(dir).unwrap();
    assert_eq!(Manifest::read(dir).unwrap(), manifest);
}

/// What is wrong with keys is told without them.
fn keys(dir: &Path, bytes: &[u8]) {
    let path = dir.join("pseudonyms.key");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    match Pseudonyms::load_or_create(&path) {
        Ok(keys) => {
            assert!(!keys.known().is_empty());
            assert!(keys.knows(keys.newest_check()));
            assert_eq!(fs::read(&path).unwrap(), bytes, "it was changed");
        }
        Err(error) => {
            let told = format!("{:#}", anyhow::Error::from(error));
            assert!(told.contains("pseudonyms.key"), "{told}");
            assert!(!told.contains(&KEY[..16]), "{told}");
        }
    }
}
