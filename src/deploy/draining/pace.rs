//! How often the load balancer is asked.

use std::time::Duration;

/// The longest pause, after many failures.
const LONGEST: Duration = Duration::from_secs(60);
/// By how much a pause may be shorter or longer. Replicas that were started together must not ask
/// together for ever: the limits on requests are the whole account's.
const JITTER: f64 = 0.25;

/// The pauses between looks.
#[derive(Debug, Clone)]
pub struct Pace {
    look: Duration,
    pause: Duration,
}

impl Pace {
    /// With so long between two looks that succeed.
    pub fn new(look: Duration) -> Self {
        Pace { look, pause: look }
    }

    /// The pause after an answer.
    pub fn answered(&mut self) -> Duration {
        self.pause = self.look;
        jittered(self.pause)
    }

    /// The pause after a failure: twice the last one, up to a minute.
    pub fn failed(&mut self) -> Duration {
        self.pause = (self.pause * 2).min(LONGEST.max(self.look));
        jittered(self.pause)
    }

    /// Whether the pauses are as long as they get.
    pub fn is_slowest(&self) -> bool {
        self.pause >= LONGEST
    }

    /// The longest pause between two answers, while all goes well.
    pub fn longest(look: Duration) -> Duration {
        look.mul_f64(1.0 + JITTER)
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_secs(5);

    fn is_about(pause: Duration, seconds: f64) -> bool {
        (0.75 * seconds..=1.25 * seconds).contains(&pause.as_secs_f64())
    }

    #[test]
    fn failures_double_the_pause_up_to_a_minute_and_an_answer_ends_that() {
        let mut pace = Pace::new(LOOK);
        for seconds in [10.0, 20.0, 40.0, 60.0, 60.0] {
            assert!(is_about(pace.failed(), seconds));
        }
        assert!(pace.is_slowest());
        assert!(is_about(pace.answered(), 5.0) && !pace.is_slowest());
        assert!(is_about(pace.failed(), 10.0));
        // Who asks seldom isn't made to ask more often.
        assert!(is_about(Pace::new(Duration::from_secs(300)).failed(), 300.0));
    }

    #[test]
    fn pauses_differ() {
        let mut pace = Pace::new(LOOK);
        let pauses: Vec<_> = (0..100).map(|_| pace.answered()).collect();
        assert!(pauses.iter().all(|pause| is_about(*pause, 5.0) && *pause <= Pace::longest(LOOK)));
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*most - *least > Duration::from_secs(1), "{least:?} to {most:?}");
    }
}
