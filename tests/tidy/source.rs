//! The tree's files, and Rust code without its comments and literals.

use std::{fs, path::Path};

/// One text file of the tree.
pub struct File {
    /// From the repository's root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// If it is Rust: the text with comments and the contents of literals
    /// blanked out, line for line. Else empty.
    pub code: String,
}

impl File {
    /// A file as if it stood in the tree.
    pub fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") {
            blank(text)
        } else {
            String::new()
        };
        Self {
            path: path.into(),
            text: text.into(),
            code,
        }
    }

    /// Whether it lies in this folder.
    pub fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// One fault of it, at a line counted from 0.
    pub fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    /// A fault for each line of code in which a word of these stands alone.
    pub fn lines_with(&self, words: &[&str], what: &str) -> Vec<String> {
        self.code
            .lines()
            .enumerate()
            .filter_map(|(number, line)| {
                let word = words.iter().find(|word| has_word(line, word))?;
                Some(self.fault(number, &format!("`{word}`: {what}")))
            })
            .collect()
    }
}

/// Whether the word stands in the line with no identifier around it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_identifier) && !line[at + word.len()..].starts_with(is_identifier)
    })
}

/// Whether an identifier may hold it.
pub fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// All text files but what is built, generated or git's own.
pub fn tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, root, &mut files);
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) {
    const SKIPPED: [&str; 5] = [".git", ".venv", "Cargo.lock", "__pycache__", "target"];
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let kind = entry.file_type().expect("a file type");
        let path = entry.path();
        if SKIPPED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, files);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            let relative = path.strip_prefix(root).expect("a path below the root");
            files.push(File::new(&relative.to_string_lossy(), &text));
        }
    }
}

/// Blanks out comments and the contents of literals; keeps every line break.
pub fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_identifier = code.ends_with(is_identifier);
        let length = comment(rest)
            .or_else(|| (!after_identifier).then(|| raw_string(rest)).flatten())
            .or_else(|| string(rest))
            .or_else(|| character(rest));
        let (token, blanked) = match length {
            Some(length) => (&rest[..length], true),
            None => (&rest[..first.len_utf8()], false),
        };
        for c in token.chars() {
            code.push(if blanked && c != '\n' { ' ' } else { c });
        }
        rest = &rest[token.len()..];
    }
    code
}

/// The length of the comment that starts here.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut depth = 0;
    let mut at = 0;
    loop {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if depth > 0 && rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else if depth > 0 {
            at += rest.chars().next()?.len_utf8();
        }
        if depth == 0 {
            return (at > 0).then_some(at);
        }
    }
}

/// The length of the raw string that starts here.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let hashes = text[prefix.len()..]
        .chars()
        .take_while(|&c| c == '#')
        .count();
    let start = prefix.len() + hashes;
    text[start..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = text[start + 1..].find(&end)?;
    Some(start + 1 + length + end.len())
}

/// The length of the string that starts here.
fn string(text: &str) -> Option<usize> {
    closing(text.strip_prefix('"')?, '"').map(|at| at + 1)
}

/// The length of the character that starts here; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let is_literal = inner.starts_with('\\') || inner.chars().nth(1) == Some('\'');
    is_literal
        .then(|| closing(inner, '\''))
        .flatten()
        .map(|at| at + 1)
}

/// The length up to and with the closing quote.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

#[test]
fn comments_and_literals_are_no_code() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"a("b\"c", d)"#, "a(      , d)"),
        (r##"a(r#"b"c"#, d)"##, "a(        , d)"),
        (r"a('\'', 'b', '\\')", "a(    ,    ,     )"),
        ("a<'b>('c')", "a<'b>(   )"),
        ("over\"b\"", "over   "),
    ] {
        assert_eq!(blank(text), code);
    }
}
