//! Small changes to what is valid.

use rand::{Rng as _, RngCore as _};
use rand_chacha::ChaCha8Rng;

/// The most changes at once.
const CHANGES_MAX: usize = 6;

/// What it becomes by some changes; now and then by none.
pub fn mutated(rng: &mut ChaCha8Rng, valid: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..rng.random_range(0..=CHANGES_MAX) {
        change(rng, &mut bytes);
    }
    bytes
}

fn change(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(rng.random());
        return;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..8) {
        // A flipped bit.
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        // Cut off.
        1 => bytes.truncate(at),
        // Another length or number: a little more or less, or very large.
        2 => {
            let step = rng.random_range(0..5);
            bytes[at] = bytes[at].wrapping_add(step).wrapping_sub(2);
        }
        3 => {
            let large = [0xff; 10];
            let end = bytes.len().min(at + rng.random_range(1..=large.len()));
            bytes[at..end].copy_from_slice(&large[..end - at]);
        }
        // Another field, or another wire type.
        4 => bytes[at] = (rng.random_range(1..20u8) << 3) | rng.random_range(0..6u8),
        // Two parts swapped.
        5 => {
            let by = rng.random_range(0..bytes.len());
            bytes.rotate_left(by);
        }
        // A part again.
        6 => {
            let part = bytes[at..].to_vec();
            bytes.extend_from_slice(&part);
        }
        // Noise.
        _ => {
            let mut noise = [0; 8];
            rng.fill_bytes(&mut noise);
            bytes.splice(at..at, noise);
        }
    }
}
