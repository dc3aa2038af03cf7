//! A bar on stderr, if that is a terminal, for work in several stages.

use indicatif::{ProgressBar, ProgressStyle};

/// The bar. Clones are the same one.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub fn new(quiet: bool) -> Self {
        Self(if quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length()
        })
    }

    /// A stage of which nobody knows how long it takes.
    pub fn waits(&self, what: &'static str) {
        self.stage(None, "{spinner} {msg}", what);
    }

    /// A stage that counts up.
    pub fn counts(&self, what: &'static str) {
        self.stage(None, "{spinner} {human_pos} {msg}, {per_sec}", what);
    }

    /// A stage over so many bytes.
    pub fn bytes(&self, total: u64, what: &'static str) {
        let template = "{bar:32} {percent:>3} %  {binary_bytes_per_sec}  {eta} left  {msg}";
        self.stage(Some(total), template, what);
    }

    pub fn at(&self, position: u64) {
        self.0.set_position(position);
    }

    pub fn clear(&self) {
        self.0.finish_and_clear();
    }

    fn stage(&self, total: Option<u64>, template: &str, what: &'static str) {
        self.0.reset();
        match total {
            Some(total) => self.0.set_length(total),
            None => self.0.unset_length(),
        }
        // The templates are constants: a wrong one leaves the usual style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        self.0.set_message(what);
    }
}
