//! The backfill: a statement batch by batch, with the checkpoint in each batch's transaction.
//!
//! Each batch finds its end on the *unfiltered* key, then commits one list: advance the range's
//! cursor by compare-and-swap, and run the statement for the keys in between. A process that dies
//! on either side of the commit leaves cursor and rows in agreement; a second runner that is late
//! finds the cursor moved and rolls back.
//!
//! With several workers, each has ranges of its own, and splits what it is at when another one has
//! nothing to do.

mod cut;
mod prepare;
mod ranges;
mod share;

use std::time::{Duration, Instant};

use crate::batch::Servo;
use crate::db::{DbError, ErrorKind};
use crate::ledger::{Cursor, LedgerError, Pen, RangeRecord};
use crate::place::Explanation;
use crate::progress::{Event, Reporter, Warning};
use crate::stop::Stop;
use crate::throttle::Throttle;
use crate::worker::{Origin, Worker};

use cut::{Batch, Cut};
pub use prepare::{PrepareError, Prepared, Warned, lock_timeout, prepare, read, settle};
use ranges::Ranges;

/// How often in a row a batch may fail for a passing reason, each time smaller and after a longer
/// pause: about a minute and a half in all.
const ATTEMPTS: u32 = 24;

/// What to do where a worker gets no session.
const FEWER: &str = "nothing: the others do its part; or let the server have more connections";

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
    /// What holds it back or slows it down.
    pub throttle: &'a Throttle,
    /// Where batches are reported to.
    pub reporter: &'a Reporter,
    /// The wish to stop.
    pub stop: &'a Stop,
}

