//! What a step was estimated to take, as the time left before anything is measured, and how far off it was.

use serde::Serialize;

use super::{Current, Eta, Progress};

/// By so many seconds it may be late without being worth a word.
const LATE: f64 = 1.0;

/// What a step was estimated to take.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimated {
    /// The migration's version.
    pub version: i64,
    /// Which step, from 1.
    pub step: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: String,
    /// How it is known: `rehearsed`, `sampled` or `derived`.
    pub how: String,
    /// One of ten is faster, in seconds.
    pub p10_seconds: f64,
    /// Half of them are.
    pub p50_seconds: f64,
    /// Nine of ten are.
    pub p90_seconds: f64,
    /// The median before it was corrected by estimates of the past.
    pub model_seconds: f64,
    /// The standard deviation of its logarithm before that.
    pub model_spread: f64,
}

#[cfg(test)]
impl Estimated {
    /// A step of which it was said that it takes forty seconds, and seventy at worst.
    pub(crate) fn forty_seconds(version: i64, step: u32, kind: &str) -> Self {
        Estimated {
            version,
            step,
            kind: kind.to_owned(),
            how: "rehearsed".to_owned(),
            p10_seconds: 30.0,
            p50_seconds: 40.0,
            p90_seconds: 70.0,
            model_seconds: 40.0,
            model_spread: 0.2,
        }
    }
}

impl Estimated {
    /// Whether it is of this step. Where the step is of another kind, its file has changed since.
    pub fn is_of(&self, version: i64, step: u32, kind: &str) -> bool {
        (self.version, self.step) == (version, step) && self.kind == kind
    }

    /// What is left of it after so many seconds, of a step of which such a part was done before.
    pub(super) fn left(&self, part_done: f64, seconds: f64) -> Eta {
        let left = |whole: f64| whole * (1.0 - part_done) - seconds;
        match left(self.p50_seconds) {
            p50_seconds if p50_seconds > 0.0 => {
                let p90_seconds = left(self.p90_seconds).max(p50_seconds);
                Eta::Estimated { p50_seconds, p90_seconds }
            }
            p50_seconds if p50_seconds > -LATE => Eta::Due,
            _ => Eta::Overdue,
        }
    }
}

/// What was estimated of a run, and what it came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Of all that was estimated.
    #[serde(skip)]
    steps: Vec<Estimated>,
    /// The medians of the steps that this run did from their begin to their end, together.
    pub estimated_seconds: f64,
    /// What they took.
    pub took_seconds: f64,
    /// Of that, while they were held or slowed.
    pub held_seconds: f64,
    /// What they took in what was estimated; none before the first of them is done.
    pub ratio: Option<f64>,
}

impl Estimate {
    pub(super) fn of(steps: Vec<Estimated>) -> Self {
        Estimate { steps, ..Estimate::default() }
    }

    pub(super) fn find(&self, version: i64, step: u32, kind: &str) -> Option<&Estimated> {
        self.steps.iter().find(|one| one.is_of(version, step, kind))
    }

    /// A step is done, in so much time of this run.
    pub(super) fn compare(&mut self, step: &Current, took_seconds: f64) {
        let Some(estimated) = step.estimate.as_ref().filter(|_| !step.resumed) else { return };
        self.estimated_seconds += estimated.p50_seconds;
        self.took_seconds += took_seconds;
        self.held_seconds += step.throttled_seconds;
        self.ratio =
            (self.estimated_seconds > 0.0).then(|| self.took_seconds / self.estimated_seconds);
    }
}

impl Progress {
    /// Time left of the current step, by now. Where nothing is measured, what was estimated is counted down; time
    /// for which the step was held doesn't count.
    pub fn eta(&self) -> Option<Eta> {
        let current = self.current.as_ref()?;
        let worked =
            self.elapsed().as_secs_f64() - current.began_seconds - self.throttled().as_secs_f64();
        Some(current.left(worked.max(0.0)))
    }
}
