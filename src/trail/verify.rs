//! Whether a chain is whole: every record follows from the one before it, over all files.

use super::chain::Head;
use super::files::{self, Error, name_of};
use super::walk::{Line, Walked, walk};
use jiff::Timestamp;
use std::collections::HashSet;
use std::path::Path;

/// Faults that are told; a chain that has more is no better known by them.
const FAULTS_MAX: usize = 100;

/// What a chain is found to be.
#[derive(Debug)]
pub struct Report {
    /// Its files.
    pub files: usize,
    /// Records that follow.
    pub records: u64,
    /// Before the first record that is kept.
    pub before: Head,
    /// The last one.
    pub head: Head,
    /// When the first and the last were written.
    pub written: Option<(Timestamp, Timestamp)>,
    /// What is wrong, in words.
    pub faults: Vec<String>,
}

/// Follows a chain from its oldest file on; none if it has no file. `heads` are such as
/// were noted elsewhere: each must be one of its records.
///
/// # Errors
/// The disk's.
pub fn verify(directory: &Path, chain: &str, heads: &[Head]) -> Result<Option<Report>, Error> {
    let files = files::list(directory, chain)?;
    let mut following = Following::new(heads);
    for (_, path) in &files {
        following.file(path)?;
    }
    Ok(following.finish(files.len()))
}

/// Every line of a chain that follows, as it stands there, the oldest first; faults are
/// for [`verify`] to tell.
///
/// # Errors
/// The disk's.
pub fn lines(
    directory: &Path,
    chain: &str,
    mut each: impl FnMut(&str, &Line),
) -> Result<(), Error> {
    for (_, path) in files::list(directory, chain)? {
        let walked = walk(&path, |text, line, _| each(text, line));
        walked.map_err(files::disk("read", &path))?;
    }
    Ok(())
}

struct Following<'a> {
    wanted: &'a [Head],
    met: HashSet<Head>,
    /// Ends of files that records say were removed.
    removed: HashSet<String>,
    before: Option<Head>,
    head: Head,
    records: u64,
    written: Option<(Timestamp, Timestamp)>,
    faults: Vec<String>,
}

impl<'a> Following<'a> {
    fn new(wanted: &'a [Head]) -> Self {
        Self {
            wanted,
            met: HashSet::new(),
            removed: HashSet::new(),
            before: None,
            head: Head::START,
            records: 0,
            written: None,
            faults: Vec::new(),
        }
    }

    fn file(&mut self, path: &Path) -> Result<(), Error> {
        let (wanted, met, removed) = (self.wanted, &mut self.met, &mut self.removed);
        let walked = walk(path, |_, line, head| {
            met.extend(wanted.contains(&head).then_some(head));
            removed.extend(line.last_hash.clone());
        });
        let walked = walked.map_err(files::disk("read", path))?;
        self.judge(&name_of(path), &walked);
        Ok(())
    }

    fn judge(&mut self, name: &str, walked: &Walked) {
        if let Some(fault) = &walked.fault {
            self.fault(format!("{name}, line {}: {}", fault.line, fault.what));
        }
        if walked.records == 0 {
            return;
        }
        match self.before {
            None => self.before = Some(walked.before),
            Some(_) if walked.before == self.head => {}
            Some(_) => self.fault(format!("{name} does not follow from the file before it")),
        }
        self.head = walked.head;
        self.records += walked.records;
        self.written = match (self.written, walked.written) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (first, last) => first.or(last),
        };
    }

    fn finish(mut self, files: usize) -> Option<Report> {
        if files == 0 {
            return None;
        }
        let before = self.before.unwrap_or(Head::START);
        if before != Head::START && !self.removed.contains(&hex::encode(before.hash)) {
            let missing = before.seq;
            self.fault(format!(
                "records 1 to {missing} are missing, and no record says that they were removed"
            ));
        }
        for head in self.wanted {
            if !self.met.contains(head) {
                self.fault(format!("{head} is none of its records"));
            }
        }
        Some(Report {
            files,
            records: self.records,
            before,
            head: self.head,
            written: self.written,
            faults: self.faults,
        })
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(what);
        }
    }
}
