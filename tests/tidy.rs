//! The house rules that no compiler checks. Each rule is a function from a file
//! to its faults, with a test of its own which proves that it can fail.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::File;

/// What one rule finds wrong in one file, a line each.
type Faults = Vec<String>;

const RULES: [fn(&File) -> Faults; 13] = [
    layers::module_has_a_rank,
    layers::imports_go_downwards,
    layers::ground_truth_is_independent,
    layers::crates_have_one_place,
    sizes::file_is_short,
    sizes::functions_are_short,
    sizes::no_mod_rs,
    words::no_unsafe,
    words::nothing_unfinished,
    words::no_ignored_test,
    words::no_sleep_in_tests,
    words::no_global_state,
    words::no_foreign_paths,
];

#[test]
fn the_tree_is_tidy() {
    let files = source::tree();
    for expected in ["src/lib.rs", "src/main.rs", "tests/tidy.rs", "Makefile"] {
        assert!(
            files.iter().any(|file| file.path == expected),
            "the walk missed {expected}"
        );
    }
    let faults: Faults = files
        .iter()
        .flat_map(|file| RULES.iter().flat_map(move |rule| rule(file)))
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
