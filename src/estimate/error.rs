//! Why there is no estimate.

use std::fmt;

use crate::db::{DbError, ErrorKind};
use crate::place::Explanation;
use crate::plan::PlanError;
use crate::runner::{RunError, SurveyError, way_out};

/// Which of the two databases an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The copy.
    Copy,
    /// Production, which is only read.
    Production,
}

/// What an estimate that has failed leaves of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// What it was.
    Untouched,
    /// A part of the release is on it.
    Changed,
    /// It was one of our own, and is gone.
    Gone,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Whose::Copy => "the copy",
            Whose::Production => "production",
        })
    }
}

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
    /// Somebody is connected to what is to be copied.
    #[error("{database} can't be copied: somebody is connected to it")]
    InUse {
        /// Which.
        database: String,
    },
    /// This user may not make databases.
    #[error("{database} can't be copied: {source}")]
    MayNotCopy {
        /// Which.
        database: String,
        /// The server's answer.
        source: DbError,
    },
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
    /// What a run would refuse, or what ended it.
    #[error("{}{source}", before(source, *whose))]
    Run {
        /// Where.
        whose: Whose,
        /// What it is.
        source: RunError,
        /// What the copy is now.
        left: Left,
    },
    /// There is nothing to measure on, or to copy.
    #[error("{} doesn't exist", path.display())]
    NoFile {
        /// Where it isn't.
        path: std::path::PathBuf,
    },
    /// Nothing can be run and taken back there.
    #[error("--mode sample needs PostgreSQL, and the copy is on {engine}")]
    NotSampled {
        /// The copy's.
        engine: crate::db::Engine,
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

/// Which database it is about, where that isn't plain.
fn before(error: &RunError, whose: Whose) -> String {
    match error {
        RunError::Stopped { .. } => String::new(),
        _ => match whose {
            Whose::Copy => "on the copy: ".to_owned(),
            Whose::Production => "in production: ".to_owned(),
        },
    }
}

impl From<RunError> for EstimateError {
    fn from(source: RunError) -> Self {
        EstimateError::Run { whose: Whose::Copy, source, left: Left::Untouched }
    }
}

impl From<SurveyError> for EstimateError {
    fn from(error: SurveyError) -> Self {
        RunError::from(error).into()
    }
}

impl EstimateError {
    /// By what was asked for.
    pub fn stopped(reason: impl Into<String>) -> Self {
        RunError::Stopped { reason: reason.into() }.into()
    }

    /// The same in the other database.
    #[must_use]
    pub fn of(self, of: Whose) -> Self {
        match self {
            EstimateError::Run { source, left, .. } => {
                EstimateError::Run { whose: of, source, left }
            }
            other => other,
        }
    }

    /// With what the copy is now.
    #[must_use]
    pub fn leaving(self, now: Left) -> Self {
        match self {
            EstimateError::Run { whose, source, .. } => {
                EstimateError::Run { whose, source, left: now }
            }
            other => other,
        }
    }

    /// Where, and the way out.
    pub fn explain(&self) -> Explanation {
        if let EstimateError::Run { source, left, .. } = self {
            return of_run(source, *left);
        }
        match self.next() {
            Some(next) => Explanation::default().note("next", next),
            None => Explanation::default(),
        }
    }

    fn next(&self) -> Option<&'static str> {
        Some(match self {
            EstimateError::IsProduction { .. } => {
                "restore a snapshot elsewhere, or make a copy of another name, and give that as --copy-url"
            }
            EstimateError::MayBeProduction { .. } => {
                "say which database is production by --database-url, so that the two can be told apart; or, \
                 if it is a copy all the same, --copy-in-use"
            }
            EstimateError::NotThere { .. } => {
                "the copy was migrated, by an estimate before this one perhaps, or is newer than production: \
                 restore it anew"
            }
            EstimateError::ReachesBeyond { .. } => {
                "estimate on a copy on another server; what it would change there is shared"
            }
            EstimateError::NoCopy => "restore a backup elsewhere, and give that as --copy-url",
            EstimateError::InUse { .. } => {
                "PostgreSQL copies no database to which somebody is connected: try again when nobody is, or \
                 restore a snapshot elsewhere, and give that as --copy-url"
            }
            EstimateError::MayNotCopy { .. } => {
                "let an administrator give it the right (`alter role … createdb`; the copied database has to be \
                 its own, too), or restore a snapshot elsewhere, and give that as --copy-url"
            }
            EstimateError::File { .. } => "see whether this user may write there",
            EstimateError::NoFile { .. } => "look at its path",
            EstimateError::Left { .. } => "drop it by hand",
            EstimateError::LooksLikeProduction { .. } => {
                "a copy on the same server costs it disk and memory: restore a snapshot elsewhere, and give \
                 that as --copy-url; or, if that load is meant and nobody is connected, --on-production"
            }
            EstimateError::OtherEngine { .. } => "give a copy on the same kind of database",
            EstimateError::NotSampled { .. } => "leave --mode out: it is rehearsed then",
            EstimateError::Db { source, .. } => {
                return (source.kind == ErrorKind::Permission)
                    .then_some("let an administrator give this user the right to read it");
            }
            EstimateError::Run { .. } => return None,
        })
    }
}

/// Where it was, and the way out: a run on a copy isn't to be gone on with.
fn of_run(error: &RunError, left: Left) -> Explanation {
    let mut told = error.explain();
    told.notes.retain(|(label, _)| *label != "kept");
    let again = match error {
        RunError::Plan(PlanError::Early { .. }) => {
            Some("leave --phase out: what comes before it is estimated, too".to_owned())
        }
        RunError::LockHeld { .. } => {
            Some("somebody else migrates it: wait for that, or take another copy".to_owned())
        }
        RunError::Stopped { .. } | RunError::LockLost { .. } | RunError::Fenced => {
            Some("estimate again".to_owned())
        }
        RunError::Step { source, .. } => {
            Some(way_out(source).unwrap_or_else(|| "mend the file, and estimate again".to_owned()))
        }
        _ => None,
    };
    if let Some(again) = again {
        told.notes.retain(|(label, _)| !matches!(*label, "next" | "either" | "or"));
        told = told.note("next", again);
    }
    match left {
        Left::Untouched => told,
        Left::Gone => told.note("copy", "it is gone; the next estimate makes another one"),
        Left::Changed => told.note(
            "copy",
            "a part of the release is on it now: restore it before the next estimate",
        ),
    }
}
