//! The first start of a service on a backup: it is read once more as a whole,
//! and from then on it is a data directory like any other.

use super::manifest::Manifest;
use super::{Error, MANIFEST, RESTORED, UNFINISHED, check, disk, sync_dir};
use crate::pseudonym::Pseudonyms;
use std::fs;
use std::path::Path;

/// A directory that is a backup, still.
pub struct Backup(Manifest);

/// Looks whether a data directory is a backup on which no service has started,
/// and checks it. `keys` is the file of the pseudonyms' keys.
///
/// # Errors
/// A half or damaged backup; no key file.
pub fn found(dir: &Path, keys: &Path) -> Result<Option<Backup>, Error> {
    if dir.join(UNFINISHED).exists() {
        let path = dir.to_owned();
        return Err(Error::Unfinished { path });
    }
    if !dir.join(MANIFEST).exists() {
        return Ok(None);
    }
    if !keys.exists() {
        let path = keys.to_owned();
        return Err(Error::NoKeys { path });
    }
    tracing::info!("checking the backup before the first start on it");
    Ok(Some(Backup(check::check(dir, &mut |_| {})?)))
}

impl Backup {
    /// Makes it a data directory like any other, if these are its service's keys.
    ///
    /// # Errors
    /// Other keys, read from the file `keys`; the disk's.
    pub fn start(self, dir: &Path, keys: &Path, pseudonyms: &Pseudonyms) -> Result<(), Error> {
        let Self(manifest) = self;
        if !pseudonyms.knows(&manifest.pseudonyms_check) {
            let path = keys.to_owned();
            return Err(Error::OtherKeys { path });
        }
        // From here on its files change, and the manifest is of the past.
        let renamed = fs::rename(dir.join(MANIFEST), dir.join(RESTORED));
        renamed.map_err(disk("rename", &dir.join(MANIFEST)))?;
        sync_dir(dir)?;
        tracing::info!(
            begun_at = manifest.begun_at,
            position = manifest.end_offset,
            "restored from a backup"
        );
        Ok(())
    }
}
