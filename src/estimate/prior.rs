//! The report of an estimate as the run reads it, whose time left it is at first.

use serde::Deserialize;

use crate::progress::Estimated;

use super::model::P90;
use super::report::FORMAT;

/// Why a file is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum PriorError {
    /// It isn't JSON, or has other fields.
    #[error("it isn't an estimate's report: {0}")]
    Form(#[from] serde_json::Error),
    /// Of another form than this program writes.
    #[error("it is a report of form {found}, and this lockkeeper reads form {FORMAT}")]
    Format {
        /// Its form.
        found: u32,
    },
    /// No time can be that.
    #[error("step {step} of version {version} has a time that is none")]
    Time {
        /// The migration's version.
        version: i64,
        /// Which step, from 1.
        step: u32,
    },
}

#[derive(Deserialize)]
struct Prior {
    format: u32,
    steps: Vec<PriorStep>,
}

#[derive(Deserialize)]
struct PriorStep {
    version: i64,
    step: u32,
    kind: String,
    how: String,
    p10_seconds: f64,
    p50_seconds: f64,
    p90_seconds: f64,
    #[serde(default)]
    waits_seconds: f64,
    correction: Option<PriorModel>,
}

/// What the model alone had said.
#[derive(Deserialize)]
struct PriorModel {
    model_p50_seconds: f64,
    model_spread: f64,
}

/// Reads what the steps were estimated to take out of a report, which is JSON.
///
/// # Errors
/// What isn't such a report.
pub fn estimated(text: &str) -> Result<Vec<Estimated>, PriorError> {
    let prior: Prior = serde_json::from_str(text)?;
    if prior.format != FORMAT {
        return Err(PriorError::Format { found: prior.format });
    }
    prior.steps.into_iter().map(read).collect()
}

fn read(one: PriorStep) -> Result<Estimated, PriorError> {
    let PriorStep { version, step, kind, how, p10_seconds, correction, .. } = one;
    // It is compared with the time of work.
    let p50_seconds = one.p50_seconds - one.waits_seconds;
    let p90_seconds = one.p90_seconds - 2.0 * one.waits_seconds;
    let uncorrected = || PriorModel {
        model_p50_seconds: p50_seconds,
        model_spread: (p50_seconds.max(f64::MIN_POSITIVE) / p10_seconds.max(f64::MIN_POSITIVE))
            .ln()
            / P90,
    };
    let PriorModel { model_p50_seconds, model_spread } = correction.unwrap_or_else(uncorrected);
    let is_time = |seconds: f64| (0.0..1e9).contains(&seconds);
    let is_right = [p10_seconds, p50_seconds, p90_seconds, model_p50_seconds, model_spread]
        .into_iter()
        .all(is_time)
        && p10_seconds <= p50_seconds
        && p50_seconds <= p90_seconds;
    if !is_right {
        return Err(PriorError::Time { version, step });
    }
    Ok(Estimated {
        version,
        step,
        kind,
        how,
        p10_seconds,
        p50_seconds,
        p90_seconds,
        model_seconds: model_p50_seconds,
        model_spread,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(format: u32, step: &str) -> String {
        format!(r#"{{"format": {format}, "mode": "rehearse", "steps": [{{{step}}}]}}"#)
    }

    const STEP: &str =
        r#""version": 42, "step": 1, "kind": "backfill", "how": "rehearsed", "scale": 1.0"#;

    #[test]
    fn a_corrected_time_is_told_from_the_models_own() {
        let times = r#""p10_seconds": 5.0, "p50_seconds": 10.0, "p90_seconds": 20.0"#;
        let one = |more: &str| estimated(&report(1, &format!("{STEP}, {times}{more}"))).unwrap();
        let plain = &one("")[0];
        assert_eq!((plain.version, plain.step, plain.model_seconds), (42, 1, 10.0));
        assert!((plain.model_spread - 2_f64.ln() / P90).abs() < 1e-9, "{plain:?}");
        let corrected =
            r#", "correction": {"factor": 2.0, "model_p50_seconds": 5.0, "model_spread": 0.2}"#;
        let corrected = &one(corrected)[0];
        assert_eq!((corrected.p50_seconds, corrected.model_seconds), (10.0, 5.0));
        assert_eq!(corrected.model_spread, 0.2);
    }

    #[test]
    fn what_is_no_such_report_says_why() {
        let wrong = |text: &str| estimated(text).unwrap_err().to_string();
        assert!(wrong("12 s").starts_with("it isn't an estimate's report"));
        assert!(wrong("{}").contains("format"));
        assert!(wrong(&report(2, STEP)).contains("p10_seconds"));
        let times = r#", "p10_seconds": 1, "p50_seconds": 1, "p90_seconds": 1"#;
        assert!(wrong(&report(2, &format!("{STEP}{times}"))).contains("form 2"));
        let times = r#", "p10_seconds": 2, "p50_seconds": 1, "p90_seconds": 3"#;
        assert!(wrong(&report(1, &format!("{STEP}{times}"))).contains("version 42"));
        let times = r#", "p10_seconds": -1, "p50_seconds": 1, "p90_seconds": 3"#;
        assert!(wrong(&report(1, &format!("{STEP}{times}"))).contains("a time that is none"));
    }
}
