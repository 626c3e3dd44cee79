//! What everybody may know of a run: how far it is. Nothing has a name there, neither servers, users and statements
//! nor migrations and tables.

use axum::body::Bytes;
use serde::Serialize;

use crate::progress::{Current, Eta, Gate, GatePhase, LockState, Progress, State};

/// A part of what `/progress` has, by the same names, for the page reads either.
#[derive(Serialize)]
struct Public<'a> {
    state: State,
    /// Of the child, which isn't.
    ready: bool,
    phase: Option<GatePhase>,
    target: Option<i64>,
    lock: Lock,
    current: Option<Step<'a>>,
    resumed: bool,
    retries: u64,
    elapsed_seconds: f64,
    now_seconds: f64,
}

#[derive(Serialize)]
struct Lock {
    state: LockState,
    helps: bool,
}

#[derive(Serialize)]
struct Step<'a> {
    version: i64,
    step: u32,
    steps: u32,
    kind: &'a str,
    fraction: Option<f64>,
    eta: Eta,
    began_seconds: f64,
}

/// As JSON.
pub(super) fn json(progress: &Progress) -> Bytes {
    let public = Public {
        state: progress.state,
        ready: false,
        phase: progress.gate.as_ref().and_then(Gate::phase),
        target: progress.target,
        lock: Lock { state: progress.lock.state, helps: progress.lock.helps },
        current: progress.current.as_ref().map(|current| step(progress, current)),
        resumed: progress.resumed,
        retries: progress.retries,
        elapsed_seconds: progress.elapsed_seconds,
        now_seconds: progress.elapsed().as_secs_f64(),
    };
    let rendered = serde_json::to_vec(&public);
    // Serialising to memory fails only on maps with keys that aren't strings; there are none.
    rendered.unwrap_or_else(|_| b"{}".to_vec()).into()
}

fn step<'a>(progress: &Progress, current: &'a Current) -> Step<'a> {
    Step {
        version: current.version,
        step: current.step,
        steps: current.steps,
        kind: &current.kind,
        fraction: current.fraction,
        eta: progress.eta().unwrap_or(current.eta),
        began_seconds: current.began_seconds,
    }
}
