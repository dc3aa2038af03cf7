//! What a setting is: its three names, its default, and the type that reads
//! and writes its value.

use jiff::tz::TimeZone;
use std::{net::SocketAddr, path::PathBuf};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What all variables of the environment begin with.
pub const VARIABLE_PREFIX: &str = "QUAYMETER_";

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its dotted name, as in the file: `limits.batch_events`.
    pub name: &'static str,
    /// Its default, as text; empty means unset.
    pub default: &'static str,
    /// What it is for, in one line.
    pub help: &'static str,
    /// Whether its flag may be given without a value, which then is `true`.
    pub switch: bool,
    /// A second, shorter flag, without the dashes.
    pub alias: Option<&'static str>,
    rule: Rule,
    expected: fn(Rule) -> String,
}

impl Setting {
    /// The setting of a value of type `T`.
    pub(super) const fn of<T: Value>(
        name: &'static str,
        default: &'static str,
        rule: Rule,
        help: &'static str,
    ) -> Self {
        let (switch, expected) = (T::SWITCH, T::expected as fn(Rule) -> String);
        Self {
            name,
            default,
            help,
            switch,
            alias: None,
            rule,
            expected,
        }
    }

    /// The same, with a second flag.
    pub(super) const fn aliased(self, alias: &'static str) -> Self {
        Self {
            alias: Some(alias),
            ..self
        }
    }

    /// Its variable in the environment: `QUAYMETER_LIMITS_BATCH_EVENTS`.
    pub fn variable(&self) -> String {
        format!(
            "{VARIABLE_PREFIX}{}",
            self.name.replace('.', "_").to_uppercase()
        )
    }

    /// Its flag, without the dashes: `limits-batch-events`.
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// What values it takes, in words.
    pub fn expected(&self) -> String {
        (self.expected)(self.rule)
    }
}

/// What is asked of a value beyond its type.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Nothing.
    Any,
    /// A whole number from the first to the second.
    Within(i64, i64),
    /// One of these whole numbers.
    OneOf(&'static [i64]),
}

/// A type of values.
pub trait Value: Sized {
    /// Whether the file must write it as a string.
    const QUOTED: bool = true;
    /// As [`Setting::switch`].
    const SWITCH: bool = false;
    /// What is expected, in words.
    fn expected(rule: Rule) -> String;
    /// Reads it; none if it is not as expected.
    fn parse(text: &str, rule: Rule) -> Option<Self>;
    /// Writes it; none if it is unset.
    fn show(&self) -> Option<toml::Value>;
}

