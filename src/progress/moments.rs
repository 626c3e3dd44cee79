//! When things happened. A log tells of them a moment later, and must not say that it was then.

use super::State;

/// When things happened, in seconds since the run began.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Each address was served, in the order of [`Progress::listening`](super::Progress).
    pub listening: Vec<f64>,
    /// Each warning, in the order of [`Progress::warnings`](super::Progress).
    pub warned: Vec<f64>,
    /// The database answered.
    pub connected: f64,
    /// It stopped doing so, or was found not to.
    pub unreachable: f64,
    /// The lock was found in another run's hands.
    pub waiting: f64,
    /// The lock became ours.
    pub lock_taken: f64,
    /// What the current step is held back by last changed.
    pub throttle: f64,
    /// All was applied.
    pub finished: Option<f64>,
    /// Each state began.
    states: Vec<(f64, State)>,
}

impl Moments {
    /// The state is this one from then on.
    pub(super) fn enter(&mut self, seconds: f64, state: State) {
        if self.states.last().is_none_or(|(_, last)| *last != state) {
            self.states.push((seconds, state));
        }
    }

    /// The state of the run at a moment.
    pub fn state_at(&self, seconds: f64) -> State {
        let begun = self.states.iter().rev().find(|(began, _)| *began <= seconds);
        begun.map_or(State::Starting, |(_, state)| *state)
    }

    /// When the last state began: of a run that has ended, its end.
    pub fn last(&self) -> f64 {
        self.states.last().map_or(0.0, |(began, _)| *began)
    }
}
