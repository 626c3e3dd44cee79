//! What steps were estimated to take, and what they took: by that later estimates are corrected.

use std::time::Duration;

use crate::db::{Row, Session, Statement, Value, millis};
use crate::history::now;
use crate::progress::Estimated;

use super::read::small;
use super::{Ledger, LedgerError, Pen};

/// What a step was estimated to take, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstimateRecord {
    /// The migration's version.
    pub version: i64,
    /// Which step, from 1.
    pub step: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: String,
    /// `rehearsed`, `sampled` or `derived`.
    pub how: String,
    /// One of ten was expected to be faster, in milliseconds.
    pub p10_ms: i64,
    /// Half of them were.
    pub p50_ms: i64,
    /// Nine of ten were.
    pub p90_ms: i64,
    /// The median before it was corrected by the estimates before it.
    pub model_ms: i64,
    /// The standard deviation of its logarithm before that, in thousandths.
    pub model_spread: i64,
    /// How long the step took, over all runs.
    pub actual_ms: i64,
    /// Of that, for how long the run that completed it was held or slowed.
    pub held_ms: i64,
    /// The run that completed it.
    pub run: String,
    /// That run's epoch, by which a later one is known; 0 of a run that isn't known any more.
    pub epoch: i64,
    /// When it was entered, RFC 3339.
    pub entered_at: String,
}

impl Ledger {
    /// All that was estimated and done, of the oldest run first. Only reads; of a ledger that isn't there or is
    /// older, nothing.
    ///
    /// # Errors
    /// The database's, and [`LedgerError::Damaged`].
    pub async fn estimates(
        &self,
        session: &mut dyn Session,
    ) -> Result<Vec<EstimateRecord>, LedgerError> {
        if !session.has_table(&self.table_name("estimate")).await? {
            return Ok(Vec::new());
        }
        let sql = self.sql(
            "select e.version, e.step, e.kind, e.how, e.p10_ms, e.p50_ms, e.p90_ms, e.model_ms, \
             e.model_spread, e.actual_ms, e.held_ms, e.run, r.epoch, e.entered_at \
             from [estimate] e left join [run] r on r.run = e.run \
             order by coalesce(r.epoch, 0), e.version, e.step",
        );
        let rows = session.query(&Statement::new(sql, Vec::new())).await?;
        rows.iter().map(record).collect()
    }
}

impl Pen {
    /// Enters what a step that is done was estimated to take, beside what the ledger says that it took. It is
    /// fenced; without it only the record is missing.
    pub fn enter_estimate(&self, estimated: &Estimated, held: Duration) -> Vec<Statement> {
        let sql = self.ledger.sql(
            "insert into [estimate] (version, step, kind, how, p10_ms, p50_ms, p90_ms, model_ms, \
             model_spread, held_ms, run, entered_at, actual_ms) \
             select {1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}, took_ms \
             from [step] where version = {13} and step = {14} and state = 'done'",
        );
        let Estimated { version, step, .. } = *estimated;
        let whole = |seconds: f64| Value::from((seconds * 1e3).round() as i64);
        let params = vec![
            version.into(),
            i64::from(step).into(),
            estimated.kind.as_str().into(),
            estimated.how.as_str().into(),
            whole(estimated.p10_seconds),
            whole(estimated.p50_seconds),
            whole(estimated.p90_seconds),
            whole(estimated.model_seconds),
            whole(estimated.model_spread),
            millis(held).into(),
            self.run.as_str().into(),
            now().into(),
            version.into(),
            i64::from(step).into(),
        ];
        vec![self.fence(), self.forget("estimate", version, step), Statement::new(sql, params)]
    }
}

fn record(row: &Row) -> Result<EstimateRecord, LedgerError> {
    Ok(EstimateRecord {
        version: row.int(0)?,
        step: small(row, 1)?,
        kind: row.text(2)?.to_owned(),
        how: row.text(3)?.to_owned(),
        p10_ms: row.int(4)?,
        p50_ms: row.int(5)?,
        p90_ms: row.int(6)?,
        model_ms: row.int(7)?,
        model_spread: row.int(8)?,
        actual_ms: row.int(9)?,
        held_ms: row.int(10)?,
        run: row.text(11)?.to_owned(),
        epoch: row.optional_int(12)?.unwrap_or(0),
        entered_at: row.text(13)?.to_owned(),
    })
}
