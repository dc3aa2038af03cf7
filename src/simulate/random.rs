//! Chance, from a seed: the same seed and stream give the same throws.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Milliseconds in a minute.
pub(super) const MINUTE: i64 = 60_000;

/// Milliseconds in an hour.
pub(super) const HOUR: i64 = 60 * MINUTE;

/// A stream of throws.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The throws of one part of the simulation: parts don't disturb each
    /// other, so another rate of duplicates leaves the day as it was.
    pub fn new(seed: u64, part: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(part);
        Self(rng)
    }

    /// From 0, below 1.
    pub fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// From `low`, below `high`; `low` if there is nothing between.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        if low < high {
            self.0.random_range(low..high)
        } else {
            low
        }
    }

    /// Milliseconds of between `low` and `high` minutes.
    pub fn minutes(&mut self, low: i64, high: i64) -> i64 {
        self.between(low * MINUTE, high * MINUTE)
    }

    /// Below `count`; 0 for an empty range.
    pub fn index(&mut self, count: usize) -> usize {
        if count > 1 {
            self.0.random_range(0..count)
        } else {
            0
        }
    }

    /// One of these, which are some.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// A log-normal duration around a median in minutes, in milliseconds.
    pub fn lognormal(&mut self, median_min: f64, sigma: f64) -> i64 {
        // Box and Muller; 1 − unit is never 0.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        (median_min * MINUTE as f64 * (sigma * normal).exp()) as i64
    }
}

/// A choice by weight.
pub(super) struct Weighted(Vec<f64>);

impl Weighted {
    /// By these weights, some of which are above zero.
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let sums = weights.into_iter().scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self(sums.collect())
    }

    /// By rank: the n-th gets 1/n^exponent.
    pub fn zipf(count: usize, exponent: f64) -> Self {
        Self::new((1..=count).map(|rank| (rank as f64).powf(-exponent)))
    }

    /// An index.
    pub fn throw(&self, dice: &mut Dice) -> usize {
        let at = dice.unit() * self.0.last().copied().unwrap_or_default();
        self.0
            .partition_point(|&sum| sum <= at)
            .min(self.0.len().saturating_sub(1))
    }
}

/// How busy the roads are in each hour of Shanghai's day.
const RHYTHM: [f64; 24] = [
    0.45, 0.35, 0.30, 0.25, 0.25, 0.35, 0.60, 0.90, 1.30, 1.60, 1.65, 1.40, 1.00, 1.10, 1.45, 1.60,
    1.60, 1.40, 1.10, 1.00, 0.95, 0.85, 0.70, 0.55,
];

/// Instants between two, by the port's rhythm.
pub(super) struct Rhythm {
    from: i64,
    to: i64,
    first_hour: i64,
    hours: Weighted,
}

impl Rhythm {
    /// Between these.
    pub fn new(from: i64, to: i64) -> Self {
        let (first_hour, last_hour) = (from.div_euclid(HOUR), to.div_euclid(HOUR));
        // Shanghai has had no summer time since 1991: always 8 hours ahead.
        let weight = |hour: i64| RHYTHM[(hour + 8).rem_euclid(24) as usize];
        Self {
            from,
            to,
            first_hour,
            hours: Weighted::new((first_hour..=last_hour).map(weight)),
        }
    }

    /// One instant.
    pub fn throw(&self, dice: &mut Dice) -> i64 {
        let hour = self.first_hour + self.hours.throw(dice) as i64;
        let at = hour * HOUR + dice.between(0, HOUR);
        at.clamp(self.from, self.to)
    }
}

/// Stirs a number's bits, one to one (SplitMix64's last step).
pub(super) fn stir(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
