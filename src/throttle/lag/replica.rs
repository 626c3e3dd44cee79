//! One replica: how far it is, and how fast it gets on.

use std::time::{Duration, Instant};

use super::timeline::Timeline;

/// Over how long its speed is averaged.
const MEMORY: f64 = 1.0;

/// One replica.
#[derive(Debug)]
pub struct Replica {
    name: String,
    /// What the server said of it when it was first seen: of before that, nothing else is known.
    told: Duration,
    last: Option<Seen>,
    /// Bytes per second, where it had something to replay all the time.
    speed: Option<f64>,
    /// How long what is written now takes to be seen there.
    drain: Duration,
}

/// How far it was at a reading.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    replayed: i64,
    received: i64,
}

impl Replica {
    /// One of which the server says that it is so far behind.
    pub fn new(name: &str, told: Duration) -> Self {
        Replica { name: name.to_owned(), told, last: None, speed: None, drain: Duration::ZERO }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It has received so much, and replayed up to here. Only what it has received is its own to
    /// replay: what is on its way, or not flushed yet, would be late at any speed.
    pub fn seen(&mut self, now: Instant, replayed: i64, received: i64) {
        let backlog = (received - replayed).max(0) as f64;
        // There was more to replay, all the time, than it has replayed since.
        let busy = self.last.is_some_and(|last| last.received > replayed);
        if let Some(last) = self.last {
            let seconds = now.saturating_duration_since(last.at).as_secs_f64().max(0.001);
            let speed = (replayed - last.replayed).max(0) as f64 / seconds;
            self.speed = Some(match self.speed {
                Some(known) if busy => {
                    let weight = 1.0 - (-seconds / MEMORY).exp();
                    known + weight * (speed - known)
                }
                // It may well be faster than it had to be.
                Some(known) => known.max(speed),
                None => speed,
            });
        }
        self.drain = match self.speed {
            Some(speed) if busy => Duration::from_secs_f64((backlog / speed.max(1.0)).min(1e6)),
            _ => Duration::ZERO,
        };
        if !busy && self.last.is_some() {
            self.told = Duration::ZERO;
        }
        self.last = Some(Seen { at: now, replayed, received });
    }

    /// For how long it hasn't been seen.
    pub fn absence(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::MAX, |last| now.saturating_duration_since(last.at))
    }

    /// How long what is written now takes to be seen there, or has taken already.
    pub fn lag(&self, now: Instant, timeline: &Timeline) -> Duration {
        let replayed = self.last.map_or(0, |last| last.replayed);
        timeline.age(now, replayed).max(self.drain).max(self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A primary that writes 1000 bytes each 100 ms, and a replica that has replayed so much then.
    fn after(replayed: &[i64]) -> f64 {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        let mut replica = Replica::new("replica-1", Duration::ZERO);
        let mut now = start;
        for (tick, replayed) in (1..).zip(replayed) {
            now = start + Duration::from_millis(100 * tick);
            timeline.push(now, 1000 * tick as i64);
            replica.seen(now, *replayed, 1000 * tick as i64);
        }
        replica.lag(now, &timeline).as_secs_f64()
    }

    #[test]
    fn a_backlog_counts_by_the_time_that_it_takes() {
        assert!(after(&[1000, 2000, 3000, 4000]) < 0.01);
        assert!(after(&[600, 1600, 2600, 3600]) < 0.01, "a part of one reading");
        // At a tenth of the speed, what was written within a second takes ten.
        let slow: Vec<i64> = (1..=40).map(|tick| 100 * tick).collect();
        let lag = after(&slow[..10]);
        assert!((7.0..11.0).contains(&lag), "{lag}");
        // It stands still.
        let still: Vec<i64> = [vec![1000, 2000], vec![2000; 60]].concat();
        assert!(after(&still) > 6.0);
    }
}
