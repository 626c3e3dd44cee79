//! Steps, one after the other: what each kind commits, and in which lists.

use std::time::Duration;

use crate::db::{DbError, ErrorKind, Statement, Stopwatch};
use crate::history::History;
use crate::ledger::{Pen, StepRecord};
use crate::migration::{Migration, Step, StepKind};
use crate::plan::{Pending, Upcoming};
use crate::progress::{Estimated, Event, Reporter, Warning};
use crate::stop::Stop;
use crate::throttle::{Throttle, Turn};
use crate::worker::Worker;

use super::RunError;
use super::held::Held;

/// How often a script that failed for a passing reason is tried, with growing pauses.
const ATTEMPTS: u32 = 10;

/// The steps of a run.
pub struct Steps<'a> {
    pub pen: &'a Pen,
    pub held: &'a Held,
    pub throttle: &'a Throttle,
    pub history: &'a History,
    pub reporter: &'a Reporter,
    pub stop: &'a Stop,
    /// What there is to say of scripts.
    pub large: &'a [Warning],
    /// What steps were estimated to take.
    pub estimates: &'a [Estimated],
    /// How long the step that ended the run was worked on: entered after it.
    pub spent: Vec<(i64, u32, Duration)>,
}

/// One step and where it belongs.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub migration: &'a Migration,
    pub step: &'a Step,
    /// From 1.
    pub number: u32,
}

impl<'a> At<'a> {
    /// Of a step of a plan.
    pub fn of(upcoming: &Upcoming<'a>) -> Self {
        let Upcoming { pending, step, number, .. } = *upcoming;
        At { migration: pending.migration, step, number }
    }

    /// The step's fingerprint.
    pub fn checksum(&self) -> String {
        self.migration.checksum(self.step)
    }

    pub fn is_last(&self) -> bool {
        self.number as usize == self.migration.steps.len()
    }
}

