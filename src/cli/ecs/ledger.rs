//! The progress of a run somewhere else, as its ledger tells it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::cli::connection::Connection;
use crate::db::{Database, Purpose, Session};
use crate::deploy::oneoff::Eye;
use crate::deploy::sight::Sight;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::runner::SurveyError;

/// A look that takes longer is none: what is followed is the task.
const LOOK: Duration = Duration::from_secs(2);

/// A connection to the ledger, made when it is first needed, and again after a cut.
pub struct LedgerEye<'a> {
    connection: &'a Connection,
    open: Option<(Arc<dyn Database>, Box<dyn Session>)>,
}

impl<'a> LedgerEye<'a> {
    /// Where a database is given.
    ///
    /// # Errors
    /// Where it is given wrongly.
    pub fn of(connection: &'a Connection) -> Result<Option<Self>, Error> {
        match connection.options() {
            Ok(_) => Ok(Some(LedgerEye { connection, open: None })),
            Err(Error::NoDatabase) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn seen(&mut self) -> Result<Option<Sight>, Error> {
        let (database, session) = match &mut self.open {
            Some(open) => open,
            None => {
                let database = self.connection.connect_once(LOOK).await?;
                let session = database.session(Purpose::Watch).await?;
                self.open.insert((database, session))
            }
        };
        let ledger = Ledger::of(database.as_ref());
        let steps = ledger.steps(session.as_mut()).await.map_err(SurveyError::from)?;
        let Some(step) = steps.iter().rev().find(|step| !step.done) else { return Ok(None) };
        let ranges = ledger.ranges(session.as_mut(), step.version, step.step).await;
        let ranges = ranges.map_err(SurveyError::from)?;
        let done: i64 = ranges.iter().map(|range| range.keys_done).sum();
        let total: Option<i64> = ranges.iter().map(|range| range.keys_total).sum();
        let total = total.filter(|total| *total > 0).map(|total| total.max(done));
        let fraction = total.map(|total| done as f64 / total as f64);
        Ok(Some(Sight {
            state: "migrating".to_owned(),
            version: Some(step.version),
            step: step.step,
            steps: step.step,
            kind: "step".to_owned(),
            // Neither is ever negative.
            rows_done: (!ranges.is_empty()).then(|| u64::try_from(done).unwrap_or_default()),
            rows_total: total.map(|total| u64::try_from(total).unwrap_or_default()),
            fraction: fraction.map(|part| part.min(0.999)),
            ..Sight::default()
        }))
    }
}

#[async_trait]
impl Eye for LedgerEye<'_> {
    async fn look(&mut self) -> Option<Sight> {
        match tokio::time::timeout(LOOK, self.seen()).await {
            Ok(Ok(sight)) => sight,
            // The next look makes a new connection; the database may not be reachable from here.
            Ok(Err(_)) | Err(_) => {
                self.open = None;
                None
            }
        }
    }
}
