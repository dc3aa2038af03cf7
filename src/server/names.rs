//! The enterprises' names as queries ask for them: the registry's file, loaded
//! again when it changes. A file that cannot be loaded leaves the names as they
//! were.

use crate::metrics::Metrics;
use crate::pb;
use crate::query::enterprises::Directory;
use crate::registry::{self, Entry, Registry};
use parking_lot::{Mutex, RwLock};
use std::error::Error as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the file is looked at. Polled, because a notification misses what
/// happens on a network's disk or behind a replaced link.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The names of now.
pub struct Names {
    /// None without a registry.
    path: Option<PathBuf>,
    metrics: Arc<Metrics>,
    registry: RwLock<Arc<Registry>>,
    seen: Mutex<Seen>,
}

/// What tells one state of the file from another: it may be written anew, or
/// replaced by another one. None if there is no file.
pub(super) type Stamp = Option<[i64; 7]>;

#[derive(Default)]
struct Seen {
    /// At the last look.
    looked: Stamp,
    /// Before the last attempt to load it.
    tried: Stamp,
}

impl Names {
    /// The names of a registry's file; none without one.
    ///
    /// # Errors
    /// The file cannot be loaded: a service does not start with half its names.
    pub fn open(path: Option<PathBuf>, metrics: Arc<Metrics>) -> Result<Self, registry::Error> {
        let names = Self {
            path,
            metrics,
            registry: RwLock::default(),
            seen: Mutex::default(),
        };
        if let Some(path) = &names.path {
            names.load(path)?;
        }
        Ok(names)
    }

    /// Loads the file whenever it has changed. Ends never.
    pub async fn follow(self: Arc<Self>) {
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            self.aside(Self::look).await;
        }
    }

    /// Loads the file, whether or not it has changed.
    pub async fn reload(self: Arc<Self>) {
        self.aside(Self::load_or_tell).await;
    }

    /// On a thread for blocking work: a disk may take its time.
    async fn aside(self: &Arc<Self>, work: impl FnOnce(&Self, &Path) + Send + 'static) {
        let names = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            if let Some(path) = &names.path {
                work(&names, path);
            }
        });
        // It does not panic; if the runtime is ending, so are we.
        let _ = done.await;
    }

    /// Loads a file that has changed, once two looks found it the same: one that
    /// is still being written would be taken for whole.
    fn look(&self, path: &Path) {
        let stamp = stamp(path);
        let mut seen = self.seen.lock();
        let settled = seen.looked == stamp;
        seen.looked = stamp;
        let changed = seen.tried != stamp;
        drop(seen);
        if changed && settled {
            self.load_or_tell(path);
        }
    }

    fn load_or_tell(&self, path: &Path) {
        match self.load(path) {
            Ok(()) => {
                let enterprises = self.registry.read().len();
                tracing::info!(enterprises, "the enterprise registry was loaded");
            }
            Err(error) => {
                let fault = fault(&error);
                tracing::error!(
                    fault,
                    "the enterprise registry cannot be loaded: the names stay as they were"
                );
            }
        }
    }

    fn load(&self, path: &Path) -> Result<(), registry::Error> {
        // From before we read: what changes meanwhile is found at the next look.
        let stamp = stamp(path);
        self.seen.lock().tried = stamp;
        let registry = Registry::load(path).inspect_err(|_| {
            self.metrics.registry_load_failures.increment(1);
        })?;
        self.metrics.registry_loads.increment(1);
        self.metrics.registry_enterprises.set(registry.len() as f64);
        *self.registry.write() = Arc::new(registry);
        Ok(())
    }

    fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read())
    }
}

/// A link is followed, so that one which is replaced is noticed too.
pub(super) fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some([
        found.dev() as i64,
        found.ino() as i64,
        found.size() as i64,
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ])
}

/// In one line: the first bad line, and how many there are.
fn fault(error: &registry::Error) -> String {
    match error {
        registry::Error::Faults { faults, more } => {
            let first = faults.first().map(ToString::to_string).unwrap_or_default();
            match faults.len() + more {
                0 | 1 => first,
                many => format!("{first} (the first of {many} bad lines)"),
            }
        }
        other => {
            let cause = other.source().map(ToString::to_string);
            cause.map_or_else(|| other.to_string(), |cause| format!("{other}: {cause}"))
        }
    }
}

