//! Where a batch ends, and which rows of its keys it is for.

use std::collections::VecDeque;
use std::time::Duration;

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
    /// The key behind which it begins.
    pub after: Option<Vec<String>>,
    /// The last key that it looks at.
    pub through: Vec<String>,
    pub within: Within,
    pub part: Part,
    pub keys: u64,
    /// Whether it looks as far as the range's last key.
    pub last: bool,
}

/// Of what a batch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Within {
    /// Of the table.
    Table,
    /// Of a partition.
    Leaf { number: i64, name: TableName },
    /// Of nothing: the rest of the range has no rows.
    Nothing,
}

/// How batches are to be cut.
#[derive(Default)]
pub(super) struct Cut {
    /// So many keys.
    pub rows: u64,
    /// How long their rows may take.
    pub longest: Duration,
    /// Whether what is half done is to be finished before anything else.
    pub is_closing: bool,
    /// Whether most keys of the last batch were of rows that changed. Only there do halves save more
    /// than the second look at the range costs.
    is_dense: bool,
    /// Whether a batch of the blocks at work has failed. How many keys are left of a second half is
    /// an estimate, and may be far too low where somebody inserts rows: what has failed once is cut
    /// by counting, or it could never become small enough.
    has_failed: bool,
    /// The blocks whose first half is done, in order, as far as this worker did all of it.
    blocks: VecDeque<Begun>,
    /// Whether the last block had a row for each integer, and all were changed. The end of the next
    /// one then needs no counting, which is a fiftieth of the time: there can't be more keys than
    /// integers, and where there are fewer, it is counted again from the next block on.
    is_gapless: bool,
}

/// A block whose first half is done.
struct Begun {
    /// Where it begins, along an integer key.
    from: Option<i64>,
    through: Vec<String>,
    /// How many of its keys aren't done.
    rest: u64,
    /// How many of its rows were changed.
    changed: u64,
}

impl Begun {
    fn is_gapless(&self) -> bool {
        let end = Cursor::at(self.through.clone()).integer();
        let span = self.from.zip(end).and_then(|(from, end)| end.checked_sub(from));
        span.is_some() && span == i64::try_from(self.changed).ok()
    }
}

impl Cut {
    /// So many blocks are half done at a time, at most. With one, the second half would follow upon the
    /// first: what another worker's batch, or anybody's transaction, began to read before that, would keep
    /// the old versions of the first half alive, in whose place the second one is to be.
    const BLOCKS: usize = 2;

    /// A batch behind `cursor` is done, and so many rows were changed.
    pub fn learn(&mut self, cursor: &Cursor, batch: &Batch, changed: u64) {
        self.is_dense = 2 * changed >= batch.keys;
        // With nothing half done before or behind it, nothing that failed is left.
        self.has_failed &= cursor.block().is_some() && batch.to.block().is_some();
        let (from, through) = (cursor.frontier().integer(), batch.through.clone());
        match batch.part {
            Part::Whole => {
                self.is_gapless = Begun { from, through, rest: 0, changed }.is_gapless();
            }
            Part::First => {
                let rest = batch.to.rest().saturating_sub(cursor.rest());
                self.blocks.push_back(Begun { from, through, rest, changed });
            }
            Part::Second => {
                if let Some(block) = self.blocks.front_mut() {
                    block.changed += changed;
                    block.rest = block.rest.saturating_sub(batch.keys);
                }
                let closed = self.blocks.pop_front_if(|block| block.through == batch.through);
                self.is_gapless = closed.map_or(self.is_gapless, |block| block.is_gapless());
            }
        }
    }

    /// A batch has failed, or another process has moved the cursor.
    pub fn failed(&mut self) {
        self.has_failed = true;
        self.is_gapless = false;
        self.blocks.clear();
    }

    /// The key `keys` integers behind this one, or `through` where that is nearer, and how many
    /// there are up to it.
    fn without_counting(
        &self,
        from: &Cursor,
        through: &[String],
        keys: u64,
    ) -> Option<(Vec<String>, u64)> {
        let from = from.integer().filter(|_| self.is_gapless)?;
        let last = Cursor::at(through.to_vec()).integer()?;
        let end = from.saturating_add_unsigned(keys).min(last);
        Some((vec![end.to_string()], end.abs_diff(from)))
    }

