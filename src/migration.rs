//! Migration files: their names, their directives, and the steps that a file becomes. Pure, but for
//! the reading of the directory.
//!
//! ```
//! use lockkeeper::db::Dialect;
//! use lockkeeper::migration::{FileName, Migration, StepKind};
//!
//! let text = "
//!     ALTER TABLE users ADD COLUMN upper_name text;
//!     -- lockkeeper: batch key=id
//!     UPDATE users SET upper_name = upper(name);
//!     CREATE INDEX CONCURRENTLY users_upper_name ON users (upper_name);
//! ";
//! let name = FileName::parse("V42__upper_names.sql")?;
//! let migration = Migration::parse("V42__upper_names.sql".into(), name, text.into(), Dialect::POSTGRES)?;
//! let kinds: Vec<_> = migration.steps.iter().map(|step| step.kind.as_str()).collect();
//! assert_eq!(kinds, ["script", "backfill", "bare"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod catalog;
mod checksum;
mod directive;
mod fault;
mod lexer;
mod name;
mod step;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::db::{Dialect, Engine};
use crate::place::Place;

pub use catalog::{Catalog, CatalogError, migration_files};
pub use directive::MOST_WORKERS;
pub use fault::{Fault, FileError, Opened};
pub use name::{FileName, NameError};
pub use step::{Bulk, ConcurrentIndex, Repeat};

/// One versioned file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its version.
    pub version: i64,
    /// Its name, as refinery keeps it: without prefix, version and ending.
    pub name: String,
    /// `U…`: may be applied although later versions are (refinery's "unversioned").
    pub out_of_order: bool,
    /// The file, as the user named the directory.
    pub path: PathBuf,
    /// The file's text, byte for byte, with its BOM and line ends; the checksum is over this.
    pub text: Arc<str>,
    /// When it is applied, relative to the rollout.
    pub phase: Phase,
    /// Its steps, in order; never empty.
    pub steps: Vec<Step>,
}

impl Migration {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong in it, and where.
    pub fn parse(
        path: PathBuf,
        name: FileName,
        text: Arc<str>,
        dialect: Dialect,
    ) -> Result<Self, FileError> {
        let step::Contents { phase, steps } = step::read(&text, dialect.engine)?;
        let FileName { version, name, out_of_order } = name;
        Ok(Migration { version, name, out_of_order, path, text, phase, steps })
    }

    /// A place in this file.
    pub fn place(&self, span: Range<usize>, label: impl Into<String>) -> Place {
        Place { path: self.path.clone(), text: self.text.clone(), span, label: label.into() }
    }

    /// A step's fingerprint: SHA-256 in hex over its kind, a backfill's `key=`, and its statements, with
    /// CRLF read as LF. What stands between the statements doesn't count: neither comments nor the
    /// directives that change how it runs but not what it does (`rows`, `target`, `workers`,
    /// `trust-triggers`, `lock-timeout`).
    ///
    /// Computed anew each time: of a thousand files, nearly all are applied, and nobody asks.
    pub fn checksum(&self, step: &Step) -> String {
        checksum::checksum(&step.kind, &self.text, &step.statements)
    }

    /// The first statement of a step that may leave the session other than it found it.
    pub fn tainting(&self, step: &Step, engine: Engine) -> Option<Range<usize>> {
        step::tainting(&self.text, step, engine)
    }

    /// The text of a step, to be sent whole: a script's has semicolons and comments between its
    /// statements, never a DELIMITER.
    pub fn sql(&self, step: &Step) -> &str {
        &self.text[step.span.clone()]
    }
}

/// When a migration is applied, relative to the rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before: what the old release can live with.
    #[default]
    Expand,
    /// After: what only the new release can live with.
    Contract,
}

impl Phase {
    /// `expand` or `contract`.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Expand => "expand",
            Phase::Contract => "contract",
        }
    }
}

/// One step of a migration: what is committed at once, or, for a backfill, batch by batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How it is run.
    pub kind: StepKind,
    /// Where it stands in the file, in bytes: from its first statement to the end of its last.
    pub span: Range<usize>,
    /// Its statements, in bytes of the file, each without its closing semicolon.
    pub statements: Vec<Range<usize>>,
    /// Which of its statements carry `batch off`: indices into `statements`, ascending.
    pub batch_off: Vec<usize>,
    /// The database's `lock_timeout` for it.
    pub lock_timeout: Option<Duration>,
    /// Whether it may leave the session other than it found it (`SET`, `PREPARE`, …).
    pub taints_session: bool,
    /// Indices of the statements that set something for the rest of the session, and can be run
    /// again on another one, where the file's later steps expect it.
    pub settings: Vec<usize>,
    /// For a bare step: what to do when its reply was lost. [`Repeat::AskHuman`] for others.
    pub repeat: Repeat,
    /// For a bare step: whether an error means that nothing of it happened. A procedure may have
    /// committed one part of its work before it failed.
    pub atomic: bool,
}

/// How a step is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// Whole, in one transaction.
    Script,
    /// One statement, outside any transaction.
    Bare,
    /// One statement, batch by batch.
    Backfill(BatchDirective),
}

impl StepKind {
    /// `script`, `bare` or `backfill`.
    pub fn as_str(&self) -> &'static str {
        match self {
            StepKind::Script => "script",
            StepKind::Bare => "bare",
            StepKind::Backfill(_) => "backfill",
        }
    }
}

/// The words of `-- lockkeeper: batch …`; every one is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchDirective {
    /// `key=a,b`: the key's columns.
    pub key: Option<Vec<String>>,
    /// `rows=5000`: the first batch's size.
    pub rows: Option<u64>,
    /// `target=200ms`: how long a batch is to take.
    pub target: Option<Duration>,
    /// `workers=2`: how many sessions work on it, at most.
    pub workers: Option<u32>,
    /// `trust-triggers`: the triggers for each row change neither the key nor anything that the
    /// statement reads. A human's word, which can't be proved.
    pub trust_triggers: bool,
    /// `trust-per-batch`: what fires once a statement, or at the commit, may do so once a batch, and
    /// changes neither the key nor anything that the statement reads. A human's word as well.
    pub trust_per_batch: bool,
    /// No directive has asked for it, but `--auto-batch`: what can't be batched after all is done whole.
    pub auto: bool,
    /// The directive's place in the file, in bytes; where there is none, the statement's.
    pub span: Range<usize>,
}
