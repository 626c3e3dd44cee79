//! Rate and time left of a backfill. A number is shown only when it means something.

use std::time::Duration;

use serde::Serialize;

/// Half-life of the moving averages, in seconds of work.
const HALF_LIFE: f64 = 15.0;
/// Work that must have been seen before a number is shown.
const MIN_SAMPLES: u32 = 3;
const MIN_SECONDS: f64 = 1.0;
/// Standard deviations between the median and the 90th percentile of a normal distribution.
const P90: f64 = 1.2816;

/// Time left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Eta {
    /// Not known yet.
    Measuring,
    /// A median and a pessimistic figure.
    Left {
        /// Median, in seconds.
        p50_seconds: f64,
        /// 90th percentile, in seconds.
        p90_seconds: f64,
    },
    /// Any moment.
    Due,
    /// None is to be told: the run ended in the middle.
    Ended,
}

/// Exponentially weighted rate of work, by time worked; pauses don't count.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    last_at: Duration,
    last_done: u64,
    /// Keys, those of long ago counting less.
    weight: f64,
    /// Seconds per key and its square, each key counting alike: a stall of a small batch would else
    /// pass for the price of all.
    mean: f64,
    square: f64,
    samples: u32,
    seconds: f64,
}

impl Rate {
    /// No work seen yet; `done` keys were passed before.
    pub fn starting(at: Duration, done: u64) -> Self {
        Rate {
            last_at: at,
            last_done: done,
            weight: 0.0,
            mean: 0.0,
            square: 0.0,
            samples: 0,
            seconds: 0.0,
        }
    }

    /// A batch of `keys` keys that took `took`.
    pub fn worked(&mut self, at: Duration, keys: u64, took: Duration) {
        self.last_at = at;
        self.last_done += keys;
        self.sample(keys, took.as_secs_f64());
    }

    /// Another run's count, seen from outside: pauses can't be told from work there.
    /// Returns how many keys are new, and since when.
    pub fn observed(&mut self, at: Duration, done: u64) -> (Duration, u64) {
        let keys = done.saturating_sub(self.last_done);
        let since = self.last_at;
        if keys > 0 {
            self.sample(keys, (at.saturating_sub(since)).as_secs_f64());
            self.last_at = at;
            self.last_done = done;
        }
        (since, keys)
    }

    fn sample(&mut self, keys: u64, seconds: f64) {
        if keys == 0 || seconds <= 0.0 {
            return;
        }
        let decay = 0.5_f64.powf(seconds / HALF_LIFE);
        let keys = keys as f64;
        let per_key = seconds / keys;
        self.weight = self.weight * decay + keys;
        let share = keys / self.weight;
        self.mean += (per_key - self.mean) * share;
        self.square += (per_key * per_key - self.square) * share;
        self.samples += 1;
        self.seconds += seconds;
    }

    fn known(&self) -> bool {
        self.samples >= MIN_SAMPLES && self.seconds >= MIN_SECONDS && self.mean > 0.0
    }

    /// Keys per second, once known.
    pub fn per_second(&self) -> Option<f64> {
        self.known().then(|| 1.0 / self.mean)
    }

    /// Time for `keys` more keys.
    pub fn eta(&self, keys: u64) -> Eta {
        if keys == 0 {
            return Eta::Due;
        }
        if !self.known() {
            return Eta::Measuring;
        }
        let p50 = keys as f64 * self.mean;
        let deviation = (self.square - self.mean * self.mean).max(0.0).sqrt() / self.mean;
        // The spread of single batches bounds that of the whole from above as long as the
        // conditions stay; a tenth on top is the least one should allow for.
        let p90 = p50 * (1.0 + (P90 * deviation).max(0.1));
        Eta::Left { p50_seconds: p50, p90_seconds: p90 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_of_a_small_batch_is_not_the_price_of_all() {
        let mut rate = Rate::starting(Duration::ZERO, 0);
        let mut at = Duration::ZERO;
        for round in 0..300 {
            let (keys, millis) = if round % 30 == 7 { (10, 40) } else { (1_000, 10) };
            let took = Duration::from_millis(millis);
            at += took;
            rate.worked(at, keys, took);
        }
        // 290,100 keys in 3.3 s.
        let rate = rate.per_second().unwrap();
        assert!((85_000.0..91_000.0).contains(&rate), "{rate}");
    }
}
