//! How far an open backfill is, and at which pace.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::db::{Session, Statement};
use crate::ledger::{Cursor, Ledger, RunRecord, StepRecord, frontier};
use crate::runner::SurveyError;

/// How far an open backfill is.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Checkpoint {
    pub step: u32,
    pub began_at: String,
    pub rows_done: u64,
    pub rows_total: Option<u64>,
    /// Rows per second on average, pauses included, while a run is at it.
    pub rate: Option<f64>,
    /// Seconds left at that pace.
    pub eta_seconds: Option<f64>,
    /// All keys up to here are done; a composite key has several parts.
    pub key: Option<Vec<String>>,
    /// And half of those behind it up to here, while a run is between the halves or ended there.
    pub half_through: Option<Vec<String>>,
    /// The partition that it is in, of a table that is partitioned.
    pub partition: Option<String>,
    /// Whether these are no keys, but the pass and the block.
    #[serde(skip)]
    pub by_block: bool,
    /// Ranges that several workers have made of it, those that are done among them.
    pub ranges: usize,
}

impl Checkpoint {
    /// Of a claimed step; `None` where there is nothing to go on with.
    pub async fn read(
        ledger: &Ledger,
        session: &mut dyn Session,
        claim: &StepRecord,
    ) -> Result<Option<Self>, SurveyError> {
        let ranges = ledger.ranges(session, claim.version, claim.step).await?;
        let total: Option<i64> = ranges.iter().map(|range| range.keys_total).sum();
        let mut key = frontier(ranges.iter()).and_then(|frontier| Some(frontier.key()?.to_vec()));
        let is_along = |what: &str| {
            ranges.iter().any(|range| range.key.as_deref().is_some_and(|key| key.starts_with(what)))
        };
        let mut partition = None;
        if let Some(key) =
            key.as_mut().filter(|key| is_along(Cursor::PARTITIONS) && !key.is_empty())
        {
            let number = key.remove(0);
            let name = "select oid::regclass::text from pg_class where oid = $1::text::oid";
            let name = Statement::new(name, vec![number.as_str().into()]);
            let rows = session.query(&name).await?;
            let name = rows.first().and_then(|row| row.text(0).ok().map(str::to_owned));
            partition = Some(name.unwrap_or(number));
        }
        Ok(frontier(ranges.iter()).map(|frontier| Checkpoint {
            step: claim.step,
            began_at: claim.began_at.clone(),
            rows_done: ranges.iter().map(|range| range.keys_done.max(0) as u64).sum(),
            rows_total: total.map(|total| total.max(0) as u64),
            rate: None,
            eta_seconds: None,
            key,
            partition,
            half_through: frontier.block().map(|block| block.through.clone()),
            by_block: is_along(Cursor::BLOCKS),
            ranges: ranges.len(),
        }))
    }

    /// From the time that was spent on it by the run at work and those before it: the pace so far, and what
    /// is left at that one. A run that was killed has entered nothing of its time; then it isn't known.
    pub async fn predict(
        &mut self,
        ledger: &Ledger,
        session: &mut dyn Session,
        claim: &StepRecord,
        run: &RunRecord,
    ) -> Result<(), SurveyError> {
        let spent = spent(claim, run, OffsetDateTime::now_utc());
        let Some(spent) = spent.filter(|spent| *spent >= 1.0 && self.rows_done > 0) else {
            return Ok(());
        };
        if ledger.was_killed(session, claim, run.epoch).await? {
            return Ok(());
        }
        let rate = self.rows_done as f64 / spent;
        self.rate = Some((rate * 10.0).round() / 10.0);
        let left = self.rows_total.map(|total| total.saturating_sub(self.rows_done) as f64 / rate);
        self.eta_seconds = left.map(|left| (left * 10.0).round() / 10.0);
        Ok(())
    }
}

/// Seconds that were spent on a step: by the run at work, which has begun it or found it open at its
/// own begin, and by those before it.
fn spent(claim: &StepRecord, run: &RunRecord, now: OffsetDateTime) -> Option<f64> {
    let before = claim.took_ms as f64 / 1000.0;
    let since = match claim.run == run.run {
        true => &claim.began_at,
        false => &run.started_at,
    };
    let since = OffsetDateTime::parse(since, &Rfc3339).ok()?;
    Some(before + (now - since).as_seconds_f64().max(0.0))
}
