//! Why there is no estimate.

use crate::db::DbError;
use crate::runner::{RunError, SurveyError};

use super::outline::Outline;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// What is called the copy is production.
    #[error("the copy is the production database itself: {why}")]
    IsProduction {
        /// By what it is known.
        why: String,
    },
    /// Nobody can tell whether it is production.
    #[error("{database} may be production: {why}")]
    MayBeProduction {
        /// Which.
        database: String,
        /// What speaks for it.
        why: String,
    },
    /// The copy is further than production.
    #[error("migration {version}, step {step}, is pending in production, and not on the copy")]
    NotThere {
        /// The migration's version.
        version: i64,
        /// Which step, from 1.
        step: u32,
    },
    /// A step would change what is production's, too.
    #[error(
        "migration {version}, step {step}, reaches beyond its database ({what}), and the copy is on \
         production's server"
    )]
    ReachesBeyond {
        /// The migration's version.
        version: i64,
        /// Which step, from 1.
        step: u32,
        /// What it names.
        what: String,
    },
    /// There is no way to make a copy there.
    #[error("MySQL and MariaDB have no way to copy a database on the same server")]
    NoCopy,
    /// The copy's file can't be made.
    #[error("can't make {}: {source}", path.display())]
    File {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The copy that was made is still there.
    #[error("the copy {name} couldn't be dropped: {source}")]
    Left {
        /// Its name.
        name: String,
        /// Why.
        source: DbError,
    },
    /// A copy is to be made of what looks like production.
    #[error("{database} looks like production: {why}")]
    LooksLikeProduction {
        /// Which.
        database: String,
        /// What speaks for it.
        why: String,
    },
    /// Copy and production aren't of the same kind.
    #[error("the copy is on {copy}, and production on {production}")]
    OtherEngine {
        /// The copy's.
        copy: crate::db::Engine,
        /// Production's.
        production: crate::db::Engine,
    },
    /// The run on the copy ended before its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What the database says of itself can't be read.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// Nothing can be run and taken back there.
    #[error("--mode sample needs PostgreSQL, and the copy is on {engine}")]
    NotSampled {
        /// The copy's.
        engine: crate::db::Engine,
    },
    /// A step fails on the copy.
    #[error("step {step} of migration {version} fails on the copy: {source}")]
    Step {
        /// The migration's version.
        version: i64,
        /// Which step, from 1.
        step: u32,
        /// The database's error.
        source: DbError,
    },
    /// The database's.
    #[error("{what}: {source}")]
    Db {
        /// What was asked of which.
        what: &'static str,
        /// Its answer.
        source: DbError,
    },
}

impl EstimateError {
    /// Of a step that fails.
    pub(super) fn step(outline: &Outline, source: DbError) -> Self {
        EstimateError::Step { version: outline.version, step: outline.step, source }
    }

    /// What to do.
    pub fn next(&self) -> Option<&'static str> {
        Some(match self {
            EstimateError::IsProduction { .. } => {
                "restore a snapshot elsewhere, or make a copy of another name, and give that as --copy-url"
            }
            EstimateError::MayBeProduction { .. } => {
                "say which database is production by --database-url, so that the two can be told apart; or, \
                 if it is a copy all the same, --copy-in-use"
            }
            EstimateError::NotThere { .. } => {
                "the copy was migrated, or is newer than production: restore it anew"
            }
            EstimateError::ReachesBeyond { .. } => {
                "estimate on a copy on another server; what it would change there is shared"
            }
            EstimateError::NoCopy => "restore a backup elsewhere, and give that as --copy-url",
            EstimateError::File { .. } => "see whether this user may write there",
            EstimateError::Left { .. } => "drop it by hand",
            EstimateError::LooksLikeProduction { .. } => {
                "a copy on the same server costs it disk and memory: restore a snapshot elsewhere, and give \
                 that as --copy-url; or, if that load is meant, --on-production"
            }
            EstimateError::OtherEngine { .. } => "give a copy on the same kind of database",
            EstimateError::NotSampled { .. } => "leave --mode out: it is rehearsed then",
            EstimateError::Step { .. } => "mend it; nothing of it is left on the copy",
            EstimateError::Run(_) | EstimateError::Survey(_) | EstimateError::Db { .. } => {
                return None;
            }
        })
    }
}
