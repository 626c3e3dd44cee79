//! What becomes of a range after a batch has failed.

use std::time::Duration;

use super::ranges::Ranges;
use super::{Backfill, BackfillError};
use crate::db::{DbError, ErrorKind};
use crate::ledger::RangeRecord;
use crate::progress::Event;
use crate::worker::Worker;

/// How often in a row a batch may fail for a passing reason, each time smaller and after a longer
/// pause: about a minute and a half in all.
const ATTEMPTS: u32 = 24;

impl Backfill<'_> {
    /// After a failed batch: whether and from where to go on. `None` for a range that isn't there any more:
    /// one that a member was lent and that was taken back, or one that was split off just before a crash of
    /// the server, which took that back with all that was done in it. Another one covers its keys again.
    pub(super) async fn recover(
        &self,
        worker: &mut Worker,
        range: RangeRecord,
        mut error: BackfillError,
        mut attempts: u32,
        ranges: &Ranges,
    ) -> Result<Option<RangeRecord>, BackfillError> {
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
            self.reporter.emit(Event::Retrying { reason: cause.outline(), pause });
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
    ) -> Result<Option<RangeRecord>, BackfillError> {
        if cause.is_lost() {
            worker.renew().await?;
        }
        // What the ledger says decides: after a lost reply the batch may have been committed.
        let ledger = self.pen.ledger();
        let found = ledger.ranges(worker.session(), range.version, range.step).await?;
        if !found.iter().all(|found| self.pen.is_of_run(found)) {
            return Err(BackfillError::Fenced);
        }
        if found.is_empty() {
            // Without its ranges, the step is done.
            return Err(BackfillError::Fenced);
        }
        let own = found.iter().find(|found| found.number == range.number);
        let own = own.filter(|own| self.pen.owns(own)).cloned();
        if let Some(own) = &own {
            ranges.moved(own);
        }
        ranges.reconcile(found, |range| self.pen.owns(range));
        Ok(own)
    }
}

/// 50 ms, doubling to 5 s, with jitter, so that two victims of one deadlock don't meet again.
fn back_off(attempts: u32) -> Duration {
    let base = 0.05 * 2_f64.powi(attempts.min(8) as i32 - 1);
    Duration::from_secs_f64(base.min(5.0) * (0.5 + fastrand::f64()))
}
