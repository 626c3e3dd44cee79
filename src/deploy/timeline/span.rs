//! A moment that isn't known to the second.

use std::fmt;

use serde::Serialize;

/// From when to when something may happen, in seconds since the start of a task.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// In the earliest case.
    pub earliest: f64,
    /// In the latest case.
    pub latest: f64,
}

impl Span {
    /// A moment that is known.
    pub fn at(moment: f64) -> Self {
        Span { earliest: moment, latest: moment }
    }

    /// From one moment to another.
    pub fn new(earliest: f64, latest: f64) -> Self {
        Span { earliest, latest }
    }

    /// Its middle.
    pub fn middle(self) -> f64 {
        self.earliest.midpoint(self.latest)
    }

    /// Whichever of the two cases it is: the span that holds both.
    #[must_use]
    pub fn or(self, other: Span) -> Span {
        Span::new(self.earliest.min(other.earliest), self.latest.max(other.latest))
    }

    /// When both have happened.
    #[must_use]
    pub fn and(self, other: Span) -> Span {
        Span::new(self.earliest.max(other.earliest), self.latest.max(other.latest))
    }

    /// So much later: at least, and at most.
    #[must_use]
    pub fn later(self, least: f64, most: f64) -> Span {
        Span::new(self.earliest + least, self.latest + most)
    }
}

/// `30–50 s`, or `30 s` where both are the same when rounded.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (earliest, latest) = (self.earliest.round(), self.latest.round());
        match earliest == latest {
            true => write!(f, "{earliest} s"),
            false => write!(f, "{earliest}–{latest} s"),
        }
    }
}
