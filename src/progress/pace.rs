//! Rows per second over the whole run, in bounded memory.

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// Never more buckets than this; when they run out, neighbours are joined and each covers twice
/// the time, so a run of a day costs no more than one of a minute.
const BUCKETS: usize = 120;

/// How many keys were passed when, pauses included: what a plot shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    bucket_seconds: f64,
    keys: Vec<f64>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { bucket_seconds: 1.0, keys: Vec::new() }
    }
}

impl Pace {
    /// `keys` keys were passed between `from` and `until`, in seconds since the run began.
    pub(super) fn add(&mut self, from: f64, until: f64, keys: u64) {
        if keys == 0 || !until.is_finite() || until < 0.0 {
            return;
        }
        let from = from.clamp(0.0, until);
        while until >= self.bucket_seconds * BUCKETS as f64 {
            self.join();
        }
        let (first, last) = (self.bucket(from), self.bucket(until));
        if self.keys.len() <= last {
            self.keys.resize(last + 1, 0.0);
        }
        let span = until - from;
        for (bucket, sum) in self.keys.iter_mut().enumerate().take(last + 1).skip(first) {
            let begin = bucket as f64 * self.bucket_seconds;
            let inside = until.min(begin + self.bucket_seconds) - from.max(begin);
            *sum += if span > 0.0 { keys as f64 * inside / span } else { keys as f64 };
        }
    }

    fn bucket(&self, at: f64) -> usize {
        (at / self.bucket_seconds) as usize
    }

    fn join(&mut self) {
        self.keys = self.keys.chunks(2).map(|pair| pair.iter().sum()).collect();
        self.bucket_seconds *= 2.0;
    }

    /// The length of a bucket.
    pub fn bucket_seconds(&self) -> f64 {
        self.bucket_seconds
    }

    /// Rows per second, a bucket each from the run's start; the last one may be incomplete.
    pub fn rows_per_second(&self) -> impl ExactSizeIterator<Item = f64> {
        self.keys.iter().map(|keys| (keys / self.bucket_seconds).round())
    }
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Rates<'a>(&'a Pace);
        impl Serialize for Rates<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // Whole numbers: a decimal place of rows per second is noise, and bytes.
                serializer.collect_seq(self.0.rows_per_second().map(|rate| rate as u64))
            }
        }
        let mut pace = serializer.serialize_struct("Pace", 2)?;
        pace.serialize_field("bucket_seconds", &self.bucket_seconds)?;
        pace.serialize_field("rows_per_second", &Rates(self))?;
        pace.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_in_every_bucket_that_it_spans() {
        let mut pace = Pace::default();
        pace.add(0.5, 2.5, 200);
        assert_eq!(pace.rows_per_second().collect::<Vec<_>>(), [50.0, 100.0, 50.0]);
        pace.add(2.5, 2.5, 10);
        assert_eq!(pace.rows_per_second().last(), Some(60.0));
    }

    #[test]
    fn a_long_run_keeps_every_row_in_bounded_memory() {
        let mut pace = Pace::default();
        for second in 0..10_000 {
            pace.add(f64::from(second), f64::from(second) + 1.0, 10);
        }
        assert!(pace.keys.len() <= BUCKETS && pace.keys.capacity() <= 4 * BUCKETS);
        assert_eq!(pace.keys.iter().sum::<f64>().round(), 100_000.0);
        assert_eq!(pace.bucket_seconds(), 128.0);
        assert_eq!(pace.rows_per_second().next(), Some(10.0));
    }
}
