//! The step at work.

use std::time::Duration;

use serde::Serialize;

use super::{BatchDone, Estimated, Eta, LeaderStep, Rate};

/// The step at work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Current {
    /// The migration's version.
    pub version: i64,
    /// The migration's name.
    pub name: String,
    /// Which step, from 1.
    pub step: u32,
    /// How many steps the migration has.
    pub steps: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: String,
    /// For a backfill: the table.
    pub table: Option<String>,
    /// For a backfill: the key's columns.
    pub key: Vec<String>,
    /// For a backfill: keys passed. One key is one row of the table, matched or not.
    pub rows_done: Option<u64>,
    /// For a backfill: keys in all, an estimate.
    pub rows_total: Option<u64>,
    /// Rows that this run's batches changed; unknown for another run's, and where others helped.
    pub rows_changed: Option<u64>,
    /// Part done, from 0 to 1; never falls, and reaches 1 only at the end.
    pub fraction: Option<f64>,
    /// Keys per second of late, throttled time left out.
    pub rate: Option<f64>,
    /// Time left, of work.
    pub eta: Eta,
    /// Seconds left at the pace to which it is slowed, once that is known; none where it is held.
    pub slowed_eta_seconds: Option<f64>,
    /// Seconds for which it was held or slowed, until the last event.
    pub throttled_seconds: f64,
    /// Why it waits, when it does: name, value and limit.
    pub throttle: Option<String>,
    /// For a backfill: sessions at work on it, those of who helps among them; of another run's, this
    /// process's own.
    pub workers: Option<u32>,
    /// Keys in the last batch.
    pub batch_rows: Option<u64>,
    /// How long the last batch took, in seconds.
    pub batch_seconds: Option<f64>,
    /// All keys at and below it are done: `id ≤ 6812000`.
    pub position: Option<String>,
    /// Seconds since the run's start at which the step began.
    pub began_seconds: f64,
    /// What it was estimated to take.
    #[serde(skip)]
    pub(super) estimate: Option<Estimated>,
    /// Whether an earlier run had begun it.
    #[serde(skip)]
    pub(super) resumed: bool,
    /// Of the throttle, what stays when a batch commits: a reason to try a batch again doesn't.
    #[serde(skip)]
    pub(super) held: Option<String>,
    /// The part that was done before.
    #[serde(skip)]
    begun_at: f64,
    /// When others' part was last heard of.
    #[serde(skip)]
    helped_at: f64,
    #[serde(skip)]
    rater: Rate,
    /// The rate since it is slowed as it is, pauses included.
    #[serde(skip)]
    slowed: Option<Rate>,
}

impl Current {
    pub(super) fn new(at: Duration, step: &LeaderStep) -> Self {
        let (done, total) = step.keys.map_or((None, None), |(done, total)| (Some(done), total));
        let mut current = Current {
            version: step.version,
            name: step.name.clone(),
            step: step.step,
            steps: step.steps,
            kind: step.kind.clone(),
            table: None,
            key: Vec::new(),
            rows_done: done,
            rows_total: total,
            rows_changed: None,
            fraction: None,
            rate: None,
            eta: Eta::Measuring,
            slowed_eta_seconds: None,
            throttled_seconds: 0.0,
            throttle: None,
            workers: None,
            estimate: None,
            resumed: false,
            begun_at: 0.0,
            held: None,
            batch_rows: None,
            batch_seconds: None,
            position: None,
            began_seconds: at.as_secs_f64(),
            helped_at: at.as_secs_f64(),
            rater: Rate::starting(at, done.unwrap_or(0)),
            slowed: None,
        };
        current.advance();
        current.begun_at = current.fraction.unwrap_or(0.0);
        current
    }

    /// A step that another process is at, of which no more is known than what it says of itself.
    pub fn elsewhere(step: &LeaderStep) -> Self {
        Current::new(Duration::ZERO, step)
    }

    /// Time left after so many seconds of work.
    pub(super) fn left(&self, worked: f64) -> Eta {
        match (self.eta, &self.estimate) {
            (Eta::Measuring, Some(estimate)) if self.fraction != Some(1.0) => {
                estimate.left(self.begun_at, worked)
            }
            (eta, _) => eta,
        }
    }

