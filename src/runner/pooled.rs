//! A run behind a pooler in transaction mode: what is told of it, and what can't go through there.

use std::ops::Range;
use std::time::Duration;

use crate::db::{Engine, Locker, Session};
use crate::migration::{Migration, Step, StepKind};
use crate::place::Explanation;
use crate::plan::Plan;
use crate::progress::{Event, Warning};

use super::lock::Left;
use super::{Run, RunError};

/// The way out of all of it.
const DIRECT: &str = "give --database-url the server's own address instead of the pooler's";

const ALONE: &str =
    "it runs outside a transaction, where nothing holds it back when the lease is lost";
const LEAVES: &str =
    "it leaves something behind in the server's session, which is somebody else's afterwards";

impl Run<'_> {
    /// Opens what the run lock is tried for with. Where that is a lease, it is told, and what the run can't
    /// do then is refused before it has written anything.
    pub(super) async fn locker(
        &self,
        session: &mut dyn Session,
    ) -> Result<Box<dyn Locker>, RunError> {
        let locker = self.database.locker().await?;
        if let Some(lasts) = self.database.lease() {
            self.reporter.emit(Event::Warned(warning(lasts)));
            let survey = self.survey(session).await?;
            // The statement of another run is at work: then the plan under the lock tells.
            if let Left::Plan(plan) = self.plan_of_leader(&survey)? {
                self.refuse_unpoolable(&plan)?;
            }
        }
        Ok(locker)
    }

    /// Refuses a plan with a step that needs a session of the server's for itself, where there is none.
    pub(super) fn refuse_unpoolable(&self, plan: &Plan<'_>) -> Result<(), RunError> {
        if self.database.lease().is_none() {
            return Ok(());
        }
        let engine = self.database.dialect().engine;
        for pending in &plan.pending {
            let migration = pending.migration;
            for (index, step) in migration.steps.iter().enumerate() {
                let found = reason(migration, step, index >= pending.done, engine);
                if let Some((why, span)) = found {
                    return Err(refused(migration, index as u32 + 1, why, span));
                }
            }
        }
        Ok(())
    }
}

/// Why a step can't go through the pooler, and where that is said. Of one that is done, only what those
/// behind it would need set again.
fn reason(
    migration: &Migration,
    step: &Step,
    is_pending: bool,
    engine: Engine,
) -> Option<(&'static str, Range<usize>)> {
    if is_pending && step.kind == StepKind::Bare {
        return Some((ALONE, step.span.clone()));
    }
    if !is_pending && step.settings.is_empty() {
        return None;
    }
    migration.tainting(step, engine).map(|span| (LEAVES, span))
}

fn refused(migration: &Migration, step: u32, why: &'static str, span: Range<usize>) -> RunError {
    let explanation = Explanation::at(migration.place(span, ""));
    let explanation = if why == LEAVES {
        let local = "say SET LOCAL, which holds for the transaction of its script alone";
        explanation.note("either", local).note("or", DIRECT)
    } else {
        explanation.note("next", DIRECT)
    };
    RunError::NeedsSession {
        version: migration.version,
        step,
        steps: migration.steps.len() as u32,
        why,
        explanation,
    }
}

fn warning(lasts: Duration) -> Warning {
    let lasts = humantime::format_duration(lasts);
    let message = "a pooler in transaction mode stands before the server: no session can hold the run \
                   lock, and a lease takes its place";
    let explanation = Explanation::default()
        .note(
            "so",
            format!(
                "the next run after one that was killed waits until {lasts} after its last word; \
                 statements outside a transaction, and SET for a session, are refused"
            ),
        )
        .note("better", DIRECT);
    Warning::of_run(message, &explanation)
}