impl Backfill<'_> {
    /// Works the ranges off, which are in the order of their keys.
    ///
    /// # Errors
    /// See [`BackfillError`]; all up to each range's cursor is committed in any case.
    pub async fn run(
        &self,
        worker: &mut Worker,
        ranges: Vec<RangeRecord>,
    ) -> Result<(), BackfillError> {
        let ranges = Ranges::new(ranges, self.stop.clone());
        let fellows = (1..self.prepared.workers).map(|_| self.fellow(worker.origin(), &ranges));
        let fellows: Vec<_> = fellows.collect();
        self.reporter.emit(Event::Workers { count: ranges.workers() });
        let (first, others) =
            tokio::join!(self.own(worker, &ranges), futures_util::future::join_all(fellows));
        let errors = std::iter::once(first).chain(others).filter_map(Result::err);
        // Those that only ended because one failed say nothing of it.
        match errors.min_by_key(|error| matches!(error, BackfillError::Stopped)) {
            Some(error) => Err(error),
            None if ranges.is_done() => Ok(()),
            None => Err(BackfillError::Stopped),
        }
    }

    /// The part of the worker that was there before.
    async fn own(&self, worker: &mut Worker, ranges: &Ranges) -> Result<(), BackfillError> {
        let hurried = self.prepared.hurry(worker).await.map_err(BackfillError::from);
        let worked = match hurried {
            Ok(()) => self.work_off(worker, ranges, None).await,
            Err(error) => Err(error),
        };
        worked.inspect_err(|_| ranges.close())
    }

    /// The part of one more worker. It opens a session only when there is something to do for it, and
    /// where it can't, the others do without it.
    async fn fellow(&self, origin: Origin, ranges: &Ranges) -> Result<(), BackfillError> {
        let Some(range) = ranges.take().await else { return Ok(()) };
        let lane = self.throttle.lane();
        tokio::select! {
            () = self.throttle.watched() => {}
            () = ranges.closed() => {}
            () = self.stop.requested() => {}
        }
        drop(lane);
        match self.open(origin).await {
            Ok(mut worker) => {
                self.reporter.emit(Event::Workers { count: ranges.joined() });
                let worked = self.work_off(&mut worker, ranges, Some(range)).await;
                worked.inspect_err(|_| ranges.close())
            }
            Err(error) => {
                if ranges.is_first_without() {
                    let message =
                        format!("fewer workers, as no session for one more can be opened: {error}");
                    let explanation = Explanation::default().note("next", FEWER.to_owned());
                    let warning = Warning::new(range.version, range.step, &message, &explanation);
                    self.reporter.emit(Event::Warned(warning));
                }
                ranges.give_back(range);
                Ok(())
            }
        }
    }

    async fn open(&self, origin: Origin) -> Result<Worker, DbError> {
        let mut worker = origin.open().await?;
        self.prepared.settle(&mut worker).await?;
        self.prepared.hurry(&mut worker).await?;
        Ok(worker)
    }

    async fn work_off(
        &self,
        worker: &mut Worker,
        ranges: &Ranges,
        first: Option<RangeRecord>,
    ) -> Result<(), BackfillError> {
        let mut servo = Servo::new(self.prepared.rows, self.prepared.target);
        let mut next = first;
        loop {
            let range = match next.take() {
                Some(range) => range,
                None => match ranges.take().await {
                    Some(range) => range,
                    None => return Ok(()),
                },
            };
            self.drain(worker, &mut servo, range, ranges).await?;
        }
    }

    /// Works a range off. THE batch loop.
    async fn drain(
        &self,
        worker: &mut Worker,
        servo: &mut Servo,
        mut range: RangeRecord,
        ranges: &Ranges,
    ) -> Result<(), BackfillError> {
        let mut attempts = 0;
        let mut cut = Cut::default();
        let mut lane = self.throttle.lane();
        while !range.is_done() {
            tokio::select! {
                () = lane.pass(self.stop, range.keys_done) => {}
                () = ranges.closed() => {}
            }
            cut.rows = lane.rows(servo.rows());
            // The second half of a block is done first, if that is one batch.
            if self.stop.is_forced()
                || (self.stop.is_requested() || ranges.is_closed()) && !cut.closes(&range.cursor)
            {
                return Err(BackfillError::Stopped);
            }
            let started = Instant::now();
            let done = self.round(worker, servo, &range, cut, ranges).await;
            let took = started.elapsed();
            match done {
                Ok(Round::Probe) => servo.probed(took),
                Ok(Round::Share(kept)) => range = kept,
                Ok(Round::Batch(batch, changed)) => {
                    // A throttled batch is mostly overhead, and says little of the price of rows.
                    let is_telling = cut.rows >= servo.rows() || took > self.prepared.target;
                    if !batch.last && is_telling {
                        // One that found none of its half there has a size, too.
                        servo.worked(batch.keys.max(1), took);
                    }
                    attempts = 0;
                    cut.learn(&range.cursor, &batch, changed);
                    range.cursor = batch.to;
                    range.keys_done = range.keys_done.saturating_add_unsigned(batch.keys);
                    ranges.moved(&range);
                    let position = self.prepared.position(&ranges.done_through());
                    let keys = batch.keys;
                    self.reporter.emit(Event::BatchDone { keys, changed, took, position });
                }
                Err(error) => {
                    attempts += 1;
                    servo.failed();
                    cut.has_failed = true;
                    let before = range.keys_done;
                    range = self.recover(worker, range, error, attempts, ranges).await?;
                    if range.keys_done != before {
                        let keys_done = ranges.keys_done();
                        let position = self.prepared.position(&ranges.done_through());
                        self.reporter.emit(Event::Recounted { keys_done, position });
                    }
                }
            }
        }
        Ok(())
    }

    /// What there is to do next: to measure, to share, or a batch.
    async fn round(
        &self,
        worker: &mut Worker,
        servo: &Servo,
        range: &RangeRecord,
        cut: Cut,
        ranges: &Ranges,
    ) -> Result<Round, BackfillError> {
        if servo.doubts() {
            return self.empty_batch(worker, range).await.map(|()| Round::Probe);
        }
        if ranges.is_asked(range)
            && range.cursor.block().is_none()
            && let Some(kept) = self.share(worker, range, cut.rows, ranges).await?
        {
            return Ok(Round::Share(kept));
        }
        let (batch, changed) = self.batch(worker, range, cut).await?;
        Ok(Round::Batch(batch, changed))
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
        mut error: BackfillError,
        mut attempts: u32,
        ranges: &Ranges,
    ) -> Result<RangeRecord, BackfillError> {
        loop {
            let cause = self.passing(error, attempts).await?;
            match self.reread(worker, &range, &cause, ranges).await {
                Err(next) => error = next,
                found => return found,
            }
            attempts += 1;
        }
    }

    /// Waits a moment if what failed may pass; else gives the error back.
    async fn passing(&self, error: BackfillError, attempts: u32) -> Result<DbError, BackfillError> {
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
        Ok(cause.clone())
    }

    /// What the ledger says of the range; with a new session where the old one is gone.
    async fn reread(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        cause: &DbError,
        ranges: &Ranges,
    ) -> Result<RangeRecord, BackfillError> {
        if cause.is_lost() {
            worker.renew().await?;
            // The session is new; its settings are not.
            self.prepared.settle(worker).await?;
            self.prepared.hurry(worker).await?;
        }
        // What the ledger says decides: after a lost reply the batch may have been committed.
        let ledger = self.pen.ledger();
        let found = ledger.ranges(worker.session(), range.version, range.step).await;
        let found = found.map_err(|error| match error {
            LedgerError::Db(error) => BackfillError::Db(error),
            damaged => BackfillError::Ledger(damaged),
        })?;
        if !found.iter().all(|found| self.pen.owns(found)) {
            return Err(BackfillError::Fenced);
        }
        let own = found.iter().find(|found| found.number == range.number).cloned();
        let own = own.ok_or(BackfillError::Fenced)?;
        ranges.moved(&own);
        ranges.reconcile(found);
        Ok(own)
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
}

/// 50 ms, doubling to 5 s, with jitter, so that two victims of one deadlock don't meet again.
fn back_off(attempts: u32) -> Duration {
    let base = 0.05 * 2_f64.powi(attempts.min(8) as i32 - 1);
    Duration::from_secs_f64(base.min(5.0) * (0.5 + fastrand::f64()))
}
