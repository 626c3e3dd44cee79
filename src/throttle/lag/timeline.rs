//! Where the primary's log was at which moment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many marks are kept. With more of them, every second one is dropped: they then lie further apart,
/// and the oldest, which tell most of a replica that stands still, stay.
const KEPT: usize = 3_000;

/// Positions of the primary, in the order of time.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The server's own number of it: each failover begins another one.
    branch: String,
    marks: VecDeque<(Instant, i64)>,
}

impl Timeline {
    /// One of the log with this number.
    pub fn of(branch: &str) -> Self {
        Timeline { branch: branch.to_owned(), marks: VecDeque::new() }
    }

    /// Whether the log can have got from what is known of it to here: not after a failover, which may
    /// well throw it back.
    pub fn leads_to(&self, branch: &str, position: i64) -> bool {
        self.branch == branch && self.marks.back().is_none_or(|(_, mark)| *mark <= position)
    }

    /// The log is here now.
    pub fn push(&mut self, at: Instant, position: i64) {
        if self.marks.len() == KEPT {
            let mut is_kept = false;
            self.marks.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
        self.marks.push_back((at, position));
    }

    /// For how long at least the log has been past a position. Between two marks nobody knows: what was
    /// written there may be from their very end.
    pub fn age(&self, now: Instant, position: i64) -> Duration {
        let after = self.marks.partition_point(|(_, mark)| *mark <= position);
        let past = self.marks.get(after);
        past.map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_its_age() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timeline = Timeline::default();
        assert_eq!(timeline.age(start, 5), Duration::ZERO);
        for (second, position) in [(0, 100), (1, 200), (2, 200), (3, 400)] {
            timeline.push(at(second), position);
        }
        let age = |position| timeline.age(at(4), position).as_secs_f64();
        assert_eq!((age(50), age(100), age(150), age(300)), (4.0, 3.0, 3.0, 1.0));
        // Nobody wrote in between: it is from the end of that time on that something is missing.
        assert_eq!((age(200), age(400)), (1.0, 0.0));
    }

    #[test]
    fn what_is_old_stays_known() {
        let start = Instant::now();
        let at = |mark: usize| start + Duration::from_millis(200) * mark as u32;
        let mut timeline = Timeline::default();
        let last = 5 * KEPT;
        (0..=last).for_each(|mark| timeline.push(at(mark), mark as i64));
        assert!(timeline.marks.len() <= KEPT);
        assert_eq!(timeline.age(at(last), -1), at(last) - start);
        let age = timeline.age(at(last), last as i64 / 2).as_secs_f64();
        let half = (at(last) - at(last / 2)).as_secs_f64();
        assert!((half - 4.0..=half).contains(&age), "{age} of {half}");
    }
}
