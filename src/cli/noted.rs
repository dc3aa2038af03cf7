//! Commands that change keys note it in the audit trail: before they do it, so that no
//! change is without its record, and again if it then fails.

use crate::config::Config;
use crate::trail::record::{Change, Record};
use crate::trail::{self, COMMANDS, Error, Limits, Writer};
use anyhow::{Context as _, Result};
use std::fs;

/// The trail of commands, while one makes a change.
pub struct Noting {
    writer: Writer,
    noted: Option<Change>,
}

impl Noting {
    /// Notes what is about to be done, and who does it: the user of this process, and
    /// who had logged in.
    ///
    /// # Errors
    /// The disk's: then it must not be done.
    pub fn note(&mut self, change: Change) -> Result<(), Error> {
        let noted = change
            .clone()
            .with("uid", rustix::process::getuid().as_raw());
        let noted = match login() {
            Some(login) => noted.with("login_uid", login),
            None => noted,
        };
        self.writer.append(&[Record::Changed(noted)])?;
        self.noted = Some(change);
        Ok(())
    }

    fn failed(&mut self) -> Result<(), Error> {
        let Some(Change { of, action, detail }) = self.noted.take() else {
            return Ok(());
        };
        let mut failed = Change::new(of, "fail").with("failed", action);
        failed.detail.extend(detail);
        self.writer.append(&[Record::Changed(failed)])
    }
}

/// Makes a change that notes itself.
///
/// # Errors
/// The trail cannot be written, or what the change says.
pub fn changing<T, E>(
    config: &Config,
    change: impl FnOnce(&mut Noting) -> Result<T, E>,
) -> Result<T>
where
    anyhow::Error: From<E>,
{
    let (directory, limits) = (trail::directory(config), Limits::of(&config.trail));
    let opened = Writer::open_in_turn(&directory, COMMANDS, limits);
    let (mut writer, found) = opened.context("audit trail: nothing was changed")?;
    if let Some(record) = found.into_record() {
        writer.append(&[record])?;
    }
    let mut noting = Noting {
        writer,
        noted: None,
    };
    let changed = change(&mut noting);
    if changed.is_err() {
        noting.failed()?;
    }
    Ok(changed?)
}

/// Who had logged in before he became another user, where the kernel knows.
fn login() -> Option<u32> {
    let text = fs::read_to_string("/proc/self/loginuid").ok()?;
    text.trim().parse().ok().filter(|&uid| uid != u32::MAX)
}
