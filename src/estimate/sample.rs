//! The sample: what the pending migrations take, by parts of them in one transaction that is rolled back.
//!
//! All of it happens in one session and one transaction on the copy, so that each step finds the tables as the
//! steps before it leave them, and nothing is there afterwards. (Dead rows are, for the next vacuum, and sequences
//! don't go back.) A script is run whole, under a savepoint. Of a [backfill], batches at places all over
//! its key are run and taken back, until their mean is known well enough. What only fails because such a
//! backfill isn't complete, or takes more than its share of the budget, is [derived](derive).
//!
//! For PostgreSQL only: MySQL and MariaDB commit each DDL statement, and SQLite has one writer, so that its
//! file's copy is rehearsed as quickly.

mod around;
mod backfill;
mod derive;
mod desk;
mod draw;
mod draws;
mod fill;
mod frame;
mod other_index;
mod parallel;
mod projection;
mod script;
mod tally;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::{Database, DbError, Dialect, Purpose};
use crate::migration::{Catalog, StepKind};
use crate::plan::{Plan, Upcoming};
use crate::progress::{Event, Reporter};
use crate::runner::{RunError, Settings, Survey, cut_bulk};
use crate::stop::Stop;

use super::EstimateError;
use super::facts::Facts;
use super::measured::Measured;
use super::outline::Outline;
use desk::Desk;

/// No step gets less of the budget.
const LEAST_SHARE: Duration = Duration::from_secs(1);
/// How long somebody else's lock on the copy is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// What is sampled, and where.
pub struct Sampling<'a> {
    /// The copy, whose content stays as it is.
    pub copy: Arc<dyn Database>,
    /// What its catalog says.
    pub facts: &'a Facts,
    /// The files.
    pub catalog: &'a Catalog,
    /// What a run would be told.
    pub settings: &'a Settings,
    /// How long it may take, about: a statement that is at work when it ends is given up.
    pub budget: Duration,
    /// Where it reports to.
    pub reporter: &'a Reporter,
    /// The wish to stop; then what is at work is cancelled.
    pub stop: &'a Stop,
}

/// A sample at work.
struct Sample<'a> {
    copy: Arc<dyn Database>,
    dialect: Dialect,
    facts: &'a Facts,
    reporter: &'a Reporter,
    stop: &'a Stop,
    desk: Desk,
    ends: Instant,
    /// Steps that are still to come, the one at work included.
    steps_left: u32,
    /// By how many bytes the tables would have grown by what was only sampled.
    grown: BTreeMap<String, f64>,
    /// The UPDATEs of each table that were only sampled.
    fills: BTreeMap<String, Vec<String>>,
    /// Bytes of log of the step at work that a run won't write: what was given up, or was only to compare.
    aside: f64,
    /// Whether the tables are without what a sampled step would have done.
    is_incomplete: bool,
    /// Whether a statement was given up, so that what follows may fail for any reason.
    has_gaps: bool,
}

/// Samples what is pending on the copy.
///
/// # Errors
/// What fails on the copy, a stop, and the database's.
pub async fn sample(sampling: Sampling<'_>) -> Result<Vec<Measured>, EstimateError> {
    let Sampling { copy, facts, catalog, settings, budget, reporter, stop } = sampling;
    let ends = Instant::now() + budget;
    let mut session = copy.session(Purpose::Watch).await.map_err(failed)?;
    let mut survey = Survey::read(copy.as_ref(), session.as_mut(), catalog).await?;
    cut_bulk(copy.as_ref(), &mut survey, settings.selection, settings.auto_batch).await;
    let plan = Plan::new(&survey.catalog, &survey.history, &survey.steps, settings.selection)
        .map_err(RunError::from)?;
    reporter.emit(Event::Planned {
        target: plan.target,
        applied: plan.applied,
        pending: plan.summary(),
    });
    let mut sample = Sample {
        dialect: copy.dialect(),
        copy,
        facts,
        reporter,
        stop,
        desk: Desk::new(session, stop.clone()),
        ends,
        steps_left: plan.steps().count() as u32,
        grown: BTreeMap::new(),
        fills: BTreeMap::new(),
        aside: 0.0,
        is_incomplete: false,
        has_gaps: false,
    };
    let measured = sample.all(&plan).await;
    let left = sample.desk.leave().await;
    if stop.is_requested() {
        return Err(EstimateError::stopped(stop.reason()));
    }
    let measured = measured?;
    left.map_err(failed)?;
    Ok(measured)
}

