//! Where a batch ends, and which rows of its keys it is for.

use super::leaves::Leaves;
use super::{Backfill, BackfillError};
use crate::batch::{self, Part};
use crate::db::TableName;
use crate::ledger::{Block, Cursor, RangeRecord};
use crate::worker::Worker;

/// What one round of the loop found to do.
pub(super) struct Batch {
    /// The cursor behind it.
    pub to: Cursor,
    /// The last key that it looks at.
    pub through: Vec<String>,
    pub within: Within,
    pub part: Part,
    pub keys: u64,
    /// Whether it is the range's last.
    pub last: bool,
}

/// Of what a batch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Within {
    /// Of the table, behind the range's cursor.
    Table,
    /// Of a partition, behind a key in it.
    Leaf { number: i64, name: TableName, after: Option<Vec<String>> },
    /// Of nothing: the rest of the range has no rows.
    Nothing,
}

/// How batches are to be cut.
#[derive(Clone, Copy, Default)]
pub(super) struct Cut {
    /// So many keys.
    pub rows: u64,
    /// Whether nobody else works on the backfill.
    pub is_alone: bool,
    /// Whether most keys of the last batch were of rows that changed. Only there do halves save more
    /// than the second look at the range costs.
    is_dense: bool,
    /// Whether a batch of the block at work has failed. How many keys are left of its second half is
    /// an estimate, and may be far too low where somebody inserts rows: what has failed once is cut
    /// by counting, or it could never become small enough.
    pub has_failed: bool,
    /// Where the block at work begins, along an integer key, and how many of its rows were changed.
    block: Option<(i64, u64)>,
    /// Whether the last block had a row for each integer, and all were changed. The end of the next
    /// one then needs no counting, which is a fiftieth of the time: there can't be more keys than
    /// integers, and where there are fewer, it is counted again from the next block on.
    is_gapless: bool,
}

impl Cut {
    /// A batch behind `cursor` is done, and so many rows were changed.
    pub fn learn(&mut self, cursor: &Cursor, batch: &Batch, changed: u64) {
        self.is_dense = 2 * changed >= batch.keys;
        self.has_failed &= batch.to.block().is_some();
        self.block = match (batch.part, self.block) {
            (Part::Second, None) => None,
            (Part::Second, Some((from, before))) => Some((from, before + changed)),
            (Part::Whole | Part::First, _) => cursor.integer().map(|from| (from, changed)),
        };
        if batch.to.block().is_none() {
            let span = self.block.and_then(|(from, _)| batch.to.integer()?.checked_sub(from));
            let all = self.block.and_then(|(_, changed)| i64::try_from(changed).ok());
            self.is_gapless = span.is_some() && span == all;
        }
    }

    /// The key `keys` integers behind the cursor, or `through` where that is nearer, and how many
    /// there are up to it.
    fn without_counting(
        &self,
        cursor: &Cursor,
        through: &[String],
        keys: u64,
    ) -> Option<(Vec<String>, u64)> {
        let from = cursor.integer().filter(|_| self.is_gapless)?;
        let last = Cursor::at(through.to_vec()).integer()?;
        let end = from.saturating_add_unsigned(keys).min(last);
        Some((vec![end.to_string()], end.abs_diff(from)))
    }

    /// Whether the next batch is the rest of a half-done block.
    pub fn closes(&self, cursor: &Cursor) -> bool {
        cursor.block().is_some_and(|block| !self.has_failed && block.rest <= self.rows)
    }
}

