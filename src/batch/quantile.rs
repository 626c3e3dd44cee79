//! Key quantiles: keys of a table with about equally many others between each two, by which it is
//! known how much lies behind a key.

use std::cmp::Ordering;

/// So many steps make a table.
const STEPS: u64 = 200;
/// A step's number of keys as it was guessed counts as much as so many steps that were counted.
const GUESS: f64 = 8.0;

/// Bounds that cut a table's keys into steps of about equal size.
#[derive(Debug, Clone)]
pub struct Quantiles {
    /// In the order of the keys.
    bounds: Vec<Vec<String>>,
    /// Where the table ends, in steps: behind the last bound, the rest of a step may follow.
    end: f64,
    /// Keys of a step, before any were counted.
    guess: f64,
    /// As how many steps the guess counts.
    weight: f64,
    /// Steps that were passed, and keys that were counted there.
    passed: (f64, f64),
}

impl Quantiles {
    /// From a sample of `of` keys of about `total`: every so many of them is a bound.
    pub fn sampled(bounds: Vec<Vec<String>>, every: u64, of: u64, total: u64) -> Option<Self> {
        let end = of as f64 / every.max(1) as f64;
        let guess = total as f64 / end;
        // What was read just now from all over the table counts as much as what is passed.
        (!bounds.is_empty() && guess > 0.0).then_some(Quantiles {
            bounds,
            end,
            guess,
            weight: end,
            passed: (0.0, 0.0),
        })
    }

    /// As if integers lay evenly between the lowest and the highest key. How many there are is often
    /// guessed by the database, and soon known better by those that were passed.
    pub fn even(low: i64, high: i64, total: u64) -> Option<Self> {
        let (span, steps) = (i128::from(high) - i128::from(low), i128::from(STEPS));
        let at = |step: i128| vec![(i128::from(low) + span * step / steps).to_string()];
        let guess = total as f64 / STEPS as f64;
        (span >= steps && total > 0).then(|| Quantiles {
            bounds: (1..=steps).map(at).collect(),
            end: STEPS as f64,
            guess,
            weight: GUESS,
            passed: (0.0, 0.0),
        })
    }

    /// The bound behind so many others.
    pub fn bound(&self, at: usize) -> Option<&[String]> {
        self.bounds.get(at).map(Vec::as_slice)
    }

    /// How many bounds there are.
    pub fn bounds(&self) -> usize {
        self.bounds.len()
    }

    /// Where the table ends.
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Where an integer is, between two bounds as if all between them lay evenly.
    pub fn at_integer(&self, key: i64) -> Option<f64> {
        let integer = |at: usize| self.bounds.get(at)?.first()?.parse::<i64>().ok();
        let order = |bound: &Vec<String>| {
            let bound = bound.first().and_then(|bound| bound.parse::<i64>().ok());
            bound.map_or(Ordering::Greater, |bound| bound.cmp(&key))
        };
        let passed = self.bounds.partition_point(|bound| order(bound) != Ordering::Greater);
        let Some(next) = self.bounds.get(passed) else { return Some(self.behind(passed)) };
        let next = next.first()?.parse::<i64>().ok()?;
        // The first step begins nobody knows where; it is about as long as the second.
        let (low, high) = match passed.checked_sub(1) {
            Some(before) => (i128::from(integer(before)?), i128::from(next)),
            None => {
                let second = i128::from(integer(1)?);
                (2 * i128::from(next) - second, i128::from(next))
            }
        };
        let within = (i128::from(key) - low) as f64 / (high - low).max(1) as f64;
        Some(passed as f64 + within.clamp(0.0, 1.0))
    }

    /// Where a key is of which it is only known that it is behind so many bounds.
    pub fn behind(&self, bounds: usize) -> f64 {
        (bounds as f64 + 0.5).min(self.end)
    }

    /// So many keys were counted in so many steps.
    pub fn learn(&mut self, steps: f64, keys: u64) {
        if steps > 0.0 {
            self.passed.0 += steps;
            self.passed.1 += keys as f64;
        }
    }

