//! What a deployment needs, so that these migrations fit: the times to set, and what to look out for.

use serde::Serialize;

use crate::throttle::Limits;

use super::load::Load;
use super::model::Quantiles;
use super::report::{Risk, StepReport};

/// What lockkeeper takes beside the migrations until the first good answer of a task that migrates at its start.
const STARTUP: f64 = 15.0;
/// No time-out is worth setting shorter.
const LEAST_TIMEOUT: f64 = 300.0;
/// ECS's default, and its most on Fargate.
const STOP: f64 = 30.0;
const LONGEST_STOP: f64 = 120.0;
/// A lock that others wait for as long is noticed.
const LONG_LOCK: f64 = 1.0;
/// So much log a second is more than a replica may be able to follow.
const FAST_LOG: f64 = 32e6;
/// A statement that runs whole for as long should be in batches.
const LONG_STATEMENT: f64 = 10.0;

/// Modes that keep readers out, or writers.
const STRONG: [&str; 4] =
    ["AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock"];

/// The times to set. In seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Advice {
    /// The service's health check grace period, where its tasks migrate at their start.
    pub grace_period_seconds: u64,
    /// How long a one-off task, or a job, may take.
    pub job_timeout_seconds: u64,
    /// The same of the CI step that waits for it.
    pub ci_timeout_seconds: u64,
    /// The container's stop timeout: within it the batch at work ends, or the step that can't be left.
    pub stop_timeout_seconds: u64,
}

impl Advice {
    /// For these steps.
    pub fn of(total: Quantiles, steps: &[StepReport]) -> Self {
        let job = (2.0 * total.p90_seconds).max(LEAST_TIMEOUT);
        let whole = steps.iter().filter(|step| step.kind != "backfill");
        let longest = whole.map(|step| step.time.p90_seconds).fold(0.0, f64::max);
        Advice {
            grace_period_seconds: up(1.1 * total.p90_seconds + STARTUP, 5.0),
            job_timeout_seconds: up(job, 60.0),
            ci_timeout_seconds: up(job + LEAST_TIMEOUT, 60.0),
            stop_timeout_seconds: up((longest + 10.0).clamp(STOP, LONGEST_STOP), 5.0),
        }
    }
}

/// Rounded up to a multiple.
fn up(seconds: f64, unit: f64) -> u64 {
    ((seconds / unit).ceil() * unit) as u64
}

/// What to look out for, the most serious first.
pub fn risks(steps: &[StepReport], load: Option<Load>) -> Vec<Risk> {
    let mut risks = Vec::new();
    let lag =
        load.and_then(|load| load.lag_seconds).filter(|lag| *lag >= Limits::LAG.as_secs_f64());
    for step in steps {
        let fills = step.kind == "backfill";
        let scale = match step.measured_seconds {
            0.0 => 1.0,
            seconds => step.time.p50_seconds / seconds,
        };
        let risk = |code, message: String, next: &str| Risk {
            code,
            version: step.version,
            step: step.step,
            message,
            next: next.to_owned(),
        };
        for table in &step.rewrites {
            risks.push(risk(
                "rewrite",
                format!("it writes {table} anew, and nobody reads it meanwhile"),
                "add a column and fill it in batches instead, or do it at night",
            ));
        }
        for lock in &step.locks {
            let seconds = lock.seconds * scale;
            if STRONG.contains(&lock.mode.as_str()) && seconds >= LONG_LOCK {
                risks.push(risk(
                    "long-lock",
                    format!("it holds {} on {} for about {seconds:.0} s", lock.mode, lock.table),
                    "split it: NOT VALID and VALIDATE, or CONCURRENTLY",
                ));
            }
        }
        if step.kind == "script" && step.time.p50_seconds >= LONG_STATEMENT && step.changes_rows {
            risks.push(risk(
                "unbatched",
                format!(
                    "it changes rows for about {:.0} s in one transaction",
                    step.time.p50_seconds
                ),
                "say `-- lockkeeper: batch` before it",
            ));
        }
        if let Some(lag) = lag.filter(|_| fills) {
            risks.push(risk(
                "replica-lag",
                format!("it would wait now: a replica is {lag:.0} s behind"),
                "see why it is, or begin at another time: how long it waits can't be known beforehand",
            ));
        }
        let rate = step.wal_bytes.map(|bytes| bytes as f64 / step.time.p50_seconds.max(1.0));
        if let Some(rate) = rate.filter(|rate| *rate >= FAST_LOG) {
            risks.push(risk(
                "replica-lag",
                format!(
                    "it writes {:.0} MB of log a second, which replicas have to follow",
                    rate / 1e6
                ),
                "limit it by --max-lag, with the replicas named by --replica-url",
            ));
        }
    }
    risks
}
