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
        let longest = steps.iter().filter_map(to_the_end).fold(0.0, f64::max);
        Advice {
            grace_period_seconds: up(1.1 * total.p90_seconds + STARTUP, 5.0),
            job_timeout_seconds: up(job, 60.0),
            ci_timeout_seconds: up(job + LEAST_TIMEOUT, 60.0),
            stop_timeout_seconds: up(longest.clamp(STOP, LONGEST_STOP), 5.0),
        }
    }
}

/// How long a step that can't be left needs to end, with what comes after it. In seconds.
fn to_the_end(step: &StepReport) -> Option<f64> {
    (step.kind != "backfill").then_some(step.time.p90_seconds + 10.0)
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
        let scale = match step.worked_seconds {
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
                match step.alters {
                    true => "add a column and fill it in batches instead, or do it at night",
                    false => "do it at night",
                },
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
        if let Some(seconds) = to_the_end(step).filter(|seconds| *seconds > LONGEST_STOP) {
            risks.push(risk(
                "unstoppable",
                format!(
                    "no stop timeout suffices: it may take {seconds:.0} s to end, and ECS kills after \
                     {LONGEST_STOP:.0} s at most; then it is rolled back"
                ),
                "run it where nobody stops it: as a one-off task, with the job timeout",
            ));
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

#[cfg(test)]
mod tests {
    use crate::estimate::measured::Measured;
    use crate::estimate::model::{Circumstances, tests as model};
    use crate::estimate::{Extent, Facts, Report};

    fn report(measured: Measured) -> Report {
        let facts = Facts::default();
        let (production, speed, correction) = (Some(&facts), None, None);
        let circumstances = Circumstances { copy: &facts, production, speed, correction };
        Report::new("rehearse", &[measured], circumstances, 0.0)
    }

    #[test]
    fn a_step_that_no_stop_timeout_suffices_for_is_told() {
        let of = |seconds| report(model::measured(seconds, Extent::Constant));
        let codes = |report: &Report| report.risks.iter().map(|risk| risk.code).collect::<Vec<_>>();
        let (short, long) = (of(20.0), of(200.0));
        assert!(codes(&short).is_empty() && codes(&long) == ["unstoppable"], "{long:?}");
        assert_eq!(long.advice.stop_timeout_seconds, 120);
        let fill = report(Measured {
            kind: "backfill",
            ..model::measured(200.0, Extent::Rows("t".to_owned()))
        });
        assert!(codes(&fill).is_empty(), "{fill:?}");
    }

    #[test]
    fn only_an_alter_can_be_a_fill_instead() {
        let rewrites = vec!["t".to_owned()];
        let of = |alters| Measured {
            alters,
            rewrites: rewrites.clone(),
            ..model::measured(1.0, Extent::Constant)
        };
        assert!(report(of(true)).risks[0].next.contains("fill it in batches"));
        assert_eq!(report(of(false)).risks[0].next, "do it at night");
    }
}
