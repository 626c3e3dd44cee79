//! How many of a backfill's workers work at a pace.

use std::time::{Duration, Instant};

/// How long another number has to be right before it is taken: a pace goes up and down by itself.
const DWELL: Duration = Duration::from_secs(1);
/// A pace so little beside a whole number of workers asks for no other number.
const MARGIN: f64 = 0.2;

/// How many of a backfill's workers work at a pace below 1: as few as make up for it, instead of all
/// of them with pauses. Each session at work costs the server something by itself, and the open batch
/// of each keeps rows locked. What is left over, the pauses of those at work make up for, so that in
/// all the work goes at that pace whatever their number.
#[derive(Debug, Default)]
pub struct Concurrency {
    /// The number that the full pace is worked at by.
    full: u32,
    /// The number at work; 0 before the first pace is known.
    at_work: u32,
    /// Since when another number would be right.
    since: Option<Instant>,
}

impl Concurrency {
    /// How many are to work at this pace from now on, of `full` at the full pace: at least 1.
    pub fn decide(&mut self, now: Instant, full: u32, pace: f64) -> u32 {
        let full = full.max(1);
        if pace <= 0.0 {
            // Nobody works, and how many will, the next pace says; an operator needn't wait for that.
            self.at_work = self.at_work.min(full);
            return self.at_work.max(1);
        }
        let load = pace.min(1.0) * f64::from(full);
        let wanted = (load.ceil() as u32).clamp(1, full);
        // What an operator asks for is no accident of the load's, and at the begin there is no number
        // to stay at.
        let is_new = self.at_work == 0 || self.full != full;
        self.full = full;
        if is_new {
            return self.settle(wanted);
        }
        let at_work = f64::from(self.at_work);
        if load > at_work - 1.0 - MARGIN && load < at_work + MARGIN {
            self.since = None;
        } else if now.saturating_duration_since(*self.since.get_or_insert(now)) >= DWELL {
            return self.settle(wanted);
        }
        self.at_work
    }

    fn settle(&mut self, wanted: u32) -> u32 {
        self.at_work = wanted;
        self.since = None;
        wanted
    }

    /// The pace of each one at work, where this is the pace of all.
    pub fn share(&self, pace: f64) -> f64 {
        match self.at_work {
            0 => pace,
            at_work => (pace * f64::from(self.full) / f64::from(at_work)).min(1.0),
        }
    }

    /// The highest pace of all that those at work can make.
    pub fn most(&self) -> f64 {
        match self.at_work {
            0 => 1.0,
            at_work => f64::from(at_work) / f64::from(self.full.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that follow from paces, each half a second after the one before.
    fn numbers(concurrency: &mut Concurrency, full: u32, paces: &[f64]) -> Vec<u32> {
        let now = Instant::now();
        let at = |index: u32| now + index * Duration::from_millis(500);
        (0..).zip(paces).map(|(index, pace)| concurrency.decide(at(index), full, *pace)).collect()
    }

    #[test]
    fn so_many_work_as_the_pace_asks_for() {
        for (full, pace, wanted) in
            [(4, 1.0, 4), (4, 0.75, 3), (4, 0.7, 3), (4, 0.26, 2), (4, 0.01, 1), (1, 0.3, 1)]
        {
            let mut concurrency = Concurrency::default();
            assert_eq!(concurrency.decide(Instant::now(), full, pace), wanted, "{pace} of {full}");
            // Those at work make up for the rest.
            let all = concurrency.share(pace) * f64::from(wanted) / f64::from(full);
            assert!((all - pace).abs() < 1e-9 && concurrency.most() >= pace, "{all}");
        }
    }

    #[test]
    fn a_pace_that_goes_up_and_down_changes_nothing() {
        let mut concurrency = Concurrency::default();
        let around = [0.5, 0.52, 0.48, 0.54, 0.46, 0.53, 0.49, 0.51];
        assert_eq!(numbers(&mut concurrency, 4, &around), [2; 8]);
        let spikes = [0.5, 1.0, 0.5, 0.1, 0.5, 1.0, 0.5, 0.1];
        assert_eq!(numbers(&mut concurrency, 4, &spikes), [2; 8]);
        assert_eq!(concurrency.share(1.0), 1.0, "two can't work faster than they can");
    }

    #[test]
    fn a_pace_that_stays_is_followed_down_and_up() {
        let mut concurrency = Concurrency::default();
        let paces = [1.0, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(numbers(&mut concurrency, 4, &paces), [4, 4, 4, 1, 1, 1, 1, 4, 4]);
    }

    #[test]
    fn nothing_is_decided_before_a_pace_is_known_or_while_all_hold() {
        let mut concurrency = Concurrency::default();
        assert_eq!(
            numbers(&mut concurrency, 4, &[0.0, 0.0, 0.5, 0.0, 0.0, 0.0]),
            [1, 1, 2, 2, 2, 2]
        );
        assert_eq!(concurrency.decide(Instant::now(), 1, 0.0), 1, "an operator's word, though");
    }

    #[test]
    fn another_number_of_workers_is_taken_at_once() {
        let mut concurrency = Concurrency::default();
        assert_eq!(numbers(&mut concurrency, 2, &[1.0]), [2]);
        assert_eq!(numbers(&mut concurrency, 8, &[1.0]), [8]);
        assert_eq!(numbers(&mut concurrency, 3, &[1.0]), [3]);
    }
}
