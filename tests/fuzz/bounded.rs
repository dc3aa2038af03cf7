//! A run that ends: all that is kept, then changes of it until the time is up.
//!
//! - `QUAYMETER_TEST_FUZZ_SEED` repeats a run as far as it comes in its time;
//! - `QUAYMETER_TEST_FUZZ_MS` makes it longer or shorter, for each target;
//! - `QUAYMETER_TEST_FUZZ_FILE` judges that file and nothing else.

use crate::{TARGETS, Target, vary};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For each target.
const BUDGET_MS: u64 = 1_500;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap())
}

/// Runs a target.
pub fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    if let Some(path) = std::env::var_os("QUAYMETER_TEST_FUZZ_FILE") {
        return (target.judge)(&fs::read(path).unwrap());
    }
    let kept = kept(target);
    for input in &kept {
        attempt(target, input);
    }
    let seed = variable("QUAYMETER_TEST_FUZZ_SEED").unwrap_or_else(rand::random);
    println!("QUAYMETER_TEST_FUZZ_SEED={seed}");
    let budget = variable("QUAYMETER_TEST_FUZZ_MS").unwrap_or(BUDGET_MS);
    let until = Instant::now() + Duration::from_millis(budget);
    let mut cases = 0;
    while Instant::now() < until {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(cases));
        attempt(target, &vary::varied(&mut rng, &kept, target.words));
        cases += 1;
    }
    println!("{name}: {} kept inputs, {cases} changed ones", kept.len());
    assert!(cases > 0, "no time for a single one");
}

/// The valid ones, and those in the corpus: in the same order everywhere, because a
/// seed means nothing else.
pub fn kept(target: &Target) -> Vec<Vec<u8>> {
    let mut kept = (target.seeds)();
    let mut files: Vec<PathBuf> = match fs::read_dir(folder(target.name)) {
        Ok(files) => files.map(|file| file.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    kept.extend(files.iter().map(|file| fs::read(file).unwrap()));
    kept
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name)
}

/// Judges one; what breaks a rule is written down, to be kept once it is mended.
fn attempt(target: &Target, input: &[u8]) {
    let judged = catch_unwind(AssertUnwindSafe(|| (target.judge)(input)));
    let Err(panic) = judged else { return };
    let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let digest = hex::encode(&Sha256::digest(input)[..6]);
    let path = found.join(format!("{}-{digest}", target.name));
    fs::create_dir_all(&found).unwrap();
    fs::write(&path, input).unwrap();
    eprintln!("QUAYMETER_TEST_FUZZ_FILE={}", path.display());
    resume_unwind(panic);
}
