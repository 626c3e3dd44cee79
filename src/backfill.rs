//! The backfill: a statement batch by batch, with the checkpoint in each batch's transaction.
//!
//! Each batch finds its end on the *unfiltered* key, then commits one list: advance the range's
//! cursor by compare-and-swap, and run the statement for the keys in between. A process that dies
//! on either side of the commit leaves cursor and rows in agreement; a second runner that is late
//! finds the cursor moved and rolls back.

mod prepare;

use std::time::{Duration, Instant};

use crate::batch::{Part, Servo};
use crate::db::{DbError, ErrorKind};
use crate::ledger::{Block, Cursor, LedgerError, Pen, RangeRecord};
use crate::progress::{Event, Reporter};
use crate::stop::Stop;
use crate::worker::Worker;

pub use prepare::{PrepareError, Prepared, lock_timeout, prepare, read, settle};

/// How often in a row a batch may fail for a passing reason, each time smaller and after a longer
/// pause: about a minute and a half in all.
const ATTEMPTS: u32 = 24;

/// Why a backfill ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// A stop was asked for; all up to the cursor is committed.
    #[error("stopped between two batches")]
    Stopped,
    /// A newer run has taken the range over.
    #[error("another run has taken over this backfill")]
    Fenced,
    /// A checkpoint of an earlier run is along another key than the table now has.
    #[error("its checkpoint is along the key {found}, and the key is now {now}")]
    KeyChanged {
        /// The checkpoint's.
        found: String,
        /// The table's.
        now: String,
    },
    /// The database's error, about the statement.
    #[error("{error}")]
    Statement {
        /// In its words.
        error: DbError,
        /// The batch's keys: behind the one, up to the other. Rolled back.
        keys: (Cursor, Cursor),
    },
    /// The database's error, elsewhere.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The ledger's error.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// One backfill step at work.
pub struct Backfill<'a> {
    /// The run's right to write.
    pub pen: &'a Pen,
    /// The statement, proved and rewritten.
    pub prepared: &'a Prepared,
    /// Where batches are reported to.
    pub reporter: &'a Reporter,
    /// The wish to stop.
    pub stop: &'a Stop,
}

/// What one round of the loop found to do.
struct Batch {
    /// The cursor behind it.
    to: Cursor,
    /// The last key that it looks at.
    through: Vec<String>,
    part: Part,
    keys: u64,
    last: bool,
}

/// How a batch is to be cut.
#[derive(Clone, Copy)]
struct Size {
    rows: u64,
    in_halves: bool,
}

