//! Waiting for the run lock.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::db::{Database, DbError, ErrorKind, Locker, Purpose, Session};
use crate::ledger::{Ledger, RunRecord};
use crate::plan::{Plan, PlanError};
use crate::progress::{Event, Holder, LeaderStep, PendingMigration};

use super::fill::sum;
use super::held::{Held, Keeper};
use super::join::GivenUp;
use super::{Run, RunError, Survey};

/// Between two tries for the lock, and two looks at the leader's progress.
const POLL: Duration = Duration::from_millis(500);
/// The same until the holder is known, for as long as one [`POLL`].
const MOMENT: Duration = Duration::from_millis(50);

pub enum Waited {
    /// The lock is ours.
    Held(Held),
    /// Another run did all there was to do.
    NothingLeft,
}

/// What is left to do while another run is at it.
pub(super) enum Left<'a> {
    /// Its next migration is the first of these.
    Plan(Plan<'a>),
    /// It is at a statement outside a transaction, and no plan goes past that.
    Claimed { version: i64, step: u32 },
}

impl Run<'_> {
    /// Tries for the lock until it is ours, nothing is left to do, or the wait is over. The time in which it
    /// helps whoever has it is no wait.
    pub(super) async fn lock(
        &self,
        session: &mut Box<dyn Session>,
        mut locker: Box<dyn Locker>,
        patience: Duration,
    ) -> Result<Waited, RunError> {
        let mut started = Instant::now();
        let mut given_up = GivenUp::default();
        let (mut told, mut last) = (None, None);
        loop {
            if self.stop.is_requested() {
                return Err(RunError::Stopped { reason: self.stop.reason().to_owned() });
            }
            let tried = match locker.try_lock().await {
                Err(error) if error.is_lost() => {
                    (*session, locker) = self.anew(&error).await?;
                    continue;
                }
                tried => tried.map_err(untried)?,
            };
            if tried {
                let held = Held::keep(Keeper {
                    database: self.database.clone(),
                    locker: Some(locker),
                    run: self.settings.identity.run.clone(),
                    patience: self.settings.reconnect,
                    stop: self.stop.clone(),
                });
                return Ok(Waited::Held(held));
            }
            let (holder, leader) = match self.follow(session.as_mut(), &mut told).await {
                Ok(Some(seen)) => seen,
                Ok(None) => return Ok(Waited::NothingLeft),
                // It has the whole of SQLite's file; what it was when last seen is known.
                Err(error) if is_busy(&error) => (last.clone(), None),
                Err(RunError::Db(error)) if error.is_lost() => {
                    (*session, locker) = self.anew(&error).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            last.clone_from(&holder);
            if self.settings.joins
                && leader.as_ref().is_some_and(|leader| leader.keys.is_some())
                && self.help(session.as_mut(), &mut given_up).await?
            {
                // These were idle for as long as that took, or the server was away.
                (*session, locker) = self.open().await?;
                started = Instant::now();
                continue;
            }
            if started.elapsed() >= patience {
                return Err(RunError::LockHeld { holder, patience });
            }
            // One that has just taken the lock isn't in the ledger yet, and the first word about it
            // should be its name.
            let pause = if holder.is_none() && started.elapsed() < POLL {
                MOMENT
            } else {
                self.reporter.emit(Event::LockWaiting { holder, leader, helps: false });
                POLL
            };
            self.stop.sleep(pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        }
    }

    async fn open(&self) -> Result<(Box<dyn Session>, Box<dyn Locker>), RunError> {
        let session = self.reach(|| self.database.session(Purpose::Wait)).await?;
        Ok((session, self.reach(|| self.database.locker()).await?))
    }

    /// The same when the server went away while it was waited for the lock: nothing is at stake yet.
    async fn anew(&self, lost: &DbError) -> Result<(Box<dyn Session>, Box<dyn Locker>), RunError> {
        self.reporter.emit(Event::Unreachable { reason: lost.to_string() });
        let opened = self.open().await?;
        let database = self.database.description().to_owned();
        self.reporter.emit(Event::Connected { database });
        Ok(opened)
    }

    /// Opens something, as long as it is tried to reach the database again.
    async fn reach<T, F: Future<Output = Result<T, DbError>>>(
        &self,
        open: impl Fn() -> F,
    ) -> Result<T, RunError> {
        let started = Instant::now();
        loop {
            match open().await {
                Err(error)
                    if error.is_unreachable()
                        && !self.stop.is_requested()
                        && started.elapsed() < self.settings.reconnect =>
                {
                    self.stop.sleep(POLL).await;
                }
                opened => return Ok(opened?),
            }
        }
    }

    /// Looks how far the leader is. `None` when it has left nothing to do.
    pub(super) async fn follow(
        &self,
        session: &mut dyn Session,
        told: &mut Option<Vec<PendingMigration>>,
    ) -> Result<Option<(Option<Holder>, Option<LeaderStep>)>, RunError> {
        let survey = self.survey(session).await?;
        let left = self.plan_of_leader(&survey)?;
        if let Left::Plan(plan) = &left {
            // What the leader has applied since is no longer pending here either.
            let summary = plan.summary();
            if told.as_ref() != Some(&summary) {
                self.report(plan);
                *told = Some(summary);
            }
            if plan.pending.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(self.look_at_leader(session, &survey, &left).await?))
    }

    /// What is left, seen while another run may be at it: its open claims aren't dirt.
    pub(super) fn plan_of_leader<'s>(&self, survey: &'s Survey<'_>) -> Result<Left<'s>, RunError> {
        match Plan::new(&survey.catalog, &survey.history, &survey.steps, self.settings.selection) {
            Ok(plan) => Ok(Left::Plan(plan)),
            Err(PlanError::Dirty { version, step, .. }) => Ok(Left::Claimed { version, step }),
            Err(error) => Err(error.into()),
        }
    }

    async fn look_at_leader(
        &self,
        session: &mut dyn Session,
        survey: &Survey<'_>,
        left: &Left<'_>,
    ) -> Result<(Option<Holder>, Option<LeaderStep>), RunError> {
        let ledger = Ledger::of(self.database.as_ref());
        let holder = ledger.leader(session).await?.map(holder);
        let (migration, step, open) = match left {
            Left::Plan(plan) => match plan.pending.first() {
                Some(first) => (first.migration, first.done as u32 + 1, first.claim.is_some()),
                None => return Ok((holder, None)),
            },
            Left::Claimed { version, step } => match survey.catalog.find(*version) {
                Some(migration) => (migration, *step, false),
                None => return Ok((holder, None)),
            },
        };
        let mut keys = None;
        if open {
            let ranges = ledger.ranges(session, migration.version, step).await?;
            let done = sum(&ranges, |range| Some(range.keys_done));
            keys = done.map(|done| (done, sum(&ranges, |range| range.keys_total)));
        }
        let kind = migration.steps.get(step as usize - 1).map_or("script", |s| s.kind.as_str());
        let leader = LeaderStep {
            version: migration.version,
            name: migration.name.clone(),
            step,
            steps: migration.steps.len() as u32,
            kind: kind.to_owned(),
            keys,
        };
        Ok((holder, Some(leader)))
    }
}

/// A lease has a table, for which a right may be missing.
fn untried(error: DbError) -> RunError {
    match error.kind {
        ErrorKind::Permission => RunError::Preparing(error),
        _ => error.into(),
    }
}

/// Whether nothing could be read because another process has the whole of SQLite's file locked.
pub(super) fn is_busy(error: &RunError) -> bool {
    matches!(error, RunError::Db(error) if error.kind == ErrorKind::LockTimeout)
}

/// Whether a run is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leader {
    /// The lock is free.
    Nobody,
    /// The lock is held; by whom, as far as the ledger knows.
    Running(Option<Holder>),
}

impl Leader {
    /// Who holds the lock.
    pub fn holder(self) -> Option<Holder> {
        match self {
            Leader::Nobody => None,
            Leader::Running(holder) => holder,
        }
    }
}

/// Asks whether a run is at work, and which.
///
/// # Errors
/// The database's.
pub async fn leader(
    database: &dyn Database,
    session: &mut dyn Session,
) -> Result<Leader, RunError> {
    if !database.is_locked(session).await? {
        return Ok(Leader::Nobody);
    }
    Ok(Leader::Running(Ledger::of(database).leader(session).await?.map(holder)))
}

/// What is told of a run.
pub fn holder(run: RunRecord) -> Holder {
    Holder {
        run: run.run,
        host: run.host,
        pid: u32::try_from(run.pid).unwrap_or_default(),
        since: run.started_at,
    }
}