impl Steps<'_> {
    /// Applies one migration from its first step that isn't done.
    pub async fn migrate(
        &mut self,
        worker: &mut Worker,
        pending: &Pending<'_>,
    ) -> Result<(), RunError> {
        let migration = pending.migration;
        let mut all = Duration::ZERO;
        let done = &migration.steps[..pending.done];
        if done.iter().any(|step| !step.settings.is_empty()) {
            worker.remember(done.iter().flat_map(|step| settings(migration, step)));
            worker.renew().await?;
        }
        if pending.done >= migration.steps.len() {
            // Its last step failed, and was then deleted from the file.
            let list = [self.pen.fence(), self.history.record(migration)];
            worker.transact(&list).await?;
        }
        for (index, step) in migration.steps.iter().enumerate().skip(pending.done) {
            if self.stop.is_requested() {
                return Err(self.stopped());
            }
            let at = At { migration, step, number: index as u32 + 1 };
            for warning in self.large {
                if (warning.version, warning.step) == (Some(migration.version), Some(at.number)) {
                    self.reporter.emit(Event::Warned(warning.clone()));
                }
            }
            self.settle(worker, step).await?;
            let resumed = index == pending.done && pending.claim.is_some();
            let took = match &step.kind {
                StepKind::Script => self.script(worker, at).await?,
                StepKind::Bare => self.bare(worker, at, resumed).await?,
                StepKind::Backfill(directive) => {
                    self.backfill(worker, at, directive, resumed).await?
                }
            };
            all += took;
            worker.remember(settings(migration, step));
            self.unsettle(worker, step).await?;
            let claim = pending.claim.as_ref().filter(|_| resumed);
            self.compare(worker, at, claim).await;
            self.reporter.emit(Event::StepDone {
                version: migration.version,
                step: at.number,
                took,
            });
        }
        if migration.steps.iter().any(|step| step.taints_session) {
            // The file's steps share what it has set; the next file's don't.
            worker.start_afresh().await?;
        }
        let (version, took) = (migration.version, all);
        self.reporter.emit(Event::MigrationDone { version, took });
        Ok(())
    }

    /// Enters what a step that is done was estimated to take. It is no part of the run's work: where that fails,
    /// only the record is missing. Of a step whose whole time isn't known, none is made.
    async fn compare(&self, worker: &mut Worker, at: At<'_>, claim: Option<&StepRecord>) {
        let (version, kind) = (at.migration.version, at.step.kind.as_str());
        let mut estimates = self.estimates.iter();
        let Some(estimated) = estimates.find(|one| one.is_of(version, at.number, kind)) else {
            return;
        };
        if let Some(claim) = claim {
            // A bare step that an earlier run began may have been done by then; and who was killed has entered
            // no time.
            let (ledger, epoch) = (self.pen.ledger(), self.pen.epoch());
            let killed = ledger.was_killed(worker.session(), claim, epoch).await;
            if !is_backfill(at.step) || killed.unwrap_or(true) {
                return;
            }
        }
        let list = self.pen.enter_estimate(estimated, self.reporter.held());
        worker.session().transact(&list).await.ok();
    }

    /// Enters the time of the step that ended the run. It is for people only.
    pub async fn account(&mut self, worker: &mut Worker) {
        let list: Vec<_> = self
            .spent
            .drain(..)
            .flat_map(|(version, step, took)| self.pen.spent(version, step, took))
            .collect();
        if !list.is_empty() {
            worker.session().transact(&list).await.ok();
        }
    }

    /// Says that the step begins, and waits as long as the operator holds the run.
    pub(super) async fn begin(&self, worker: &mut Worker, at: At<'_>) -> Result<Turn, RunError> {
        let version = at.migration.version;
        self.reporter.emit(Event::StepStarted { version, step: at.number, backfill: None });
        self.turn(worker).await
    }

    /// Between two tries of a step: a pause that was asked for meanwhile isn't to wait for the last one.
    pub(super) async fn next_turn(
        &self,
        worker: &mut Worker,
        ended: Turn,
    ) -> Result<Turn, RunError> {
        drop(ended);
        self.turn(worker).await
    }

    pub(super) async fn turn(&self, worker: &mut Worker) -> Result<Turn, RunError> {
        let turn = worker.idle(self.throttle.turn(self.stop)).await;
        if turn.was_held()
            && !self.stop.is_requested()
            // An hour's pause is no reason for the step to fail.
            && let Err(error) = worker.ensure().await
            && !self.stop.is_requested()
        {
            return Err(error.into());
        }
        if self.stop.is_requested() { Err(self.stopped()) } else { Ok(turn) }
    }

    pub(super) fn stopped(&self) -> RunError {
        RunError::Stopped { reason: self.stop.reason().to_owned() }
    }

    /// The file's lock timeout. A backfill sets its own.
    async fn settle(&self, worker: &mut Worker, step: &Step) -> Result<(), RunError> {
        if let (Some(timeout), false) = (step.lock_timeout, is_backfill(step)) {
            let sql = worker.database().dialect().set_lock_timeout(timeout);
            worker.set(&sql).await?;
        }
        Ok(())
    }

    async fn unsettle(&self, worker: &mut Worker, step: &Step) -> Result<(), RunError> {
        if step.lock_timeout.is_some() && !is_backfill(step) {
            worker.reset(vec![worker.database().dialect().reset_lock_timeout()]).await?;
        }
        Ok(())
    }

    /// The statements, the record of the step, and for the last step the history: one transaction.
    /// Returns the time that the record has of it.
    pub(super) async fn script(
        &self,
        worker: &mut Worker,
        at: At<'_>,
    ) -> Result<Duration, RunError> {
        let version = at.migration.version;
        let mut turn = self.begin(worker, at).await?;
        let mut list = vec![self.pen.fence()];
        let text = &at.migration.text;
        list.extend(at.step.statements.iter().map(|span| Statement::script(&text[span.clone()])));
        list.extend(reset_role(worker, at.step));
        let (kind, checksum) = (at.step.kind.as_str(), at.checksum());
        let stopwatch = Stopwatch::default();
        list.extend(self.pen.done(version, at.number, kind, &checksum, &stopwatch));
        self.enter_history(&mut list, at);
        let mut attempts = 0;
        loop {
            let Err(error) = worker.transact(&list).await else { return Ok(stopwatch.took()) };
            attempts += 1;
            if !error.is_transient() || !self.may_retry(attempts) {
                return Err(self.ended(at, error, Some(1)));
            }
            self.pause(&error, attempts).await;
            turn = self.next_turn(worker, turn).await?;
        }
    }

    /// The error of a step that ends here. With a stop asked for, what another try might mend is
    /// the next run's to try.
    pub(super) fn ended(&self, at: At<'_>, error: DbError, first: Option<usize>) -> RunError {
        if self.is_stopped_by(&error) { self.stopped() } else { self.failed(at, error, first) }
    }

    pub(super) fn is_stopped_by(&self, error: &DbError) -> bool {
        self.stop.is_requested() && passing(error)
    }

    /// Whether a step that failed for a passing reason is worth another try.
    pub(super) fn may_retry(&self, attempts: u32) -> bool {
        self.try_again(attempts) && !self.stop.is_requested()
    }

    /// The same where even a stop doesn't count.
    pub(super) fn try_again(&self, attempts: u32) -> bool {
        attempts < ATTEMPTS
    }

    pub(super) async fn pause(&self, error: &DbError, attempts: u32) {
        let base = Duration::from_millis(100) * 2_u32.pow(attempts.min(6));
        let pause = base.mul_f64(0.5 + fastrand::f64());
        self.reporter.emit(Event::Retrying { reason: error.outline(), pause });
        self.stop.sleep(pause).await;
        self.reporter.emit(Event::Unthrottled);
    }

    /// For the last step: the history's entry, in the same transaction.
    pub(super) fn enter_history(&self, list: &mut Vec<Statement>, at: At<'_>) {
        if at.is_last() {
            list.push(self.history.record(at.migration));
        }
    }
}

/// What a step has set for the rest of its session.
pub(super) fn settings(migration: &Migration, step: &Step) -> impl Iterator<Item = String> {
    let spans = step.settings.iter().map(|index| step.statements[*index].clone());
    spans.map(|span| migration.text[span].to_owned())
}

/// What takes back the user that a step has made itself.
pub(super) fn reset_role(worker: &Worker, step: &Step) -> impl Iterator<Item = Statement> {
    let reset = worker.database().dialect().reset_role();
    let needed = reset.iter().filter(|_| step.taints_session);
    needed.map(|sql| Statement::new(*sql, Vec::new()))
}

/// Whether it is no fault of the statement, or of our own.
pub(super) fn passing(error: &DbError) -> bool {
    error.is_transient() || error.kind == ErrorKind::Cancelled
}

fn is_backfill(step: &Step) -> bool {
    matches!(step.kind, StepKind::Backfill(_))
}
