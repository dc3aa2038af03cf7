//! Words that must not stand in the tree.

use crate::{
    Faults,
    source::{File, is_identifier},
};

/// Who has no other way, and says there why; and how often.
const UNSAFE: [(&str, usize); 2] = [("src/allocator.rs", 2), ("src/log/kafka/oauth/hand.rs", 1)];

/// The lint denies it too, where its table reaches.
pub fn no_unsafe(file: &File) -> Faults {
    let Some((_, known)) = UNSAFE.iter().find(|(path, _)| *path == file.path) else {
        return file.lines_with(&["unsafe"], "we need none");
    };
    // Not by lines: two may stand in one.
    let words = file.code.split(|c| !is_identifier(c));
    let found = words.filter(|word| *word == "unsafe").count();
    if found == *known {
        return Faults::new();
    }
    vec![format!(
        "{}: `unsafe` {found} times, where {known} are known",
        file.path
    )]
}

/// What is begun is finished before it is committed.
pub fn nothing_unfinished(file: &File) -> Faults {
    let mut faults = file.lines_with(&["todo!", "unimplemented!"], "finish it");
    if !is_exempt(file) && !file.is_in("tests/fixtures") {
        faults.extend(lines_containing(file, &["FIXME", "XXX"], "finish it"));
    }
    faults
}

/// A test runs or is deleted.
pub fn no_ignored_test(file: &File) -> Faults {
    file.lines_with(&["#[ignore", "#![ignore"], "mend the test or delete it")
}

/// A test waits for a condition, under a deadline.
pub fn no_sleep_in_tests(file: &File) -> Faults {
    let what = "wait for a condition under a deadline";
    if file.is_in("tests/python") {
        return lines_containing(file, &["sleep("], what);
    }
    let is_test = file.is_in("tests");
    let first = match file.code.lines().position(|line| line == "#[cfg(test)]") {
        _ if is_test => 0,
        Some(line) => line,
        None => return Vec::new(),
    };
    let blank_head = "\n".repeat(first);
    let tests: Vec<&str> = file.code.lines().skip(first).collect();
    let tests = File {
        path: file.path.clone(),
        text: String::new(),
        code: blank_head + &tests.join("\n"),
    };
    tests.lines_with(&["sleep", "sleep_until", "sleep_ms"], what)
}

/// State has an owner and is handed over. What is computed once from constants
/// (`LazyLock`) is a constant, unless it holds something that changes.
pub fn no_global_state(file: &File) -> Faults {
    const CHANGING: [&str; 6] = [
        "Atomic", "Mutex", "OnceCell", "OnceLock", "RefCell", "RwLock",
    ];
    if !file.is_in("src") {
        return Vec::new();
    }
    let what = "no global state: hand it over";
    let mut faults = file.lines_with(&["static mut", "lazy_static!", "thread_local!"], what);
    for (number, line) in file.code.lines().enumerate() {
        let is_static = line.split_whitespace().any(|word| word == "static");
        if is_static && CHANGING.iter().any(|cell| line.contains(cell)) {
            faults.push(file.fault(number, what));
        }
    }
    faults
}

/// Nothing of the machine or the desk that it was written at.
pub fn no_foreign_paths(file: &File) -> Faults {
    const WORDS: [&str; 9] = [
        "/work/",
        "/tmp/wt",
        "/root/",
        "/home/",
        "../shared",
        "brief.md",
        "issues show",
        "subagent",
        "language model",
    ];
    if is_exempt(file) {
        return Vec::new();
    }
    lines_containing(file, &WORDS, "means nothing to a reader elsewhere")
}

/// This test itself names what it looks for.
fn is_exempt(file: &File) -> bool {
    file.is_in("tests/tidy")
}