    /// A batch of this run.
    pub(super) fn batch(&mut self, at: Duration, batch: BatchDone) {
        let BatchDone { keys, changed, took, worked, position, keys_total } = batch;
        self.batch_rows = Some(keys);
        self.batch_seconds = Some(took.as_secs_f64());
        self.position = Some(position);
        self.rows_done = Some(self.rows_done.unwrap_or(0) + keys);
        self.rows_total = keys_total;
        self.rows_changed = self.rows_changed.map(|before| before + changed);
        // So many such batches are under way at once.
        self.rater.worked(keys, worked / self.workers.unwrap_or(1).max(1));
        if let (Some(slowed), Some(done)) = (&mut self.slowed, self.rows_done) {
            slowed.observed(at, done);
        }
        self.advance();
    }

    /// What others did of this run's backfill. Returns since when, in seconds. How many rows they changed
    /// isn't known, and so neither is how many were changed in all. So many batches under way at once are
    /// theirs, too, so that the rate needs no sample of them.
    pub(super) fn help(
        &mut self,
        at: Duration,
        keys: u64,
        keys_total: Option<u64>,
        position: String,
    ) -> f64 {
        let since = std::mem::replace(&mut self.helped_at, at.as_secs_f64());
        self.position = Some(position);
        self.rows_done = Some(self.rows_done.unwrap_or(0) + keys);
        self.rows_total = keys_total;
        self.rows_changed = None;
        if let (Some(slowed), Some(done)) = (&mut self.slowed, self.rows_done) {
            slowed.observed(at, done);
        }
        self.advance();
        since
    }

    /// This process doesn't help another run's step any more.
    pub(super) fn leave(&mut self) {
        self.workers = None;
        self.throttle = None;
    }

    /// What the ledger says of this run's backfill.
    pub(super) fn recount(&mut self, done: u64, total: Option<u64>, position: String) {
        self.rows_done = Some(done);
        self.rows_total = total;
        self.position = Some(position);
        self.advance();
    }

    /// It is held or slowed by this, or no longer.
    pub(super) fn hold(&mut self, at: Duration, reason: Option<&str>) {
        let signal = |reason: &str| reason.split_whitespace().next().map(str::to_owned);
        let before = self.held.as_deref().and_then(signal);
        self.held = reason.map(str::to_owned);
        // The same signal with another value slows it much the same.
        if before != reason.and_then(signal) {
            let done = self.rows_done.filter(|_| reason.is_some());
            self.slowed = done.map(|done| Rate::starting(at, done));
            self.advance();
        }
    }

    /// What the ledger says of another run's backfill. Returns how many keys are new, since when.
    pub(super) fn observe(
        &mut self,
        at: Duration,
        done: u64,
        total: Option<u64>,
    ) -> (Duration, u64) {
        self.rows_done = Some(done);
        self.rows_total = total;
        let news = self.rater.observed(at, done);
        self.advance();
        news
    }

    /// Recomputes what follows from the counts. The total is an estimate: when the work outgrows
    /// it, the total grows too, and the fraction stays where it was instead of passing 1.
    fn advance(&mut self) {
        let (Some(done), Some(total)) = (self.rows_done, self.rows_total) else { return };
        let total = total.max(done + u64::from(done > 0));
        self.rows_total = Some(total);
        let fraction = if total == 0 { 0.0 } else { done as f64 / total as f64 };
        self.fraction = Some(self.fraction.unwrap_or(0.0).max(fraction).min(0.999));
        self.rate = self.rater.per_second();
        self.eta = self.rater.eta(total - done);
        self.slowed_eta_seconds = match self.slowed.as_ref().map(|slowed| slowed.eta(total - done))
        {
            Some(Eta::Left { p50_seconds, .. }) => Some(p50_seconds),
            _ => None,
        };
    }

    /// The run ended in the middle: what is done stays, what was expected of the future goes.
    pub(super) fn halt(&mut self) {
        self.throttle = None;
        self.slowed_eta_seconds = None;
        self.rate = None;
        self.eta = Eta::Ended;
    }

    pub(super) fn complete(&mut self) {
        self.throttle = None;
        self.slowed_eta_seconds = None;
        // Also of a script: until the next step begins, this one mustn't look as if it went on.
        self.fraction = Some(1.0);
        if self.rows_done.is_some() {
            self.rows_total = self.rows_done;
            self.eta = Eta::Due;
        }
    }
}
