//! What became of each pending migration.

use serde::Serialize;

/// One migration's part of [`Progress`](crate::progress::Progress).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MigrationProgress {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// `expand` or `contract`.
    pub phase: &'static str,
    /// The kinds of its steps.
    pub steps: Vec<&'static str>,
    /// How many of them are done.
    pub steps_done: u32,
    /// What became of it.
    pub state: MigrationState,
    /// How long its steps took in this run, once applied.
    pub took_seconds: Option<f64>,
    /// Seconds since the run's start at which it was applied.
    #[serde(skip)]
    pub applied_seconds: Option<f64>,
    /// The steps that this run completed, in order.
    pub finished: Vec<FinishedStep>,
}

/// A step that this run completed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinishedStep {
    /// Which step, from 1.
    pub step: u32,
    /// How long it took in this run.
    pub took_seconds: f64,
    /// Of that, held back or slowed down.
    #[serde(skip)]
    pub throttled_seconds: f64,
    /// Seconds since the run's start at which it was done.
    #[serde(skip)]
    pub at_seconds: f64,
    /// For a backfill: the table.
    pub table: Option<String>,
    /// For a backfill: the key's columns.
    pub key: Vec<String>,
    /// For a backfill: rows that this run's batches changed.
    pub rows_changed: Option<u64>,
}

/// What became of a pending migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MigrationState {
    /// Not begun.
    Pending,
    /// Begun.
    Running,
    /// In the history.
    Applied,
    /// The run has failed in it.
    Failed,
    /// The run was stopped in it, and the next one goes on there.
    Interrupted,
}
