//! The enterprise registry: names and roles by enterprise id, from a CSV file.
//! It only adds names to answers; no figure depends on it.

use crate::pb::Role;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The header line that the file must begin with.
pub const HEADER: [&str; 4] = ["id", "name_zh", "name_en", "roles"];

/// Rows in a registry, at most.
pub const ROWS_MAX: usize = 1_000_000;

/// Bytes of a registry's file, at most.
pub const BYTES_MAX: u64 = 64 << 20;

/// Characters in a name, at most.
pub const NAME_CHARS_MAX: usize = 200;

/// Faults that are reported, at most; the rest are counted.
const FAULTS_MAX: usize = 100;

const SCHEMES: [&str; 4] = ["uscc", "smdg", "nmfta", "ygt"];

/// One enterprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Scheme and code, as in events.
    pub id: Box<str>,
    /// Its Chinese name; may be empty.
    pub name_zh: Box<str>,
    /// Its English name; may be empty.
    pub name_en: Box<str>,
    /// Its roles, ascending; may be empty.
    pub roles: Box<[Role]>,
}

/// All enterprises, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry(Vec<Entry>);

/// One bad line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {column}: found {found:?}, expected {expected}")]
pub struct Fault {
    /// Its number, from 1.
    pub line: u64,
    /// The column's name.
    pub column: &'static str,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
}

/// Why a registry could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("read the registry")]
    Io(#[from] io::Error),
    /// The file is larger than [`BYTES_MAX`], or has more rows than [`ROWS_MAX`].
    #[error("the registry has more than {0}")]
    TooLarge(&'static str),
    /// Some lines are bad.
    #[error("the registry has {} bad lines{}", .faults.len() + .more, Lines(.faults, *.more))]
    Faults {
        /// By line; at most 100.
        faults: Vec<Fault>,
        /// How many more there are.
        more: usize,
    },
}

struct Lines<'a>(&'a [Fault], usize);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|fault| write!(f, "\n  {fault}"))?;
        if self.1 > 0 {
            write!(f, "\n  and {} more", self.1)
        } else {
            Ok(())
        }
    }
}

impl Registry {
    /// Reads a file.
    ///
    /// # Errors
    /// Unreadable, too large, or every bad line with its number.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::read(File::open(path)?)
    }

    /// Reads CSV with the [`HEADER`]; roles are separated by `|`, a byte order
    /// mark is passed over.
    ///
    /// # Errors
    /// As [`Registry::load`].
    pub fn read(input: impl Read) -> Result<Self, Error> {
        let mut text = Vec::new();
        input.take(BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(Error::TooLarge("64 MiB"));
        }
        let mut reading = Reading::default();
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text));
        let mut row = csv::ByteRecord::new();
        while rows.read_byte_record(&mut row).map_err(io::Error::from)? {
            reading.row(&row);
            if reading.entries.len() > ROWS_MAX {
                return Err(Error::TooLarge("1,000,000 rows"));
            }
        }
        reading.finish()
    }

    /// The enterprise with this id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        let at = self.0.binary_search_by(|entry| (*entry.id).cmp(id));
        at.ok().map(|at| &self.0[at])
    }

    /// All enterprises by ascending id.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A registry that is being read.
#[derive(Default)]
struct Reading {
    header: bool,
    /// With the line of each, to tell where a repeated id was.
    entries: Vec<(Entry, u64)>,
    faults: Vec<Fault>,
    more: usize,
}

impl Reading {
    fn row(&mut self, row: &csv::ByteRecord) {
        let line = row.position().map_or(0, csv::Position::line);
        if !self.header {
            self.header = true;
            if row.iter().ne(HEADER.iter().map(|name| name.as_bytes())) {
                let found = String::from_utf8_lossy(row.as_slice()).into_owned();
                self.fault(line, "header", &found, "id,name_zh,name_en,roles");
            }
            return;
        }
        match entry(row) {
            Ok(entry) => self.entries.push((entry, line)),
            Err((column, found, expected)) => self.fault(line, column, &found, expected),
        }
    }

    fn finish(mut self) -> Result<Registry, Error> {
        if !self.header {
            self.fault(1, "header", "", "id,name_zh,name_en,roles");
        }
        // Stable, so that of two rows the later one is the repeated one.
        self.entries.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let pairs = self
            .entries
            .windows(2)
            .filter(|pair| pair[0].0.id == pair[1].0.id);
        let repeated: Vec<_> = pairs
            .map(|pair| (pair[1].1, pair[1].0.id.clone()))
            .collect();
        for (line, id) in repeated {
            self.fault(line, "id", &id, "an id that no other line has");
        }
        if self.faults.is_empty() {
            return Ok(Registry(
                self.entries.into_iter().map(|(entry, _)| entry).collect(),
            ));
        }
        self.faults.sort_by_key(|fault| fault.line);
        Err(Error::Faults {
            faults: self.faults,
            more: self.more,
        })
    }

    fn fault(&mut self, line: u64, column: &'static str, found: &str, expected: &'static str) {
        if self.faults.len() == FAULTS_MAX {
            self.more += 1;
            return;
        }
        let found = found.chars().take(80).collect();
        self.faults.push(Fault {
            line,
            column,
            found,
            expected,
        });
    }
}

type Wrong = (&'static str, String, &'static str);

