//! The plan: catalog × history × ledger × selection → the steps to take, or why not. Pure.

mod begun;
mod error;

use crate::history::{Applied, History};
use crate::ledger::StepRecord;
use crate::migration::{Catalog, Migration, Phase, Repeat, Step, StepKind};
use crate::place::Explanation;
use crate::progress::PendingMigration;

pub use begun::as_begun;
pub use error::PlanError;

/// Which migrations an invocation is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Up to this version, inclusive; all where it is `None`.
    pub to: Option<i64>,
    /// Only this phase; both where it is `None`.
    pub phase: Option<Phase>,
}

impl Selection {
    /// Whether it is about this migration.
    pub fn takes(&self, migration: &Migration) -> bool {
        self.to.is_none_or(|to| migration.version <= to)
            && self.phase.is_none_or(|phase| migration.phase == phase)
    }

    /// Whether there is such a migration as it names.
    ///
    /// # Errors
    /// [`PlanError::NoTarget`].
    pub fn check(&self, catalog: &Catalog) -> Result<(), PlanError> {
        match self.to {
            Some(to) if catalog.find(to).is_none() => {
                Err(PlanError::NoTarget { to, dir: catalog.dir.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Validated work. Only [`Plan::new`] makes one, and the runner accepts nothing else.
#[allow(clippy::manual_non_exhaustive, reason = "the rest of the crate must not make one either")]
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The version that the schema is to reach: the last one selected.
    pub target: Option<i64>,
    /// How many migrations of the history there are.
    pub applied: u64,
    /// What is to be done, in order.
    pub pending: Vec<Pending<'a>>,
    _proof: (),
}

/// A migration that is to be applied.
#[derive(Debug, Clone)]
pub struct Pending<'a> {
    /// The migration.
    pub migration: &'a Migration,
    /// How many of its steps are done.
    pub done: usize,
    /// The claim on the step after them, if an earlier run left one.
    pub claim: Option<StepRecord>,
}

/// A step that is to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Upcoming<'a> {
    /// Its migration.
    pub pending: &'a Pending<'a>,
    /// The step.
    pub step: &'a Step,
    /// From 1.
    pub number: u32,
    /// Whether the tables are now as the step will find them: no step before it may change them,
    /// or which of them a name means.
    pub is_settled: bool,
}

impl<'a> Plan<'a> {
    /// Makes the plan.
    ///
    /// # Errors
    /// Whatever needs a human first; see [`PlanError`].
    pub fn new(
        catalog: &'a Catalog,
        history: &History,
        steps: &[StepRecord],
        selection: Selection,
    ) -> Result<Self, PlanError> {
        selection.check(catalog)?;
        verify(catalog, history)?;
        has_files(catalog, history, steps)?;
        let selected = || catalog.migrations.iter().filter(|migration| selection.takes(migration));
        let last = history.applied().last().map_or(0, |applied| applied.version);
        let mut pending = Vec::new();
        for migration in selected().filter(|migration| history.find(migration.version).is_none()) {
            let entry = Pending::new(migration, steps)?;
            if migration.version < last && !may_be_late(migration) && !entry.is_begun() {
                return Err(PlanError::Late { path: migration.path.clone(), last });
            }
            if let Some(version) = waits_for(migration, catalog, history, selection) {
                return Err(PlanError::Early { path: migration.path.clone(), version });
            }
            pending.push(entry);
        }
        Ok(Plan {
            target: selected().next_back().map(|migration| migration.version),
            applied: history.applied().len() as u64,
            pending,
            _proof: (),
        })
    }

    /// The steps to take, in order.
    pub fn steps(&self) -> impl Iterator<Item = Upcoming<'_>> {
        let mut is_settled = true;
        self.pending
            .iter()
            .flat_map(|pending| pending.steps().map(move |step| (pending, step)))
            .map(move |(pending, (number, step))| {
                let done = &pending.migration.steps[..pending.done];
                // A done step's SET search_path holds for the file's session, not for others.
                is_settled = is_settled && done.iter().all(|step| step.settings.is_empty());
                let upcoming = Upcoming { pending, step, number, is_settled };
                is_settled = is_settled && matches!(step.kind, StepKind::Backfill(_));
                upcoming
            })
    }

    /// What the faces are told.
    pub fn summary(&self) -> Vec<PendingMigration> {
        self.pending.iter().map(Pending::summary).collect()
    }
}

/// A contract migration waits for the old release to be gone, while later expand migrations go
/// ahead; refinery's `U` says the same of any migration.
fn may_be_late(migration: &Migration) -> bool {
    migration.out_of_order || migration.phase == Phase::Contract
}

/// The first expand migration below a contract migration that is neither applied nor selected. The
/// expand phase goes first: else `--phase contract` after a failed or forgotten expand job would
/// drop what the new release has not been given a replacement for.
fn waits_for(
    migration: &Migration,
    catalog: &Catalog,
    history: &History,
    selection: Selection,
) -> Option<i64> {
    let mut below = catalog.migrations.iter().filter(|other| {
        other.version < migration.version
            && other.phase == Phase::Expand
            && !selection.takes(other)
            && history.find(other.version).is_none()
    });
    (migration.phase == Phase::Contract).then(|| below.next().map(|other| other.version)).flatten()
}

fn verify(catalog: &Catalog, history: &History) -> Result<(), PlanError> {
    for applied in history.applied() {
        match catalog.find(applied.version) {
            None => return Err(missing(catalog, applied)),
            Some(migration) if !history.fits(migration, applied) => {
                return Err(PlanError::Drift {
                    version: applied.version,
                    applied_name: applied.name.clone(),
                    applied_on: applied.applied_on.clone(),
                    path: migration.path.clone(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether every migration that was begun, and isn't in the history, still has its file.
fn has_files(catalog: &Catalog, history: &History, steps: &[StepRecord]) -> Result<(), PlanError> {
    match without_file(catalog, history, steps).next() {
        Some(version) => Err(PlanError::HalfMissing {
            version,
            done: steps.iter().filter(|step| step.version == version && step.done).count(),
            dir: catalog.dir.clone(),
        }),
        None => Ok(()),
    }
}

/// The migrations that were begun, aren't in the history, and have no file; by version, as `steps`
/// are.
pub fn without_file<'a>(
    catalog: &'a Catalog,
    history: &'a History,
    steps: &'a [StepRecord],
) -> impl Iterator<Item = i64> + 'a {
    let mut last = None;
    steps.iter().map(|step| step.version).filter(move |version| {
        last.replace(*version) != Some(*version)
            && history.find(*version).is_none()
            && catalog.find(*version).is_none()
    })
}

/// Whether a step that was begun stands at another number in the file now, or the file has none of its
/// number any more. Records go by numbers: whoever accepted one for the step that has come into its
/// place would have another step done twice, or left out.
fn has_moved<'a>(migration: &Migration, steps: impl Iterator<Item = &'a StepRecord>) -> bool {
    let checksums: Vec<_> = migration.steps.iter().map(|step| migration.checksum(step)).collect();
    let mut elsewhere = steps.filter(|record| {
        let own = checksums.get(record.step as usize - 1);
        own.is_none_or(|own| *own != record.checksum && checksums.contains(&record.checksum))
    });
    elsewhere.next().is_some()
}

fn missing(catalog: &Catalog, applied: &Applied) -> PlanError {
    PlanError::Missing {
        version: applied.version,
        name: applied.name.clone(),
        dir: catalog.dir.clone(),
    }
}

impl<'a> Pending<'a> {
    fn new(migration: &'a Migration, steps: &[StepRecord]) -> Result<Self, PlanError> {
        let mut done = 0;
        let mut claim = None;
        for record in steps.iter().filter(|record| record.version == migration.version) {
            let index = record.step as usize - 1;
            let step = migration.steps.get(index);
            let explanation = || match step {
                Some(step) => Explanation::at(migration.place(step.span.clone(), "")),
                None => Explanation::default(),
            };
            let checksum = step.map(|step| migration.checksum(step));
            let fits = checksum.as_ref() == Some(&record.checksum);
            let (version, number) = (record.version, record.step);
            if record.done {
                if !fits {
                    let explanation = explanation();
                    let steps = steps.iter().filter(|one| one.version == version);
                    let is_kind = step.is_some_and(|step| step.kind.as_str() == record.kind);
                    let checksum = checksum.filter(|_| is_kind && !has_moved(migration, steps));
                    let step = number;
                    return Err(PlanError::StepChanged { version, step, checksum, explanation });
                }
                done = index + 1;
            } else if step.is_some_and(|step| fits && step.repeat != Repeat::AskHuman) {
                claim = Some(record.clone());
            } else if record.kind == "backfill" {
                if !fits {
                    let explanation = explanation();
                    return Err(PlanError::BackfillChanged { version, step: number, explanation });
                }
                claim = Some(record.clone());
            } else {
                return Err(PlanError::Dirty {
                    version,
                    step: number,
                    began_at: record.began_at.clone(),
                    run: record.run.clone(),
                    explanation: explanation(),
                });
            }
        }
        Ok(Pending { migration, done, claim })
    }

    /// The steps that aren't done, each with its number from 1.
    fn steps(&self) -> impl Iterator<Item = (u32, &'a Step)> {
        (1..).zip(&self.migration.steps).skip(self.done)
    }

    fn is_begun(&self) -> bool {
        self.done > 0 || self.claim.is_some()
    }

    fn summary(&self) -> PendingMigration {
        PendingMigration {
            version: self.migration.version,
            name: self.migration.name.clone(),
            phase: self.migration.phase.as_str(),
            steps: self.migration.steps.iter().map(|step| step.kind.as_str()).collect(),
            steps_done: self.done as u32,
        }
    }
}
