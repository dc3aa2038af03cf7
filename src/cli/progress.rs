//! Bars on stderr, if that is a terminal: nothing is drawn into a pipe.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// How often a bar is drawn while nothing happens: the time that is left, and
/// that we are alive, change all the same.
const TICK: Duration = Duration::from_millis(250);

/// A bar over so much in this style.
pub(super) fn bar(quiet: bool, total: Option<u64>, template: &str) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    style(&bar, template);
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    bar
}

/// The templates are constants: a wrong one leaves the usual style.
fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// A bar for work in several stages. Clones are the same one.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub fn new(quiet: bool) -> Self {
        Self(bar(quiet, None, "{spinner} {wide_msg}"))
    }

    /// A stage of which nobody knows how long it takes.
    pub fn waits(&self, what: &'static str) {
        self.stage(None, "{spinner} {wide_msg}", what);
    }

    /// A stage that counts up.
    pub fn counts(&self, what: &'static str) {
        self.stage(
            None,
            "{spinner} {human_pos} {msg}, {per_sec}, {elapsed}",
            what,
        );
    }

    /// A stage over so many bytes.
    pub fn bytes(&self, total: u64, what: &'static str) {
        let template = "{bar:32} {percent:>3} %  {binary_bytes_per_sec}  {eta} left  {wide_msg}";
        self.stage(Some(total), template, what);
    }

    /// A stage over so many records.
    pub fn records(&self, total: u64, what: &'static str) {
        let template = "{bar:32} {percent:>3} %  {per_sec}  {eta} left  {wide_msg}";
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
        style(&self.0, template);
        self.0.set_message(what);
    }
}