    /// Whether what is half done is finished soon.
    pub fn closes(&self, cursor: &Cursor) -> bool {
        let most = self.rows.saturating_mul(Self::BLOCKS as u64);
        cursor.block().is_some_and(|block| !self.has_failed && block.rest <= most)
    }

    /// Whether another block may be begun before those at work are done.
    fn goes_on(&self) -> bool {
        let begun = self.blocks.len();
        !self.is_closing && self.block().is_some() && (1..Self::BLOCKS).contains(&begun)
    }

    /// Of how many keys the next block is, where it is to be done in halves.
    fn block(&self) -> Option<u64> {
        Part::block_of(self.rows).filter(|_| self.is_dense)
    }

    /// The second half that is next, where it is one batch: its last key, and how many it has.
    fn second<'c>(&'c self, block: &'c Block) -> Option<(&'c [String], u64)> {
        let first = self.blocks.front().map(|begun| (begun.through.as_slice(), begun.rest));
        let (through, rest) = first.unwrap_or((&block.through, block.rest));
        (!self.has_failed && rest <= self.rows).then_some((through, rest))
    }
}

impl Backfill<'_> {
    /// What the next batch is: of the second half of a block whose first is done, or what is behind.
    pub(super) async fn next(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        cut: &Cut,
        leaves: &mut Leaves,
    ) -> Result<Batch, BackfillError> {
        if self.prepared.batch.is_partitioned() {
            return self.next_in_leaf(worker, range, cut, leaves).await;
        }
        if self.prepared.batch.is_by_block() {
            return Ok(self.next_blocks(range, cut.rows));
        }
        let Some(block) = range.cursor.block() else {
            return self.first(worker, range, cut).await;
        };
        if cut.goes_on() && Some(block.through.as_slice()) != range.through.key() {
            let batch = self.first(worker, range, cut).await?;
            // What is whole comes after what is half done: where too few keys are left.
            if batch.part == Part::First {
                return Ok(batch);
            }
        }
        self.second(worker, range, block, cut).await
    }

    /// Behind all that is begun: the first half of a block, or all where halves don't pay.
    async fn first(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        cut: &Cut,
    ) -> Result<Batch, BackfillError> {
        let through = range.through.key().unwrap_or_default();
        let frontier = range.cursor.frontier();
        let source = &self.prepared.batch;
        let block = cut.block().filter(|_| source.has_halves());
        let wanted = block.unwrap_or(cut.rows);
        let known = cut.without_counting(&frontier, through, wanted);
        let (end, keys) = match known.filter(|_| source.has_halves()) {
            Some(known) => known,
            None => self.boundary(worker, source, frontier.key(), through, wanted).await?,
        };
        let (within, after) = (Within::Table, frontier.key().map(<[_]>::to_vec));
        let last = end == through;
        if block.is_none() || keys <= cut.rows {
            let (to, part) = (Cursor::at(end.clone()), Part::Whole);
            return Ok(Batch { to, after, through: end, within, part, keys, last });
        }
        let first = Part::first_of(keys);
        let rest = range.cursor.rest() + keys - first;
        let to = range.cursor.halfway(Block { through: end.clone(), rest });
        Ok(Batch { to, after, through: end, within, part: Part::First, keys: first, last })
    }

    /// Of what is half done, the next second half; or, as batches have shrunk since the first, a part.
    async fn second(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        block: &Block,
        cut: &Cut,
    ) -> Result<Batch, BackfillError> {
        let (end, keys) = match cut.second(block) {
            Some((end, keys)) => (end.to_vec(), keys),
            None => {
                let looked = Part::among_second(cut.rows);
                let first = cut.blocks.front().map_or(&block.through, |begun| &begun.through);
                let (end, _) = self.boundary_behind(worker, range, first, looked).await?;
                (end, looked - Part::first_of(looked))
            }
        };
        let to = Cursor::at(end.clone());
        let is_all = end == block.through;
        let keys = if is_all { block.rest } else { keys.min(block.rest) };
        let left = Block { through: block.through.clone(), rest: block.rest - keys };
        let to = if is_all { to } else { to.halfway(left) };
        let last = to == range.through;
        let (within, after) = (Within::Table, range.cursor.key().map(<[_]>::to_vec));
        Ok(Batch { to, after, through: end, within, part: Part::Second, keys, last })
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

    fn batch(part: Part, after: i64, through: i64, to: Cursor, keys: u64) -> Batch {
        let (within, through) = (Within::Table, vec![through.to_string()]);
        Batch { to, after: Some(vec![after.to_string()]), through, within, part, keys, last: false }
    }

    fn whole(from: i64, to: i64) -> Batch {
        batch(Part::Whole, from, to, at(to), from.abs_diff(to))
    }

    /// All up to `done` is, and half of it up to `through`, so that `rest` are left.
    fn halfway(done: i64, through: i64, rest: u64) -> Cursor {
        at(done).halfway(Block { through: vec![through.to_string()], rest })
    }

    fn next(cut: &Cut, cursor: &Cursor, keys: u64) -> Option<(String, u64)> {
        let found = cut.without_counting(cursor, &["1000".to_owned()], keys);
        found.map(|(end, keys)| (end[0].clone(), keys))
    }

    #[test]
    fn keys_without_gaps_need_no_counting() {
        let mut cut = Cut::default();
        cut.learn(&Cursor::START, &whole(0, 100), 100);
        assert_eq!(next(&cut, &at(100), 50), None, "where the first one begins isn't known");
        cut.learn(&at(-100), &whole(-100, 100), 200);
        assert_eq!(next(&cut, &at(100), 50), Some(("150".to_owned(), 50)));
        assert_eq!(next(&cut, &at(990), 50), Some(("1000".to_owned(), 10)));
        assert_eq!(next(&cut, &at(990), u64::MAX), Some(("1000".to_owned(), 10)));
        cut.learn(&at(100), &whole(100, 300), 199);
        assert_eq!(next(&cut, &at(300), 50), None);
    }

    #[test]
    fn both_halves_count() {
        let mut cut = Cut::default();
        cut.learn(&at(0), &batch(Part::First, 0, 70, halfway(0, 70, 30), 40), 40);
        cut.learn(&halfway(0, 70, 30), &batch(Part::Second, 0, 70, at(70), 30), 30);
        assert_eq!(next(&cut, &at(70), 7), Some(("77".to_owned(), 7)));
        cut.learn(&at(70), &batch(Part::First, 70, 140, halfway(70, 140, 30), 40), 40);
        cut.learn(&halfway(70, 140, 30), &batch(Part::Second, 70, 140, at(140), 30), 29);
        assert_eq!(next(&cut, &at(140), 7), None);
        let mut resumed = Cut::default();
        resumed.learn(&halfway(0, 70, 30), &batch(Part::Second, 0, 70, at(70), 30), 70);
        assert_eq!(next(&resumed, &at(70), 7), None, "of the first half nothing is known");
    }

    #[test]
    fn a_second_half_comes_after_the_first_of_the_next_block() {
        let mut cut = Cut { rows: 40, ..Cut::default() };
        assert!(!cut.goes_on(), "of what another worker began nothing is known");
        let begun = halfway(0, 70, 30);
        cut.learn(&at(0), &batch(Part::First, 0, 70, begun.clone(), 40), 40);
        assert!(cut.goes_on());
        let both = halfway(0, 140, 60);
        cut.learn(&begun, &batch(Part::First, 70, 140, both.clone(), 40), 40);
        assert!(!cut.goes_on());
        assert!(cut.closes(&both));
        let second = cut.second(both.block().unwrap());
        assert_eq!(second, Some((&["70".to_owned()][..], 30)));
        let one = halfway(70, 140, 30);
        cut.learn(&both, &batch(Part::Second, 0, 70, one.clone(), 30), 30);
        assert!(cut.goes_on());
        cut.is_closing = true;
        assert!(!cut.goes_on());
        assert_eq!(cut.second(one.block().unwrap()), Some((&["140".to_owned()][..], 30)));
        cut.rows = 20;
        assert_eq!(cut.second(one.block().unwrap()), None, "it is cut by counting");
        cut.failed();
        cut.rows = 40;
        assert_eq!(cut.second(one.block().unwrap()), None);
        assert!(!cut.closes(&one));
        cut.learn(&one, &batch(Part::Second, 70, 140, at(140), 30), 30);
        assert!(!cut.has_failed);
        cut.failed();
        cut.learn(&at(140), &batch(Part::First, 140, 210, halfway(140, 210, 30), 40), 40);
        assert!(!cut.has_failed, "what failed was done with nothing else begun");
    }
}
