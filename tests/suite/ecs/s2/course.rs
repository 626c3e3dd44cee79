//! When the streams of a target were closed.

use std::fmt;

use super::shop::{DELAY, WINDOW};

/// When the streams of a target were closed, in the fake's seconds since it began to drain.
pub struct Course {
    /// When each was closed, the earliest first.
    pub closed: Vec<f64>,
    /// How many of them the load balancer cut.
    pub cut: usize,
    /// When SIGTERM came.
    pub terminated: f64,
}

impl Course {
    /// The first end.
    pub fn first(&self) -> f64 {
        self.closed.first().copied().unwrap_or(f64::NAN)
    }

    /// The last end.
    pub fn last(&self) -> f64 {
        self.closed.last().copied().unwrap_or(f64::NAN)
    }

    /// The drain window.
    pub fn window(&self) -> f64 {
        WINDOW * DELAY as f64
    }

    /// How many were closed at the most within any so many seconds.
    pub fn most_within(&self, seconds: f64) -> usize {
        let within = |(at, first): (usize, &f64)| {
            self.closed[at..].partition_point(|closed| *closed < first + seconds)
        };
        self.closed.iter().enumerate().map(within).max().unwrap_or(0)
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let even = self.closed.len() as f64 / 10.0;
        write!(
            f,
            "{} streams ended from {:.2} to {:.2} s ({} of them cut), SIGTERM at {:.2} s; at the most \
             {:.2} times the even rate in a tenth of the window of {:.1} s",
            self.closed.len(),
            self.first(),
            self.last(),
            self.cut,
            self.terminated,
            self.most_within(self.window() / 10.0) as f64 / even,
            self.window(),
        )
    }
}
