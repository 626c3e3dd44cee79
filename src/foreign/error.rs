//! Why a tool's run ended before its end.

use crate::db::DbError;
use crate::ledger::LedgerError;
use crate::runner::RunError;

/// Why a tool's run ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The lock, the ledger or the database.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The tool can't be started.
    #[error("can't start {program}: {source}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The process that is to outlive this one can't be started.
    #[error("can't start the sentinel: {source}")]
    Sentinel {
        /// Why.
        source: std::io::Error,
    },
}

impl From<DbError> for ForeignError {
    fn from(error: DbError) -> Self {
        ForeignError::Run(error.into())
    }
}

impl From<LedgerError> for ForeignError {
    fn from(error: LedgerError) -> Self {
        ForeignError::Run(error.into())
    }
}