fn lines_containing(file: &File, words: &[&str], what: &str) -> Faults {
    file.text
        .lines()
        .enumerate()
        .filter_map(|(number, line)| {
            let word = words.iter().find(|word| line.contains(**word))?;
            Some(file.fault(number, &format!("`{word}`: {what}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&File) -> Faults;

    fn sees(rule: Rule, path: &str, bad: &str) {
        let faults = rule(&File::new(path, &format!("fn a() {{}}\n{bad}\n")));
        assert_eq!(faults.len(), 1, "{path}: {bad}: {faults:?}");
        assert!(faults[0].starts_with(&format!("{path}:2: ")), "{faults:?}");
    }

    fn passes(rule: Rule, path: &str, good: &str) {
        assert_eq!(rule(&File::new(path, good)), Faults::new());
    }

    #[test]
    fn unsafe_is_seen_in_code_only() {
        sees(no_unsafe, "src/a.rs", "unsafe { b() }");
        passes(no_unsafe, "src/a.rs", "// unsafe\nlet a = \"unsafe\";");
        passes(no_unsafe, "src/a.rs", "#![forbid(unsafe_code)]");
    }

    #[test]
    fn who_may_be_unsafe_is_so_as_often_as_is_known() {
        for (path, known) in UNSAFE {
            let faults = |uses: usize| {
                let uses = "unsafe { b() }; ".repeat(uses);
                let text = format!("#![expect(unsafe_code)]\n// unsafe\n{uses}\n");
                no_unsafe(&File::new(path, &text))
            };
            assert_eq!(faults(known), Faults::new());
            for other in [known - 1, known + 1] {
                let told = format!("{path}: `unsafe` {other} times, where {known} are known");
                assert_eq!(faults(other), [told]);
            }
        }
    }

    #[test]
    fn unfinished_work_is_seen() {
        sees(nothing_unfinished, "src/a.rs", "    todo!()");
        sees(
            nothing_unfinished,
            "src/a.rs",
            "    unimplemented!(\"later\")",
        );
        sees(nothing_unfinished, "src/a.rs", "// FIXME: later");
        sees(nothing_unfinished, "Makefile", "# XXX");
        passes(
            nothing_unfinished,
            "tests/fixtures/a.json",
            "\"XXXU1234567\"",
        );
    }

    #[test]
    fn an_ignored_test_is_seen() {
        sees(no_ignored_test, "src/a.rs", "    #[ignore]");
        sees(no_ignored_test, "tests/a.rs", "#[ignore = \"slow\"]");
    }

    #[test]
    fn a_sleep_is_seen_in_tests_only() {
        sees(no_sleep_in_tests, "tests/a.rs", "thread::sleep(d);");
        sees(no_sleep_in_tests, "tests/python/a.py", "time.sleep(1)");
        let inner = "fn a() {}\nsleep(d);\n#[cfg(test)]\nmod tests {\n    sleep(d)\n}";
        let faults = no_sleep_in_tests(&File::new("src/a.rs", inner));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("src/a.rs:5: "), "{faults:?}");
        passes(
            no_sleep_in_tests,
            "src/a.rs",
            "tokio::time::sleep(d).await;",
        );
    }

    #[test]
    fn global_state_is_seen() {
        sees(no_global_state, "src/a.rs", "static mut A: u8 = 0;");
        sees(no_global_state, "src/a.rs", "lazy_static! { }");
        sees(no_global_state, "src/a.rs", "thread_local! { }");
        sees(
            no_global_state,
            "src/a.rs",
            "pub static A: OnceLock<u8> = OnceLock::new();",
        );
        sees(
            no_global_state,
            "src/a.rs",
            "static A: AtomicU64 = AtomicU64::new(0);",
        );
        sees(
            no_global_state,
            "src/a.rs",
            "static A: LazyLock<Mutex<u8>> = b();",
        );
        passes(no_global_state, "src/a.rs", "static A: LazyLock<u8> = b();");
        passes(no_global_state, "src/a.rs", "static A: [u8; 2] = [1, 2];");
        passes(
            no_global_state,
            "src/a.rs",
            "fn a(b: &'static Mutex<u8>) {}",
        );
    }

    #[test]
    fn a_path_of_another_machine_is_seen() {
        sees(no_foreign_paths, "README.md", "see /work/notes");
        sees(no_foreign_paths, "scripts/a", "cd /root/a");
        passes(no_foreign_paths, "README.md", "the network/worker folder");
    }
}
