//! Why a gate doesn't open, or wasn't closed in order.

use std::time::Duration;

use humantime::format_duration;

use crate::child::Ended;

/// What ended the gate.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The phases of a stop take longer than the container lives.
    #[error(
        "the phases of a stop take {}, but the container is killed after {} ({read_from}): notice {} + \
         child {} + {} of lockkeeper's own",
        format_duration(*.sum), format_duration(*.stop_timeout), format_duration(*.notice),
        format_duration(*.child), format_duration(super::MARGIN)
    )]
    TooLong {
        /// For the load balancer.
        notice: Duration,
        /// For the child.
        child: Duration,
        /// In all.
        sum: Duration,
        /// What they have to fit in.
        stop_timeout: Duration,
        /// Who says so.
        read_from: String,
        /// The option to shorten, and to what.
        shorten: (&'static str, Duration),
    },
    /// The database wasn't reached in time.
    #[error("the database wasn't reached within {}: {reason}", format_duration(*.timeout))]
    Unreached {
        /// How long it was tried.
        timeout: Duration,
        /// What was in the way.
        reason: String,
    },
    /// The schema wasn't ready in time.
    #[error("the schema wasn't ready within {}", format_duration(*.timeout))]
    Schema {
        /// How long it was given.
        timeout: Duration,
    },
    /// The child can't be started.
    #[error("can't start {program}: {source}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The child wasn't ready in time.
    #[error("the child wasn't ready within {}: {reason}", format_duration(*.timeout))]
    NotReady {
        /// How long it was given.
        timeout: Duration,
        /// What was missing.
        reason: String,
    },
    /// The child ended before it was ready.
    #[error("the child {ended} before it was ready")]
    EndedEarly {
        /// How.
        ended: Ended,
    },
    /// The child didn't end in time, and was killed.
    #[error("the child hadn't ended {:.1} s after it was told to stop, and was killed", .after.as_secs_f64())]
    Killed {
        /// How long it had.
        after: Duration,
    },
    /// What the gate needs is gone.
    #[error("the gate had to stop: {reason}")]
    Fatal {
        /// In a sentence.
        reason: String,
    },
    /// It was asked to stop before it had opened.
    #[error("stopped by {reason} before the gate had opened")]
    Stopped {
        /// By what.
        reason: String,
    },
}

impl GateError {
    /// As it reads after "stopped by".
    pub(super) fn reason(&self) -> String {
        match self {
            GateError::Stopped { reason } | GateError::Fatal { reason } => reason.clone(),
            GateError::Schema { .. } => "the schema's timeout".to_owned(),
            error => error.to_string(),
        }
    }
}

/// What ended the gate, or what it was to wait for.
#[derive(Debug, thiserror::Error)]
pub enum Failure<E> {
    /// The gate's own.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Of reaching the database, or of the schema.
    #[error("{0}")]
    Before(E),
}

/// What can be told of an error to everybody who reads.
pub trait Outline {
    /// Without the server's words.
    fn outline(&self) -> String;
}

impl Outline for std::convert::Infallible {
    fn outline(&self) -> String {
        match *self {}
    }
}

impl<E: Outline> Outline for Failure<E> {
    fn outline(&self) -> String {
        match self {
            Failure::Gate(error) => error.to_string(),
            Failure::Before(error) => error.outline(),
        }
    }
}