impl Value for SocketAddr {
    fn expected(_: Rule) -> String {
        "an IP address and a port, such as 127.0.0.1:7070".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

impl Value for PathBuf {
    fn expected(_: Rule) -> String {
        "a path".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
    fn show(&self) -> Option<toml::Value> {
        self.to_str().map(Into::into)
    }
}

impl Value for Option<PathBuf> {
    fn expected(_: Rule) -> String {
        "a path, or nothing".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        Some((!text.is_empty()).then(|| text.into()))
    }
    fn show(&self) -> Option<toml::Value> {
        self.as_ref().and_then(Value::show)
    }
}

impl Value for bool {
    const QUOTED: bool = false;
    const SWITCH: bool = true;
    fn expected(_: Rule) -> String {
        "true or false".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> Option<toml::Value> {
        Some((*self).into())
    }
}

impl Value for TimeZone {
    fn expected(_: Rule) -> String {
        "the name of an IANA time zone, such as Asia/Shanghai".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        TimeZone::get(text)
            .ok()
            .filter(|zone| !zone.is_unknown() && zone.iana_name().is_some())
    }
    fn show(&self) -> Option<toml::Value> {
        self.iana_name().map(Into::into)
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const QUOTED: bool = false;
            fn expected(rule: Rule) -> String {
                whole_number(rule)
            }
            fn parse(text: &str, rule: Rule) -> Option<Self> {
                let number: i64 = text.parse().ok()?;
                let kept = match rule {
                    Rule::Any => true,
                    Rule::Within(least, most) => (least..=most).contains(&number),
                    Rule::OneOf(list) => list.contains(&number),
                };
                number.try_into().ok().filter(|_| kept)
            }
            fn show(&self) -> Option<toml::Value> {
                i64::try_from(*self).ok().map(Into::into)
            }
        }
    )*};
}

whole_numbers!(i32, i64, u32, u64, usize);

fn whole_number(rule: Rule) -> String {
    match rule {
        Rule::Any => "a whole number".into(),
        Rule::Within(least, most) => format!("a whole number from {least} to {most}"),
        Rule::OneOf(list) => list
            .iter()
            .map(i64::to_string)
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Value for LogFormat {
    fn expected(_: Rule) -> String {
        "text or json".into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
    fn show(&self) -> Option<toml::Value> {
        Some(if *self == Self::Text { "text" } else { "json" }.into())
    }
}

/// Which log lines are written: a level, or directives such as
/// `info,quaymeter::log=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// As text that `EnvFilter` reads.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for LogFilter {
    fn expected(_: Rule) -> String {
        "off, error, warn, info, debug or trace, or directives such as \
         info,quaymeter::log=debug"
            .into()
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        // A bare word that is no level would mean a target to the filter, so
        // that a misspelt level would silence everything.
        let plain = |directive: &str| !directive.contains(['=', '[', ']', '{', '}']);
        let level = |directive: &str| directive.trim().parse::<LevelFilter>().is_ok();
        let clear = text.split(',').all(|part| !plain(part) || level(part));
        // The filter panics on other letters, and no target of ours has any.
        let known = clear && text.is_ascii() && EnvFilter::try_new(text).is_ok();
        known.then(|| Self(text.into()))
    }
    fn show(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
}

/// Declares the settings once: their types, the table of their names, how they
/// are taken from what was found, and how they are shown.
macro_rules! settings {
    ($($field:ident: $type:ty = $default:literal, $rule:expr, $help:literal;)*
     $(@$group:ident: $Group:ident, $about:literal {
        $($inner:ident: $in_type:ty = $in_default:literal, $in_rule:expr, $in_help:literal
          $(, as $alias:literal)?;)*
     })*) => {
        /// The whole configuration, resolved and checked.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $(#[doc = $help] pub $field: $type,)*
            $(#[doc = $about] pub $group: $Group,)*
            /// librdkafka's properties: those of the file `kafka.properties`, and
            /// those of the environment, which win.
            pub properties: Properties,
        }

        $(
            #[doc = $about]
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Group {
                $(#[doc = $in_help] pub $inner: $in_type,)*
            }
        )*

        /// Every setting, in the order of the file.
        pub const SETTINGS: &[Setting] = &[
            $(Setting::of::<$type>(stringify!($field), $default, $rule, $help),)*
            $($(Setting::of::<$in_type>(
                concat!(stringify!($group), ".", stringify!($inner)),
                $in_default, $in_rule, $in_help,
            )$(.aliased($alias))?,)*)*
        ];

        /// Takes every setting, so that every fault is met; none if there is one.
        fn assemble(found: &mut resolve::Found) -> Option<Config> {
            $(let $field = found.take::<$type>(stringify!($field), $default, $rule);)*
            $(let $group = {
                $(let $inner = found.take::<$in_type>(
                    concat!(stringify!($group), ".", stringify!($inner)),
                    $in_default, $in_rule,
                );)*
                move || Some($Group { $($inner: $inner?,)* })
            };)*
            Some(Config {
                $($field: $field?,)*
                $($group: $group()?,)*
                properties: Properties::default(),
            })
        }

        impl Config {
            /// Every setting's name and value (none if unset), in the order of
            /// [`SETTINGS`].
            pub fn values(&self) -> Vec<(&'static str, Option<toml::Value>)> {
                vec![
                    $((stringify!($field), self.$field.show()),)*
                    $($((
                        concat!(stringify!($group), ".", stringify!($inner)),
                        self.$group.$inner.show(),
                    ),)*)*
                ]
            }
        }
    };
}
