//! Going along the blocks that rows lie in, where a table has no key.

use super::cut::{Batch, Within};
use super::{Backfill, Prepared};
use crate::batch::{Part, Spot};
use crate::db::DbError;
use crate::ledger::{Cursor, RangeRecord};
use crate::worker::Worker;

/// How many rows a block has where no statistics say: it has room for so many of a hundred bytes.
const ROWS: u64 = 64;
/// A range has to have so many batches to be split.
const BATCHES: u64 = 2;

impl Prepared {
    /// Learns from the ranges how many rows a block has, on average, by which batches are cut and counted.
    pub fn weigh(&mut self, ranges: &[RangeRecord]) {
        let total: i64 = ranges.iter().filter_map(|range| range.keys_total).sum();
        let blocks = ranges.iter().filter_map(|range| Some(end(range)?.block)).max();
        let Some(blocks) = blocks.filter(|_| self.batch.is_by_block()) else { return };
        let rows = total as f64 / f64::from(Spot::PASSES);
        self.rows_per_block = (rows / (f64::from(blocks) + 1.0)).max(1.0);
    }

    /// Whether the cursors of a range are positions of what this goes along: else it would mean other
    /// rows.
    pub fn is_along(&self, range: &RangeRecord) -> bool {
        let cursors = [&range.start, &range.cursor, &range.through];
        let key = self.described_key();
        let is_same = range.key.as_deref() == Some(&key);
        if self.batch.is_partitioned() {
            return is_same && cursors.into_iter().all(|cursor| self.is_in_leaf(cursor));
        }
        if self.batch.is_by_block() {
            let is_spot =
                |cursor: &Cursor| cursor.key().is_none_or(|key| Spot::read(key).is_some());
            return is_same && cursors.into_iter().all(is_spot);
        }
        range.is_along(&key, self.batch.key().len())
    }

    /// Of so many rows in a table with this last block, how many are to be passed in all. Each pass is as
    /// long as the other; the last look isn't counted.
    pub fn passes(&self, rows: Option<u64>, ceiling: &Cursor) -> Option<u64> {
        if !self.batch.is_by_block() {
            return rows;
        }
        let blocks = ceiling.key().map_or(0, |key| u64::from(Spot::of(key).block) + 1);
        let rows = rows.unwrap_or(blocks * ROWS).max(blocks);
        Some(rows * u64::from(Spot::PASSES))
    }

    /// What comes after a pass, of which `range` is one: how much of all is done by then, from 0 to 1, and
    /// where the next pass ends. `None` after the last.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_pass(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
    ) -> Result<Option<(f64, Cursor)>, DbError> {
        let pass = end_of(range).pass;
        if pass == Spot::LAST_LOOK.pass {
            return Ok(None);
        }
        let done = f64::from(pass) / f64::from(Spot::PASSES);
        let last_look = Cursor::at(Spot::LAST_LOOK.key());
        if pass == Spot::PASSES {
            return Ok(Some((done, last_look)));
        }
        // The table may have grown meanwhile, or been emptied.
        let rows = worker.query(&self.batch.last_block(pass + 1)).await?;
        let end = rows.first().map(|row| self.key_in(row).map(Cursor::at)).transpose()?;
        Ok(Some((done, end.unwrap_or(last_look))))
    }

    /// Whether a batch of so many rows can't be made smaller.
    pub(super) fn is_least(&self, range: &RangeRecord, rows: u64) -> bool {
        if self.batch.is_by_block() {
            return end_of(range).is_last_look() || self.blocks_of(rows) <= 1;
        }
        rows <= 1
    }

    /// How many blocks have so many rows, about.
    fn blocks_of(&self, rows: u64) -> u64 {
        ((rows as f64 / self.rows_per_block).ceil() as u64).max(1)
    }

    fn rows_of(&self, blocks: u64) -> u64 {
        (blocks as f64 * self.rows_per_block).round() as u64
    }
}

impl Backfill<'_> {
    /// The blocks behind the cursor that have about so many rows; of the last look, all.
    pub(super) fn next_blocks(&self, range: &RangeRecord, rows: u64) -> Batch {
        let (first, last) = blocks(range);
        let end = (first + self.prepared.blocks_of(rows)).min(last + 1);
        let to = match end.checked_sub(1).and_then(|block| u32::try_from(block).ok()) {
            Some(block) if end <= last => {
                let pass = end_of(range).pass;
                Cursor::at(Spot { pass, block }.key())
            }
            _ => range.through.clone(),
        };
        let keys =
            if end_of(range).is_last_look() { 0 } else { self.prepared.rows_of(end - first) };
        let through = to.key().unwrap_or_default().to_vec();
        let last = to == range.through;
        let after = range.cursor.key().map(<[_]>::to_vec);
        Batch { to, after, through, within: Within::Table, part: Part::Whole, keys, last }
    }

    /// The block in the middle of what is left of a range, as a cursor's columns, and how many rows there
    /// are up to it. `None` where too little is left for it to be split.
    pub(super) fn middle_block(
        &self,
        range: &RangeRecord,
        rows: u64,
    ) -> Option<(Vec<String>, u64)> {
        let (first, last) = blocks(range);
        let left = last + 1 - first;
        if end_of(range).is_last_look() || left < 2 * BATCHES * self.prepared.blocks_of(rows) {
            return None;
        }
        let block = u32::try_from(first + left / 2 - 1).ok()?;
        let spot = Spot { pass: end_of(range).pass, block };
        Some((spot.key(), self.prepared.rows_of(left / 2)))
    }
}

/// The first block behind the cursor of a range, and its last one.
fn blocks(range: &RangeRecord) -> (u64, u64) {
    let first = range.cursor.key().map_or(0, |key| u64::from(Spot::of(key).block) + 1);
    (first, u64::from(end_of(range).block))
}

fn end_of(range: &RangeRecord) -> Spot {
    Spot::of(range.through.key().unwrap_or_default())
}

fn end(range: &RangeRecord) -> Option<Spot> {
    Spot::read(range.through.key()?)
}
