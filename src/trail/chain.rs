//! How records are bound together: each line ends with a hash of its own text and of the
//! hash before it. The hash has no key, so that an auditor needs none: whoever can write
//! the files can make a chain anew, but not one that has a head that was noted elsewhere.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Between a record's own text and its hash.
const SEAL: &str = ",\"hash\":\"";

/// After the hash.
const END: &str = "\"}";

/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// The last record of a chain: its number and its hash. Whoever noted it elsewhere can
/// tell later whether the chain still has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Counted from 1; 0 before the first.
    pub seq: u64,
    /// SHA-256; zeros before the first.
    pub hash: [u8; 32],
}

impl Head {
    /// Before the first record.
    pub const START: Self = Self {
        seq: 0,
        hash: [0; 32],
    };

    /// The line of the next record, without its newline, and the head that it makes.
    ///
    /// # Errors
    /// The record cannot be JSON, which none of ours is.
    pub fn seal(
        &self,
        at: Timestamp,
        record: &impl Serialize,
    ) -> serde_json::Result<(String, Self)> {
        let seq = self.seq + 1;
        let mut line = serde_json::to_string(&Line { seq, at, record })?;
        line.truncate(line.len() - 1);
        let hash = self.hash_of(&line);
        line += SEAL;
        line += &hex::encode(hash);
        line += END;
        Ok((line, Self { seq, hash }))
    }

    /// The head that a line makes, if it follows.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn follow(&self, line: &str, seq: u64) -> Result<Self, &'static str> {
        let (text, hash) = split(line).ok_or("it has no hash")?;
        if hash != self.hash_of(text) {
            return Err("its hash does not follow from its text and the record before it");
        }
        if seq != self.seq + 1 {
            return Err("its number does not follow");
        }
        Ok(Self { seq, hash })
    }

    fn hash_of(&self, text: &str) -> [u8; 32] {
        let hash = Sha256::new().chain_update(self.hash).chain_update(text);
        hash.finalize().into()
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    seq: u64,
    at: Timestamp,
    #[serde(flatten)]
    record: &'a T,
}

/// A line's own text, and its hash.
fn split(line: &str) -> Option<(&str, [u8; 32])> {
    let line = line.strip_suffix(END)?;
    let (text, digits) = line.split_at_checked(line.len().checked_sub(DIGITS)?)?;
    let mut hash = [0; 32];
    hex::decode_to_slice(digits, &mut hash).ok()?;
    Some((text.strip_suffix(SEAL)?, hash))
}

/// As `quaymeter trail verify` tells and takes it.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(self.hash))
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (seq, digits) = text.split_once(':')?;
            let mut hash = [0; 32];
            hex::decode_to_slice(digits, &mut hash).ok()?;
            let seq = seq.parse().ok()?;
            Some(Self { seq, hash })
        };
        parse().ok_or_else(|| "expected a number, a colon and 64 hexadecimal digits".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chain(of: u64) -> Vec<String> {
        let mut head = Head::START;
        let seal = |number| {
            let record = json!({ "kind": "stopped", "number": number });
            let (line, next) = head.seal(Timestamp::UNIX_EPOCH, &record).unwrap();
            head = next;
            line
        };
        (1..=of).map(seal).collect()
    }

    fn follow(lines: &[String]) -> Result<Head, (u64, &'static str)> {
        (1..).zip(lines).try_fold(Head::START, |head, (seq, line)| {
            head.follow(line, seq).map_err(|what| (seq, what))
        })
    }

    #[test]
    fn a_chain_is_followed_to_its_head() {
        let lines = chain(3);
        let head = follow(&lines).unwrap();
        assert_eq!(head.seq, 3);
        assert_eq!(head.to_string().parse(), Ok(head));
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(first["seq"], 1);
        assert_eq!(first["at"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_changed_left_out_or_moved_is_found() {
        let lines = chain(4);
        for at in 0..3 {
            let mut changed = lines.clone();
            changed[at] = changed[at].replace("stopped", "started");
            assert_eq!(follow(&changed).unwrap_err().0, at as u64 + 1);
            let mut fewer = lines.clone();
            fewer.remove(at);
            assert!(follow(&fewer).is_err());
            let mut moved = lines.clone();
            moved.swap(at, at + 1);
            assert!(follow(&moved).is_err());
        }
        assert!("1:00".parse::<Head>().is_err());
    }
}