impl Directory for Names {
    fn find(&self, id: &str) -> Option<pb::Enterprise> {
        self.registry().get(id).map(enterprise)
    }

    fn each(&self, give: &mut dyn FnMut(pb::Enterprise)) {
        self.registry()
            .iter()
            .for_each(|entry| give(enterprise(entry)));
    }
}

fn enterprise(entry: &Entry) -> pb::Enterprise {
    pb::Enterprise {
        id: entry.id.to_string(),
        name_zh: entry.name_zh.to_string(),
        name_en: entry.name_en.to_string(),
        roles: entry.roles.iter().map(|&role| role.into()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};
    use std::fs;

    const HEADER: &str = "id,name_zh,name_en,roles\n";

    struct File {
        dir: tempfile::TempDir,
        names: Names,
    }

    impl File {
        fn of(lines: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("registry.csv");
            fs::write(&path, format!("{HEADER}{lines}")).unwrap();
            let settings = Config::resolve(Sources::default()).unwrap().metrics;
            let metrics = Metrics::new(&settings).unwrap();
            let names = Names::open(Some(path), Arc::new(metrics)).unwrap();
            Self { dir, names }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("registry.csv")
        }

        fn look(&self) {
            self.names.look(&self.path());
        }

        fn name(&self) -> Option<String> {
            self.names.find("smdg:COS").map(|found| found.name_en)
        }

        /// Loaded and failed so far.
        fn counts(&self) -> (String, String) {
            let text = self.names.metrics.render(None, &[]).concat();
            let count = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or("none").trim().to_owned()
            };
            (
                count("quaymeter_registry_loads_total "),
                count("quaymeter_registry_load_failures_total "),
            )
        }
    }

    #[test]
    fn a_changed_file_is_loaded_once_it_has_settled() {
        let file = File::of("smdg:COS,,COSCO,\n");
        file.look();
        fs::write(file.path(), format!("{HEADER}smdg:COS,,Cosco Shipping,\n")).unwrap();
        file.look();
        assert_eq!(file.name().as_deref(), Some("COSCO"));
        file.look();
        assert_eq!(file.name().as_deref(), Some("Cosco Shipping"));
        file.look();
        assert_eq!(file.counts(), ("2".into(), "0".into()));
    }

    #[test]
    fn a_replaced_file_of_the_same_length_is_noticed() {
        let file = File::of("smdg:COS,,COSCO,\n");
        let next = file.dir.path().join(".registry.csv.swp");
        fs::write(&next, format!("{HEADER}smdg:COS,,Cosco,\n")).unwrap();
        fs::rename(&next, file.path()).unwrap();
        file.look();
        file.look();
        assert_eq!(file.name().as_deref(), Some("Cosco"));
    }

    #[test]
    fn a_broken_or_missing_file_is_tried_once_and_the_names_stay() {
        let file = File::of("smdg:COS,,COSCO,\n");
        fs::write(file.path(), format!("{HEADER}COS,,Cosco,\n")).unwrap();
        (0..5).for_each(|_| file.look());
        assert_eq!(file.name().as_deref(), Some("COSCO"));
        assert_eq!(file.counts(), ("1".into(), "1".into()));
        fs::remove_file(file.path()).unwrap();
        (0..5).for_each(|_| file.look());
        assert_eq!(file.name().as_deref(), Some("COSCO"));
        assert_eq!(file.counts(), ("1".into(), "2".into()));
        fs::write(file.path(), HEADER).unwrap();
        (0..2).for_each(|_| file.look());
        assert_eq!((file.name(), file.counts().0), (None, "2".into()));
    }

    #[test]
    fn a_fault_is_told_in_one_line() {
        let broken = |lines: &str| {
            let text = format!("{HEADER}{lines}");
            fault(&Registry::read(text.as_bytes()).unwrap_err())
        };
        let expected =
            "line 2: id: found \"COS\", expected uscc:, smdg:, nmfta: or ygt: and a code";
        assert_eq!(broken("COS,,,\n"), expected);
        let many = format!("{expected} (the first of 3 bad lines)");
        assert_eq!(broken("COS,,,\nMSC,,,\n\"a\nb\",,,\n"), many);
        let missing = Registry::load(Path::new("/nowhere/registry.csv")).unwrap_err();
        let told = "read the registry: No such file or directory (os error 2)";
        assert_eq!(fault(&missing), told);
    }
}
