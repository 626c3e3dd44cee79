//! The rehearsal: a real run on the copy, by the same loop, with a meter beside it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::db::{Database, Purpose};
use crate::migration::{Catalog, Migration, Step};
use crate::plan::Plan;
use crate::progress::{FinishedStep, Progress, Reporter};
use crate::runner::{Ahead, Run, Settings, Survey, cut_bulk};
use crate::stop::Stop;

use super::EstimateError;
use super::facts::Facts;
use super::locks::{Locks, SeenLocks};
use super::measured::{Extent, How, Measured};
use super::meter::{Meter, Metered};
use super::timed::Timed;

/// What is rehearsed, and where.
pub struct Rehearsal<'a> {
    /// The copy, which is migrated.
    pub copy: Arc<dyn Database>,
    /// What its catalog says before.
    pub facts: &'a Facts,
    /// The files.
    pub catalog: &'a Catalog,
    /// What the run is told.
    pub settings: &'a Settings,
    /// Where it reports to.
    pub reporter: &'a Reporter,
    /// What comes of that.
    pub progress: watch::Receiver<Progress>,
    /// The wish to stop.
    pub stop: &'a Stop,
}

/// A step of the plan, as it is told.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) step: u32,
    pub(super) kind: &'static str,
    pub(super) statement: String,
    /// All of its text.
    text: String,
}

/// Rehearses what is pending on the copy.
///
/// # Errors
/// The run's, and the database's.
pub async fn rehearse(rehearsal: Rehearsal<'_>) -> Result<Vec<Measured>, EstimateError> {
    let Rehearsal { copy, facts, catalog, settings, reporter, progress, stop } = rehearsal;
    let failed = |source| EstimateError::Db { what: "the copy can't be measured", source };
    let outline = outline(copy.as_ref(), catalog, settings).await?;
    let meter = Meter::start(copy.clone()).await.map_err(failed)?;
    let run = &settings.identity.run;
    let locks = Locks::watch(&copy, run, progress.clone()).await.map_err(failed)?;
    let timed: Arc<dyn Database> =
        Arc::new(Timed { database: copy, meter: meter.clone(), progress: progress.clone() });
    let ahead = Ahead::read(timed.as_ref()).await?;
    let ran = Run { database: timed, catalog, settings, reporter, stop }.up(ahead).await;
    let (metered, seen) = (meter.end().await, locks.end().await);
    ran?;
    let progress = progress.borrow();
    let measure = |migration: &crate::progress::MigrationProgress| {
        migration
            .finished
            .iter()
            .filter_map(|step| {
                let id = (migration.version, step.step);
                let outline = outline.iter().find(|one| (one.version, one.step) == id)?;
                Some(measured(outline, step, metered.get(&id), seen.get(&id), facts))
            })
            .collect::<Vec<_>>()
    };
    Ok(progress.migrations.iter().flat_map(measure).collect())
}

/// The steps that are pending on a database, as a run would take them.
pub(super) async fn outline(
    database: &dyn Database,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Vec<Outline>, EstimateError> {
    let failed = |source| EstimateError::Db { what: "the copy can't be read", source };
    let mut session = database.session(Purpose::Watch).await.map_err(failed)?;
    let mut survey = Survey::read(database, session.as_mut(), catalog).await?;
    cut_bulk(database, &mut survey, settings.selection, settings.auto_batch).await;
    let plan = Plan::new(&survey.catalog, &survey.history, &survey.steps, settings.selection)
        .map_err(crate::runner::RunError::from)?;
    Ok(plan
        .steps()
        .map(|next| Outline::of(next.pending.migration, next.step, next.number))
        .collect())
}

impl Outline {
    pub(super) fn of(migration: &Migration, step: &Step, number: u32) -> Self {
        let mut texts = step.statements.iter().map(|span| &migration.text[span.clone()]);
        let text = texts.clone().collect::<Vec<_>>().join("\n");
        let first = texts.next().unwrap_or_default();
        Outline {
            version: migration.version,
            name: migration.name.clone(),
            step: number,
            kind: step.kind.as_str(),
            statement: first.split_whitespace().collect::<Vec<_>>().join(" "),
            text,
        }
    }

    /// All of its text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The tables of the catalog that its text names.
    pub(super) fn tables<'f>(&'f self, facts: &'f Facts) -> impl Iterator<Item = &'f str> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let words = self.text.split(move |c| !is_part(c)).filter(|word| !word.is_empty());
        let named = move |word: &str| {
            let lower = word.to_lowercase();
            let is_it = |table: &&String| {
                let bare = table.rsplit('.').next().unwrap_or(table);
                bare == word || bare == lower
            };
            facts.tables.keys().find(is_it).map(String::as_str)
        };
        words.filter_map(named)
    }

    /// One statement of it.
    pub(super) fn with(&self, sql: &str) -> Self {
        let statement = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        Outline { statement, text: sql.to_owned(), ..self.clone() }
    }

    pub(super) fn builds_index(&self) -> bool {
        let mut words = self.statement.split(' ').map(str::to_lowercase);
        words.next().as_deref() == Some("create")
            && words.find(|word| word != "unique").as_deref() == Some("index")
    }
}

fn measured(
    outline: &Outline,
    step: &FinishedStep,
    metered: Option<&Metered>,
    seen: Option<&SeenLocks>,
    facts: &Facts,
) -> Measured {
    let metered = metered.cloned().unwrap_or_default();
    let seen = seen.cloned().unwrap_or_default();
    Measured {
        version: outline.version,
        name: outline.name.clone(),
        step: outline.step,
        kind: outline.kind,
        statement: outline.statement.clone(),
        how: How::Rehearsed,
        seconds: step.took_seconds,
        spread: 0.0,
        lock_wait_seconds: seen.waited.as_secs_f64(),
        rows: metered.keys,
        changed: step.rows_changed,
        wal_bytes: metered.wal,
        size_bytes: metered.size,
        dead_rows: metered.dead,
        extent: match &step.table {
            Some(table) if outline.kind == "backfill" => Extent::Rows(table.clone()),
            _ => {
                let held = seen.held.iter().map(|held| held.table.as_str());
                let Metered { wal, rewrites, .. } = &metered;
                extent(outline, step.took_seconds, *wal, rewrites, held, facts)
            }
        },
        locks: seen.held,
        rewrites: metered.rewrites,
        scans: metered.scans,
        notes: Vec::new(),
    }
}

/// So little log, in so short a time, is of the catalog alone.
const CATALOG_BYTES: u64 = 256 * 1024;
const CATALOG_SECONDS: f64 = 0.05;

/// What the time of a script or a bare statement grows with.
pub(super) fn extent<'a>(
    outline: &'a Outline,
    seconds: f64,
    wal: Option<u64>,
    rewrites: &[String],
    held: impl Iterator<Item = &'a str>,
    facts: &'a Facts,
) -> Extent {
    let is_short = seconds < CATALOG_SECONDS;
    let is_small = wal.is_none_or(|wal| wal < CATALOG_BYTES);
    let touched = held.chain(outline.tables(facts));
    let bytes = |table: &&str| facts.table(table).map_or(0, |facts| facts.all_bytes());
    match touched.filter(|table| facts.table(table).is_some()).max_by_key(bytes) {
        Some(_) if is_short && is_small && rewrites.is_empty() => Extent::Constant,
        Some(table) if outline.builds_index() => Extent::Sort(table.to_owned()),
        Some(table) => Extent::Bytes(table.to_owned()),
        None => Extent::Constant,
    }
}
