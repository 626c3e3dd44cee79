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
    /// Reads them; writes nothing. Where all files are applied, the ledger is only asked whether it
    /// knows of an unfinished migration that has lost its file: this is how most starts of a program
    /// find things, and the steps of all applied migrations stand in the ledger.
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
        let ledger = Ledger::of(database);
        let pending = |version| history.find(version).is_none();
        let is_applied = catalog.migrations.iter().all(|migration| !pending(migration.version));
        let is_worth_a_look = match history.table() {
            Some(table) if is_applied => ledger.has_unfinished(session, table).await?,
            _ => true,
        };
        // Filtered here and not by the server: what another run completes between the two queries
        // must not look as if it had not been begun.
        let mut steps = match is_worth_a_look {
            true => ledger.steps(session).await?,
            false => Vec::new(),
        };
        steps.retain(|step| pending(step.version));
        Ok(Survey { history, steps })
    }
}
