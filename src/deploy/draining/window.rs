//! How much of the deregistration delay is there to be used.

use std::time::Duration;

use super::Pace;

/// The least that is left of the delay, and the most, where nobody says how much.
const MARGIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// The time in which what is open can end before SIGTERM comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The shortest deregistration delay of the target's groups.
    pub delay: Duration,
    /// What is left of it in the end, against all that takes longer than it should.
    pub margin: Duration,
    /// How long between two looks.
    pub look: Duration,
}

impl Window {
    /// Of a deregistration delay. The margin is a tenth, at least 5 and at most 30 seconds, unless it is
    /// given.
    pub fn of(delay: Duration, margin: Option<Duration>, look: Duration) -> Self {
        let margin = margin.unwrap_or((delay / 10).clamp(MARGIN.0, MARGIN.1));
        Window { delay, margin, look }
    }

    /// What can be counted on, as long as AWS answers: between two looks, draining is a while old when it
    /// is seen.
    pub fn promised(&self) -> Duration {
        self.since(Pace::longest(self.look))
    }

    /// What is left at a look that shows draining, where the last one that didn't was so long ago.
    pub fn left(&self, age: Option<Duration>) -> Duration {
        age.map_or(self.promised(), |age| self.since(age.max(Pace::longest(self.look))))
    }

    fn since(&self, age: Duration) -> Duration {
        self.delay.saturating_sub(self.margin).saturating_sub(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_margin_is_a_tenth_between_5_and_30_seconds() {
        let margin = |delay| Window::of(seconds(delay), None, seconds(4)).margin;
        assert_eq!([20, 60, 300, 3600].map(margin), [5, 6, 30, 30].map(seconds));
        let window = Window::of(seconds(300), None, seconds(4));
        assert_eq!(window.promised(), seconds(300 - 30 - 5));
        assert_eq!(Window::of(seconds(60), Some(seconds(20)), seconds(4)).promised(), seconds(35));
        assert_eq!(Window::of(seconds(3), None, seconds(4)).promised(), seconds(0));
    }

    #[test]
    fn what_was_not_looked_at_may_have_drained_since() {
        let window = Window::of(seconds(300), None, seconds(4));
        assert_eq!(window.left(None), window.promised());
        assert_eq!(window.left(Some(seconds(3))), window.promised());
        assert_eq!(window.left(Some(seconds(60))), seconds(300 - 30 - 60));
        assert_eq!(window.left(Some(seconds(400))), seconds(0));
    }
}
