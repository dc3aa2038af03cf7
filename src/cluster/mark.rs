//! The mark that ends each transaction in a changelog: which records of the log it
//! counted, and what it should hold. Marks are a chain: each begins where the one
//! before it ended.

use crate::log::Offset;
use crate::store::{Bytes, Table};
use serde::{Deserialize, Serialize};

/// The version of the changelog's format.
pub const VERSION: u16 = 3;

/// The key of a partition's mark in its changelog. No put begins so.
pub const KEY: &[u8] = b"__pos";

/// The key of what says that a partition is counted anew: whatever stands before it in
/// the changelog is void. Its value is the offset of the log from which.
pub const ANEW: &[u8] = b"__anew";

/// The key of what says that somebody has found the chain broken. Its value is the place
/// at which.
pub const DOUBT: &[u8] = b"__doubt";

/// A number as the value of one of these.
pub fn number(number: i64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The number in a value; none if it is none.
pub fn number_in(value: Option<&[u8]>) -> Option<i64> {
    value?.try_into().ok().map(i64::from_be_bytes)
}

/// What ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The version of the format.
    pub version: u16,
    /// The partition, of the log and of its changelog.
    pub partition: u32,
    /// How many partitions there are.
    pub partitions: u32,
    /// The log's records from this offset on …
    pub from: Offset,
    /// … and before this one are counted.
    pub to: Offset,
    /// How many puts there are before it in the transaction.
    pub puts: u32,
    /// Their checksum.
    pub checksum: u32,
}

/// A key and its value in a table; none if the key is gone.
pub type Put = (Table, Bytes, Option<Bytes>);

/// The puts of a transaction as they go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    puts: u32,
    checksum: u32,
}

impl Tally {
    /// Takes a put as it is in the changelog.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.puts += 1;
        let lengths = [
            key.len() as u64,
            value.map_or(u64::MAX, |value| value.len() as u64),
        ];
        for part in [&lengths[0].to_le_bytes(), &lengths[1].to_le_bytes(), key] {
            self.checksum = crc32c::crc32c_append(self.checksum, part);
        }
        self.checksum = crc32c::crc32c_append(self.checksum, value.unwrap_or_default());
    }

    /// The mark that ends them.
    pub fn mark(self, (partition, partitions): (u32, u32), from: Offset, to: Offset) -> Mark {
        Mark {
            version: VERSION,
            partition,
            partitions,
            from,
            to,
            puts: self.puts,
            checksum: self.checksum,
        }
    }
}

/// A transaction that does not follow from the one before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The mark's bytes are none.
    #[error("its mark cannot be decoded")]
    Undecodable,
    /// Written by another version of the program.
    #[error("it has format version {found}, this program reads version {VERSION}")]
    Version {
        /// What it has.
        found: u16,
    },
    /// Of another partition, or of another number of partitions.
    #[error("it is of partition {partition} of {partitions}")]
    Elsewhere {
        /// Which.
        partition: u32,
        /// Of how many.
        partitions: u32,
    },
    /// Something between is missing, or counted twice.
    #[error("it begins at offset {found} of the log, expected {expected}")]
    Gap {
        /// Where it begins.
        found: Offset,
        /// Where the one before it ended.
        expected: Offset,
    },
    /// Its puts are not those that were committed.
    #[error("it has {found} puts of {expected}, or others than were committed")]
    Torn {
        /// How many were read.
        found: u32,
        /// How many were committed.
        expected: u32,
    },
    /// A put that is none.
    #[error("it has a put that is none")]
    Put,
    /// Another instance has found it broken.
    #[error("another instance has found it broken at place {place}")]
    Doubted {
        /// Where.
        place: i64,
    },
}

/// How much is known of what stands before a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// All of it: it must begin where that ended.
    All(Offset),
    /// What compaction has left of it: it must not begin before.
    Compacted(Offset),
}

impl Mark {
    /// As bytes.
    ///
    /// # Errors
    /// None that is known.
    pub fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(self)
    }

    /// From bytes.
    ///
    /// # Errors
    /// Bytes that are none; another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Broken> {
        // The version is read first, so that another format's rest does not matter.
        let (version, _) = postcard::take_from_bytes(bytes).map_err(|_| Broken::Undecodable)?;
        if version != VERSION {
            return Err(Broken::Version { found: version });
        }
        postcard::from_bytes(bytes).map_err(|_| Broken::Undecodable)
    }

    /// Judges whether its transaction follows from what is before it.
    ///
    /// # Errors
    /// Why not.
    pub fn follows(&self, before: Before, place: (u32, u32), tally: Tally) -> Result<(), Broken> {
        if (self.partition, self.partitions) != place {
            return Err(Broken::Elsewhere {
                partition: self.partition,
                partitions: self.partitions,
            });
        }
        let (found, whole) = (self.from, matches!(before, Before::All(_)));
        let (Before::All(expected) | Before::Compacted(expected)) = before;
        if found < expected || whole && found > expected {
            return Err(Broken::Gap { found, expected });
        }
        if whole && (tally.puts, tally.checksum) != (self.puts, self.checksum) {
            return Err(Broken::Torn {
                found: tally.puts,
                expected: self.puts,
            });
        }
        Ok(())
    }
}

