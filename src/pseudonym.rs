//! Keyed pseudonyms of plates and drivers: none of them is kept as it was sent.
//! The keys are in a file of their own, so that the data alone tells nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::{CompactString, format_compact};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const KEY_BYTES: usize = 32;

/// 15 bytes are 20 characters without padding, so a pseudonym fits into a
/// [`CompactString`] without allocation; 120 bits tell all trucks apart.
const DIGEST_BYTES: usize = 15;
const DIGEST_CHARS: usize = 20;

/// A file of keys is far smaller.
const FILE_BYTES_MAX: u64 = 64 * 1024;

const HEADER: &str =
    "# quaymeter: keys of the pseudonyms of plates and drivers, `id = 64 hex digits`.
# The highest id is used. Whoever has this file and the data can test guesses:
# keep it apart from backups of the data, and never lose it.
";

/// What a pseudonym stands for. Equal texts of different kinds get different
/// pseudonyms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tractor's or trailer's plate.
    Plate,
    /// A reporter's reference of a driver.
    Driver,
}

/// Why the keys cannot be used. No message holds a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the pseudonym keys in {}", path.display())]
    Read {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot create the pseudonym keys in {}", path.display())]
    Create {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file may be read or written by others.
    #[error("the pseudonym keys in {} are open to others (mode {mode:03o}), expected mode 600", path.display())]
    Open {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line is not of the form `id = 64 hex digits`, or repeats an id.
    #[error("line {line} of the pseudonym keys in {} is malformed, expected `id = 64 hex digits` with a new id of 1 to 999", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The file holds no key.
    #[error("there is no key among the pseudonym keys in {}", path.display())]
    Empty {
        /// The key file.
        path: PathBuf,
    },
}

/// The key that makes pseudonyms.
#[derive(Clone)]
pub struct Pseudonyms {
    id: u16,
    prefix: CompactString,
    /// What each key of the file makes of a fixed text.
    checks: Vec<CompactString>,
    /// Keyed once; cloned for each pseudonym.
    mac: Hmac<Sha256>,
    /// Of the key with the lowest id.
    oldest: Hmac<Sha256>,
}

impl Pseudonyms {
    /// Reads the key file, or makes one with a random key if there is none.
    /// Errors if it cannot, if others may read the file, or if it is malformed.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|source| Error::Create {
                    path: path.into(),
                    source,
                })?;
                File::open(path)
            }
            file => file,
        };
        let read = |source| Error::Read {
            path: path.into(),
            source,
        };
        let file = file.map_err(read)?;
        let mode = file.metadata().map_err(read)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Open {
                path: path.into(),
                mode,
            });
        }
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(read)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(read(io::ErrorKind::FileTooLarge.into()));
        }
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let mut keys: Vec<(u16, [u8; KEY_BYTES])> = Vec::new();
        for (line, content) in (1..).zip(text.lines().map(str::trim)) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match parse_line(content) {
                Some((id, key)) if keys.iter().all(|&(other, _)| other != id) => {
                    keys.push((id, key));
                }
                _ => {
                    return Err(Error::Malformed {
                        path: path.into(),
                        line,
                    });
                }
            }
        }
        let checks = keys
            .iter()
            .map(|(id, key)| Self::with_key(*id, key).check());
        let checks = checks.collect();
        keys.sort_unstable_by_key(|&(id, _)| id);
        let (Some((_, oldest)), Some((id, key))) = (keys.first(), keys.last()) else {
            return Err(Error::Empty { path: path.into() });
        };
        Ok(Self {
            checks,
            oldest: keyed(oldest),
            ..Self::with_key(*id, key)
        })
    }

    /// A key for another purpose, which the label names. It comes from the oldest
    /// key, so it is the same on all instances and stays when a key is added; once
    /// the oldest is erased it is another.
    pub fn derive(&self, label: &str) -> [u8; KEY_BYTES] {
        let mut mac = self.oldest.clone();
        // No pseudonym is made of these bytes.
        mac.update(b"derive\0");
        mac.update(label.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The pseudonyms of one key.
    pub fn with_key(id: u16, key: &[u8; KEY_BYTES]) -> Self {
        let mac = keyed(key);
        Self {
            id,
            prefix: format_compact!("p{id}:"),
            checks: Vec::new(),
            oldest: mac.clone(),
            mac,
        }
    }

    /// Tells this key from others, and tells nothing of it: what it makes of a
    /// fixed text.
    pub fn check(&self) -> CompactString {
        self.digest(b"check\0", "")
    }

    /// Whether the file held the key of a [`Pseudonyms::check`].
    pub fn knows(&self, check: &str) -> bool {
        self.checks.iter().any(|known| known == check)
    }

    /// The pseudonym: `p`, the key's id, `:`, and 120 bits of HMAC-SHA256 over
    /// kind, 0 and value in base64url. The value is not normalised here.
    pub fn pseudonym(&self, kind: Kind, value: &str) -> CompactString {
        let kind: &[u8] = match kind {
            Kind::Plate => b"plate\0",
            Kind::Driver => b"driver\0",
        };
        self.digest(kind, value)
    }

    fn digest(&self, kind: &[u8], value: &str) -> CompactString {
        let mut mac = self.mac.clone();
        mac.update(kind);
        mac.update(value.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut text = [0; DIGEST_CHARS];
        let mut pseudonym = self.prefix.clone();
        // 15 bytes fill 20 characters of base64 exactly, all of them ASCII.
        if URL_SAFE_NO_PAD
            .encode_slice(&digest[..DIGEST_BYTES], &mut text)
            .is_ok()
        {
            pseudonym.push_str(str::from_utf8(&text).unwrap_or_default());
        }
        pseudonym
    }
}

fn keyed(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    // A key as long as HMAC's block is used as it is, so this cannot fail.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..KEY_BYTES].copy_from_slice(key);
    Hmac::new(&block)
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Whether the text has the form of a pseudonym, of whatever key.
pub fn is_pseudonym(text: &str) -> bool {
    let parts = text.strip_prefix('p').and_then(|rest| rest.split_once(':'));
    parts.is_some_and(|(id, digest)| {
        parse_id(id).is_some()
            && digest.len() == DIGEST_CHARS
            && digest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
}

/// 1 to 999, without leading zeros: one spelling for each key.
fn parse_id(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if !digits || text.len() > 3 {
        None
    } else {
        text.parse().ok()
    }
}

fn parse_line(line: &str) -> Option<(u16, [u8; KEY_BYTES])> {
    let (id, hex) = line.split_once('=')?;
    let (id, hex) = (parse_id(id.trim())?, hex.trim().as_bytes());
    if hex.len() != 2 * KEY_BYTES || !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut key = [0; KEY_BYTES];
    for (byte, pair) in key.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((id, key))
}

/// Writes a file with one random key, whole or not at all, mode 0600.
fn create(path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    // A temporary file has mode 0600 from its first moment.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "{HEADER}1 = {hex}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        // Another process made one meanwhile: theirs is used.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
        Ok(_) => File::open(directory)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    const PATH: &str = "pseudonym.keys";

    fn parse(text: &str) -> Result<Pseudonyms, Error> {
        Pseudonyms::parse(Path::new(PATH), text)
    }

    #[test]
    fn a_pseudonym_is_the_hmac_of_kind_and_value() {
        // python: hmac.digest(b"\x0b"*32, b"plate\0" + "浙B12345".encode(), "sha256")[:15]
        let pseudonyms = Pseudonyms::with_key(1, &[0x0b; 32]);
        assert_eq!(
            pseudonyms.pseudonym(Kind::Plate, "浙B12345"),
            "p1:wVrRoQL0-2Z34ICKOwnq"
        );
        assert_eq!(
            pseudonyms.pseudonym(Kind::Driver, "浙B12345"),
            "p1:X1_df-3nqOWz5oUw7DYo"
        );
    }

    #[test]
    fn a_pseudonym_has_its_form_and_a_plate_has_not() {
        let pseudonym = Pseudonyms::with_key(999, &[7; 32]).pseudonym(Kind::Plate, "x");
        assert!(is_pseudonym(&pseudonym), "{pseudonym}");
        for bad in [
            "",
            "浙B12345",
            "p:",
            "p01:AAAAAAAAAAAAAAAAAAAA",
            "p1:AAAA",
            "p1:AAAAAAAAAAAAAAAAAAA+",
            "p1000:AAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(!is_pseudonym(bad), "{bad}");
        }
    }

    #[test]
    fn a_made_file_is_private_and_gives_the_same_pseudonyms_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(PATH);
        let first = Pseudonyms::load_or_create(&path)
            .unwrap()
            .pseudonym(Kind::Plate, "a");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            Pseudonyms::load_or_create(&path)
                .unwrap()
                .pseudonym(Kind::Plate, "a"),
            first
        );
        let other = Pseudonyms::load_or_create(&directory.path().join("other")).unwrap();
        assert_ne!(other.pseudonym(Kind::Plate, "a"), first);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(PATH);
        Pseudonyms::load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = Pseudonyms::load_or_create(&path).unwrap_err();
            assert!(
                matches!(error, Error::Open { mode: found, .. } if found == mode),
                "{error}"
            );
        }
    }

    #[test]
    fn the_highest_id_is_used() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let pseudonyms = parse(&format!("# c\n10 = {new}\n\n2={old}\n")).unwrap();
        let expected = Pseudonyms::with_key(10, &[0x22; 32]).pseudonym(Kind::Plate, "a");
        assert_eq!(pseudonyms.pseudonym(Kind::Plate, "a"), expected);
        assert!(expected.starts_with("p10:"));
    }

    #[test]
    fn a_derived_key_goes_by_its_label_and_stays_when_a_key_is_added() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let one = parse(&format!("1={old}")).unwrap();
        let two = parse(&format!("2={new}\n1={old}")).unwrap();
        assert_eq!(one.derive("tokens"), two.derive("tokens"));
        assert_ne!(one.derive("tokens"), one.derive("tokens2"));
        let later = parse(&format!("2={new}")).unwrap();
        assert_ne!(one.derive("tokens"), later.derive("tokens"));
    }

    #[test]
    fn malformed_lines_are_refused_by_number_and_never_printed() {
        let key = "3f".repeat(32);
        for bad in [
            format!("1 = {key}0"),
            format!("0 = {key}"),
            format!("a = {key}"),
            key.clone(),
            format!("1 = {}", "zz".repeat(32)),
            format!("1 = {key}\n1 = {key}"),
            format!("+1 = {key}"),
        ] {
            let error = parse(&format!("# header\n{bad}")).unwrap_err();
            let Error::Malformed { line, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(line, 1 + bad.lines().count());
            assert!(!format!("{error} {error:?}").contains("3f3f"));
        }
        assert!(matches!(parse("# none\n"), Err(Error::Empty { .. })));
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", Pseudonyms::with_key(3, &[0xab; 32]));
        assert_eq!(shown, "Pseudonyms { id: 3, .. }");
    }
}