impl Backfill<'_> {
    /// What the next batch is: of the second half of a block whose first is done, or what is behind.
    pub(super) async fn next(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        cut: Cut,
        leaves: &mut Leaves,
    ) -> Result<Batch, BackfillError> {
        if self.prepared.batch.is_partitioned() {
            return self.next_in_leaf(worker, range, cut, leaves).await;
        }
        if self.prepared.batch.is_by_block() {
            return Ok(self.next_blocks(range, cut.rows));
        }
        if let Some(block) = range.cursor.block() {
            return self.second(worker, range, block, cut).await;
        }
        let through = range.through.key().unwrap_or_default();
        let has_halves = self.prepared.batch.has_halves();
        // The batch of another worker keeps the old versions of the first half alive.
        let block = (cut.is_dense && has_halves && cut.is_alone)
            .then(|| Part::block_of(cut.rows))
            .flatten();
        let wanted = block.unwrap_or(cut.rows);
        let known = cut.without_counting(&range.cursor, through, wanted).filter(|_| has_halves);
        let (end, keys) = match known {
            Some(known) => known,
            None => self.boundary_behind(worker, range, through, wanted).await?,
        };
        let last = end == through;
        if block.is_none() || keys <= cut.rows {
            let to = Cursor::at(end.clone());
            let (within, part) = (Within::Table, Part::Whole);
            return Ok(Batch { to, through: end, within, part, keys, last });
        }
        let first = Part::first_of(keys);
        let to = range.cursor.halfway(Block { through: end.clone(), rest: keys - first });
        let (within, part) = (Within::Table, Part::First);
        Ok(Batch { to, through: end, within, part, keys: first, last })
    }

    /// Of the second half, all; or, as batches have shrunk since the first, a part.
    async fn second(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        Block { through, rest }: &Block,
        cut: Cut,
    ) -> Result<Batch, BackfillError> {
        let (part, rest) = (Part::Second, *rest);
        if !cut.closes(&range.cursor) {
            let looked = Part::among_second(cut.rows);
            let (end, _) = self.boundary_behind(worker, range, through, looked).await?;
            if end != *through {
                let keys = (looked - Part::first_of(looked)).min(rest);
                let left = Block { through: through.clone(), rest: rest - keys };
                let to = Cursor::at(end.clone()).halfway(left);
                let within = Within::Table;
                return Ok(Batch { to, through: end, within, part, keys, last: false });
            }
        }
        let to = Cursor::at(through.clone());
        let last = to == range.through;
        let within = Within::Table;
        Ok(Batch { to, through: through.clone(), within, part, keys: rest, last })
    }

    /// The key that is `rows` keys away, or `through` where that is nearer, and how many there are up
    /// to it. Counted on the unfiltered key: counting matches instead would read on and on where few
    /// rows match.
    pub(super) async fn boundary(
        &self,
        worker: &mut Worker,
        source: &batch::Batch,
        after: Option<&[String]>,
        through: &[String],
        rows: u64,
    ) -> Result<(Vec<String>, u64), BackfillError> {
        let query = source.boundary(after, through, rows);
        if let Some(row) = worker.query(&query).await?.first() {
            return Ok((self.prepared.key_in(row)?, rows));
        }
        let count = source.count(after, through);
        let keys = match worker.query(&count).await?.first() {
            Some(row) => row.int(0)?.max(0) as u64,
            None => 0,
        };
        Ok((through.to_vec(), keys))
    }

    /// The same behind a range's cursor.
    pub(super) async fn boundary_behind(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        through: &[String],
        rows: u64,
    ) -> Result<(Vec<String>, u64), BackfillError> {
        self.boundary(worker, &self.prepared.batch, range.cursor.key(), through, rows).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: i64) -> Cursor {
        Cursor::at(vec![key.to_string()])
    }

    fn batch(to: Cursor, part: Part) -> Batch {
        let within = Within::Table;
        Batch { to, through: Vec::new(), within, part, keys: 100, last: false }
    }

    fn next(cut: &Cut, cursor: &Cursor, keys: u64) -> Option<(String, u64)> {
        let found = cut.without_counting(cursor, &["1000".to_owned()], keys);
        found.map(|(end, keys)| (end[0].clone(), keys))
    }

    #[test]
    fn keys_without_gaps_need_no_counting() {
        let mut cut = Cut::default();
        cut.learn(&Cursor::START, &batch(at(100), Part::Whole), 100);
        assert_eq!(next(&cut, &at(100), 50), None, "where the first one begins isn't known");
        cut.learn(&at(-100), &batch(at(100), Part::Whole), 200);
        assert_eq!(next(&cut, &at(100), 50), Some(("150".to_owned(), 50)));
        assert_eq!(next(&cut, &at(990), 50), Some(("1000".to_owned(), 10)));
        assert_eq!(next(&cut, &at(990), u64::MAX), Some(("1000".to_owned(), 10)));
        cut.learn(&at(100), &batch(at(300), Part::Whole), 199);
        assert_eq!(next(&cut, &at(300), 50), None);
    }

    #[test]
    fn both_halves_count() {
        let halfway = at(0).halfway(Block { through: vec!["70".into()], rest: 30 });
        let mut cut = Cut::default();
        cut.learn(&at(0), &batch(halfway.clone(), Part::First), 40);
        cut.learn(&halfway, &batch(at(70), Part::Second), 30);
        assert_eq!(next(&cut, &at(70), 7), Some(("77".to_owned(), 7)));
        cut.learn(&at(70), &batch(halfway.clone(), Part::First), 40);
        cut.learn(&halfway, &batch(at(140), Part::Second), 29);
        assert_eq!(next(&cut, &at(140), 7), None);
        let mut resumed = Cut::default();
        resumed.learn(&halfway, &batch(at(70), Part::Second), 70);
        assert_eq!(next(&resumed, &at(70), 7), None, "of the first half nothing is known");
    }
}
