//! Sharing a range with a worker that has nothing to do.

use super::leaves::Leaves;
use super::ranges::Ranges;
use super::{Backfill, BackfillError};
use crate::ledger::{Cursor, RangeRecord};
use crate::worker::Worker;

/// How many keys a split looks ahead, at most: counting so many takes about a tenth of a second. What
/// is behind them goes to the worker that asked, and when it has too much, others ask for it again.
const REACH: u64 = 1_000_000;
/// A range of fewer batches isn't split.
const BATCHES: u64 = 2;

impl Backfill<'_> {
    /// Splits the range about in its middle, and returns what is kept of it. `None` when there is too
    /// little left.
    pub(super) async fn share(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        rows: u64,
        ranges: &Ranges,
        leaves: &mut Leaves,
    ) -> Result<Option<RangeRecord>, BackfillError> {
        let left = range.keys_total.map(|total| (total - range.keys_done).max(0) as u64);
        let middle = match self.prepared.batch.is_partitioned() {
            true => self.middle_leaf(worker, range, left, rows, leaves).await?,
            false => self.middle(worker, range, left, rows).await?,
        };
        let Some((middle, keys)) = middle else {
            ranges.keep_whole(range);
            return Ok(None);
        };
        let middle = Cursor::at(middle);
        // What the leader has asked its member for is the leader's to give away.
        let owner = if ranges.is_recalled(range) { "" } else { self.pen.owner() };
        let rest = RangeRecord {
            number: ranges.next_number(),
            start: middle.clone(),
            cursor: middle.clone(),
            owner: owner.to_owned(),
            keys_done: 0,
            keys_total: left.map(|left| left.saturating_sub(keys) as i64),
            ..range.clone()
        };
        match worker.transact(&self.pen.split_range(range, &rest)).await {
            // Its number is another process's: the next round takes another one.
            Err(error) if error.is_duplicate() => return Ok(None),
            split => split?,
        };
        let kept_total = range.keys_total.zip(rest.keys_total).map(|(total, rest)| total - rest);
        let kept = RangeRecord { through: middle, keys_total: kept_total, ..range.clone() };
        ranges.was_split(&kept, rest);
        Ok(Some(kept))
    }

    /// About the middle of what is left of a range, and how many keys there are up to it.
    async fn middle(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        left: Option<u64>,
        rows: u64,
    ) -> Result<Option<(Vec<String>, u64)>, BackfillError> {
        if self.prepared.batch.is_by_block() {
            return Ok(self.middle_block(range, rows));
        }
        if let Some(left) = left.filter(|left| *left > 2 * REACH)
            && self.prepared.batch.has_integer_key()
            && let Some(middle) = between(&range.cursor, &range.through)
        {
            return Ok(Some((vec![middle.to_string()], left / 2)));
        }
        let least = rows.saturating_mul(BATCHES);
        let near = left.map_or(REACH, |left| left / 2).min(REACH).max(least);
        let through = range.through.key().unwrap_or_default();
        let (mut middle, mut keys) = self.boundary_behind(worker, range, through, near).await?;
        if middle == through && keys >= 2 * least {
            // There are fewer than it was said, and now it is known how many.
            (middle, keys) = self.boundary_behind(worker, range, through, keys / 2).await?;
        }
        Ok((middle != through).then_some((middle, keys)))
    }
}

/// The integer half way between two.
fn between(after: &Cursor, through: &Cursor) -> Option<i64> {
    let (low, high) = (after.integer()?, through.integer()?);
    let middle = i64::try_from((i128::from(low) + i128::from(high)) / 2).ok()?;
    (low < middle && middle < high).then_some(middle)
}
