//! The transaction of a batch: the checkpoint and the rows, and how long it may hold its locks.

use std::time::{Duration, Instant};

use super::cut::{Cut, Within};
use super::leaves::Leaves;
use super::{Backfill, BackfillError, Round};
use crate::db::{Engine, ErrorKind};
use crate::ledger::RangeRecord;
use crate::worker::Worker;

/// Where a batch's list has the user's statement, behind the checkpoint.
const APPLY: usize = 1;

impl Backfill<'_> {
    /// One batch: its end, then one transaction.
    pub(super) async fn batch(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        cut: &Cut,
        leaves: &mut Leaves,
    ) -> Result<Round, BackfillError> {
        let batch = self.next(worker, range, cut, leaves).await?;
        let whole = &self.prepared.batch;
        let advance = self.pen.advance(range, &batch.to, batch.keys);
        let source = match &batch.within {
            Within::Nothing => {
                worker.transact(&[advance]).await?;
                return Ok(Round::Batch(batch, 0));
            }
            Within::Table => whole.clone(),
            Within::Leaf { name, .. } => whole.of_leaf(name),
        };
        let limit = self.limit(range, cut);
        let apply = source.apply(batch.after.as_deref(), &batch.through, batch.part);
        let mut list = vec![advance, apply.within(limit)];
        if let Within::Leaf { number, name } = &batch.within {
            list.push(whole.is_leaf(self.root(), *number, name).must_affect(1));
        }
        let started = Instant::now();
        let done = match worker.transact(&list).await {
            Ok(counts) => Ok(counts.get(APPLY).copied().unwrap_or(0)),
            Err(error)
                if error.kind == ErrorKind::Cancelled
                    && limit.is_some_and(|limit| started.elapsed() >= limit)
                    && !self.stop.is_forced() =>
            {
                return Ok(Round::Overrun(batch.keys));
            }
            Err(mut error) if error.statement == Some(APPLY) => {
                error.position = error.position.and_then(|at| source.origin(at));
                let (after, through) = (batch.after.as_deref(), &batch.through);
                let keys = self.prepared.between(after, through, batch.part);
                Err(BackfillError::Statement { error, keys })
            }
            Err(error) => Err(error.into()),
        };
        let changed = match &batch.within {
            Within::Leaf { number, name } => self.in_leaf(worker, *number, name, done).await?,
            Within::Table | Within::Nothing => done?,
        };
        Ok(Round::Batch(batch, changed))
    }

    /// A batch of no rows, which shows what every batch takes whatever its size: the way to the
    /// server, the checkpoint, the commit.
    pub(super) async fn empty_batch(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
    ) -> Result<(), BackfillError> {
        if self.prepared.batch.is_along_a_key() {
            let through = range.through.key().unwrap_or_default();
            self.boundary_behind(worker, range, through, 1).await?;
        }
        worker.transact(&[self.pen.advance(range, &range.cursor, 0)]).await?;
        Ok(())
    }

    /// For how long a batch may hold what it locks, however wide its rows turn out to be, and whoever has
    /// locked one of them: where the server can end it, and a smaller one may fit.
    fn limit(&self, range: &RangeRecord, cut: &Cut) -> Option<Duration> {
        let can_end = self.prepared.dialect.engine == Engine::Postgres;
        (can_end && !self.prepared.is_least(range, cut.rows)).then_some(cut.longest)
    }
}
