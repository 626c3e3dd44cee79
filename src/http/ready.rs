//! `/ready`: whether traffic may come.

use std::time::Duration;

use axum::extract::State;
use serde::Serialize;

use super::Faces;
use crate::progress::{Eta, Foreign, Gate, GatePhase, LockState, Progress, State as RunState};
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
        RunState::Migrating if progress.own_tool().is_some() => progress.own_tool().map(at_work),
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

/// Longer is a matter for `/progress`.
const STATEMENT: usize = 60;

/// `alembic is at work: UPDATE t SET a = b for 12 s, blocked by 71 (psql)`.
fn at_work(tool: &Foreign) -> String {
    let busy = tool.busy();
    let name = tool.command.as_deref().unwrap_or_default();
    if let Some(exit) = tool.exit {
        return format!("{name} has ended with {exit}");
    }
    let Some((session, statement)) =
        busy.first().and_then(|one| Some((one, one.statement.as_ref()?)))
    else {
        return format!("{name} is at work");
    };
    let mut text = format!("{name} is at work: ");
    text.extend(statement.chars().take(STATEMENT));
    if statement.chars().nth(STATEMENT).is_some() {
        text.push('…');
    }
    if let Some(seconds) = session.statement_seconds {
        text.push_str(&format!(" for {seconds:.0} s"));
    }
    if let Some(fraction) = session.work.as_ref().and_then(|work| work.fraction) {
        text.push_str(&format!(", {:.0} % of its phase", (fraction * 100.0).floor()));
    }
    if let Some(blocker) = session.blockers.first() {
        text.push_str(&format!(", blocked by {} ({})", blocker.id, blocker.application));
    }
    text
}

/// After how long asking again makes sense.
pub(super) fn retry_after(progress: &Progress) -> Duration {
    match progress.eta() {
        Some(Eta::Left { p50_seconds, .. } | Eta::Estimated { p50_seconds, .. }) => {
            Duration::from_secs(p50_seconds.ceil().clamp(1.0, 60.0) as u64)
        }
        Some(Eta::Due) => Duration::from_secs(1),
        Some(Eta::Measuring | Eta::Overdue | Eta::Ended) | None => RETRY_AFTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_has_ended_is_at_work_no_more() {
        let command = Some("alembic".to_owned());
        let mut tool = Foreign { command, ..Foreign::default() };
        assert_eq!(at_work(&tool), "alembic is at work");
        tool.exit = Some(1);
        assert_eq!(at_work(&tool), "alembic has ended with 1");
    }
}
