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
    /// The entry's, of a run that began then by the clock.
    pub(super) fn of(progress: &Progress, entry: &Entry, began: OffsetDateTime) -> Self {
        let seconds = seconds(progress, entry);
        let state = match entry {
            // These have it in their names.
            Entry::Ready => State::Ready,
            Entry::Interrupted => State::Interrupted,
            Entry::Failed => State::Failed,
            Entry::Stopping => State::Stopping,
            Entry::Position | Entry::Foreign { .. } => progress.state,
            _ => progress.moments.state_at(seconds),
        };
        let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Moment { time: began + since, seconds, state }
    }
}

/// When the run began by the clock as it goes now; a clock may be set while a run is at it. Once for
/// all entries of a look: between two such questions the clocks go on, and times would go back.
pub(super) fn began(progress: &Progress) -> OffsetDateTime {
    OffsetDateTime::now_utc() - progress.clock()
}

/// When the entry happened, in seconds since the run began.
pub(super) fn seconds(progress: &Progress, entry: &Entry) -> f64 {
    known(progress, entry).unwrap_or(progress.elapsed_seconds)
}

fn known(progress: &Progress, entry: &Entry) -> Option<f64> {
    let moments = &progress.moments;
    let migration = |at: &usize| progress.migrations.get(*at);
    match entry {
        Entry::Opening => Some(moments.connected),
        Entry::Listening { address } => moments.listening.get(*address).copied(),
        Entry::Warning { warning } => moments.warned.get(*warning).copied(),
        Entry::Unreachable => Some(moments.unreachable),
        Entry::Waiting => Some(moments.waiting),
        Entry::LockTaken => Some(moments.lock_taken),
        Entry::StepBegan => progress.current.as_ref().map(|current| current.began_seconds),
        Entry::StepDone { migration: at, finished } => {
            migration(at)?.finished.get(*finished).map(|step| step.at_seconds)
        }
        Entry::MigrationDone { migration: at } => migration(at)?.applied_seconds,
        Entry::Throttled | Entry::Unthrottled => Some(moments.throttle),
        Entry::Position | Entry::Foreign { .. } => Some(progress.elapsed().as_secs_f64()),
        Entry::Phase { phase } => {
            progress.gate.as_ref()?.phases.get(*phase).map(|began| began.at_seconds)
        }
        Entry::Stopping => progress.stopping_seconds,
        Entry::Ready => moments.finished,
        Entry::Interrupted | Entry::Failed => Some(moments.last()),
    }
}
