//! What the database says of itself: history and ledger, read together.

use crate::db::{Database, DbError, Session};
use crate::history::{History, HistoryError};
use crate::ledger::{Ledger, LedgerError, StepRecord};
use crate::migration::Catalog;

/// History and ledger as they were read.
#[derive(Debug)]
pub struct Survey {
    /// What is applied.
    pub history: History,
    /// Steps of migrations that aren't in the history yet.
    pub steps: Vec<StepRecord>,
}

/// Why they could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The history's error.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The ledger's error.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database's error.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Survey {
    /// Reads them; writes nothing. The ledger is asked only when something is pending, since all it
    /// could add is about unfinished migrations.
    ///
    /// # Errors
    /// See [`SurveyError`].
    pub async fn read(
        database: &dyn Database,
        session: &mut dyn Session,
        catalog: &Catalog,
    ) -> Result<Self, SurveyError> {
        let history = History::ahead(database, session).await?;
        Self::complete(history, database, session, catalog).await
    }

    /// The same with a history that was read ahead.
    ///
    /// # Errors
    /// See [`SurveyError`].
    pub async fn complete(
        history: History,
        database: &dyn Database,
        session: &mut dyn Session,
        catalog: &Catalog,
    ) -> Result<Self, SurveyError> {
        let history = history.fitting(catalog)?;
        let pending = |version| history.find(version).is_none();
        let steps = if catalog.migrations.iter().any(|migration| pending(migration.version)) {
            let steps = Ledger::of(database).steps(session).await?;
            steps.into_iter().filter(|step| pending(step.version)).collect()
        } else {
            Vec::new()
        };
        Ok(Survey { history, steps })
    }
}
