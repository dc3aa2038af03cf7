//! A file of who may call, as it was found at one moment: what it holds, and who may read
//! it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Bytes of a file, at most.
const BYTES_MAX: u64 = 8 << 20;

/// What was found.
pub struct Content {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

impl Content {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is larger than any of ours.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > BYTES_MAX {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(Self { bytes, mode }),
        }
    }

    /// What it holds, as text.
    ///
    /// # Errors
    /// It is none; not told by what it holds.
    pub fn text(&self) -> io::Result<&str> {
        let text = std::str::from_utf8(&self.bytes);
        text.map_err(|_| io::ErrorKind::InvalidData.into())
    }
}