    /// About how many keys a step has.
    pub fn step(&self) -> f64 {
        let (steps, keys) = self.passed;
        (self.weight * self.guess + keys) / (self.weight + steps)
    }

    /// About how many keys there are from one place to another, so many of which are passed: `seen` of
    /// them are known to be in the step of `from`, however many that are, and `unseen` are behind those.
    pub fn left(&self, from: f64, through: f64, seen: u64, unseen: u64) -> u64 {
        let (all, behind) = (through - from, through - from.floor() - 1.0);
        let left = (all * self.step() - seen as f64).max(behind * self.step());
        (left - unseen as f64).max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(keys: impl Iterator<Item = i64>, every: usize, total: u64) -> Quantiles {
        let keys: Vec<_> = keys.collect();
        let bounds = keys.chunks_exact(every).map(|chunk| vec![chunk[every - 1].to_string()]);
        Quantiles::sampled(bounds.collect(), every as u64, keys.len() as u64, total).unwrap()
    }

    /// Goes along the keys, and returns the largest error of what is left, as a share of all.
    fn worst(quantiles: &mut Quantiles, keys: &[i64], from: f64) -> f64 {
        let (through, mut at, mut worst) = (quantiles.end(), 0.0, 0.0_f64);
        for (batch, done) in keys.chunks(500).zip((500..).step_by(500)) {
            let now = quantiles.at_integer(*batch.last().unwrap()).unwrap();
            quantiles.learn(now - at, batch.len() as u64);
            at = now;
            let left = keys.len().saturating_sub(done) as f64;
            let error = (quantiles.left(at, through, 0, 0) as f64 - left).abs() / keys.len() as f64;
            if done as f64 >= from * keys.len() as f64 {
                worst = worst.max(error);
            }
        }
        worst
    }

    #[test]
    fn gaps_and_skew_are_seen_in_a_sample() {
        // Of the first half, a tenth is left; the second has gaps that grow.
        let keys: Vec<i64> =
            (0..100_000).step_by(10).chain((0..100_000).map(|n| 100_000 + n * n / 500)).collect();
        let mut quantiles = sample(keys.iter().copied().step_by(37), 14, keys.len() as u64);
        assert!(worst(&mut quantiles, &keys, 0.0) < 0.01);
    }

    #[test]
    fn a_wrong_guess_is_soon_mended_where_keys_lie_evenly() {
        let keys: Vec<i64> = (1..=200_000).map(|n| 3 * n).collect();
        for guessed in [100_000, 400_000] {
            let mut quantiles = Quantiles::even(3, 600_000, guessed).unwrap();
            assert!(worst(&mut quantiles, &keys, 0.25) < 0.13, "{guessed}");
            assert!(worst(&mut quantiles, &keys, 0.75) < 0.03, "{guessed}");
        }
    }

    #[test]
    fn nothing_is_left_at_the_end_and_never_less() {
        let quantiles = Quantiles::even(i64::MIN, i64::MAX, 1_000_000).unwrap();
        assert_eq!(quantiles.left(quantiles.end(), quantiles.end(), 0, 0), 0);
        assert_eq!(quantiles.at_integer(i64::MAX), Some(200.0));
        assert!(quantiles.at_integer(i64::MIN).unwrap() < 0.01);
        // More were passed in this step than there should be; what is behind it stays.
        assert_eq!(quantiles.left(3.0, 10.0, 1_000_000, 0), 30_000);
        assert_eq!(quantiles.left(9.5, 10.0, 1_000_000, 0), 0);
        // Since nobody has looked where they are, some may be behind it.
        assert_eq!(quantiles.left(3.0, 10.0, 1_000_000, 8_000), 22_000);
        assert!(Quantiles::even(1, 10, 10).is_none(), "what is so small is counted");
        assert!(Quantiles::sampled(Vec::new(), 1, 0, 10).is_none());
    }
}