/// A put's key in the changelog.
pub fn key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut of_table = Vec::with_capacity(1 + key.len());
    of_table.push(table as u8);
    of_table.extend_from_slice(key);
    of_table
}

/// Reads a put of the changelog.
///
/// # Errors
/// A key that is none.
pub fn put(key: &[u8], value: Option<&[u8]>) -> Result<Put, Broken> {
    let (table, key) = key.split_first().ok_or(Broken::Put)?;
    let table = *Table::ALL.get(usize::from(*table)).ok_or(Broken::Put)?;
    match key {
        [] => Err(Broken::Put),
        key => Ok((table, key.into(), value.map(Bytes::from))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Raw<'a> = (&'a [u8], Option<&'a [u8]>);

    fn tally(puts: &[Raw<'_>]) -> Tally {
        let mut tally = Tally::default();
        puts.iter().for_each(|(key, value)| tally.take(key, *value));
        tally
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_another_version_is_named() {
        let mark = tally(&[(b"k", Some(b"v"))]).mark((3, 12), 7, 900);
        let bytes = mark.encode().unwrap();
        assert_eq!(Mark::decode(&bytes), Ok(mark));
        let version = VERSION + 1;
        let other = Mark { version, ..mark }.encode().unwrap();
        assert_eq!(
            Mark::decode(&other),
            Err(Broken::Version { found: version })
        );
        assert_eq!(Mark::decode(&bytes[..3]), Err(Broken::Undecodable));
        assert_eq!(Mark::decode(&[]), Err(Broken::Undecodable));
    }

    #[test]
    fn a_gap_a_repetition_and_another_place_break_the_chain() {
        let tally = tally(&[(b"k", None)]);
        let mark = tally.mark((3, 12), 7, 9);
        let judge = |before, place| mark.follows(before, place, tally);
        assert_eq!(judge(Before::All(7), (3, 12)), Ok(()));
        for expected in [6, 8] {
            let gap = Broken::Gap { found: 7, expected };
            assert_eq!(judge(Before::All(expected), (3, 12)), Err(gap));
        }
        assert_eq!(judge(Before::Compacted(6), (3, 12)), Ok(()));
        assert!(judge(Before::Compacted(8), (3, 12)).is_err());
        assert!(judge(Before::All(7), (2, 12)).is_err());
        assert!(judge(Before::All(7), (3, 13)).is_err());
    }

    #[test]
    fn a_put_that_is_missing_added_or_another_tears_a_transaction() {
        let whole: [(&[u8], Option<&[u8]>); 3] =
            [(b"ab", Some(b"c")), (b"d", None), (b"e", Some(b""))];
        let mark = tally(&whole).mark((0, 1), 0, 1);
        let judge = |puts: &[_]| mark.follows(Before::All(0), (0, 1), tally(puts));
        assert_eq!(judge(&whole), Ok(()));
        let torn: [&[Raw<'_>]; 5] = [
            &whole[..2],
            &[whole[1], whole[0], whole[2]],
            &[(b"a", Some(b"bc")), whole[1], whole[2]],
            &[whole[0], whole[1], (b"e", None)],
            &[whole[0], whole[1], whole[2], whole[2]],
        ];
        for puts in torn {
            assert!(judge(puts).is_err(), "{puts:?}");
        }
        // What compaction has taken cannot be missed.
        assert_eq!(
            mark.follows(Before::Compacted(0), (0, 1), tally(&[])),
            Ok(())
        );
    }

    #[test]
    fn a_puts_key_tells_its_table() {
        for table in Table::ALL {
            let at = key(table, b"some key");
            assert_ne!(at, KEY);
            let read = put(&at, Some(b"value"));
            assert_eq!(read, Ok((table, b"some key".into(), Some(b"value".into()))));
        }
        for bad in [&b""[..], b"\0", b"\x09k", KEY, ANEW, DOUBT] {
            assert_eq!(put(bad, None), Err(Broken::Put), "{bad:?}");
        }
    }
}
