//! A backfill as a step: proved, claimed, worked off, completed.

use std::time::{Duration, Instant};

use crate::backfill::{
    Backfill, BackfillError, PrepareError, Prepared, lock_timeout, prepare, settle,
};
use crate::db::{DbError, whole_millis};
use crate::ledger::RangeRecord;
use crate::migration::BatchDirective;
use crate::progress::{BackfillStart, Event};
use crate::worker::Worker;

use super::RunError;
use super::failure::{kept, key_changed, no_table, unprepared};
use super::steps::{At, Steps};

impl Steps<'_> {
    /// Returns the time that the record has of it, but for earlier runs' part.
    pub(super) async fn backfill(
        &mut self,
        worker: &mut Worker,
        at: At<'_>,
        directive: &BatchDirective,
        resumed: bool,
    ) -> Result<Duration, RunError> {
        let started = Instant::now();
        // Counting the keys of a large table takes its time, and this is what it is spent on.
        let version = at.migration.version;
        self.reporter.emit(Event::StepStarted { version, step: at.number, backfill: None });
        settle(worker, lock_timeout(at.step)).await?;
        let prepared = self.prepared(worker, at, directive).await?;
        match self.fill(worker, at, &prepared, resumed).await {
            Ok(()) => {
                prepared.unsettle(worker).await?;
                let took = whole_millis(started.elapsed());
                let mut list = self.pen.complete(version, at.number, took);
                list.push(self.pen.close_ranges(version, at.number));
                self.enter_history(&mut list, at);
                worker.transact(&list).await?;
                Ok(took)
            }
            Err(error) => {
                // What is said of the end has to outlast a crash of the server, and so have the
                // batches before it.
                prepared.unsettle(worker).await.ok();
                self.spent.push((version, at.number, started.elapsed()));
                Err(self.ended_backfill(worker, at, &prepared, error).await)
            }
        }
    }

    async fn ended_backfill(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        prepared: &Prepared,
        error: BackfillError,
    ) -> RunError {
        match error {
            BackfillError::Statement { error, .. } | BackfillError::Db(error)
                if self.is_stopped_by(&error) =>
            {
                self.stopped()
            }
            BackfillError::Stopped => self.stopped(),
            BackfillError::Fenced => RunError::Fenced,
            BackfillError::KeyChanged { found, now } => key_changed(at, found, now),
            BackfillError::Statement { error, keys } => {
                self.batch_failed(worker, at, prepared, error, Some(keys)).await
            }
            BackfillError::Db(error) if error.is_lost() => error.into(),
            BackfillError::Db(mut error) => {
                // It is a place in a query of ours.
                error.position = None;
                self.batch_failed(worker, at, prepared, error, None).await
            }
            BackfillError::Ledger(error) => error.into(),
        }
    }

    /// The statement, proved and rewritten. A table that somebody has locked is waited for as
    /// patiently as by a batch.
    async fn prepared(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        directive: &BatchDirective,
    ) -> Result<Prepared, RunError> {
        let dialect = worker.database().dialect();
        let mut attempts = 0;
        loop {
            let prepared = prepare(worker.session(), dialect, at.migration, at.step, directive);
            match prepared.await {
                Ok(Some(prepared)) => return Ok(prepared),
                Ok(None) => return Err(no_table(at)),
                Err(PrepareError::Refused { refusal, explanation }) => {
                    let explanation = explanation.note("kept", kept(at));
                    return Err(RunError::Refused { refusal, explanation });
                }
                Err(PrepareError::Db(error)) if self.is_stopped_by(&error) => {
                    return Err(self.stopped());
                }
                Err(PrepareError::Db(error)) if self.is_worth_a_try(&error, &mut attempts) => {
                    self.pause(&error, attempts).await;
                }
                Err(error) => return Err(unprepared(at, error)),
            }
        }
    }

    fn is_worth_a_try(&self, error: &DbError, attempts: &mut u32) -> bool {
        *attempts += 1;
        error.is_transient() && self.may_retry(*attempts)
    }

    /// Claims or adopts the ranges, and works them off.
    async fn fill(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        prepared: &Prepared,
        resumed: bool,
    ) -> Result<(), BackfillError> {
        let mut attempts = 0;
        let ranges = loop {
            match self.claim_ranges(worker, at, prepared, resumed).await {
                Err(BackfillError::Db(error) | BackfillError::Statement { error, .. })
                    if self.is_worth_a_try(&error, &mut attempts) =>
                {
                    self.pause(&error, attempts).await;
                }
                claimed => break claimed?,
            }
        };
        let sum = |of: fn(&RangeRecord) -> Option<i64>| {
            ranges.iter().map(of).sum::<Option<i64>>().map(|sum| sum.max(0) as u64)
        };
        let start = BackfillStart {
            table: prepared.table.name.name.clone(),
            key: prepared.key(),
            keys_done: sum(|range| Some(range.keys_done)).unwrap_or(0),
            keys_total: sum(|range| range.keys_total),
            resumed,
        };
        let (version, step) = (at.migration.version, at.number);
        self.reporter.emit(Event::StepStarted { version, step, backfill: Some(start) });
        let (pen, reporter, stop) = (self.pen, self.reporter, self.stop);
        let backfill = Backfill { pen, prepared, reporter, stop };
        for range in ranges {
            backfill.drain(worker, range).await?;
        }
        Ok(())
    }

    async fn claim_ranges(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        prepared: &Prepared,
        resumed: bool,
    ) -> Result<Vec<RangeRecord>, BackfillError> {
        let version = at.migration.version;
        let ledger = self.pen.ledger();
        let key = prepared.described_key();
        // Where the statement stands in the list.
        let mut trial = None;
        let list = if resumed {
            let ranges = ledger.ranges(worker.session(), version, at.number).await?;
            let columns = prepared.batch.key().len();
            if let Some(other) = ranges.into_iter().find(|range| !range.is_along(&key, columns)) {
                let found = other.key.unwrap_or_else(|| "of an older lockkeeper".to_owned());
                return Err(BackfillError::KeyChanged { found, now: key });
            }
            self.pen.adopt_ranges(version, at.number)
        } else {
            let ceiling = prepared.ceiling(worker).await?;
            let total = self.total(worker, prepared).await?;
            let ranges: Vec<_> = ceiling.into_iter().map(|ceiling| (ceiling, total)).collect();
            let mut list =
                self.pen.claim(version, at.number, at.step.kind.as_str(), &at.step.checksum);
            list.extend(self.pen.open_ranges(version, at.number, &key, &ranges));
            if ranges.is_empty() {
                // A mistake would pass on an empty table, and come out where there are rows.
                trial = Some(list.len());
                list.push(prepared.batch.apply_to_none());
            }
            list
        };
        worker.transact(&list).await.map_err(|error| {
            if trial.is_none() || error.statement != trial {
                return BackfillError::from(error);
            }
            let keys = "of no row, as the table is empty".to_owned();
            BackfillError::Statement { error, keys }
        })?;
        Ok(ledger.ranges(worker.session(), version, at.number).await?)
    }

    /// How many keys there are, about. It is for the progress alone: a server that has no time for
    /// the count doesn't end the run.
    async fn total(
        &self,
        worker: &mut Worker,
        prepared: &Prepared,
    ) -> Result<Option<u64>, DbError> {
        match prepared.total(worker).await {
            Err(error) if error.is_lost() || self.stop.is_requested() => Err(error),
            counted => Ok(counted.unwrap_or(None)),
        }
    }
}
