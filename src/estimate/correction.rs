//! What the estimates of the past teach: by which factor the model is off here, and by how much more or less than
//! it says. Pure.
//!
//! It is the model's own error that counts, before any correction: so a factor that is applied stays what it is,
//! and isn't taken back as soon as it works.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ledger::EstimateRecord;

/// Shorter steps are of the server's mood, in milliseconds.
const SHORTEST: i64 = 100;
/// So long, as a share of its time, a step may have been held or slowed.
const HELD: f64 = 0.05;
/// What a release counts in that of the one after it.
const DECAY: f64 = 0.8;
/// So many steps of a kind speak for their kind alone.
const OF_KIND: usize = 3;
/// So many say something about how much they differ.
const OF_SPREAD: usize = 5;
/// The standard deviation of a normal distribution in its median absolute deviation.
const DEVIATION: f64 = 1.4826;
/// By how much the spread may be changed, either way.
const NARROWEST: f64 = 0.5;
const WIDEST: f64 = 3.0;

/// What the estimates of the past teach.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Correction {
    lessons: Vec<Lesson>,
}

/// Of one step.
#[derive(Debug, Clone, PartialEq)]
struct Lesson {
    kind: String,
    run: String,
    /// The logarithm of what it took in what the model had said.
    error: f64,
    /// The standard deviation of it, as the model had said.
    spread: f64,
    weight: f64,
}

/// How an estimate was corrected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Corrected {
    /// By which factor.
    pub factor: f64,
    /// By how many steps of the past.
    pub records: usize,
    /// Whether all of them were of this kind.
    pub of_kind: bool,
    /// The median before, in seconds.
    pub model_p50_seconds: f64,
    /// The standard deviation of its logarithm before.
    pub model_spread: f64,
    /// The same after.
    #[serde(skip)]
    pub spread: f64,
}

impl Correction {
    /// From what production's ledger has, the oldest run first.
    pub fn of(records: &[EstimateRecord]) -> Self {
        let counted: Vec<_> = records.iter().filter(|record| counts(record)).collect();
        let mut runs: Vec<&str> = Vec::new();
        for record in &counted {
            if !runs.contains(&record.run.as_str()) {
                runs.push(&record.run);
            }
        }
        let lesson = |record: &&EstimateRecord| {
            let newer = runs.iter().rev().position(|run| *run == record.run).unwrap_or(0);
            Lesson {
                kind: record.kind.clone(),
                run: record.run.clone(),
                error: (record.actual_ms as f64 / record.model_ms as f64).ln(),
                spread: record.model_spread.max(1) as f64 / 1e3,
                weight: DECAY.powi(i32::try_from(newer).unwrap_or(i32::MAX)),
            }
        };
        Correction { lessons: counted.iter().map(lesson).collect() }
    }

    /// Of a step of this kind that the model says takes so long; none where nothing is known, and of steps
    /// that are too short to have taught anything.
    pub fn apply(&self, kind: &str, median: f64, spread: f64) -> Option<Corrected> {
        if median * 1e3 < SHORTEST as f64 {
            return None;
        }
        let own: Vec<_> = self.lessons.iter().filter(|lesson| lesson.kind == kind).collect();
        let lessons = if own.len() >= OF_KIND { own } else { self.lessons.iter().collect() };
        let error = middle(lessons.iter().map(|lesson| (lesson.error, lesson.weight)))?;
        let share = share(&lessons);
        // What isn't believed yet may be true all the same.
        let doubt = (1.0 - share) * error;
        let own = spread * widened(&lessons, error);
        Some(Corrected {
            factor: (share * error).exp(),
            records: lessons.len(),
            of_kind: lessons.iter().all(|lesson| lesson.kind == kind),
            model_p50_seconds: median,
            model_spread: spread,
            spread: (own * own + doubt * doubt).sqrt(),
        })
    }
}

impl Corrected {
    /// What it was corrected by, and why; none of what makes no difference.
    pub fn note(&self, kind: &str) -> Option<String> {
        let off = if self.factor > 1.0 { "short" } else { "long" };
        let of = if self.of_kind { " of such a step" } else { "" };
        let last = match self.records {
            1 => format!("the last estimate{of} was {off}"),
            count => format!("the last {count} estimates{of} were {off}"),
        };
        let is_some = !(0.95..1.05).contains(&self.factor);
        is_some.then(|| {
            format!("a {kind} step is corrected by {}, as {last}", super::model::times(self.factor))
        })
    }
}

/// Whether a step has anything to teach. What an operator has held says nothing of how long it takes.
fn counts(record: &EstimateRecord) -> bool {
    record.actual_ms >= SHORTEST
        && record.model_ms >= SHORTEST
        && record.held_ms as f64 <= HELD * record.actual_ms as f64
}

/// How much of the error is believed: of a first step half, of n in as many runs n/(n+1). Those of one run have
/// its day in common, and count half alone, half as one.
fn share(lessons: &[&Lesson]) -> f64 {
    let runs: BTreeSet<_> = lessons.iter().map(|lesson| &lesson.run).collect();
    1.0 / (1.0 + 0.5 / runs.len() as f64 + 0.5 / lessons.len() as f64)
}

/// By which factor the errors differ more than the model had said.
fn widened(lessons: &[&Lesson], error: f64) -> f64 {
    if lessons.len() < OF_SPREAD {
        return 1.0;
    }
    let apart =
        lessons.iter().map(|lesson| ((lesson.error - error).abs() / lesson.spread, lesson.weight));
    let seen = middle(apart).unwrap_or(1.0) * DEVIATION;
    seen.clamp(NARROWEST, WIDEST)
}

/// The weighted median, between two values where it lies between them.
fn middle(values: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let whole: f64 = values.iter().map(|(_, weight)| weight).sum();
    let mut before = 0.0;
    let mut last: Option<(f64, f64)> = None;
    for (value, weight) in values {
        let at = (before + weight / 2.0) / whole;
        if at >= 0.5 {
            return Some(match last {
                Some((low, below)) => low + (value - low) * (0.5 - below) / (at - below),
                None => value,
            });
        }
        before += weight;
        last = Some((value, at));
    }
    last.map(|(value, _)| value)
}

#[cfg(test)]
mod tests;
