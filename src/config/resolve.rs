//! From file, environment and flags to values: who said what, where, and what
//! is wrong with it.

use super::SETTINGS;
use super::properties::{self, Properties};
use super::setting::{Rule, Setting, VARIABLE_PREFIX, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The variable that names the file when no flag does.
pub const FILE_VARIABLE: &str = "QUAYMETER_CONFIG";

/// Variables of the client commands, which may be set beside a service's.
pub const CLIENT_VARIABLES: [&str; 7] = [
    "QUAYMETER_TO",
    "QUAYMETER_SOURCE",
    "QUAYMETER_SERVER",
    "QUAYMETER_CA",
    "QUAYMETER_CERT",
    "QUAYMETER_KEY",
    "QUAYMETER_TOKEN_FILE",
];

/// Begins the variables of the project's own tests.
const TEST_PREFIX: &str = "QUAYMETER_TEST_";

/// More than any configuration needs: a larger file is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file; none means what [`FILE_VARIABLE`] names, if anything.
    pub file: Option<PathBuf>,
    /// All variables of the environment; others than ours are ignored.
    pub environment: Vec<(OsString, OsString)>,
    /// Settings' names and the values that flags gave them.
    pub flags: Vec<(&'static str, String)>,
}

/// Where one value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, and the line if it is about one.
    File(PathBuf, Option<usize>),
    /// A variable.
    Variable(String),
    /// A flag, without dashes.
    Flag(String),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {setting}: found {found}, expected {expected}")]
pub struct Fault {
    /// The setting's name, or what stands where a name should.
    pub setting: String,
    /// Where it was said.
    pub origin: Origin,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

/// Everything wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// At least one: unreadable parts first, then by the order of the settings.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("resolve the configuration")?;
        self.faults
            .iter()
            .try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Error {}

/// A value as it was said.
struct Said {
    origin: Origin,
    text: String,
    /// Whether the file wrote it as a string; none if it is not from a file.
    quoted: Option<bool>,
}

/// What was found in all sources, and what was wrong so far.
#[derive(Default)]
pub struct Found {
    said: BTreeMap<&'static str, Said>,
    origins: BTreeMap<&'static str, Origin>,
    values: BTreeMap<&'static str, toml::Value>,
    /// Those of the environment.
    properties: Properties,
    faults: Vec<Fault>,
}

impl Found {
    /// Reads all sources; the later wins.
    pub fn gather(sources: Sources) -> Self {
        let mut found = Self::default();
        let variable = sources
            .environment
            .iter()
            .find(|(name, _)| name == FILE_VARIABLE);
        if let Some(path) = sources
            .file
            .or_else(|| variable.map(|(_, path)| path.into()))
        {
            found.read_file(&path);
        }
        for (name, value) in sources.environment {
            found.read_variable(name, value);
        }
        for (name, text) in sources.flags {
            match SETTINGS.iter().find(|setting| setting.name == name) {
                Some(setting) => found.say(setting, Origin::Flag(setting.flag()), text, None),
                None => found.unknown(
                    name,
                    Origin::Flag(name.into()),
                    super::setting::Setting::flag,
                ),
            }
        }
        found
    }

    /// Takes one setting's value, or its default.
    pub fn take<T: Value>(
        &mut self,
        name: &'static str,
        default: &'static str,
        rule: Rule,
    ) -> Option<T> {
        let said = self.said.remove(name).unwrap_or_else(|| Said {
            origin: Origin::Default,
            text: default.into(),
            quoted: None,
        });
        let typed = said.quoted.is_none_or(|quoted| quoted == T::QUOTED);
        let value = typed.then(|| T::parse(&said.text, rule)).flatten();
        match &value {
            Some(value) => self.values.extend(value.show().map(|shown| (name, shown))),
            None => {
                let quote = said.quoted != Some(false);
                let found = if quote {
                    format!("{:?}", said.text)
                } else {
                    said.text
                };
                self.fault(name, said.origin.clone(), found, T::expected(rule));
            }
        }
        self.origins.insert(name, said.origin);
        value
    }

    /// Checks that of each (first, second, n) the first is at least the second
    /// plus n. A pair of which one is faulty anyway is passed over.
    pub fn relate(&mut self, pairs: &[(&'static str, &'static str, i64)]) {
        for &(first, second, n) in pairs {
            let number = |name| self.values.get(name).and_then(toml::Value::as_integer);
            if number(first)
                .zip(number(second))
                .is_some_and(|(high, low)| high < low + n)
            {
                let plus = if n == 0 {
                    String::new()
                } else {
                    format!(" + {n}")
                };
                self.contradiction(first, second, format!("{first} ≥ {second}{plus}"));
            }
        }
    }

    /// Checks that two addresses are two, unless any free port will do.
    pub fn differ(&mut self, first: &'static str, second: &'static str) {
        let fixed = self
            .values
            .get(first)
            .filter(|address| !address.to_string().ends_with(":0\""));
        if fixed.is_some() && fixed == self.values.get(second) {
            self.contradiction(first, second, "two addresses".into());
        }
    }

    /// Checks that a setting is set if another one has this value.
    pub fn require(&mut self, needed: &'static str, of: &'static str, value: &str) {
        let asked = self.has(of, value);
        let because = format!("{of} is {value}");
        self.need(asked, needed, of, &because);
    }

    /// Whether a setting has a value.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether a setting has this value.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.values.get(name).and_then(toml::Value::as_str) == Some(value)
    }

    /// If it is asked for because of another one, a setting must be set.
    pub fn need(&mut self, asked: bool, needed: &'static str, of: &str, because: &str) {
        let faulty = self.faults.iter().any(|fault| fault.setting == needed);
        if asked && !faulty && !self.values.contains_key(needed) {
            let origin = self.said_at(needed).or_else(|| self.said_at(of)).cloned();
            let setting = SETTINGS.iter().find(|setting| setting.name == needed);
            let expected = setting.map(Setting::expected).unwrap_or_default();
            let expected = expected.trim_end_matches(", or nothing");
            self.fault(
                needed,
                origin.unwrap_or(Origin::Default),
                "nothing",
                format!("{expected}, because {because}"),
            );
        }
    }

    /// The properties of the file that a setting names, and those of the
    /// environment, which win.
    pub fn properties(&mut self, file: &'static str) -> Properties {
        let path = self.values.get(file).and_then(toml::Value::as_str);
        let Some(path) = path.map(PathBuf::from) else {
            return std::mem::take(&mut self.properties);
        };
        let mut all = Properties::default();
        match read_bounded(&path) {
            Ok(text) => {
                for fault in all.read(&text) {
                    let origin = Origin::File(path.clone(), Some(fault.line));
                    self.fault(&fault.name, origin, fault.found, fault.expected);
                }
            }
            Err(found) => {
                let origin = Origin::File(path, None);
                self.fault(file, origin, found, "a readable file of properties");
            }
        }
        all.extend(std::mem::take(&mut self.properties));
        all
    }

    fn contradiction(&mut self, first: &'static str, second: &'static str, expected: String) {
        // The one that somebody set is the one to look at.
        let (blamed, origin) = match (self.said_at(first), self.said_at(second)) {
            (None, Some(origin)) => (second, origin.clone()),
            (origin, _) => (first, origin.cloned().unwrap_or(Origin::Default)),
        };
        let (one, other) = (&self.values[first], &self.values[second]);
        let found = format!("{first} = {one} and {second} = {other}");
        self.fault(blamed, origin, found, expected);
    }

    /// Where somebody set it.
    pub fn said_at(&self, name: &str) -> Option<&Origin> {
        self.origins.get(name).filter(|at| **at != Origin::Default)
    }

    /// The configuration, unless anything is wrong.
    pub fn finish<T>(self, config: Option<T>) -> Result<T, Error> {
        let faults = self.faults;
        config.filter(|_| faults.is_empty()).ok_or(Error { faults })
    }

    fn read_file(&mut self, path: &Path) {
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(found) => {
                let origin = Origin::File(path.into(), None);
                return self.fault("the file", origin, found, "a readable TOML file");
            }
        };
        let line = |at: usize| {
            1 + text.as_bytes()[..at]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        let mut broken = BTreeSet::new();
        for error in errors {
            let at = error.span().map(|span| line(span.start));
            broken.extend(at);
            let origin = Origin::File(path.into(), at);
            self.fault("syntax", origin, error.message().replace('\n', " "), "TOML");
        }
        let origin = |at: usize| Origin::File(path.into(), Some(line(at)));
        // A line that cannot be read says nothing worth a second fault.
        let whole = |at: usize| !broken.contains(&line(at));
        self.read_table("", table.get_ref(), &|at| whole(at).then(|| origin(at)));
    }

    fn read_table(
        &mut self,
        prefix: &str,
        table: &DeTable<'_>,
        origin: &dyn Fn(usize) -> Option<Origin>,
    ) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let Some(origin_here) = origin(key.span().start) else {
                continue;
            };
            let inside = format!("{name}.");
            let group = SETTINGS
                .iter()
                .any(|setting| setting.name.starts_with(&inside));
            let setting = SETTINGS.iter().find(|setting| setting.name == name);
            match (value.get_ref(), setting) {
                (DeValue::Table(table), None) if group => self.read_table(&inside, table, origin),
                (other, None) if group => {
                    self.fault(&name, origin_here, type_of(other), "a table");
                }
                (_, None) => self.unknown(&name, origin_here, |setting| setting.name.into()),
                (value, Some(setting)) => self.read_value(setting, value, origin_here),
            }
        }
    }

    fn read_value(&mut self, setting: &Setting, value: &DeValue<'_>, origin: Origin) {
        let (text, quoted) = match value {
            DeValue::String(text) => (text.to_string(), true),
            DeValue::Boolean(value) => (value.to_string(), false),
            DeValue::Integer(number) => {
                let value = i64::from_str_radix(number.as_str(), number.radix());
                (
                    value.map_or_else(|_| number.to_string(), |value| value.to_string()),
                    false,
                )
            }
            DeValue::Float(number) => (number.to_string(), false),
            other => (type_of(other), false),
        };
        self.say(setting, origin, text, Some(quoted));
    }

    fn read_variable(&mut self, name: OsString, value: OsString) {
        let Ok(name) = name.into_string() else { return };
        if let Some(property) = name.strip_prefix(properties::VARIABLE_PREFIX) {
            return self.read_property(&name, property, value);
        }
        let others = name == FILE_VARIABLE
            || CLIENT_VARIABLES.contains(&&*name)
            || name.starts_with(TEST_PREFIX);
        if !name.starts_with(VARIABLE_PREFIX) || others || is_service_link(&name) {
            return;
        }
        let origin = Origin::Variable(name.clone());
        let setting = SETTINGS.iter().find(|setting| setting.variable() == name);
        match (setting, value.into_string()) {
            (None, _) => self.unknown(&name, origin, Setting::variable),
            (Some(setting), Ok(text)) => self.say(setting, origin, text, None),
            (Some(setting), Err(bytes)) => {
                self.fault(setting.name, origin, format!("{bytes:?}"), "UTF-8");
            }
        }
    }

    /// A property's value is told nobody: it may be a secret.
    fn read_property(&mut self, variable: &str, property: &str, value: OsString) {
        let name = property.replace('_', ".").to_lowercase();
        let read = match value.into_string() {
            Ok(value) => self.properties.set(&name, &value),
            Err(_) => Err(("other bytes", "UTF-8")),
        };
        if let Err((found, expected)) = read {
            let origin = Origin::Variable(variable.into());
            self.fault(&name, origin, found, expected);
        }
    }

    fn say(&mut self, setting: &Setting, origin: Origin, text: String, quoted: Option<bool>) {
        self.said.insert(
            setting.name,
            Said {
                origin,
                text,
                quoted,
            },
        );
    }

    fn unknown(&mut self, name: &str, origin: Origin, spell: impl Fn(&Setting) -> String) {
        let near = |spelt: String| (strsim::damerau_levenshtein(name, &spelt), spelt);
        let nearest = SETTINGS.iter().map(|setting| near(spell(setting))).min();
        let close = nearest.filter(|(distance, _)| *distance <= name.len() / 3);
        let expected = match close {
            Some((_, spelt)) => format!("a known name; did you mean {spelt}?"),
            None => "a known name; see quaymeter serve --help".into(),
        };
        self.fault(name, origin, "an unknown name", expected);
    }

    /// Reports one.
    pub fn fault(
        &mut self,
        setting: &str,
        origin: Origin,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let (found, expected) = (found.into(), expected.into());
        self.faults.push(Fault {
            setting: setting.into(),
            origin,
            found,
            expected,
        });
    }
}

fn type_of(value: &DeValue<'_>) -> String {
    let noun = value.type_str();
    let article = if noun.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    match read.map_err(|e| e.to_string())? as u64 {
        ..=FILE_BYTES_MAX => Ok(text),
        _ => Err(format!("more than {FILE_BYTES_MAX} bytes")),
    }
}

/// Kubernetes tells every pod of every service in its namespace by variables
/// such as `QUAYMETER_PORT_7070_TCP`; a service of our name must not stop us.
fn is_service_link(name: &str) -> bool {
    let port = |rest: &str| rest.is_empty() || rest.starts_with('_');
    let link = |mark: &str| name.split_once(mark).is_some_and(|(_, rest)| port(rest));
    link("_SERVICE_HOST") || link("_SERVICE_PORT") || link("_PORT")
}
