//! What is made of other things is in step with them: `make chart` makes it anew.

use crate::tools::{helm_path, python, text, told};
use std::path::PathBuf;

fn in_step(what: &str, program: Option<PathBuf>) {
    let mut chart = python("scripts/chart");
    let output = told(chart.args([what, "--check"]).args(program), "");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "run `make chart`: {said}");
}

#[test]
fn the_readme_tells_the_values() {
    in_step("readme", None);
}

#[test]
fn the_schema_has_the_settings_of_the_program() {
    in_step("config", Some(env!("CARGO_BIN_EXE_quaymeter").into()));
}

#[test]
fn the_examples_are_what_is_rendered() {
    in_step("examples", Some(helm_path()));
}