impl Backfill<'_> {
    /// Works a range off. THE batch loop.
    ///
    /// # Errors
    /// See [`BackfillError`]; all up to the range's cursor is committed in any case.
    pub async fn drain(
        &self,
        worker: &mut Worker,
        mut range: RangeRecord,
    ) -> Result<(), BackfillError> {
        self.prepared.hurry(worker).await?;
        let mut servo = Servo::new(self.prepared.rows, self.prepared.target);
        let mut attempts = 0;
        // Only where most rows change do halves save more than the second look costs.
        let mut is_dense = false;
        while range.cursor != range.through {
            // A block that is half done is finished first, unless that fails.
            if self.stop.is_requested() && (range.cursor.block().is_none() || attempts > 0) {
                return Err(BackfillError::Stopped);
            }
            let started = Instant::now();
            let done = if servo.doubts() {
                self.empty_batch(worker, &range).await.map(|()| None)
            } else {
                let in_halves = is_dense && self.prepared.batch.has_halves();
                let size = Size { rows: servo.rows(), in_halves };
                self.batch(worker, &range, size).await.map(Some)
            };
            let took = started.elapsed();
            match done {
                Ok(None) => servo.probed(took),
                Ok(Some((batch, changed))) => {
                    if !batch.last {
                        servo.worked(batch.keys, took);
                    }
                    attempts = 0;
                    is_dense = 2 * changed >= batch.keys;
                    range.cursor = batch.to;
                    range.keys_done = range.keys_done.saturating_add_unsigned(batch.keys);
                    let position = self.prepared.position(&range.cursor);
                    let keys = batch.keys;
                    self.reporter.emit(Event::BatchDone { keys, changed, took, position });
                }
                Err(error) => {
                    attempts += 1;
                    servo.failed();
                    let before = range.keys_done;
                    range = self.recover(worker, range, error, attempts).await?;
                    if range.keys_done != before {
                        let keys_done = range.keys_done.max(0) as u64;
                        let position = self.prepared.position(&range.cursor);
                        self.reporter.emit(Event::Recounted { keys_done, position });
                    }
                }
            }
        }
        Ok(())
    }

    /// One batch: its end, then one transaction.
    async fn batch(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        size: Size,
    ) -> Result<(Batch, u64), BackfillError> {
        let batch = self.next(worker, range, size).await?;
        let list = [
            self.pen.advance(range, &batch.to, batch.keys),
            self.prepared.batch.apply(range.cursor.key(), &batch.through, batch.part),
        ];
        match worker.transact(&list).await {
            Ok(counts) => Ok((batch, counts.get(1).copied().unwrap_or(0))),
            Err(error) if error.statement == Some(1) => {
                let keys = (range.cursor.clone(), Cursor::at(batch.through));
                Err(BackfillError::Statement { error, keys })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the next batch is: of the second half of a block whose first is done, or what is behind.
    async fn next(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        Size { rows, in_halves }: Size,
    ) -> Result<Batch, BackfillError> {
        if let Some(block) = range.cursor.block() {
            return self.second(worker, range, block, rows).await;
        }
        let through = range.through.key().unwrap_or_default();
        let block = in_halves.then(|| Part::block_of(rows)).flatten();
        let (end, keys) = self.boundary(worker, range, through, block.unwrap_or(rows)).await?;
        let last = end == through;
        if block.is_none() || keys <= rows {
            let to = Cursor::at(end.clone());
            return Ok(Batch { to, through: end, part: Part::Whole, keys, last });
        }
        let first = Part::first_of(keys);
        let to = range.cursor.halfway(Block { through: end.clone(), rest: keys - first });
        Ok(Batch { to, through: end, part: Part::First, keys: first, last })
    }

    /// Of the second half, all; or, as the size has shrunk since the first, a part.
    async fn second(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        block: &Block,
        rows: u64,
    ) -> Result<Batch, BackfillError> {
        let through = block.through.clone();
        let whole = |through: Vec<String>| {
            let to = Cursor::at(through.clone());
            let last = to == range.through;
            Batch { to, through, part: Part::Second, keys: block.rest, last }
        };
        if block.rest <= rows {
            return Ok(whole(through));
        }
        let keys = Part::among_second(rows);
        let (end, _) = self.boundary(worker, range, &through, keys).await?;
        if end == through {
            return Ok(whole(through));
        }
        let to = Cursor::at(end.clone()).halfway(Block { through, rest: block.rest - rows });
        Ok(Batch { to, through: end, part: Part::Second, keys: rows, last: false })
    }

    /// A batch of no rows, which shows what every batch takes whatever its size: the way to the
    /// server, the checkpoint, the commit.
    async fn empty_batch(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
    ) -> Result<(), BackfillError> {
        self.boundary(worker, range, range.through.key().unwrap_or_default(), 1).await?;
        worker.transact(&[self.pen.advance(range, &range.cursor, 0)]).await?;
        Ok(())
    }

    /// The key that is `rows` keys away, or `through` where that is nearer, and how many there are up
    /// to it. Counted on the unfiltered key: counting matches instead would read on and on where few
    /// rows match.
    async fn boundary(
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

    /// After a failed batch: whether and from where to go on.
    async fn recover(
        &self,
        worker: &mut Worker,
        range: RangeRecord,
        error: BackfillError,
        attempts: u32,
    ) -> Result<RangeRecord, BackfillError> {
        let (BackfillError::Statement { error: cause, .. } | BackfillError::Db(cause)) = &error
        else {
            return Err(error);
        };
        if self.stop.is_forced() {
            return Err(BackfillError::Stopped);
        }
        // A statement timeout cancels too; a smaller batch may fit it.
        let passing = cause.is_transient() || cause.kind == ErrorKind::Cancelled;
        let fenced = cause.kind == ErrorKind::Fenced;
        if !(passing || fenced || cause.is_lost()) || attempts > ATTEMPTS {
            return Err(error);
        }
        if !fenced {
            let pause = back_off(attempts);
            self.reporter.emit(Event::Retrying { reason: cause.to_string(), pause });
            self.stop.sleep(pause).await;
        }
        if cause.is_lost() {
            worker.renew().await?;
            // The session is new; its settings are not.
            self.prepared.settle(worker).await?;
            self.prepared.hurry(worker).await?;
        }
        // What the ledger says decides: after a lost reply the batch may have been committed.
        let ledger = self.pen.ledger();
        let ranges = ledger.ranges(worker.session(), range.version, range.step).await?;
        let found = ranges.into_iter().find(|found| found.number == range.number);
        found.filter(|found| self.pen.owns(found)).ok_or(BackfillError::Fenced)
    }
}

/// 50 ms, doubling to 5 s, with jitter, so that two victims of one deadlock don't meet again.
fn back_off(attempts: u32) -> Duration {
    let base = 0.05 * 2_f64.powi(attempts.min(8) as i32 - 1);
    Duration::from_secs_f64(base.min(5.0) * (0.5 + fastrand::f64()))
}
