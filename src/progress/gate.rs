//! The gate in front of a web process, as far as it has come.

use std::time::Duration;

use serde::Serialize;

/// What the gate is at. They come in this order, and none twice; a stop may begin after any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GatePhase {
    /// Reaching the database.
    Reach,
    /// Waiting for the schema, or bringing it there.
    Schema,
    /// The child was started, and isn't ready yet.
    Child,
    /// Traffic may come.
    Open,
    /// It may not any more, and the load balancer has to notice.
    Notice,
    /// The child was told to stop.
    Stop,
    /// The child has ended.
    Closed,
}

impl GatePhase {
    /// The word that JSON has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            GatePhase::Reach => "reach",
            GatePhase::Schema => "schema",
            GatePhase::Child => "child",
            GatePhase::Open => "open",
            GatePhase::Notice => "notice",
            GatePhase::Stop => "stop",
            GatePhase::Closed => "closed",
        }
    }
}

/// A phase that was entered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseBegan {
    /// Which.
    pub phase: GatePhase,
    /// Seconds since the gate's start.
    pub at_seconds: f64,
    /// How long it may take.
    pub timeout_seconds: Option<f64>,
    /// What it is about, or what brought it about: `SIGTERM`, `the child ended with exit code 1`.
    pub note: Option<String>,
}

/// The gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Gate {
    /// The phases that were entered, the last of them the present one.
    pub phases: Vec<PhaseBegan>,
}

impl Gate {
    /// What it is at.
    pub fn phase(&self) -> Option<GatePhase> {
        self.phases.last().map(|began| began.phase)
    }

    /// Whether traffic may come.
    pub fn is_open(&self) -> bool {
        self.phase() == Some(GatePhase::Open)
    }

    /// Whether it was asked to stop, or has to.
    pub fn is_closing(&self) -> bool {
        self.phase() >= Some(GatePhase::Notice)
    }

    pub(super) fn enter(&mut self, at: Duration, phase: GateEntered) {
        let GateEntered { phase, timeout, note } = phase;
        self.phases.push(PhaseBegan {
            phase,
            at_seconds: at.as_secs_f64(),
            timeout_seconds: timeout.map(|timeout| timeout.as_secs_f64()),
            note,
        });
    }
}

/// The gate enters a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateEntered {
    /// Which.
    pub phase: GatePhase,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// What it is about, or what brought it about.
    pub note: Option<String>,
}
