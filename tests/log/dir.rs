//! The data directory: one process, one format, one set of settings.

use quaymeter::log::dir::{DataDir, Error, ShapingSettings};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::tempdir;

const CHILD_DIR: &str = "QUAYMETER_TEST_DATA_DIR";

fn settings() -> ShapingSettings {
    ShapingSettings {
        reporting_zone: "Asia/Shanghai".to_owned(),
        teu_45ft_milli: 2250,
        horizon_days: 35,
        quarter_days: 45,
        day_days: 1096,
        rules_version: 1,
    }
}

#[test]
fn a_data_directory_is_made_for_this_user_alone() {
    let parent = tempdir().unwrap();
    let path = parent.path().join("some/data");
    let dir = DataDir::open(&path, &settings()).unwrap();
    assert_eq!(dir.path(), path);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in ["format.json", "lock"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_data_directory_is_had_by_one_at_a_time() {
    let path = tempdir().unwrap();
    let first = DataDir::open(path.path(), &settings()).unwrap();
    let refused = DataDir::open(path.path(), &settings()).unwrap_err();
    let expected = format!(
        "data directory {} is in use by another process",
        path.path().display()
    );
    assert_eq!(refused.to_string(), expected);
    drop(first);
    DataDir::open(path.path(), &settings()).unwrap();
}

#[test]
fn a_killed_process_leaves_the_data_directory_to_others() {
    if let Some(path) = std::env::var_os(CHILD_DIR) {
        let _dir = DataDir::open(path.as_ref(), &settings()).unwrap();
        println!("locked");
        // The parent never writes: this waits for the kill.
        std::io::stdin().lines().for_each(drop);
        return;
    }
    let path = tempdir().unwrap();
    let name = "dir::a_killed_process_leaves_the_data_directory_to_others";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD_DIR, path.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("locked")));
    let refused = DataDir::open(path.path(), &settings()).unwrap_err();
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    DataDir::open(path.path(), &settings()).unwrap();
}

#[test]
fn other_settings_are_refused_each_with_what_is_stored_and_given() {
    let path = tempdir().unwrap();
    drop(DataDir::open(path.path(), &settings()).unwrap());
    let given = ShapingSettings {
        reporting_zone: "UTC".to_owned(),
        horizon_days: 40,
        ..settings()
    };
    let refused = DataDir::open(path.path(), &given).unwrap_err();
    let expected = format!(
        "data directory {} was written with other settings, which shape its numbers: \
         horizon_days: stored 35, given 40; \
         reporting_zone: stored \"Asia/Shanghai\", given \"UTC\"",
        path.path().display()
    );
    assert_eq!(refused.to_string(), expected);
    let given = ShapingSettings {
        rules_version: 2,
        ..settings()
    };
    let refused = DataDir::open(path.path(), &given).unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with(": rules_version: stored 1, given 2"),
        "{refused}"
    );
    DataDir::open(path.path(), &settings()).unwrap();
}

#[test]
fn another_format_is_refused_by_name() {
    let path = tempdir().unwrap();
    drop(DataDir::open(path.path(), &settings()).unwrap());
    let file = path.path().join("format.json");
    fs::write(&file, r#"{"format_version": 9, "shape": "another"}"#).unwrap();
    let refused = DataDir::open(path.path(), &settings()).unwrap_err();
    let expected = format!(
        "unknown format version 9 in {}: this program reads version 4",
        file.display()
    );
    assert_eq!(refused.to_string(), expected);
    fs::write(&file, "").unwrap();
    let refused = DataDir::open(path.path(), &settings()).unwrap_err();
    assert!(matches!(refused, Error::Unreadable { .. }), "{refused}");
}

#[test]
fn a_copy_of_another_log_keeps_its_name_and_is_taken_for_nothing_else() {
    let path = tempdir().unwrap();
    let dir = DataDir::open(path.path(), &settings()).unwrap();
    dir.has_own_log().unwrap();
    let name = dir.instance("topic a").unwrap();
    assert_eq!(dir.instance("topic a").unwrap(), name);
    let refused = dir.instance("topic b").unwrap_err().to_string();
    assert!(
        refused.ends_with("is of topic a, not of topic b"),
        "{refused}"
    );
    let refused = dir.has_own_log().unwrap_err().to_string();
    assert!(
        refused.ends_with("is of topic a, not of a log of its own"),
        "{refused}"
    );

    let path = tempdir().unwrap();
    let dir = DataDir::open(path.path(), &settings()).unwrap();
    assert_ne!(dir.instance("topic a").unwrap(), name);
    let path = tempdir().unwrap();
    let dir = DataDir::open(path.path(), &settings()).unwrap();
    fs::create_dir(dir.log()).unwrap();
    let refused = dir.instance("topic a").unwrap_err().to_string();
    assert!(
        refused.ends_with("is of a log of its own, not of topic a"),
        "{refused}"
    );
}
