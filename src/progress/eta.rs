//! Rate and time left of a backfill. A number is shown only when it means something.

use std::time::Duration;

use serde::Serialize;

/// What was seen so long ago counts half: in seconds of work, and as a share of all work that was
/// seen. So the begin is soon forgotten, and a change of the pace is seen within two minutes.
const HALF_LIFE: f64 = 30.0;
const SHARE: f64 = 0.5;
/// Batches are looked at together for as long as this: single ones alternate between halves of a
/// block, and say little of how much the pace changes.
const WINDOW: f64 = 1.0;
/// Work that must have been seen before a number is shown.
const MIN_SAMPLES: u32 = 3;
const MIN_SECONDS: f64 = 1.0;
/// Standard deviations between the median and the 90th percentile of a normal distribution.
const P90: f64 = 1.2816;
/// The least that the 90th percentile allows for, as a share of the median.
const RESERVE: f64 = 0.1;

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
    /// Not measured: what an estimate leaves of it.
    Estimated {
        /// Median, in seconds.
        p50_seconds: f64,
        /// 90th percentile, in seconds.
        p90_seconds: f64,
    },
    /// Not measured, and it takes longer than was estimated.
    Overdue,
    /// Any moment.
    Due,
    /// None is to be told: the run ended in the middle.
    Ended,
}

/// Keys and the time that they took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Work {
    keys: f64,
    seconds: f64,
}

/// Exponentially weighted rate, by the time that is counted: where pauses aren't, the rate of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    last_at: Duration,
    last_done: u64,
    /// Of all windows but the open one, those of long ago counting less.
    past: Work,
    /// The square of the seconds per key there, each key counting alike: a stall in a moment of few
    /// keys would else pass for the price of all.
    square: f64,
    /// The open window.
    open: Work,
    /// How many were closed.
    windows: u32,
    samples: u32,
    seconds: f64,
}

impl Rate {
    /// No work seen yet; `done` keys were passed before.
    pub fn starting(at: Duration, done: u64) -> Self {
        Rate {
            last_at: at,
            last_done: done,
            past: Work::default(),
            square: 0.0,
            open: Work::default(),
            windows: 0,
            samples: 0,
            seconds: 0.0,
        }
    }

    /// A batch of `keys` keys that took `took`.
    pub fn worked(&mut self, keys: u64, took: Duration) {
        self.last_done += keys;
        self.sample(keys, took.as_secs_f64());
    }

