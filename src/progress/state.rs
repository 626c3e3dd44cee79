//! Where a run stands.

use serde::Serialize;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Reading files.
    Starting,
    /// Reaching the database.
    Connecting,
    /// Another run holds the lock.
    Waiting,
    /// At work.
    Migrating,
    /// Asked to stop.
    Stopping,
    /// The schema is at the target.
    Ready,
    /// Stopped before the end, resumable.
    Interrupted,
    /// Stopped by an error.
    Failed,
}

impl State {
    /// Whether the run has ended, one way or another.
    pub fn is_final(self) -> bool {
        matches!(self, State::Ready | State::Interrupted | State::Failed)
    }

    /// The word that JSON has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Connecting => "connecting",
            State::Waiting => "waiting",
            State::Migrating => "migrating",
            State::Stopping => "stopping",
            State::Ready => "ready",
            State::Interrupted => "interrupted",
            State::Failed => "failed",
        }
    }

    /// All of them, in the order of a run.
    pub const ALL: [State; 8] = [
        State::Starting,
        State::Connecting,
        State::Waiting,
        State::Migrating,
        State::Stopping,
        State::Ready,
        State::Interrupted,
        State::Failed,
    ];
}
