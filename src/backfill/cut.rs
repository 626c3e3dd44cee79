//! Where a batch ends, and which rows of its keys it is for.

use super::{Backfill, BackfillError};
use crate::batch::Part;
use crate::ledger::{Block, Cursor, RangeRecord};
use crate::worker::Worker;

/// What one round of the loop found to do.
pub(super) struct Batch {
    /// The cursor behind it.
    pub to: Cursor,
    /// The last key that it looks at.
    pub through: Vec<String>,
    pub part: Part,
    pub keys: u64,
    /// Whether it is the range's last.
    pub last: bool,
}

/// How batches are to be cut.
#[derive(Clone, Copy, Default)]
pub(super) struct Cut {
    /// So many keys.
    pub rows: u64,
    /// Whether most keys of the last batch were of rows that changed. Only there do halves save more
    /// than the second look at the range costs.
    is_dense: bool,
    /// Whether a batch of the block at work has failed. How many keys are left of its second half is
    /// an estimate, and may be far too low where somebody inserts rows: what has failed once is cut
    /// by counting, or it could never become small enough.
    pub has_failed: bool,
}

impl Cut {
    /// A batch is done, and so many rows were changed.
    pub fn learn(&mut self, batch: &Batch, changed: u64) {
        self.is_dense = 2 * changed >= batch.keys;
        self.has_failed &= batch.to.block().is_some();
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
    ) -> Result<Batch, BackfillError> {
        if let Some(block) = range.cursor.block() {
            return self.second(worker, range, block, cut).await;
        }
        let through = range.through.key().unwrap_or_default();
        let in_halves = cut.is_dense && self.prepared.batch.has_halves();
        let block = in_halves.then(|| Part::block_of(cut.rows)).flatten();
        let (end, keys) = self.boundary(worker, range, through, block.unwrap_or(cut.rows)).await?;
        let last = end == through;
        if block.is_none() || keys <= cut.rows {
            let to = Cursor::at(end.clone());
            return Ok(Batch { to, through: end, part: Part::Whole, keys, last });
        }
        let first = Part::first_of(keys);
        let to = range.cursor.halfway(Block { through: end.clone(), rest: keys - first });
        Ok(Batch { to, through: end, part: Part::First, keys: first, last })
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
            let (end, _) = self.boundary(worker, range, through, looked).await?;
            if end != *through {
                let keys = (looked - Part::first_of(looked)).min(rest);
                let left = Block { through: through.clone(), rest: rest - keys };
                let to = Cursor::at(end.clone()).halfway(left);
                return Ok(Batch { to, through: end, part, keys, last: false });
            }
        }
        let to = Cursor::at(through.clone());
        let last = to == range.through;
        Ok(Batch { to, through: through.clone(), part, keys: rest, last })
    }

    /// The key that is `rows` keys away, or `through` where that is nearer, and how many there are up
    /// to it. Counted on the unfiltered key: counting matches instead would read on and on where few
    /// rows match.
    pub(super) async fn boundary(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        through: &[String],
        rows: u64,
    ) -> Result<(Vec<String>, u64), BackfillError> {
        let query = self.prepared.batch.boundary(range.cursor.key(), through, rows);
        if let Some(row) = worker.query(&query).await?.first() {
            return Ok((self.prepared.key_in(row)?, rows));
        }
        let count = self.prepared.batch.count(range.cursor.key(), through);
        let keys = match worker.query(&count).await?.first() {
            Some(row) => row.int(0)?.max(0) as u64,
            None => 0,
        };
        Ok((through.to_vec(), keys))
    }
}
