//! One thing wrong with one field: a refusal or a warning, in words that can go
//! back to the reporter. It never names a plate or a driver.

use crate::pb::{self, Reason};
use compact_str::{CompactString, ToCompactString, format_compact};
use std::fmt;

/// The most characters of [`Fault::found`].
pub const FOUND_CHARS_MAX: usize = 80;

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found}, expected {expected}")]
pub struct Fault {
    /// A stable code to act on.
    pub reason: Reason,
    /// The field's path, for example `gate_move.containers[1].number`.
    pub field: CompactString,
    /// What was found: at most 80 characters, none of them a control character.
    pub found: CompactString,
    /// What was expected.
    pub expected: &'static str,
}

impl Fault {
    /// A fault of one field, with what was found there in its own words (see
    /// [`excerpt`] for a sender's).
    pub fn new(
        reason: Reason,
        field: impl Into<Path>,
        found: CompactString,
        expected: &'static str,
    ) -> Self {
        Self {
            reason,
            field: field.into().to_compact_string(),
            found,
            expected,
        }
    }

    /// A required field that is absent or empty.
    pub fn missing(field: impl Into<Path>, expected: &'static str) -> Self {
        Self::new(Reason::Missing, field, "nothing".into(), expected)
    }

    /// A field that is not of the required form.
    pub fn malformed(field: impl Into<Path>, found: &str, expected: &'static str) -> Self {
        Self::new(Reason::Malformed, field, excerpt(found), expected)
    }

    /// A field with more characters than allowed.
    pub fn too_long(field: impl Into<Path>, found: &str, expected: &'static str) -> Self {
        Self::new(Reason::TooLong, field, length(found), expected)
    }
}

impl From<Fault> for pb::Fault {
    fn from(fault: Fault) -> Self {
        Self {
            reason: fault.reason.into(),
            field: fault.field.into(),
            found: fault.found.into(),
            expected: fault.expected.to_owned(),
        }
    }
}

/// What a sender wrote, cut to 80 characters, its control characters escaped.
pub fn excerpt(text: &str) -> CompactString {
    if text.is_empty() {
        return "nothing".into();
    }
    let mut cut = CompactString::default();
    let mut chars = 0;
    for c in text.chars() {
        let escaped = if c.is_control() {
            c.escape_default().to_compact_string()
        } else {
            c.to_compact_string()
        };
        chars += escaped.chars().count();
        if chars > FOUND_CHARS_MAX - 1 {
            cut.push('…');
            break;
        }
        cut.push_str(&escaped);
    }
    cut
}

/// How long a text is, in words: all that is told of a plate or a driver.
pub fn length(text: &str) -> CompactString {
    format_compact!("{} characters", text.chars().count())
}

/// Where a field is. It is cheap to make, and written out only for a fault.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    stem: &'static str,
    index: Option<usize>,
    leaf: &'static str,
}

impl Path {
    /// The element `index` of this list.
    pub fn at(self, index: usize) -> Self {
        Self {
            index: Some(index),
            ..self
        }
    }

    /// The field `leaf` of this message.
    pub fn field(self, leaf: &'static str) -> Self {
        Self { leaf, ..self }
    }
}

impl From<&'static str> for Path {
    fn from(stem: &'static str) -> Self {
        Self {
            stem,
            index: None,
            leaf: "",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stem)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        if !self.leaf.is_empty() {
            write!(f, ".{}", self.leaf)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_list_element_and_field() {
        let path = Path::from("gate_move.containers").at(1).field("number");
        assert_eq!(path.to_string(), "gate_move.containers[1].number");
        assert_eq!(Path::from("event_id").to_string(), "event_id");
    }

    #[test]
    fn an_excerpt_is_short_and_has_no_control_characters() {
        assert_eq!(excerpt("a\nb\u{85}"), "a\\nb\\u{85}");
        assert_eq!(excerpt(""), "nothing");
        for text in ["箱".repeat(500), "\u{1}".repeat(500), "x".repeat(81)] {
            let cut = excerpt(&text);
            assert!(
                cut.chars().count() <= FOUND_CHARS_MAX && cut.ends_with('…'),
                "{cut}"
            );
        }
        assert_eq!(excerpt(&"x".repeat(79)), "x".repeat(79));
    }
}