    /// A count, seen from outside: pauses can't be told from work there.
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
        self.samples += 1;
        self.seconds += seconds;
        self.open.keys += keys as f64;
        self.open.seconds += seconds;
        if self.open.seconds >= WINDOW {
            self.close();
        }
    }

    fn close(&mut self) {
        let Work { keys, seconds } = std::mem::take(&mut self.open);
        if self.windows == 1 {
            // The first one is of batches that grow, of empty caches and of looking around.
            self.past = Work::default();
        }
        self.windows += 1;
        let half_life = (SHARE * self.seconds).clamp(WINDOW, HALF_LIFE);
        let decay = 0.5_f64.powf(seconds / half_life);
        let weight = self.past.keys * decay + keys;
        let per_key = seconds / keys;
        self.square += (per_key * per_key - self.square) * keys / weight;
        self.past = Work { keys: weight, seconds: self.past.seconds * decay + seconds };
    }

    /// Seconds per key, once known.
    fn price(&self) -> Option<f64> {
        let keys = self.past.keys + self.open.keys;
        let known = self.samples >= MIN_SAMPLES && self.seconds >= MIN_SECONDS && keys > 0.0;
        known.then(|| (self.past.seconds + self.open.seconds) / keys)
    }

    /// Keys per second, once known.
    pub fn per_second(&self) -> Option<f64> {
        self.price().map(f64::recip)
    }

    /// Time for `keys` more keys.
    pub fn eta(&self, keys: u64) -> Eta {
        if keys == 0 {
            return Eta::Due;
        }
        let Some(price) = self.price() else { return Eta::Measuring };
        let p50 = keys as f64 * price;
        let past = self.past.seconds / self.past.keys.max(1.0);
        let deviation = (self.square - past * past).max(0.0).sqrt() / price;
        // The spread of single seconds bounds that of the whole from above as long as the conditions
        // stay.
        let p90 = p50 * (1.0 + (P90 * deviation).max(RESERVE));
        Eta::Left { p50_seconds: p50, p90_seconds: p90 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works for so many seconds at so many keys a second, in batches of 200 ms.
    fn work(rate: &mut Rate, seconds: f64, per_second: f64) {
        for _ in 0..(seconds * 5.0) as u32 {
            rate.worked((per_second / 5.0) as u64, Duration::from_millis(200));
        }
    }

    fn left(rate: &Rate, keys: u64) -> (f64, f64) {
        let Eta::Left { p50_seconds, p90_seconds } = rate.eta(keys) else { panic!("no figure") };
        (p50_seconds, p90_seconds)
    }

    #[test]
    fn a_stall_of_a_small_batch_is_not_the_price_of_all() {
        let mut rate = Rate::starting(Duration::ZERO, 0);
        for round in 0..300 {
            let (keys, millis) = if round % 30 == 7 { (10, 40) } else { (1_000, 10) };
            rate.worked(keys, Duration::from_millis(millis));
        }
        // 290,100 keys in 3.3 s.
        let rate = rate.per_second().unwrap();
        assert!((85_000.0..91_000.0).contains(&rate), "{rate}");
    }

    /// The first half of a block is dearer than the second.
    #[test]
    fn halves_do_not_shake_it() {
        let mut rate = Rate::starting(Duration::ZERO, 0);
        let mut seen = Vec::new();
        for _ in 0..200 {
            for (keys, millis) in [(20_000, 230), (15_000, 80)] {
                rate.worked(keys, Duration::from_millis(millis));
                seen.push(rate.per_second().unwrap_or(112_903.0));
            }
        }
        let late = &seen[40..];
        assert!(late.iter().all(|rate| (rate / 112_903.0 - 1.0).abs() < 0.05), "{late:?}");
        let (p50, p90) = left(&rate, 1_000_000);
        assert!(p90 / p50 < 1.15, "{p90} against {p50}");
    }

    /// Small batches and empty caches make the beginning slow.
    #[test]
    fn a_slow_start_is_forgotten_at_a_twentieth_of_the_way() {
        for whole in [40.0, 60.0, 600.0] {
            let mut rate = Rate::starting(Duration::ZERO, 0);
            work(&mut rate, 1.0, 30_000.0);
            work(&mut rate, whole / 20.0 - 1.0, 100_000.0);
            let (p50, p90) = left(&rate, 100_000);
            assert!((0.99..1.01).contains(&p50), "{p50} of a run of {whole} s");
            assert!(p90 < 1.2, "{p90}");
        }
    }

    #[test]
    fn after_two_minutes_of_half_the_rate_it_is_right_again() {
        let mut rate = Rate::starting(Duration::ZERO, 0);
        work(&mut rate, 3_600.0, 100_000.0);
        work(&mut rate, 119.0, 50_000.0);
        let (p50, _) = left(&rate, 5_000_000);
        assert!((92.0..101.0).contains(&p50), "{p50}");
        work(&mut rate, 60.0, 50_000.0);
        assert!(left(&rate, 5_000_000).0 > 97.0);
    }

    #[test]
    fn what_changes_much_is_promised_with_reserve() {
        let mut rate = Rate::starting(Duration::ZERO, 0);
        for round in 0..60 {
            work(&mut rate, 1.0, if round % 2 == 0 { 50_000.0 } else { 150_000.0 });
        }
        let (p50, p90) = left(&rate, 1_000_000);
        assert!((9.0..11.0).contains(&p50) && p90 / p50 > 1.3, "{p50}, at worst {p90}");
    }
}