fn failed(source: DbError) -> EstimateError {
    EstimateError::Db { what: "the copy can't be measured", source }
}

impl Sample<'_> {
    async fn all(&mut self, plan: &Plan<'_>) -> Result<Vec<Measured>, EstimateError> {
        self.settle(plan).await.map_err(failed)?;
        self.desk.bare("begin").await.map_err(failed)?;
        let mut all = Vec::new();
        let mut last = None;
        for upcoming in plan.steps() {
            let migration = upcoming.pending.migration;
            if last.replace(migration.version).is_none_or(|last| last != migration.version) {
                self.start_afresh().await.map_err(failed)?;
            }
            all.push(self.step(&upcoming).await?);
            self.steps_left = self.steps_left.saturating_sub(1);
        }
        Ok(all)
    }

    async fn step(&mut self, upcoming: &Upcoming<'_>) -> Result<Measured, EstimateError> {
        let (migration, step) = (upcoming.pending.migration, upcoming.step);
        let outline = Outline::of(migration, step, upcoming.number, self.dialect.engine);
        let (version, number) = (migration.version, upcoming.number);
        self.reporter.emit(Event::StepStarted { version, step: number, backfill: None });
        let began = Instant::now();
        let measured = match &step.kind {
            StepKind::Script => self.script(upcoming, &outline).await,
            StepKind::Bare => self.bare(upcoming, &outline).await,
            StepKind::Backfill(directive) => self.backfill(upcoming, &outline, directive).await,
        }?;
        let took = began.elapsed();
        self.reporter.emit(Event::StepDone { version, step: number, took });
        Ok(measured)
    }

    /// The step's share of what is left of the budget.
    fn share(&self) -> Duration {
        let left = self.ends.saturating_duration_since(Instant::now());
        // Most steps take no time at all, and leave theirs to the others.
        let shares = self.steps_left.div_ceil(2).max(1);
        (left / shares).max(LEAST_SHARE)
    }

    /// Has what was written before written back, and dead rows removed where they are many: else the first
    /// measurements would be of that.
    async fn settle(&mut self, plan: &Plan<'_>) -> Result<(), DbError> {
        const DEAD: &str = "select format('%I.%I', schemaname, relname) from pg_stat_user_tables \
                            where n_dead_tup > 10000 and n_dead_tup > 0.2 * n_live_tup";
        self.desk.bare(&self.dialect.set_lock_timeout(LOCK_WAIT)).await?;
        let named: Vec<_> = plan
            .steps()
            .map(|next| {
                Outline::of(next.pending.migration, next.step, next.number, self.dialect.engine)
            })
            .collect();
        let is_named = |table: &str| {
            let bare = |name: &str| name.rsplit('.').next().map(|name| name.replace('"', ""));
            let mut tables = named.iter().flat_map(|outline| outline.tables(self.facts));
            tables.any(|known| bare(known) == bare(table))
        };
        for table in self.desk.texts(DEAD).await? {
            if is_named(&table) {
                self.desk.bare(&format!("vacuum {table}")).await.ok();
            }
        }
        // Not everybody may; then the log has more whole pages than it would have.
        self.desk.bare("checkpoint").await.ok();
        Ok(())
    }

    /// Leaves nothing that a file has set to the next one.
    async fn start_afresh(&mut self) -> Result<(), DbError> {
        for reset in self.dialect.reset_role() {
            self.desk.bare(reset).await?;
        }
        self.desk.bare("reset all").await?;
        if let Some(sql) = self.dialect.set_local_lock_timeout(LOCK_WAIT) {
            self.desk.bare(&sql).await?;
        }
        self.desk.bare("set local idle_in_transaction_session_timeout = 0").await?;
        Ok(())
    }
}
