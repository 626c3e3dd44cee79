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
    /// When it was seen last, and what it had replayed.
    last: Option<(Instant, i64)>,
    /// Bytes per second, where it had something to replay all the time.
    speed: Option<f64>,
    /// How long what is written now takes to be seen there.
    drain: Duration,
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

    /// It has replayed up to here. `before` is where the primary was at the reading before.
    pub fn seen(
        &mut self,
        now: Instant,
        replayed: i64,
        before: Option<(Instant, i64)>,
        timeline: &Timeline,
    ) {
        let position = timeline.last().map_or(replayed, |(_, position)| position);
        let backlog = (position - replayed).max(0) as f64;
        // There was more to replay than it has replayed since.
        let busy = before.is_some_and(|(_, before)| before > replayed);
        if let Some((at, from)) = self.last {
            let seconds = now.saturating_duration_since(at).as_secs_f64().max(0.001);
            let speed = (replayed - from).max(0) as f64 / seconds;
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
        if !busy {
            self.told = Duration::ZERO;
        }
        self.last = Some((now, replayed));
    }

    /// For how long it hasn't been seen.
    pub fn absence(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::MAX, |(at, _)| now.saturating_duration_since(at))
    }

    /// Whether the primary is ahead of it.
    pub fn is_behind(&self, position: i64) -> bool {
        self.last.is_some_and(|(_, replayed)| replayed < position)
    }

    /// How long what is written now takes to be seen there, or has taken already.
    pub fn lag(&self, now: Instant, timeline: &Timeline) -> Duration {
        let replayed = self.last.map_or(0, |(_, replayed)| replayed);
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
            let before = timeline.last();
            timeline.push(now, 1000 * tick as i64);
            replica.seen(now, *replayed, before, &timeline);
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
