//! `/ready`: whether traffic may come.

use std::time::Duration;

use axum::extract::State;
use serde::Serialize;

use super::Faces;
use crate::progress::{Eta, Gate, GatePhase, LockState, Progress, State as RunState};
use crate::ready::{Answer, RETRY_AFTER};

/// What a load balancer's log or a waiting instance gets to read.
#[derive(Debug, Serialize)]
struct Readiness<'a> {
    ready: bool,
    state: RunState,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<GatePhase>,
    reason: Option<String>,
    target: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Position<'a>>,
}

/// How far the migration at work is.
#[derive(Debug, Serialize)]
struct Position<'a> {
    version: i64,
    name: &'a str,
    fraction: Option<f64>,
}

pub(super) async fn ready(State(faces): State<Faces>) -> Answer {
    faces.answers.latest().rendered
}

pub(super) fn answer(progress: &Progress) -> Answer {
    let readiness = Readiness {
        ready: progress.ready,
        state: progress.state,
        phase: progress.gate.as_ref().and_then(Gate::phase),
        reason: reason(progress),
        target: progress.target,
        current: progress.current.as_ref().map(|current| Position {
            version: current.version,
            name: &current.name,
            fraction: current.fraction,
        }),
    };
    if progress.ready {
        return Answer::ready(&readiness);
    }
    Answer::unready(&readiness, retry_after(progress))
}

/// Why traffic has to wait.
fn reason(progress: &Progress) -> Option<String> {
    let foreign = progress.reason.clone();
    if progress.ready {
        return None;
    }
    if let Some(reason) = progress.gate.as_ref().and_then(gate) {
        return Some(reason);
    }
    match progress.state {
        RunState::Waiting if progress.lock.state == LockState::Awaited => {
            Some("migrations are pending, and no run is at work".to_owned())
        }
        RunState::Waiting => Some(match &progress.lock.holder {
            Some(holder) => format!(
                "run {} on {} (process {}) holds the lock since {}",
                holder.run, holder.host, holder.pid, holder.since
            ),
            None => "another run holds the lock".to_owned(),
        }),
        RunState::Migrating => {
            let throttle = progress.current.as_ref().and_then(|now| now.throttle.as_ref());
            Some(match (throttle, foreign) {
                (Some(throttle), _) => format!("migrations are pending; waiting: {throttle}"),
                (None, Some(reason)) => format!("migrations are pending; {reason}"),
                (None, None) => "migrations are pending".to_owned(),
            })
        }
        RunState::Starting => Some("starting".to_owned()),
        RunState::Connecting => Some(foreign.unwrap_or_else(|| "connecting".to_owned())),
        state => Some(foreign.unwrap_or_else(|| state.as_str().to_owned())),
    }
}

/// What the gate waits for, where that isn't the schema.
fn gate(gate: &Gate) -> Option<String> {
    let began = gate.phases.last()?;
    let note = began.note.as_deref().unwrap_or_default();
    match began.phase {
        GatePhase::Reach | GatePhase::Schema | GatePhase::Open => None,
        GatePhase::Child => Some(format!("{note} isn't ready yet")),
        GatePhase::Notice | GatePhase::Stop => Some(format!("closing: {note}")),
        GatePhase::Closed => Some(format!("closed: {note}")),
    }
}

/// After how long asking again makes sense.
pub(super) fn retry_after(progress: &Progress) -> Duration {
    let left = progress.current.as_ref().map(|current| current.eta);
    match left {
        Some(Eta::Left { p50_seconds, .. }) => {
            Duration::from_secs(p50_seconds.ceil().clamp(1.0, 60.0) as u64)
        }
        Some(Eta::Due) => Duration::from_secs(1),
        Some(Eta::Measuring | Eta::Ended) | None => RETRY_AFTER,
    }
}
