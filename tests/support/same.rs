//! Whether what was answered is what was meant.

use quaymeter::truth::{Grain, Truth, diff};

#[track_caller]
pub fn assert_same(truth: &Truth, answered: &Truth) {
    let differences = diff(truth, answered);
    let told: Vec<String> = differences
        .iter()
        .take(10)
        .map(ToString::to_string)
        .collect();
    assert!(
        differences.is_empty(),
        "{} differences: {told:#?}",
        differences.len()
    );
    assert!(
        answered.count(Grain::Quarter) > 1_000,
        "hardly anything was compared"
    );
}
