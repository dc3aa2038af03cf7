//! The side of libFuzzer: one target, which the environment names.

use crate::{TARGETS, Target, bounded};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

fn target() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={name:?} is no target"))
}

/// Puts the words and what is kept where the fuzzer reads them: `FUZZ_FOLDER`.
pub fn prepare() {
    let folder = PathBuf::from(std::env::var_os("FUZZ_FOLDER").unwrap());
    let target = target();
    let seeds = folder.join("seeds");
    fs::create_dir_all(&seeds).unwrap();
    fs::write(folder.join("words"), dictionary(target.words)).unwrap();
    for (number, input) in bounded::kept(target).iter().enumerate() {
        fs::write(seeds.join(number.to_string()), input).unwrap();
    }
}

/// Judges an input.
pub fn judge(input: &[u8]) {
    (target().judge)(input);
}

/// The words as libFuzzer reads them.
fn dictionary(words: &[&str]) -> Vec<u8> {
    // One that is empty is refused.
    let mut lines = b"# words\n".to_vec();
    for word in words {
        let bytes: String = word.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        writeln!(lines, "\"{bytes}\"").unwrap();
    }
    lines
}
