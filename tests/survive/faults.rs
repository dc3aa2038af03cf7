//! Ways to let a service's disk go wrong: a library that is preloaded into it,
//! and a filesystem that is really small.

use crate::site::Site;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk that does as it is told; see `faults.c`.
pub struct Faults {
    dir: tempfile::TempDir,
}

impl Faults {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/survive/faults.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(dir.path().join("faults.so"))
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(built.unwrap().success(), "no C compiler");
        Self { dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("fault")
    }

    /// Lets a service's files below this directory be concerned.
    pub fn concern(&self, command: &mut Command, dir: &Path) {
        command.env("LD_PRELOAD", self.dir.path().join("faults.so"));
        command.env("FAULTS_DIR", dir);
        command.env("FAULTS_FILE", self.file());
    }

    /// From now on this is wrong; nothing, if it is empty.
    pub fn set(&self, fault: &str) {
        // At once and whole.
        let draft = self.dir.path().join("draft");
        fs::write(&draft, fault).unwrap();
        fs::rename(draft, self.file()).unwrap();
    }
}

/// Lets a service run with its data on a filesystem of its own of so many MiB;
/// none if this user may make none here.
pub fn small(site: &Site, settings: &[&str], mib: u32) -> Option<Command> {
    let allowed = Command::new("unshare")
        .args(["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        return None;
    }
    fs::create_dir_all(site.place.data()).unwrap();
    let service = site.command(settings);
    let script = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", &script]);
    command.arg(site.place.data());
    command.arg(service.get_program()).args(service.get_args());
    Some(command)
}

/// The data directory as a service in a filesystem of its own sees it.
pub fn seen_by(pid: u32, site: &Site) -> PathBuf {
    let data = site.place.data();
    let inside = data.strip_prefix("/").unwrap();
    Path::new("/proc")
        .join(pid.to_string())
        .join("root")
        .join(inside)
}
