//! A search for a text in every form in which it could have been written down.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::path::{Path, PathBuf};

/// All files below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    };
    entries.flat_map(below).collect()
}

/// The ways in which a text is written: as it is, in the other case, spaced, in UTF-16,
/// hex, base64, percent and JSON escapes.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    let spaced: String = text.chars().flat_map(|c| [c, ' ']).collect();
    let dotted = {
        let mut chars = text.chars();
        let head: String = chars.by_ref().take(2).collect();
        format!("{head}·{}", chars.as_str())
    };
    let words = [
        text.to_owned(),
        text.to_ascii_lowercase(),
        text.to_ascii_uppercase(),
        spaced.trim_end().to_owned(),
        dotted,
    ];
    for word in words {
        let bytes = word.as_bytes();
        let hex = |upper: bool| -> String {
            let digits = |byte: &u8| match upper {
                true => format!("{byte:02X}"),
                false => format!("{byte:02x}"),
            };
            bytes.iter().map(digits).collect()
        };
        let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        let json: String = word
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        forms.extend([hex(false), hex(true), percent, json].map(String::into_bytes));
        let wide = |of: fn(u16) -> [u8; 2]| word.encode_utf16().flat_map(of).collect();
        forms.extend([wide(u16::to_le_bytes), wide(u16::to_be_bytes)]);
        forms.push(bytes.iter().rev().copied().collect());
        forms.extend(based(bytes));
        forms.push(word.into_bytes());
    }
    forms
}

/// In base64 at each of three offsets, without the characters that depend on the
/// neighbours.
fn based(bytes: &[u8]) -> Vec<Vec<u8>> {
    let at = |skipped: usize| {
        let padded = [&vec![0; skipped], bytes].concat();
        let first = (skipped * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD]
            .map(|engine| engine.encode(&padded).as_bytes()[first..last].to_vec())
    };
    (0..3).flat_map(at).collect()
}

/// What a search looks through.
pub struct Pile(Vec<(String, Vec<u8>)>);

impl Pile {
    /// All files of some directories, and texts by their names.
    pub fn of(dirs: &[&Path], texts: Vec<(&str, String)>) -> Self {
        let files = dirs.iter().flat_map(|dir| files(dir));
        let files = files.map(|file| (file.display().to_string(), std::fs::read(&file).unwrap()));
        let texts = texts.into_iter();
        let texts = texts.map(|(name, text)| (name.to_owned(), text.into_bytes()));
        Self(files.chain(texts).collect())
    }

    /// And what has no text.
    #[allow(dead_code, reason = "other tests have nothing of that")]
    pub fn and(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.0.push((name.to_owned(), bytes));
        self
    }

    /// Where a text is, in whatever form.
    pub fn places_of(&self, text: &str) -> Vec<&str> {
        let forms = aho_corasick::AhoCorasick::new(forms(text)).unwrap();
        let found = self.0.iter().filter(|(_, bytes)| forms.is_match(bytes));
        found.map(|(name, _)| &**name).collect()
    }
}

#[test]
fn a_text_is_found_in_every_form() {
    let of = |text: &str| Pile::of(&[], vec![("it", text.to_owned())]);
    let secret = "浙B8QX71";
    for hidden in [
        "a浙B8QX71b".to_owned(),
        "浙b8qx71".to_owned(),
        "浙B·8QX71".to_owned(),
        "浙 B 8 Q X 7 1".to_owned(),
        "e6b59942385158373 1".replace(' ', ""),
        "%E6%B5%99%42%38%51%58%37%31".to_owned(),
        "\\u6d59\\u0042\\u0038\\u0051\\u0058\\u0037\\u0031".to_owned(),
        STANDARD_NO_PAD.encode("浙B8QX71"),
        STANDARD_NO_PAD.encode("x浙B8QX71, or"),
        URL_SAFE_NO_PAD.encode("xy浙B8QX71, or"),
    ] {
        assert_eq!(of(&hidden).places_of(secret), ["it"], "{hidden}");
    }
    assert!(of("p1:wVrRoQL0-2Z34ICKOwnq").places_of(secret).is_empty());
}
