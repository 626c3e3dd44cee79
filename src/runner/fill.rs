//! A backfill as a step: proved, claimed, worked off, completed.

use std::time::{Duration, Instant};

use crate::backfill::{
    Backfill, BackfillError, PrepareError, Prepared, Warned, lock_timeout, prepare, settle,
    unsettle,
};
use crate::batch::{Pin, Verb};
use crate::db::{DbError, ErrorKind, Statement, whole_millis};
use crate::ledger::{Cursor, Ledger, LedgerError, RangeRecord};
use crate::migration::BatchDirective;
use crate::place::Explanation;
use crate::progress::{BackfillStart, Event, Warning};
use crate::throttle::{Turn, Work};
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
        let turn = self.begin(worker, at).await?;
        settle(worker, lock_timeout(at.step)).await?;
        let (prepared, mut turn) = match self.prepared(worker, at, directive, turn).await {
            // Nobody has said that it could be. Once batches are committed, it must not run whole.
            Err(error @ (RunError::Refused { .. } | RunError::NoTable { .. }))
                if directive.auto && !resumed =>
            {
                return self.whole(worker, at, directive, &error).await;
            }
            prepared => prepared?,
        };
        for Warned { message, explanation } in &prepared.warnings {
            let warning = Warning::new(version, at.number, message, explanation);
            self.reporter.emit(Event::Warned(warning));
        }
        let (mut resumed, mut attempts) = (resumed, 0);
        loop {
            if let Err(error) = self.fill(worker, at, &prepared, resumed, turn).await {
                // What is said of the end has to outlast a crash of the server, and so have the
                // batches before it.
                unsettle(worker).await.ok();
                self.spent.push((version, at.number, started.elapsed()));
                return Err(self.ended_backfill(worker, at, &prepared, error).await);
            }
            attempts += 1;
            match self.completed(worker, at, started).await {
                // A crash of the server took back what a range did last: those commits hadn't waited for
                // the disk, and whoever did them had done with the range. With another run at work, the
                // ranges are out of reach as well.
                Err(error) if error.kind == ErrorKind::Fenced && self.may_retry(attempts) => {
                    settle(worker, lock_timeout(at.step)).await?;
                    turn = self.turn(worker).await?;
                    resumed = true;
                }
                Err(error) if self.is_stopped_by(&error) => return Err(self.stopped()),
                completed => return Ok(completed?),
            }
        }
    }

    /// Runs the statement in one transaction, as it stands in its file.
    async fn whole(
        &mut self,
        worker: &mut Worker,
        at: At<'_>,
        directive: &BatchDirective,
        why_not: &RunError,
    ) -> Result<Duration, RunError> {
        let version = at.migration.version;
        let place = at.migration.place(directive.span.clone(), "");
        let explanation = Explanation { place: Some(Box::new(place)), ..Explanation::default() }
            .note("why", why_not.to_string())
            .note(
                "next",
                "nothing, if that is meant; `-- lockkeeper: batch off` before it says so",
            );
        let message = "--auto-batch: this runs whole, in one transaction";
        self.reporter.emit(Event::Warned(Warning::new(version, at.number, message, &explanation)));
        unsettle(worker).await?;
        if let Some(timeout) = at.step.lock_timeout {
            worker.set(&worker.database().dialect().set_lock_timeout(timeout)).await?;
        }
        let took = self.script(worker, at).await?;
        unsettle(worker).await?;
        Ok(took)
    }

    /// Enters the step as done. Returns the time that the record has of it.
    async fn completed(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        started: Instant,
    ) -> Result<Duration, DbError> {
        unsettle(worker).await?;
        let took = whole_millis(started.elapsed());
        let mut list = self.pen.complete(at.migration.version, at.number, took);
        self.enter_history(&mut list, at);
        worker.transact(&list).await?;
        Ok(took)
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
        mut turn: Turn,
    ) -> Result<(Prepared, Turn), RunError> {
        let dialect = worker.database().dialect();
        let mut attempts = 0;
        loop {
            let prepared = prepare(worker.session(), dialect, at.migration, at.step, directive);
            match prepared.await {
                Ok(Some(prepared)) => return Ok((prepared, turn)),
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
                    turn = self.next_turn(worker, turn).await?;
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
        turn: Turn,
    ) -> Result<(), BackfillError> {
        let mut prepared = pinned(worker, self.pen.ledger(), at, prepared, resumed).await?;
        let mut attempts = 0;
        let mut ranges = loop {
            match self.claim_ranges(worker, at, &prepared, resumed).await {
                Err(BackfillError::Db(error) | BackfillError::Statement { error, .. })
                    if self.is_worth_a_try(&error, &mut attempts) =>
                {
                    self.pause(&error, attempts).await;
                }
                claimed => break claimed?,
            }
        };
        let start = BackfillStart {
            table: prepared.table.name.name.clone(),
            key: prepared.key(),
            keys_done: sum(&ranges, |range| Some(range.keys_done)).unwrap_or(0),
            keys_total: sum(&ranges, |range| range.keys_total),
            resumed,
        };
        let (version, step) = (at.migration.version, at.number);
        self.reporter.emit(Event::StepStarted { version, step, backfill: Some(start) });
        // From here on each batch has its own.
        drop(turn);
        let (pen, throttle, reporter, stop) = (self.pen, self.throttle, self.reporter, self.stop);
        let _shift = throttle.shift(work(at, &prepared));
        loop {
            prepared.weigh(&ranges);
            let backfill = Backfill { pen, prepared: &prepared, throttle, reporter, stop };
            backfill.run(worker, ranges.clone()).await?;
            match self.next_pass(worker, &prepared, &ranges).await {
                Ok(None) => return Ok(()),
                Ok(Some(next)) => ranges = next,
                // Fenced also where a crash of the server took back what a range did last.
                Err(error) if self.may_go_on(&error, &mut attempts) => {
                    if error.is_lost() {
                        worker.renew().await?;
                    } else {
                        self.pause(&error, attempts).await;
                    }
                    ranges = self.claim_ranges(worker, at, &prepared, true).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn may_go_on(&self, error: &DbError, attempts: &mut u32) -> bool {
        let passes = error.is_lost() || error.is_transient() || error.kind == ErrorKind::Fenced;
        *attempts += 1;
        passes && self.may_retry(*attempts)
    }

    /// The ranges of the next pass over a table's blocks, after all of `ranges` are done. `None` after the
    /// last, and along a key, which is passed once.
    async fn next_pass(
        &self,
        worker: &mut Worker,
        prepared: &Prepared,
        ranges: &[RangeRecord],
    ) -> Result<Option<Vec<RangeRecord>>, DbError> {
        let Some(last) = ranges.last().filter(|_| prepared.batch.is_by_block()) else {
            return Ok(None);
        };
        let total: i64 = ranges.iter().filter_map(|range| range.keys_total).sum();
        let Some((done, through)) = prepared.next_pass(worker, last).await? else {
            return Ok(None);
        };
        let range = RangeRecord {
            number: 1,
            start: Cursor::START,
            cursor: Cursor::START,
            through,
            epoch: self.pen.epoch(),
            keys_done: (total as f64 * done) as i64,
            keys_total: Some(total),
            ..last.clone()
        };
        worker.transact(&self.pen.pass_again(&range)).await?;
        Ok(Some(vec![range]))
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
        let mut list = if resumed {
            let ranges = ledger.ranges(worker.session(), version, at.number).await?;
            if let Some(other) = ranges.into_iter().find(|range| !prepared.is_along(range)) {
                let found = other.key.unwrap_or_else(|| "of an older lockkeeper".to_owned());
                return Err(BackfillError::KeyChanged { found, now: key });
            }
            self.pen.adopt_ranges(version, at.number)
        } else {
            let ceiling = prepared.ceiling(worker).await?;
            let rows = prepared.table.estimated_rows;
            let total = |ceiling: &Cursor| prepared.passes(rows, ceiling);
            let ranges: Vec<_> = ceiling.map(|it| (it.clone(), total(&it))).into_iter().collect();
            let mut list =
                self.pen.claim(version, at.number, at.step.kind.as_str(), &at.checksum());
            list.extend(self.pen.open_ranges(version, at.number, &key, &ranges));
            if ranges.is_empty() {
                // A mistake would pass on an empty table, and come out where there are rows.
                trial = Some(list.len());
                list.push(prepared.batch.apply_to_none());
            }
            list
        };
        let pin = prepared.batch.pinned();
        list.extend(pin.map(|pin| self.pen.pin(version, at.number, pin.as_str())));
        list.push(self.pen.describe(version, at.number, &prepared.fingerprint()));
        worker.transact(&list).await.map_err(|mut error| {
            if trial.is_none() || error.statement != trial {
                return BackfillError::from(error);
            }
            error.position = error.position.and_then(|at| prepared.batch.origin(at));
            let keys = "of no row, as the table is empty".to_owned();
            BackfillError::Statement { error, keys }
        })?;
        Ok(ledger.ranges(worker.session(), version, at.number).await?)
    }
}

/// What is under way, for those who watch the load that it makes.
pub(super) fn work(at: At<'_>, prepared: &Prepared) -> Work {
    let leaves_rows = prepared.batch.verb() != Verb::Insert;
    let table = leaves_rows.then(|| prepared.table.name.clone());
    Work { version: at.migration.version, step: at.number, table }
}

/// The statement with its clocks pinned: to the time of its claim. What an earlier run has claimed
/// goes on with that time; without one, it can't have got further than its claim.
pub(super) async fn pinned(
    worker: &mut Worker,
    ledger: &Ledger,
    at: At<'_>,
    prepared: &Prepared,
    resumed: bool,
) -> Result<Prepared, BackfillError> {
    let mut prepared = prepared.clone();
    if !prepared.batch.has_clocks() {
        return Ok(prepared);
    }
    let version = at.migration.version;
    let claimed = match resumed {
        true => ledger.pinned_at(worker.session(), version, at.number).await?,
        false => None,
    };
    let time = match claimed {
        Some(time) => time,
        None => {
            let clock = worker.database().dialect().clock();
            let rows = worker.query(&Statement::new(clock, Vec::new())).await?;
            rows.first().map(|row| row.text(0)).transpose()?.unwrap_or_default().to_owned()
        }
    };
    let damaged = || LedgerError::Damaged { fault: format!("{time:?} is no time") };
    prepared.batch.pin(Pin::read(&time).ok_or_else(damaged)?);
    Ok(prepared)
}

/// A sum over ranges; none where one of them doesn't know its part.
pub(super) fn sum(ranges: &[RangeRecord], of: fn(&RangeRecord) -> Option<i64>) -> Option<u64> {
    ranges.iter().map(of).sum::<Option<i64>>().map(|sum| sum.max(0) as u64)
}
