//! The backfill: a statement batch by batch, with the checkpoint in each batch's transaction.
//!
//! Each batch finds its end on the *unfiltered* key, then commits one list: advance the range's
//! cursor by compare-and-swap, and run the statement for the keys in between. A process that dies
//! on either side of the commit leaves cursor and rows in agreement; a second runner that is late
//! finds the cursor moved and rolls back.
//!
//! With several workers, each has ranges of its own, and splits what it is at when another one has
//! nothing to do. Some of them may be another process's, a member's, which is lent ranges by way of the
//! ledger: `lend` is its leader's part in that, `borrow` its own.

mod blocks;
mod borrow;
mod crew;
mod cut;
mod gauge;
mod leaves;
mod lend;
mod prepare;
mod ranges;
mod recovery;
mod scale;
mod share;
mod transaction;

use std::time::Instant;

use crate::batch::Servo;
use crate::db::DbError;
use crate::ledger::{LedgerError, Pen, RangeRecord};
use crate::progress::{BatchDone, Event, Reporter};
use crate::stop::Stop;
use crate::throttle::Throttle;
use crate::worker::Worker;

pub use borrow::{Borrowed, Seen};
use crew::Seat;
use cut::{Batch, Cut};
use gauge::Gauge;
use leaves::Leaves;
pub use prepare::{
    PrepareError, Prepared, Warned, count_up_to, lock_timeout, prepare, read, settle, unsettle,
};
use ranges::Ranges;

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
    /// What is wrong with the ledger.
    #[error(transparent)]
    Ledger(LedgerError),
}

impl From<LedgerError> for BackfillError {
    /// What fails in the database may pass, whichever table was asked for.
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Db(error) => BackfillError::Db(error),
            damaged => BackfillError::Ledger(damaged),
        }
    }
}

/// One backfill step at work.
pub struct Backfill<'a> {
    /// The run's right to write.
    pub pen: &'a Pen,
    /// The statement, proved and rewritten.
    pub prepared: &'a Prepared,
    /// What holds it back or slows it down.
    pub throttle: &'a Throttle,
    /// Where batches are reported to.
    pub reporter: &'a Reporter,
    /// The wish to stop.
    pub stop: &'a Stop,
}

impl Backfill<'_> {
    /// Works a range off, as far as it is this process's. Returns what is left of it where the worker is to
    /// stand back. THE batch loop.
    async fn drain(
        &self,
        seat: &mut Seat,
        worker: &mut Worker,
        servo: &mut Servo,
        mut range: RangeRecord,
        ranges: &Ranges,
    ) -> Result<Option<RangeRecord>, BackfillError> {
        let mut attempts = 0;
        let mut cut = Cut::default();
        let mut leaves = Leaves::of(self.prepared);
        let mut lane = self.throttle.lane();
        let mut gauge = Gauge::default();
        // All but pauses counts as work: what is asked beside the batches, too.
        let mut since = Instant::now();
        while !range.is_done() {
            let pass = async {
                tokio::select! {
                    () = lane.pass(self.stop) => {}
                    () = ranges.closed() => {}
                    () = seat.taken() => {}
                }
            };
            let waits = Instant::now();
            worker.idle(pass).await;
            since += waits.elapsed();
            // By now it may be known better how large the table is, and who else is at it.
            servo.limit(self.prepared.most_rows(ranges.keys_total(), ranges.all_workers()));
            cut.rows = lane.rows(servo.rows());
            cut.longest = servo.longest();
            // What is half done is finished first, if that is soon.
            if self.stop.is_forced()
                || ranges.is_closed()
                || self.stop.is_requested() && !cut.closes(&range.cursor)
            {
                return Err(BackfillError::Stopped);
            }
            if !seat.is_given() {
                return Ok(Some(range));
            }
            cut.is_closing = self.stop.is_requested() || ranges.is_asked(&range);
            let started = Instant::now();
            let done = self.round(worker, servo, &range, &cut, ranges, &mut leaves).await;
            let took = started.elapsed();
            match done {
                Ok(Round::Probe) => servo.probed(took),
                Ok(Round::Overrun(keys)) => {
                    servo.overran(keys as f64 / cut.rows as f64);
                    cut.failed();
                }
                Ok(Round::Share(kept)) => {
                    range = kept;
                    gauge = Gauge::default();
                }
                Ok(Round::Batch(batch, changed)) => {
                    // A throttled batch is mostly overhead, and says little of the price of rows.
                    let is_telling = cut.rows >= servo.rows() || took > self.prepared.target;
                    if !batch.last && is_telling {
                        // One that found none of its half there has a size, too.
                        servo.worked(batch.keys.max(1), took);
                    }
                    attempts = 0;
                    lane.worked(batch.keys);
                    cut.learn(&range.cursor, &batch, changed);
                    range.cursor = batch.to;
                    range.keys_done = range.keys_done.saturating_add_unsigned(batch.keys);
                    // By blocks, there is another pass to come.
                    if range.is_done() && !self.prepared.batch.is_by_block() {
                        range.keys_total = Some(range.keys_done);
                    } else {
                        let sizes = (batch.keys, servo.rows());
                        self.gauge(worker, &mut gauge, &mut range, sizes, ranges).await;
                    }
                    ranges.moved(&range);
                    self.reporter.emit(Event::BatchDone(BatchDone {
                        keys: batch.keys,
                        changed,
                        took,
                        worked: since.elapsed(),
                        position: self.prepared.position(&ranges.done_through()),
                        keys_total: ranges.keys_total(),
                    }));
                    since = Instant::now();
                }
                Err(error) => {
                    attempts += 1;
                    servo.failed();
                    cut.failed();
                    leaves.doubt();
                    let before = range.keys_done;
                    let number = range.number;
                    let found = self.recover(worker, range, error, attempts, ranges).await?;
                    let Some(found) = found else {
                        ranges.forget(number);
                        return Ok(None);
                    };
                    range = found;
                    since = Instant::now();
                    if range.keys_done != before {
                        lane.worked(u64::try_from(range.keys_done - before).unwrap_or(0));
                        gauge = Gauge::default();
                        self.reporter.emit(Event::Recounted {
                            keys_done: ranges.keys_done(),
                            keys_total: ranges.keys_total(),
                            position: self.prepared.position(&ranges.done_through()),
                        });
                    }
                }
            }
        }
        Ok(None)
    }

    /// What there is to do next: to measure, to share, or a batch.
    async fn round(
        &self,
        worker: &mut Worker,
        servo: &Servo,
        range: &RangeRecord,
        cut: &Cut,
        ranges: &Ranges,
        leaves: &mut Leaves,
    ) -> Result<Round, BackfillError> {
        if servo.doubts() {
            return self.empty_batch(worker, range).await.map(|()| Round::Probe);
        }
        if ranges.is_asked(range)
            && range.cursor.block().is_none()
            && let Some(kept) = self.share(worker, range, cut.rows, ranges, leaves).await?
        {
            return Ok(Round::Share(kept));
        }
        self.batch(worker, range, cut, leaves).await
    }
}

/// What a worker did between two looks around.
enum Round {
    /// A batch of no rows was timed.
    Probe,
    /// A part of the range was split off; this is kept.
    Share(RangeRecord),
    /// A batch, and how many rows it changed.
    Batch(Batch, u64),
    /// A batch of so many keys that was taken back: it would have held its locks for too long.
    Overrun(u64),
}
