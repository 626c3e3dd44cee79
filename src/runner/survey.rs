//! What the database says of itself: history and ledger, read together.

use std::borrow::Cow;

use crate::db::{Database, DbError, Session};
use crate::history::{History, HistoryError};
use crate::ledger::{Ledger, LedgerError, StepRecord};
use crate::migration::Catalog;
use crate::plan::as_begun;
use crate::progress::Warning;

/// History and ledger as they were read, and the files beside them.
#[derive(Debug)]
pub struct Survey<'a> {
    /// The files, with the steps as they were begun.
    pub catalog: Cow<'a, Catalog>,
    /// What is applied.
    pub history: History,
    /// Steps of migrations that aren't in the history yet.
    pub steps: Vec<StepRecord>,
    /// What there is to say of statements that run whole although their tables are large.
    pub large: Vec<Warning>,
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

/// What can be read of them before the files are known.
#[derive(Debug)]
pub struct Early {
    history: History,
    /// Whether the ledger may know of a migration that is begun and isn't in the history.
    has_unfinished: bool,
}

impl Early {
    /// Reads it; writes nothing.
    ///
    /// # Errors
    /// See [`SurveyError`].
    pub async fn read(
        database: &dyn Database,
        session: &mut dyn Session,
    ) -> Result<Self, SurveyError> {
        let history = History::ahead(database, session).await?;
        let has_unfinished = match history.table() {
            Some(table) => Ledger::of(database).has_unfinished(session, table).await?,
            None => true,
        };
        Ok(Early { history, has_unfinished })
    }
}

impl<'a> Survey<'a> {
    /// Reads them; writes nothing.
    ///
    /// # Errors
    /// See [`SurveyError`].
    pub async fn read(
        database: &dyn Database,
        session: &mut dyn Session,
        catalog: &'a Catalog,
    ) -> Result<Self, SurveyError> {
        let early = Early::read(database, session).await?;
        Self::complete(early, database, session, catalog).await
    }

    /// The rest, once the files are known. Where all of them are applied and nothing else was begun,
    /// the steps aren't read: this is how most starts find things, and the steps of all applied
    /// migrations stand in the ledger.
    ///
    /// # Errors
    /// See [`SurveyError`].
    pub async fn complete(
        early: Early,
        database: &dyn Database,
        session: &mut dyn Session,
        catalog: &'a Catalog,
    ) -> Result<Self, SurveyError> {
        let history = early.history.fitting(session, catalog).await?;
        let pending = |version| history.find(version).is_none();
        let any_pending = catalog.migrations.iter().any(|migration| pending(migration.version));
        // Filtered here and not by the server: what another run completes between the two queries
        // must not look as if it had not been begun.
        let mut steps = match early.has_unfinished || any_pending {
            true => Ledger::of(database).steps(session).await?,
            false => Vec::new(),
        };
        steps.retain(|step| pending(step.version));
        let catalog = as_begun(catalog, &steps, database.dialect().engine);
        Ok(Survey { catalog, history, steps, large: Vec::new() })
    }
}
