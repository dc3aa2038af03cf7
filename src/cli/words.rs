//! The proto's names as words of the command line: `ROLE_SERVICE_PROVIDER` is
//! `service-provider`, in whatever case, with `_` as well.

use crate::pb::{Classifier, Dimension, Grain, Measure, Role};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, Error};
use std::ffi::OsStr;
use std::sync::LazyLock;

/// Reads one word of a list, which help and completions show.
#[derive(Clone, Copy)]
pub struct Words<T: 'static>(&'static [(String, T)]);

type List<T> = LazyLock<Vec<(String, T)>>;

/// All but UNSPECIFIED, which is 0.
fn list<T: TryFrom<i32>>(prefix: &str, name: fn(&T) -> &'static str) -> Vec<(String, T)> {
    let word = |value: T| {
        let name = name(&value);
        let name = name.strip_prefix(prefix).unwrap_or(name);
        (name.to_lowercase().replace('_', "-"), value)
    };
    (1..).map_while(|n| T::try_from(n).ok()).map(word).collect()
}

macro_rules! words {
    ($($function:ident: $type:ident, $prefix:literal;)*) => {$(
        #[doc = concat!("Reads a ", stringify!($function), ".")]
        pub fn $function() -> Words<$type> {
            static LIST: List<$type> = LazyLock::new(|| list($prefix, $type::as_str_name));
            Words(&LIST)
        }
    )*};
}

words! {
    role: Role, "ROLE_";
    classifier: Classifier, "CLASSIFIER_";
    grain: Grain, "GRAIN_";
    dimension: Dimension, "DIMENSION_";
    measure: Measure, "MEASURE_";
}

impl<T> Words<T> {
    /// The words and what they mean, in the proto's order.
    pub fn all(&self) -> &'static [(String, T)] {
        self.0
    }
}

impl<T: Copy + Send + Sync + 'static> TypedValueParser for Words<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let word = value.to_string_lossy().to_lowercase().replace('_', "-");
        if let Some((_, value)) = self.0.iter().find(|(known, _)| *known == word) {
            return Ok(*value);
        }
        let words = self.0.iter().map(|(word, _)| word.as_str());
        let refused = PossibleValuesParser::new(words).parse_ref(command, arg, value);
        // It knows no word that we do not.
        Err(refused
            .err()
            .unwrap_or_else(|| Error::new(clap::error::ErrorKind::InvalidValue)))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = self
            .0
            .iter()
            .map(|(word, _)| PossibleValue::new(word.as_str()));
        Some(Box::new(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_but_unspecified_has_its_word_in_any_case() {
        let parse = |word: &str| {
            let command = Command::new("c");
            role().parse_ref(&command, None, OsStr::new(word)).ok()
        };
        assert_eq!(role().all().len(), 8);
        assert_eq!(measure().all().len(), 11);
        for word in ["service-provider", "SERVICE_PROVIDER", "Service-Provider"] {
            assert_eq!(parse(word), Some(Role::ServiceProvider), "{word}");
        }
        for word in ["", "unspecified", "captain", "service provider"] {
            assert_eq!(parse(word), None, "{word}");
        }
    }
}
