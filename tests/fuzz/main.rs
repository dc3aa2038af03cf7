//! Hostile input to whatever reads bytes: each target judges any bytes, by rules that
//! hold for all of them. Here they are run for seconds, from what is kept in `corpus`
//! and changed at random; `make fuzz` runs them for as long as one likes, guided by
//! what code they reach. See CONTRIBUTING.md.
#![cfg_attr(libfuzzer, no_main)]

mod bounded;
#[cfg(libfuzzer)]
mod guided;
mod memory;
#[path = "../bounded/fuzz/mutate.rs"]
mod mutate;
mod vary;

#[expect(dead_code, reason = "shared with the log's tests")]
#[path = "../log/disk.rs"]
mod disk;
#[expect(dead_code, reason = "shared with the tests of questions")]
#[path = "../query/fixture.rs"]
mod fixture;

mod event;
mod log;

/// What reads bytes, and how it is judged.
pub struct Target {
    /// As its folder in the corpus is called.
    pub name: &'static str,
    /// Panics if the bytes break a rule.
    pub judge: fn(&[u8]),
    /// What is valid, as the code of today has it.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What means something in its language.
    pub words: &'static [&'static str],
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(mod $name;)*

        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            judge: $name::judge,
            seeds: $name::seeds,
            words: $name::WORDS,
        }),*];

        $(#[test]
        fn $name() {
            bounded::run(stringify!($name));
        })*
    };
}

targets! {
    callers, config, damaged_log, dcsa, jwt, kept_files, log_files, ndjson, requests, tokens
}

#[cfg(libfuzzer)]
libfuzzer_sys::fuzz_target!(init: guided::prepare(), |input: &[u8]| -> () {
    guided::judge(input);
});
