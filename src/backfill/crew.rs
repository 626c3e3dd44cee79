//! The workers of one backfill.

use std::convert::Infallible;
use std::future::Future;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::ranges::Ranges;
use super::{Backfill, BackfillError, Borrowed};
use crate::batch::Servo;
use crate::db::DbError;
use crate::ledger::RangeRecord;
use crate::place::Explanation;
use crate::progress::{Event, Warning};
use crate::throttle::Line;
use crate::worker::{Origin, Worker};

/// What to do where a worker gets no session.
const FEWER: &str = "nothing: the others do its part; or let the server have more connections";

impl Backfill<'_> {
    /// Works the ranges off, which are in the order of their keys, with the help of whoever joins.
    ///
    /// # Errors
    /// See [`BackfillError`]; all up to each range's cursor is committed in any case.
    pub async fn run(
        &self,
        worker: &mut Worker,
        ranges: Vec<RangeRecord>,
    ) -> Result<(), BackfillError> {
        let at = ranges.first().map(|first| (first.version, first.step));
        let ranges = Ranges::new(ranges, self.stop.clone());
        let origin = worker.origin();
        let lend = async {
            match at {
                // Blocks are gone along in passes, whose ends a member would not know of.
                Some(at)
                    if self.prepared.most_workers > 1 && !self.prepared.batch.is_by_block() =>
                {
                    self.lend(at, origin, &ranges).await
                }
                // There is nothing to lend, or nobody to lend it to.
                _ => std::future::pending().await,
            }
        };
        match self.work(worker, &ranges, lend).await {
            Ok(()) if ranges.is_done() => {
                if ranges.was_helped() {
                    // For those who look: members that died don't say that they help no more.
                    worker.session().query(&self.pen.forget_members()).await.ok();
                }
                Ok(())
            }
            Ok(()) => Err(BackfillError::Stopped),
            failed => failed,
        }
    }

    /// Helps another run with its backfill, as long as there is something to help with.
    ///
    /// # Errors
    /// As [`Backfill::run`].
    pub async fn help(
        &self,
        worker: &mut Worker,
        borrowed: &Borrowed<'_>,
        line: &mut Line,
    ) -> Result<(), BackfillError> {
        let ranges = Ranges::borrowed(self.stop.clone());
        let borrow = self.borrow(borrowed, line, &ranges);
        match self.work(worker, &ranges, borrow).await {
            // There is nothing more, and what was open is given back.
            Err(BackfillError::Stopped | BackfillError::Fenced) if !self.stop.is_requested() => {
                Ok(())
            }
            Ok(()) if self.stop.is_requested() => Err(BackfillError::Stopped),
            ended => ended,
        }
    }

    /// All workers, and what goes on beside them.
    async fn work(
        &self,
        worker: &mut Worker,
        ranges: &Ranges,
        beside: impl Future<Output = Infallible>,
    ) -> Result<(), BackfillError> {
        let (of_file, most) = (self.prepared.workers, self.prepared.most_workers);
        let seats = self.throttle.seats(of_file, most);
        let seat = |number| Seat { number, seats: seats.clone() };
        let fellows = (1..most).map(|number| self.fellow(seat(number), worker.origin(), ranges));
        let fellows: Vec<_> = fellows.collect();
        self.reporter.emit(Event::Workers { count: ranges.workers() });
        let all = async { tokio::join!(self.own(seat(0), worker, ranges), join_all(fellows)) };
        let (first, others) = tokio::select! {
            ended = all => ended,
            never = beside => match never {},
        };
        let errors = std::iter::once(first).chain(others).filter_map(Result::err);
        // Those that only ended because one failed say nothing of it.
        match errors.min_by_key(|error| matches!(error, BackfillError::Stopped)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The part of the worker that was there before.
    async fn own(
        &self,
        mut seat: Seat,
        worker: &mut Worker,
        ranges: &Ranges,
    ) -> Result<(), BackfillError> {
        let worked = async {
            self.prepared.hurry(worker).await?;
            // A member may have to wait for long.
            match worker.idle(ranges.take()).await {
                Some(range) => self.work_off(&mut seat, worker, ranges, range).await,
                None => Ok(()),
            }
        };
        worked.await.inspect_err(|_| ranges.close())
    }

    /// The part of one more worker, whenever there is a seat for it. It opens a session only when there is
    /// something to do for it, and where it can't, the others do without it.
    async fn fellow(
        &self,
        mut seat: Seat,
        origin: Origin,
        ranges: &Ranges,
    ) -> Result<(), BackfillError> {
        loop {
            tokio::select! {
                () = seat.given() => {}
                () = ranges.over() => return Ok(()),
            }
            let range = tokio::select! {
                range = ranges.take() => range,
                () = seat.taken() => continue,
            };
            let Some(range) = range else { return Ok(()) };
            self.let_watch(ranges).await;
            match self.open(origin.clone()).await {
                Ok(mut worker) => {
                    self.reporter.emit(Event::Workers { count: ranges.joined() });
                    let worked = self.work_off(&mut seat, &mut worker, ranges, range).await;
                    worked.inspect_err(|_| ranges.close())?;
                    self.reporter.emit(Event::Workers { count: ranges.left() });
                }
                Err(error) => {
                    self.do_without(&range, &error, ranges);
                    ranges.give_back(range);
                    return Ok(());
                }
            }
        }
    }

    /// Lets the watch have its sessions first.
    async fn let_watch(&self, ranges: &Ranges) {
        // Without a lane it would not look.
        let _lane = self.throttle.lane();
        tokio::select! {
            () = self.throttle.watched() => {}
            () = ranges.closed() => {}
            () = self.stop.requested() => {}
        }
    }

    async fn open(&self, origin: Origin) -> Result<Worker, DbError> {
        let mut worker = origin.open().await?;
        self.prepared.hurry(&mut worker).await?;
        Ok(worker)
    }

    fn do_without(&self, range: &RangeRecord, error: &DbError, ranges: &Ranges) {
        if ranges.is_first_without() {
            let message =
                format!("fewer workers, as no session for one more can be opened: {error}");
            let explanation = Explanation::default().note("next", FEWER.to_owned());
            let warning = Warning::new(range.version, range.step, &message, &explanation);
            self.reporter.emit(Event::Warned(warning));
        }
    }

    /// Works ranges off until there is none left, or the seat is another one's.
    async fn work_off(
        &self,
        seat: &mut Seat,
        worker: &mut Worker,
        ranges: &Ranges,
        first: RangeRecord,
    ) -> Result<(), BackfillError> {
        let most = self.prepared.most_rows(ranges.keys_total(), 1);
        let mut servo = Servo::new(self.prepared.rows, self.prepared.target, most);
        let mut next = Some(first);
        while let Some(range) = next {
            if let Some(rest) = self.drain(seat, worker, &mut servo, range, ranges).await? {
                ranges.give_back(rest);
                return Ok(());
            }
            next = tokio::select! {
                next = worker.idle(ranges.take()) => next,
                () = seat.taken() => None,
            };
        }
        Ok(())
    }
}

/// A worker's place among those that are to work: it has one while its number is below theirs. The
/// first one always has.
pub(super) struct Seat {
    number: u32,
    seats: watch::Receiver<u32>,
}

impl Seat {
    /// Whether it has one now.
    pub fn is_given(&self) -> bool {
        self.number < *self.seats.borrow()
    }

    /// Waits until it has one.
    async fn given(&mut self) {
        let number = self.number;
        // Its sender lives as long as the backfill.
        let _ = self.seats.wait_for(|seats| number < *seats).await;
    }

    /// Waits until it has none.
    pub async fn taken(&mut self) {
        let number = self.number;
        if self.seats.wait_for(|seats| number >= *seats).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
