//! The time of the fake, in milliseconds of its own.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds of the fake's own time since its start.
pub type Millis = u64;

/// Seconds as milliseconds.
pub fn millis(seconds: f64) -> Millis {
    Duration::from_secs_f64(seconds.max(0.0)).as_millis() as Millis
}

/// Milliseconds as seconds.
pub fn seconds(millis: Millis) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

/// How the fake's time passes.
#[derive(Debug, Clone, Copy)]
pub enum Scale {
    /// Only when the test says so, by `advance`. Containers can then only be scripted.
    Virtual,
    /// By itself: one second of the fake takes so long. Container processes live in real time.
    Second(Duration),
}

impl Scale {
    /// One second of the fake takes 20 ms: a grace period of a minute is over in 1.2 s.
    pub const FAST: Scale = Scale::Second(Duration::from_millis(20));
}

/// Where the fake's time comes from.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    scale: Scale,
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn new(scale: Scale) -> Self {
        Clock { scale, started: Instant::now() }
    }

    /// What it is now; `None` where only the test lets time pass.
    pub fn now(&self) -> Option<Millis> {
        let Scale::Second(second) = self.scale else { return None };
        Some(millis(self.started.elapsed().as_secs_f64() / second.as_secs_f64()))
    }

    /// How long so much of the fake's time takes really.
    pub fn real(&self, time: Millis) -> Duration {
        match self.scale {
            Scale::Virtual => Duration::ZERO,
            Scale::Second(second) => second.mul_f64(seconds(time)),
        }
    }
}

/// The calendar's seconds since 1970, now.
pub fn epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
