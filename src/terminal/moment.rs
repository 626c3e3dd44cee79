//! When an entry of the journal happened, and what the run's state was then.

use std::time::Duration;

use time::OffsetDateTime;

use super::journal::Entry;
use crate::progress::{Progress, State};

/// A moment of a run.
pub(super) struct Moment {
    /// By the clock.
    pub(super) time: OffsetDateTime,
    /// Since the run began.
    pub(super) seconds: f64,
    /// The run's state then.
    pub(super) state: State,
}

impl Moment {
    /// The entry's, which is told `now`.
    pub(super) fn of(progress: &Progress, entry: &Entry, now: OffsetDateTime) -> Self {
        let seconds = seconds(progress, entry).unwrap_or(progress.elapsed_seconds);
        let state = match entry {
            // These have it in their names.
            Entry::Ready => State::Ready,
            Entry::Interrupted => State::Interrupted,
            Entry::Failed => State::Failed,
            Entry::Stopping => State::Stopping,
            Entry::Position => progress.state,
            _ => progress.moments.state_at(seconds),
        };
        let ago = (progress.clock().as_secs_f64() - seconds).max(0.0);
        Moment { time: now - Duration::try_from_secs_f64(ago).unwrap_or_default(), seconds, state }
    }
}

fn seconds(progress: &Progress, entry: &Entry) -> Option<f64> {
    let moments = &progress.moments;
    let migration = |at: &usize| progress.migrations.get(*at);
    match entry {
        Entry::Opening => Some(moments.connected),
        Entry::Listening { address } => moments.listening.get(*address).copied(),
        Entry::Unreachable => Some(moments.unreachable),
        Entry::Waiting => Some(moments.waiting),
        Entry::LockTaken => Some(moments.lock_taken),
        Entry::StepBegan => progress.current.as_ref().map(|current| current.began_seconds),
        Entry::StepDone { migration: at, finished } => {
            migration(at)?.finished.get(*finished).map(|step| step.at_seconds)
        }
        Entry::MigrationDone { migration: at } => migration(at)?.applied_seconds,
        Entry::Throttled | Entry::Unthrottled => Some(moments.throttle),
        Entry::Position => Some(progress.elapsed().as_secs_f64()),
        Entry::Stopping => progress.stopping_seconds,
        Entry::Ready | Entry::Interrupted | Entry::Failed => Some(moments.last()),
    }
}
