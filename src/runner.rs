//! The run: lock → plan → steps. THE loop over steps; every face and test drives this one.

mod bare;
mod bulk;
mod desk;
mod error;
mod failure;
mod fill;
mod held;
mod join;
mod lock;
mod pooled;
mod resolve;
mod steps;
mod survey;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::backfill::{prepare, read};
use crate::db::{Database, DbError, ErrorKind, Purpose, Session};
use crate::ledger::{Identity, Ledger, Pen};
use crate::migration::{Catalog, StepKind};
use crate::place::Explanation;
use crate::plan::{Plan, PlanError, Selection, Upcoming};
use crate::progress::{Estimated, Event, Reporter, Warning};
use crate::stop::Stop;
use crate::throttle::{Limits, Throttle, Watch};
use crate::worker::Worker;

pub(crate) use error::{hints, way_out};
pub(crate) use failure::{failed_at, no_table, unprepared};
pub(crate) use held::{Held, Keeper};
pub(crate) use lock::holder;
pub(crate) use steps::At;

pub use bulk::cut_bulk;
pub use desk::{Desk, DeskError, RowRate, WorkerCount};
pub use error::RunError;
pub use lock::{Leader, leader};
pub use resolve::{ResolveError, Verdict, resolve};
pub use survey::{Early, Survey, SurveyError};

use lock::{Left, Waited, is_busy};
use steps::Steps;

/// What one invocation of `up` is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which migrations.
    pub selection: Selection,
    /// How long to wait for another run.
    pub lock_wait: Duration,
    /// Whether it helps another run with its backfills while it waits for it.
    pub joins: bool,
    /// How long a lost database is tried to be reached again, once the run is at work.
    pub reconnect: Duration,
    /// Above how many rows of its table a statement is batched that no directive speaks of; none where it
    /// is `None`.
    pub auto_batch: Option<u64>,
    /// What steps were estimated to take.
    pub estimates: Vec<Estimated>,
    /// Who runs.
    pub identity: Identity,
    /// What holds its backfills back.
    pub limits: Limits,
}

/// One run.
pub struct Run<'a> {
    /// Where.
    pub database: Arc<dyn Database>,
    /// The files.
    pub catalog: &'a Catalog,
    /// What it is told.
    pub settings: &'a Settings,
    /// Where it reports to.
    pub reporter: &'a Reporter,
    /// The wish to stop.
    pub stop: &'a Stop,
}

/// What a run reads before it knows the files, while they are being read.
pub struct Ahead {
    session: Box<dyn Session>,
    early: Result<Early, SurveyError>,
}

impl Ahead {
    /// Reads it. What is wrong with it is told by the run: a file's fault comes first.
    ///
    /// # Errors
    /// When no session can be opened.
    pub async fn read(database: &dyn Database) -> Result<Self, RunError> {
        let mut session = database.session(Purpose::Wait).await?;
        let early = Early::read(database, session.as_mut()).await;
        Ok(Ahead { session, early })
    }
}

enum Outlook {
    NothingToDo,
    Work,
}

