//! Where the primary's log was at which moment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is older isn't kept: whatever is as late is too late for any limit.
const KEPT: usize = 3_000;

/// Positions of the primary, in the order of time.
#[derive(Debug, Default)]
pub struct Timeline {
    marks: VecDeque<(Instant, i64)>,
}

impl Timeline {
    /// The log is here now.
    pub fn push(&mut self, at: Instant, position: i64) {
        if self.marks.len() == KEPT {
            self.marks.pop_front();
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
}
