//! The backfill: a statement batch by batch, with the checkpoint in each batch's transaction.
//!
//! Each batch finds its end on the *unfiltered* key, then commits one list: advance the range's
//! cursor by compare-and-swap, and run the statement for the keys in between. A process that dies
//! on either side of the commit leaves cursor and rows in agreement; a second runner that is late
//! finds the cursor moved and rolls back.

mod cut;
mod prepare;

use std::time::{Duration, Instant};

use crate::batch::Servo;
use crate::db::{DbError, ErrorKind};
use crate::ledger::{Cursor, LedgerError, Pen, RangeRecord};
use crate::progress::{Event, Reporter};
use crate::stop::Stop;
use crate::worker::Worker;

use cut::{Batch, Cut};
pub use prepare::{PrepareError, Prepared, Warned, lock_timeout, prepare, read, settle};

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
        /// The batch's keys, as SQL to look them up with. Rolled back.
        keys: String,
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
        let mut cut = Cut::default();
        while range.cursor != range.through {
            cut.rows = servo.rows();
            // The second half of a block is done first, if that is one batch.
            if self.stop.is_forced() || self.stop.is_requested() && !cut.closes(&range.cursor) {
                return Err(BackfillError::Stopped);
            }
            let started = Instant::now();
            let done = if servo.doubts() {
                self.empty_batch(worker, &range).await.map(|()| None)
            } else {
                self.batch(worker, &range, cut).await.map(Some)
            };
            let took = started.elapsed();
            match done {
                Ok(None) => servo.probed(took),
                Ok(Some((batch, changed))) => {
                    if !batch.last {
                        // One that found none of its half there has a size, too.
                        servo.worked(batch.keys.max(1), took);
                    }
                    attempts = 0;
                    cut.learn(&range.cursor, &batch, changed);
                    range.cursor = batch.to;
                    range.keys_done = range.keys_done.saturating_add_unsigned(batch.keys);
                    let position = self.prepared.position(&range.cursor);
                    let keys = batch.keys;
                    self.reporter.emit(Event::BatchDone { keys, changed, took, position });
                }
                Err(error) => {
                    attempts += 1;
                    servo.failed();
                    cut.has_failed = true;
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
        cut: Cut,
    ) -> Result<(Batch, u64), BackfillError> {
        let batch = self.next(worker, range, cut).await?;
        let list = [
            self.pen.advance(range, &batch.to, batch.keys),
            self.prepared.batch.apply(range.cursor.key(), &batch.through, batch.part),
        ];
        match worker.transact(&list).await {
            Ok(counts) => Ok((batch, counts.get(1).copied().unwrap_or(0))),
            Err(mut error) if error.statement == Some(1) => {
                error.position = error.position.and_then(|at| self.prepared.batch.origin(at));
                let through = Cursor::at(batch.through);
                let keys = self.prepared.between(&range.cursor, &through, batch.part);
                Err(BackfillError::Statement { error, keys })
            }
            Err(error) => Err(error.into()),
        }
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