impl Run<'_> {
    /// Applies what is pending. Returns how many migrations this run completed.
    ///
    /// # Errors
    /// See [`RunError`]. Whatever was committed stays, and a next run goes on from there.
    pub async fn up(&self, ahead: Ahead) -> Result<u64, RunError> {
        let estimates = &self.settings.estimates;
        if !estimates.is_empty() {
            self.reporter.emit(Event::Estimated { steps: estimates.clone() });
        }
        let result = self.attempt(ahead).await;
        self.reporter.emit(match &result {
            Ok(_) => Event::Finished,
            Err(error) => error.event(),
        });
        result
    }

    async fn attempt(&self, ahead: Ahead) -> Result<u64, RunError> {
        let Ahead { session: mut watch, early } = ahead;
        // Whatever it waits for, nothing is written yet.
        let looked = tokio::select! {
            looked = self.first_look(watch.as_mut(), early) => looked,
            () = self.stop.requested() => {
                return Err(RunError::Stopped { reason: self.stop.reason().to_owned() });
            }
        };
        let looked = match looked {
            Ok(Outlook::NothingToDo) => return Ok(0),
            Ok(Outlook::Work) => true,
            // A leader's long script: the wait for the run lock is the wait for its end, too.
            Err(error) if is_busy(&error) => false,
            Err(error) => return Err(self.seen_by_a_helper(watch.as_mut(), error).await),
        };
        let locker = self.locker(watch.as_mut()).await?;
        let held = match self.lock(&mut watch, locker, self.settings.lock_wait).await? {
            Waited::Held(held) => held,
            Waited::NothingLeft => return Ok(0),
        };
        let work = async {
            if !looked {
                let survey = self.survey(watch.as_mut()).await?;
                self.look(watch.as_mut(), survey).await?;
            }
            drop(watch);
            self.locked(&held).await
        };
        let result = tokio::select! {
            result = work => result,
            () = held.abandoned() => {
                Err(DbError::new(ErrorKind::Connection, "the server gives no answer").into())
            }
        };
        let lost = held.release().await;
        match result {
            // Whatever failed, failed because of it, or may have.
            Err(error) if lost => Err(RunError::LockLost { error: error.to_string() }),
            result => result,
        }
    }

    /// To who was to help the run at work, a statement that isn't that run's is just this, and nothing to
    /// resolve.
    async fn seen_by_a_helper(&self, session: &mut dyn Session, error: RunError) -> RunError {
        match error {
            RunError::Plan(PlanError::BackfillChanged { version, step, .. })
                if self.settings.joins
                    && matches!(
                        leader(self.database.as_ref(), session).await,
                        Ok(Leader::Running(_))
                    ) =>
            {
                RunError::Unlike { version, step }
            }
            error => error,
        }
    }

    async fn first_look(
        &self,
        session: &mut dyn Session,
        early: Result<Early, SurveyError>,
    ) -> Result<Outlook, RunError> {
        let database = self.database.as_ref();
        let survey = Survey::complete(early?, database, session, self.catalog).await?;
        self.look(session, survey).await
    }

    async fn survey(&self, session: &mut dyn Session) -> Result<Survey<'_>, RunError> {
        Ok(Survey::read(self.database.as_ref(), session, self.catalog).await?)
    }

    /// The look before the lock: what a run would do, and whether it may.
    async fn look(
        &self,
        session: &mut dyn Session,
        mut survey: Survey<'_>,
    ) -> Result<Outlook, RunError> {
        self.cut_bulk(&mut survey).await;
        // What another run is at isn't dirt; only the plan under the lock tells them apart.
        if let Left::Plan(plan) = self.plan_of_leader(&survey)? {
            self.report(&plan);
            if plan.pending.is_empty() {
                return Ok(Outlook::NothingToDo);
            }
            self.prove(session, &plan).await?;
        }
        Ok(Outlook::Work)
    }

    /// Everything that happens under the lock. What was read before it may be stale, and so may
    /// what was read before our epoch: until then a predecessor that has lost the lock can commit.
    async fn locked(&self, held: &Held) -> Result<u64, RunError> {
        let run = &self.settings.identity.run;
        self.database.end_orphans(run).await?;
        let reconnect = self.settings.reconnect;
        let mut worker =
            Worker::open(self.database.clone(), run, self.stop.clone(), reconnect).await?;
        let survey = self.survey(worker.session()).await?;
        let plan = self.plan(&survey)?;
        if plan.pending.is_empty() {
            return Ok(0);
        }
        self.reporter.emit(Event::LockTaken);
        let ledger = Ledger::of(self.database.as_ref());
        ledger.ensure(worker.session()).await.map_err(RunError::preparing)?;
        if let Some(create) = survey.history.create() {
            worker.bare(&create.sql).await.map_err(RunError::preparing)?;
        }
        let pen = ledger.begin(worker.session(), &self.settings.identity).await?;
        let result = self.fenced(&mut worker, &pen, held).await;
        if !held.is_lost() {
            close(&mut worker, &pen, &result).await;
        }
        result
    }

    /// Everything that happens once no older run can write any more.
    async fn fenced(&self, worker: &mut Worker, pen: &Pen, held: &Held) -> Result<u64, RunError> {
        let mut survey = self.survey(worker.session()).await?;
        let requests = pen.ledger().requests(worker.session()).await?;
        let throttle = Throttle::new(requests, self.reporter);
        let limits = &self.settings.limits;
        let watch = Watch::start(&self.database, &throttle, limits, pen.epoch(), None, self.stop);
        tokio::select! {
            () = self.cut_bulk(&mut survey) => {}
            () = self.stop.requested() => {
                return Err(RunError::Stopped { reason: self.stop.reason().to_owned() });
            }
        }
        let plan = self.plan(&survey)?;
        self.warn_of_strange_estimates(&plan);
        let result = self.take_steps(worker, pen, held, &throttle, &survey, &plan).await;
        drop(watch);
        result
    }

    async fn take_steps(
        &self,
        worker: &mut Worker,
        pen: &Pen,
        held: &Held,
        throttle: &Throttle,
        survey: &Survey<'_>,
        plan: &Plan<'_>,
    ) -> Result<u64, RunError> {
        let mut steps = Steps {
            pen,
            held,
            throttle,
            history: &survey.history,
            reporter: self.reporter,
            stop: self.stop,
            large: &survey.large,
            estimates: &self.settings.estimates,
            spent: Vec::new(),
        };
        let mut result = Ok(0);
        for (count, pending) in (1..).zip(&plan.pending) {
            if let Err(error) = steps.migrate(worker, pending).await {
                result = Err(error);
                break;
            }
            result = Ok(count);
        }
        steps.account(worker).await;
        result
    }

    /// An estimate that has nothing of what is pending is another release's.
    fn warn_of_strange_estimates(&self, plan: &Plan<'_>) {
        let estimates = &self.settings.estimates;
        let is_estimated = |next: Upcoming<'_>| {
            let (version, kind) = (next.pending.migration.version, next.step.kind.as_str());
            estimates.iter().any(|one| one.is_of(version, next.number, kind))
        };
        if estimates.is_empty() || plan.pending.is_empty() || plan.steps().any(is_estimated) {
            return;
        }
        let message = "the estimate has none of the steps that are pending";
        let next = "make one of this release; the run goes on without";
        let explanation = Explanation::default().note("next", next);
        self.reporter.emit(Event::Warned(Warning::of_run(message, &explanation)));
    }

    async fn cut_bulk(&self, survey: &mut Survey<'_>) {
        let Settings { selection, auto_batch, .. } = *self.settings;
        cut_bulk(self.database.as_ref(), survey, selection, auto_batch).await;
    }

    fn plan<'s>(&self, survey: &'s Survey<'_>) -> Result<Plan<'s>, RunError> {
        let plan =
            Plan::new(&survey.catalog, &survey.history, &survey.steps, self.settings.selection)?;
        self.refuse_unpoolable(&plan)?;
        self.report(&plan);
        Ok(plan)
    }

    fn report(&self, plan: &Plan<'_>) {
        self.reporter.emit(Event::Planned {
            target: plan.target,
            applied: plan.applied,
            pending: plan.summary(),
        });
    }

    /// Proves every pending backfill, as far as it can be known before anything is written: behind a
    /// step that may change the tables, only what the text alone says.
    async fn prove(&self, session: &mut dyn Session, plan: &Plan<'_>) -> Result<(), RunError> {
        let dialect = self.database.dialect();
        for Upcoming { pending, step, number, is_settled } in plan.steps() {
            let migration = pending.migration;
            let StepKind::Backfill(directive) = &step.kind else { continue };
            // What can't be batched after all runs whole.
            if directive.auto {
                continue;
            }
            let proved = if is_settled {
                prepare(session, dialect, migration, step, directive).await.map(|_| ())
            } else {
                read(dialect, migration, step, directive).map(|_| ())
            };
            proved.map_err(|error| unprepared(At { migration, step, number }, error))?;
        }
        Ok(())
    }
}

/// Enters how the run ended. A run that can't say so looks like one that died, which is true
/// enough: its successor finds everything else in the ledger.
async fn close(worker: &mut Worker, pen: &Pen, result: &Result<u64, RunError>) {
    let outcome = match result {
        Ok(_) => "done",
        Err(error) if error.is_interruption() => "interrupted",
        Err(_) => "failed",
    };
    pen.end(worker.session(), outcome).await.ok();
}
