//! The human verdict on a claimed step.

use std::sync::Arc;
use std::time::Duration;

use crate::db::{Database, DbError, Purpose};
use crate::ledger::{Ledger, LedgerError, StepRecord};
use crate::migration::Catalog;
use crate::place::Explanation;
use crate::progress::Reporter;
use crate::stop::Stop;
use crate::worker::Worker;

use super::lock::Waited;
use super::{Run, RunError, Settings, Survey};

/// Long enough for a lease of a run that is dead to be taken.
const LEASE_WATCHED: Duration = Duration::from_secs(5);

/// What a human says of a claimed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It did not happen (or is to happen again): forget the claim.
    Retry,
    /// It happened: enter it as done.
    Applied,
}

/// Why a verdict can't be entered.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such file.
    #[error("there is no migration {version} in the directory")]
    Unknown {
        /// The version.
        version: i64,
    },
    /// No step of it is claimed.
    #[error("migration {version} has no step whose outcome is unknown")]
    Nothing {
        /// The version.
        version: i64,
    },
    /// As for any run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<DbError> for ResolveError {
    fn from(error: DbError) -> Self {
        RunError::from(error).into()
    }
}

impl From<LedgerError> for ResolveError {
    fn from(error: LedgerError) -> Self {
        RunError::from(error).into()
    }
}

impl ResolveError {
    /// The way out.
    pub fn explain(&self) -> Explanation {
        match self {
            // It doesn't wait: what is to be judged may be what that run is at.
            ResolveError::Run(RunError::LockHeld { .. }) => Explanation::default().note(
                "next",
                "let that run end (`lockkeeper status` says what it is at), then look again what \
                 is dirty",
            ),
            ResolveError::Run(error) => error.explain(),
            _ => Explanation::default().note("next", "`lockkeeper status` lists what is dirty"),
        }
    }
}

/// Enters a verdict, under the run lock. Returns the step it was about, from 1.
///
/// # Errors
/// See [`ResolveError`].
pub async fn resolve(
    database: Arc<dyn Database>,
    catalog: &Catalog,
    settings: &Settings,
    version: i64,
    verdict: Verdict,
) -> Result<u32, ResolveError> {
    let (reporter, _progress) = Reporter::new();
    let stop = Stop::default();
    let run = Run { database, catalog, settings, reporter: &reporter, stop: &stop };
    let mut watch = run.database.session(Purpose::Watch).await?;
    let locker = run.database.locker().await?;
    // A lease that is over is watched for some seconds before it is taken.
    let patience = run.database.lease().map_or(Duration::ZERO, |_| LEASE_WATCHED);
    let Waited::Held(held) = run.lock(&mut watch, locker, patience).await? else {
        return Err(ResolveError::Nothing { version });
    };
    let result = run.enter(version, verdict).await;
    held.release().await;
    result
}

impl Run<'_> {
    async fn enter(&self, version: i64, verdict: Verdict) -> Result<u32, ResolveError> {
        if self.catalog.find(version).is_none() {
            return Err(ResolveError::Unknown { version });
        }
        let (identity, reconnect) = (&self.settings.identity, self.settings.reconnect);
        self.database.end_orphans(&identity.run).await?;
        let mut worker =
            Worker::open(self.database.clone(), &identity.run, self.stop.clone(), reconnect)
                .await?;
        let ledger = Ledger::of(self.database.as_ref());
        if claim(&self.survey(worker.session()).await?, version).is_none() {
            return Err(ResolveError::Nothing { version });
        }
        ledger.ensure(worker.session()).await?;
        let pen = ledger.begin(worker.session(), identity).await?;
        // Until our epoch, a predecessor that has lost the lock could still settle it itself.
        let survey = self.survey(worker.session()).await?;
        let claim = claim(&survey, version).ok_or(ResolveError::Nothing { version })?;
        let migration = survey.catalog.find(version).ok_or(ResolveError::Unknown { version })?;
        // The human's word stands against what is left of the ranges.
        let mut list = vec![pen.fence(), pen.close_ranges(version, claim.step)];
        list.extend(match verdict {
            Verdict::Retry => pen.unclaim(version, claim.step),
            Verdict::Applied => pen.complete(version, claim.step, Duration::ZERO),
        });
        let last = claim.step as usize == migration.steps.len();
        if verdict == Verdict::Applied && last {
            list.push(survey.history.record(migration));
        }
        worker.transact(&list).await?;
        pen.end(worker.session(), "resolved").await?;
        Ok(claim.step)
    }
}

fn claim<'a>(survey: &'a Survey<'_>, version: i64) -> Option<&'a StepRecord> {
    survey.steps.iter().find(|step| step.version == version && !step.done)
}
