//! The completion scripts: the shell reads them and completes by them.

use crate::place::text;
use crate::service::quaymeter;
use std::path::{Path, PathBuf};
use std::process::Command;

fn script(shell: &str) -> String {
    let output = quaymeter().args(["completions", shell]).output().unwrap();
    let (script, told) = text(&output);
    assert!(
        output.status.success() && told.is_empty(),
        "{shell}: {told}"
    );
    script
}

fn bash_file(dir: &Path) -> PathBuf {
    let file = dir.join("quaymeter.bash");
    std::fs::write(&file, script("bash")).unwrap();
    file
}

/// What bash offers for the last of these words.
fn offered(file: &Path, words: &str) -> Vec<String> {
    let program = r#"
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _quaymeter quaymeter "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", program, "bash"]).arg(file);
    let output = bash.args(words.split(' ')).output().unwrap();
    let (offered, told) = text(&output);
    assert!(output.status.success(), "{told}");
    offered.lines().map(String::from).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let dir = tempfile::tempdir().unwrap();
    let file = bash_file(dir.path());
    let checked = Command::new("bash").arg("-n").arg(&file).status();
    assert!(checked.unwrap().success());
    assert_eq!(offered(&file, "quaymeter que"), ["query"]);
    assert_eq!(offered(&file, "quaymeter publish --rej"), ["--rejects"]);
    assert_eq!(
        offered(&file, "quaymeter serve --limits-batch"),
        ["--limits-batch-events"]
    );
    assert_eq!(offered(&file, "quaymeter query --format j"), ["json"]);
    assert_eq!(offered(&file, "quaymeter query --role car"), ["carrier"]);
    let commands = offered(&file, "quaymeter ");
    for command in [
        "serve",
        "query",
        "simulate",
        "publish",
        "audit",
        "completions",
    ] {
        assert!(
            commands.iter().any(|one| one == command),
            "{command}: {commands:?}"
        );
    }
}

#[test]
fn other_shells_have_their_scripts_too() {
    for (shell, begins) in [
        ("zsh", "#compdef quaymeter"),
        ("fish", "# Print an optspec"),
        ("elvish", "\nuse builtin"),
        ("powershell", "\nusing namespace"),
    ] {
        let script = script(shell);
        assert!(script.starts_with(begins), "{shell}: {script:.60}");
        assert!(script.contains("publish"), "{shell}");
    }
    let unknown = quaymeter().args(["completions", "csh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
}
