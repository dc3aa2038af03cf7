//! Buckets of durations: 8 per doubling, the schema of Prometheus native
//! histograms. Counts are integers, so a histogram can be merged and subtracted
//! exactly.

/// The bucket that holds exactly zero.
pub const ZERO: i32 = i32::MIN;

/// The lowest bucket of a duration of at least 1 ms: 8·log2(0.001) = −79.7.
pub const LOWEST: i32 = -79;

/// 2^(k/8) in 1/2^62, rounded down, for k = 0 … 7. Checked in a test by
/// squaring.
const EIGHTHS: [u64; 8] = [
    4_611_686_018_427_387_904,
    5_029_079_263_719_320_435,
    5_484_249_825_272_419_511,
    5_980_616_842_327_661_685,
    6_521_908_912_666_391_106,
    7_112_192_101_001_162_094,
    7_755_900_482_342_532_474,
    8_457_869_449_776_733_335,
];

/// The largest whole number of milliseconds in bucket `index`: ⌊1000·2^(index/8)⌋.
pub fn upper_ms(index: i32) -> u128 {
    let scaled = 1000 * u128::from(EIGHTHS[index.rem_euclid(8) as usize]);
    let shift = 62 - index.div_euclid(8);
    if shift >= 128 {
        0
    } else {
        scaled >> shift.max(0) << (-shift).max(0)
    }
}

/// The bucket of a duration: the least i with duration ≤ 2^(i/8) seconds, or
/// [`ZERO`]. Durations are not negative.
pub fn bucket(duration_ms: i64) -> i32 {
    if duration_ms <= 0 {
        return ZERO;
    }
    let mut index = (8.0 * (duration_ms as f64 / 1000.0).log2()).ceil() as i32;
    while u128::from(duration_ms.unsigned_abs()) > upper_ms(index) {
        index += 1;
    }
    while u128::from(duration_ms.unsigned_abs()) <= upper_ms(index - 1) {
        index -= 1;
    }
    index
}

/// The geometric midpoint of a bucket in seconds.
pub fn midpoint_s(index: i32) -> f64 {
    if index == ZERO {
        0.0
    } else {
        ((f64::from(index) - 0.5) / 8.0).exp2()
    }
}

/// The percentile `p` (0 < p ≤ 1) of buckets in ascending order: the midpoint
/// of the bucket of rank ⌈p·n⌉, in seconds. None without a count.
pub fn percentile_s(buckets: &[(i32, i64)], p: f64) -> Option<f64> {
    let n: i64 = buckets.iter().map(|&(_, count)| count).sum();
    let rank = ((p * n as f64).ceil() as i64).max(1);
    let mut seen = 0;
    for &(index, count) in buckets {
        seen += count;
        if seen >= rank {
            return Some(midpoint_s(index));
        }
    }
    None
}
