//! What a deployment needs, so that these migrations fit: the times to set, and what to look out for.

use serde::Serialize;

use super::load::{Lag, Load};
use super::measured::Held;
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

/// So does one that changes so many rows.
const MANY_ROWS: f64 = 100_000.0;

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
    let lag = load.and_then(|load| load.lag_over_limit());
    // Where nobody shows them, there may be some.
    let has_replicas = load.and_then(|load| load.replicas) != Some(0);
    let mut risks = Vec::new();
    for step in steps {
        risks.extend(unmeasured(step));
        risks.extend(step.rewrites.iter().map(|table| rewrite(step, table)));
        risks.extend(step.locks.iter().filter_map(|lock| long_lock(step, lock)));
        risks.extend(unstoppable(step));
        risks.extend(unbatched(step));
        risks.extend(lag.and_then(|lag| waits_for_replicas(step, lag)));
        risks.extend(fast_log(step).filter(|_| has_replicas));
    }
    risks
}

fn risk(step: &StepReport, code: &'static str, message: String, next: &str) -> Risk {
    Risk { code, version: step.version, step: step.step, message, next: next.to_owned() }
}

fn unmeasured(step: &StepReport) -> Option<Risk> {
    let message = "the copy has no rows to measure it on: its time is guessed, and its log and growth aren't known";
    let next = "estimate on a copy with production's rows, or a part of them";
    step.guessed.then(|| risk(step, "unmeasured", message.to_owned(), next))
}

fn rewrite(step: &StepReport, table: &str) -> Risk {
    let next = match step.alters {
        true => "add a column and fill it in batches instead, or do it at night",
        false => "do it at night",
    };
    risk(step, "rewrite", format!("it writes {table} anew, and nobody reads it meanwhile"), next)
}

fn long_lock(step: &StepReport, lock: &Held) -> Option<Risk> {
    let scale = match step.worked_seconds {
        0.0 => 1.0,
        seconds => step.time.p50_seconds / seconds,
    };
    let seconds = lock.seconds * scale;
    let next = match lock.mode.as_str() {
        // A lock is held until the step's end, whatever it is for.
        _ if step.changes_rows => {
            "put what changes rows into a step of its own, behind `-- lockkeeper: batch`"
        }
        "ShareLock" => "build the index CONCURRENTLY",
        _ if step.alters => {
            "split it: a constraint NOT VALID and VALIDATE, a column and its fill in batches"
        }
        _ => "do it at night",
    };
    let message = format!("it holds {} on {} for about {seconds:.0} s", lock.mode, lock.table);
    let is_long = STRONG.contains(&lock.mode.as_str()) && seconds >= LONG_LOCK;
    is_long.then(|| risk(step, "long-lock", message, next))
}

fn unstoppable(step: &StepReport) -> Option<Risk> {
    let seconds = to_the_end(step).filter(|seconds| *seconds > LONGEST_STOP)?;
    let message = format!(
        "no stop timeout suffices: it may take {seconds:.0} s to end, and ECS kills after \
         {LONGEST_STOP:.0} s at most; then it is rolled back"
    );
    let next = "run it where nobody stops it: as a one-off task, with the job timeout";
    Some(risk(step, "unstoppable", message, next))
}

fn unbatched(step: &StepReport) -> Option<Risk> {
    let rows = step.dead_rows.unwrap_or(0).max(0) as f64 * step.scale;
    let seconds = step.time.p50_seconds;
    let is_large = seconds >= LONG_STATEMENT || rows >= MANY_ROWS;
    let message = match rows >= MANY_ROWS {
        true => format!("it changes about {rows:.0} rows in one transaction"),
        false => format!("it changes rows for about {seconds:.0} s in one transaction"),
    };
    let next = "say `-- lockkeeper: batch` before it";
    (step.kind == "script" && step.changes_rows && is_large)
        .then(|| risk(step, "unbatched", message, next))
}

fn waits_for_replicas(step: &StepReport, lag: Lag) -> Option<Risk> {
    let message = format!("it would wait now: a replica is {:.0} s behind", lag.behind);
    let next =
        "see why it is, or begin at another time: nobody knows whether it makes that up, and when";
    step.waits().then(|| risk(step, "replica-lag", message, next))
}

fn fast_log(step: &StepReport) -> Option<Risk> {
    let rate = step.wal_bytes? as f64 / step.time.p50_seconds.max(1.0);
    let message =
        format!("it writes {:.0} MB of log a second, which replicas have to follow", rate / 1e6);
    let next = match step.kind {
        "backfill" => "limit it by --max-lag, with the replicas named by --replica-url",
        _ if step.changes_rows => {
            "behind `-- lockkeeper: batch` it waits for replicas: --max-lag, --replica-url"
        }
        _ => "do it when little else is written: it can't wait for replicas",
    };
    (rate >= FAST_LOG).then(|| risk(step, "replica-lag", message, next))
}

#[cfg(test)]
mod tests {
    use crate::estimate::load::Load;
    use crate::estimate::measured::Measured;
    use crate::estimate::model::{Circumstances, Quantiles, tests as model};
    use crate::estimate::prior::estimated;
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
    fn what_waits_for_a_replica_now_is_counted_once() {
        let fill =
            || Measured { kind: "backfill", ..model::measured(10.0, Extent::Rows("t".to_owned())) };
        let script = || model::measured(10.0, Extent::Constant);
        let of = |lag_seconds| {
            let facts = Facts { load: Load { lag_seconds, ..Load::default() }, ..Facts::default() };
            let (production, speed, correction) = (Some(&facts), None, None);
            let circumstances = Circumstances { copy: &facts, production, speed, correction };
            Report::new("rehearse", &[script(), fill(), fill()], circumstances, 0.0)
        };
        let (none, little, far) = (of(None), of(Some(4.0)), of(Some(35.0)));
        assert_eq!(none.total, little.total);
        let more = |of: fn(&Quantiles) -> f64| of(&far.total) - of(&none.total);
        assert!(more(|time| time.p10_seconds).abs() < 1e-9);
        assert!((more(|time| time.p50_seconds) - 30.0).abs() < 1e-9);
        assert!((more(|time| time.p90_seconds) - 60.0).abs() < 1e-9);
        let waits: Vec<_> = far.steps.iter().map(|step| step.waits_seconds).collect();
        assert_eq!(waits, [0.0, 30.0, 0.0]);
        // The first guess of a run's own work hasn't it.
        let told = |report: &Report| estimated(&serde_json::to_string(report).unwrap()).unwrap();
        assert!((told(&far)[1].p50_seconds - told(&none)[1].p50_seconds).abs() < 1e-9);
        assert!((told(&far)[1].model_spread - told(&none)[1].model_spread).abs() < 1e-9);
        assert!(told(&far)[1].p90_seconds >= told(&far)[1].p50_seconds);
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
