//! Other inputs from those that are there.

use crate::mutate::mutated;
use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// The longest that is made.
const BYTES_MAX: usize = 16 << 10;

/// One that was never there, most likely.
pub fn varied(rng: &mut ChaCha8Rng, kept: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let Some(one) = kept.choose(rng) else {
        return mutated(rng, b"");
    };
    let mut input = one.clone();
    if rng.random_ratio(1, 4)
        && let Some(other) = kept.choose(rng)
    {
        input = spliced(rng, &input, other);
    }
    for _ in 0..rng.random_range(0..3) {
        if let Some(word) = words.choose(rng) {
            let at = rng.random_range(0..=input.len());
            let over = rng.random_range(0..=word.len()).min(input.len() - at);
            input.splice(at..at + over, word.bytes());
        }
    }
    input.truncate(BYTES_MAX);
    mutated(rng, &input)
}

/// The beginning of one and the end of another.
fn spliced(rng: &mut ChaCha8Rng, one: &[u8], other: &[u8]) -> Vec<u8> {
    let (to, from) = (
        rng.random_range(0..=one.len()),
        rng.random_range(0..=other.len()),
    );
    [&one[..to], &other[from..]].concat()
}
