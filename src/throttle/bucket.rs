//! The operator's rate: rows per second over all workers.

use std::time::{Duration, Instant};

/// How long a batch is to last the rate: the rows of a longer time would be done in one burst.
const BURST: Duration = Duration::from_millis(250);

/// Rows that were done, and are paid off at the rate.
#[derive(Debug)]
pub struct Bucket {
    owed: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(now: Instant) -> Self {
        Bucket { owed: 0.0, at: now }
    }

    /// So many rows were done. Without a rate, nothing is owed.
    pub fn add(&mut self, now: Instant, rows: u64, rate: Option<u64>) {
        self.pay(now, rate);
        self.owed += rows as f64;
    }

    /// How long it takes to pay off.
    pub fn wait(&mut self, now: Instant, rate: Option<u64>) -> Duration {
        self.pay(now, rate);
        match rate {
            Some(rate) => Duration::from_secs_f64((self.owed / rate.max(1) as f64).min(1e6)),
            None => Duration::ZERO,
        }
    }

    /// The most rows of a batch.
    pub fn most(rate: Option<u64>) -> u64 {
        rate.map_or(u64::MAX, |rate| ((rate as f64 * BURST.as_secs_f64()) as u64).max(1))
    }

    fn pay(&mut self, now: Instant, rate: Option<u64>) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.owed = match rate {
            Some(rate) => (self.owed - passed * rate as f64).max(0.0),
            None => 0.0,
        };
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_paid_off_at_the_rate() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut bucket = Bucket::new(start);
        bucket.add(at(0), 500, Some(1000));
        assert_eq!(bucket.wait(at(0), Some(1000)), Duration::from_millis(500));
        assert_eq!(bucket.wait(at(300), Some(1000)), Duration::from_millis(200));
        // Another worker's come on top, and a lower rate makes what is owed last longer.
        bucket.add(at(300), 300, Some(1000));
        assert_eq!(bucket.wait(at(300), Some(500)), Duration::from_secs(1));
        assert_eq!(bucket.wait(at(300), None), Duration::ZERO);
        assert_eq!(bucket.wait(at(300), Some(1)), Duration::ZERO, "nothing is owed any more");
        // What wasn't used isn't saved up.
        bucket.add(at(9_000), 100, Some(100));
        assert_eq!(bucket.wait(at(9_000), Some(100)), Duration::from_secs(1));
        assert_eq!((Bucket::most(None), Bucket::most(Some(1000))), (u64::MAX, 250));
        assert_eq!(Bucket::most(Some(1)), 1);
    }
}
