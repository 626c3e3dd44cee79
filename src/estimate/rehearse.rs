//! The rehearsal: a real run on the copy, by the same loop, with a meter beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::db::{Database, Purpose};
use crate::migration::Catalog;
use crate::plan::Plan;
use crate::progress::{FinishedStep, MigrationProgress, Progress, Reporter};
use crate::runner::{Ahead, Run, RunError, Settings, Survey, cut_bulk};
use crate::stop::Stop;

use super::error::{EstimateError, Left};
use super::extent::{Work, extent};
use super::facts::Facts;
use super::locks::{Locks, SeenLocks};
use super::measured::{Extent, How, Measured};
use super::meter::{Meter, Metered, StepId};
use super::outline::Outline;
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
    if let Err(error) = ran {
        let seen = progress.borrow();
        let is_begun =
            seen.rows_passed > 0 || seen.migrations.iter().any(|one| !one.finished.is_empty());
        let left = if is_begun { Left::Changed } else { Left::Untouched };
        return Err(EstimateError::from(error).leaving(left));
    }
    Ok(steps(&progress.borrow(), &outline, &metered, &seen, facts))
}

/// All that the run has done, also what wasn't foreseen.
fn steps(
    progress: &Progress,
    outline: &[Outline],
    metered: &BTreeMap<StepId, Metered>,
    seen: &BTreeMap<StepId, SeenLocks>,
    facts: &Facts,
) -> Vec<Measured> {
    let steps = progress
        .migrations
        .iter()
        .flat_map(|migration| migration.finished.iter().map(move |step| (migration, step)));
    let measure = |(migration, step): (&MigrationProgress, &FinishedStep)| {
        let id = (migration.version, step.step);
        let known = outline.iter().find(|one| (one.version, one.step) == id);
        let (outline, is_known) = match known {
            Some(outline) => (outline.clone(), true),
            None => (Outline::unforeseen(migration, step.step), false),
        };
        let mut measured = measured(&outline, step, metered.get(&id), seen.get(&id), facts);
        if !is_known {
            measured.notes.push("it wasn't in the plan before: its text isn't known".to_owned());
        }
        measured
    };
    steps.map(measure).collect()
}

/// The steps that are pending on a database, as a run would take them.
pub(super) async fn outline(
    database: &dyn Database,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Vec<Outline>, EstimateError> {
    let mut session = database.session(Purpose::Watch).await.map_err(RunError::from)?;
    let mut survey = Survey::read(database, session.as_mut(), catalog).await?;
    cut_bulk(database, &mut survey, settings.selection, settings.auto_batch).await;
    let plan = Plan::new(&survey.catalog, &survey.history, &survey.steps, settings.selection)
        .map_err(RunError::from)?;
    let engine = database.dialect().engine;
    Ok(plan
        .steps()
        .map(|next| Outline::of(next.pending.migration, next.step, next.number, engine))
        .collect())
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
    let lock_wait_seconds = seen.waited.as_secs_f64().min(step.took_seconds);
    let rewrites = outline.rewritten(metered.changes.rewrites);
    let (extent, others) = match &step.table {
        Some(table) if outline.kind == "backfill" => (Extent::Rows(table.clone()), Vec::new()),
        _ => {
            let work = Work {
                seconds: step.took_seconds - lock_wait_seconds,
                wal: metered.wal,
                rewrites: &rewrites,
                built: &metered.changes.built,
                read: &metered.changes.read,
                held: &seen.held,
                shows: metered.shows,
            };
            extent(outline, work, facts)
        }
    };
    Measured {
        seconds: step.took_seconds,
        lock_wait_seconds,
        throttled_seconds: step.throttled_seconds,
        rows: metered.keys,
        changed: step.rows_changed,
        wal_bytes: metered.wal,
        size_bytes: metered.size,
        dead_rows: metered.dead,
        extent,
        others,
        locks: seen.held,
        rewrites,
        scans: metered.changes.scans,
        notes: seen.note.into_iter().collect(),
        ..outline.measured(How::Rehearsed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::progress::{Event, PendingMigration};

    #[test]
    fn a_step_that_was_not_foreseen_is_told_all_the_same() {
        let (reporter, progress) = Reporter::new();
        let steps_of = vec!["script", "bare"];
        let name = "release".to_owned();
        let migration =
            PendingMigration { version: 7, name, phase: "expand", steps: steps_of, steps_done: 0 };
        reporter.emit(Event::Planned { target: Some(7), applied: 0, pending: vec![migration] });
        let took = Duration::from_secs(3);
        for step in 1..=2 {
            reporter.emit(Event::StepStarted { version: 7, step, backfill: None });
            reporter.emit(Event::StepDone { version: 7, step, took });
        }
        let known = Outline::unforeseen(&progress.borrow().migrations[0], 1);
        let none = (&BTreeMap::new(), &BTreeMap::new());
        let all = steps(&progress.borrow(), &[known], none.0, none.1, &Facts::default());
        let told: Vec<_> = all.iter().map(|one| (one.step, one.kind, one.seconds)).collect();
        assert_eq!(told, [(1, "script", 3.0), (2, "bare", 3.0)]);
        assert!(all[0].notes.is_empty() && all[1].notes[0].contains("wasn't in the plan"));
    }
}