fn entry(row: &csv::ByteRecord) -> Result<Entry, Wrong> {
    if row.len() != HEADER.len() {
        return Err(("row", format!("{} columns", row.len()), "4 columns"));
    }
    let text = |at: usize| {
        let lossy = || String::from_utf8_lossy(&row[at]).into_owned();
        std::str::from_utf8(&row[at]).map_err(|_| (HEADER[at], lossy(), "UTF-8"))
    };
    let name = |at: usize| {
        let name = text(at)?;
        let short = name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
        let expected = "at most 200 characters without control characters";
        short
            .then(|| name.into())
            .ok_or_else(|| (HEADER[at], name.to_owned(), expected))
    };
    let id = text(0)?;
    if !is_id(id) {
        return Err((
            "id",
            id.to_owned(),
            "uscc:, smdg:, nmfta: or ygt: and a code",
        ));
    }
    let roles = roles(text(3)?)?;
    Ok(Entry {
        id: id.into(),
        name_zh: name(1)?,
        name_en: name(2)?,
        roles,
    })
}

/// Only the form: what an event may name is for the event's rules to say.
fn is_id(id: &str) -> bool {
    let code = |code: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        (1..=64).contains(&code.len()) && code.chars().all(known)
    };
    id.split_once(':')
        .is_some_and(|(scheme, rest)| SCHEMES.contains(&scheme) && code(rest))
}

fn roles(text: &str) -> Result<Box<[Role]>, Wrong> {
    let mut roles = Vec::new();
    for name in text
        .split('|')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let role = Role::from_str_name(&format!("ROLE_{}", name.to_ascii_uppercase()));
        let known = role.filter(|role| *role != Role::Unspecified);
        roles.push(known.ok_or_else(|| {
            let expected = "roles such as FORWARDER|CARRIER";
            ("roles", name.to_owned(), expected)
        })?);
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(u64, &'static str)> {
        match Registry::read(text.as_bytes()) {
            Err(Error::Faults { faults, .. }) => faults
                .iter()
                .map(|fault| (fault.line, fault.column))
                .collect(),
            other => panic!("expected faults, got {other:?}"),
        }
    }

    #[test]
    fn a_registry_is_sorted_by_id_and_passes_over_a_byte_order_mark() {
        let text = "\u{feff}id,name_zh,name_en,roles\r\n\
                    ygt:z9, 宁波车队 ,\"Fleet, Ningbo\",fleet| FORWARDER|fleet\r\n\
                    smdg:COS,中远海运,COSCO,CARRIER\r\n\
                    nmfta:ABCD,,,\r\n";
        let registry = Registry::read(text.as_bytes()).unwrap();
        let ids: Vec<_> = registry.iter().map(|entry| &*entry.id).collect();
        assert_eq!(ids, ["nmfta:ABCD", "smdg:COS", "ygt:z9"]);
        let fleet = registry.get("ygt:z9").unwrap();
        assert_eq!(
            (&*fleet.name_zh, &*fleet.name_en),
            ("宁波车队", "Fleet, Ningbo")
        );
        assert_eq!(*fleet.roles, [Role::Forwarder, Role::Fleet]);
        assert!(registry.get("nmfta:ABCD").unwrap().roles.is_empty());
        assert_eq!(registry.get("ygt:z"), None);
    }

    #[test]
    fn every_bad_line_is_reported_with_its_number() {
        let text = "id,name_zh,name_en,roles\n\
                    COS,,,CARRIER\n\
                    smdg:COS,,,CARRIER\n\
                    smdg:,,,\n\
                    smdg:MSC,,,PIRATE\n\
                    smdg:OOL,,\n\
                    smdg:COS,,,CARRIER\n\
                    iata:AF,,,UNSPECIFIED\n";
        let expected = [
            (2, "id"),
            (4, "id"),
            (5, "roles"),
            (6, "row"),
            (7, "id"),
            (8, "id"),
        ];
        assert_eq!(faults(text), expected);
    }

    #[test]
    fn a_missing_header_is_a_fault() {
        assert_eq!(faults("smdg:COS,,,CARRIER\n"), [(1, "header")]);
        assert_eq!(faults(""), [(1, "header")]);
    }

    #[test]
    fn another_encoding_is_a_fault_of_its_line_only() {
        let mut text = b"id,name_zh,name_en,roles\nsmdg:COS,".to_vec();
        text.extend([0xd6, 0xd0, 0xd4, 0xb6]); // 中远 in GBK
        text.extend(b",,CARRIER\nsmdg:MSC,,,CARRIER\n");
        match Registry::read(text.as_slice()) {
            Err(Error::Faults { faults, more: 0 }) => {
                assert_eq!(faults.len(), 1);
                assert_eq!((faults[0].line, faults[0].column), (2, "name_zh"));
                assert_eq!(faults[0].expected, "UTF-8");
            }
            other => panic!("expected one fault, got {other:?}"),
        }
    }

    #[test]
    fn at_most_a_hundred_faults_are_reported_and_the_rest_counted() {
        let text = format!("id,name_zh,name_en,roles\n{}", "x,,,\n".repeat(130));
        match Registry::read(text.as_bytes()) {
            Err(error @ Error::Faults { .. }) => {
                let text = error.to_string();
                assert!(
                    text.starts_with("the registry has 130 bad lines\n  line 2: id"),
                    "{text}"
                );
                assert!(text.ends_with("\n  and 30 more"), "{text}");
            }
            other => panic!("expected faults, got {other:?}"),
        }
    }

    #[test]
    fn a_file_beyond_its_size_is_refused() {
        let endless = io::repeat(b'x');
        assert!(matches!(Registry::read(endless), Err(Error::TooLarge(_))));
    }
}
