//! The ledger: our own tables, and all their SQL.
//!
//! `run` says who runs or ran, `step` what is claimed or done, `range` how far a backfill is, and
//! the one row of `control` carries the ledger's version and the epoch, which is the fence: it
//! grows with every run, and a write of an older run affects no row. `request` has what operators ask
//! of a run, `member` who helps it, `mark` what a release has done by another tool, and `estimate` what steps were
//! estimated to take, and took.

mod cursor;
mod estimate;
mod mark;
mod member;
mod read;
mod request;
mod schema;
mod write;

use crate::db::{Database, DbError, Dialect, ErrorKind};

pub use cursor::{Block, Cursor};
pub use estimate::EstimateRecord;
pub use mark::Mark;
pub use member::{Beat, MemberRecord};
pub use request::{Request, Requests};
pub use schema::VERSION;

/// What can be wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Written by a newer lockkeeper.
    #[error(
        "the ledger was written by a newer lockkeeper: its version is {found}, and this one knows \
         {VERSION}"
    )]
    Newer {
        /// Its version.
        found: i64,
    },
    /// A table of ours that we could not have written.
    #[error("the ledger is damaged: {fault}")]
    Damaged {
        /// What is wrong.
        fault: String,
    },
    /// The database's own error.
    #[error(transparent)]
    Db(DbError),
}

impl LedgerError {
    /// What is wrong, for everybody to read: without the server's words.
    pub fn outline(&self) -> String {
        match self {
            LedgerError::Db(error) => error.outline(),
            LedgerError::Damaged { .. } => "the ledger is damaged".to_owned(),
            LedgerError::Newer { .. } => self.to_string(),
        }
    }
}

impl From<DbError> for LedgerError {
    /// Our own queries have no mistakes that depend on the database, unless a table of ours is gone
    /// or isn't ours.
    fn from(error: DbError) -> Self {
        match error.kind {
            ErrorKind::Sql | ErrorKind::Type => LedgerError::Damaged { fault: error.to_string() },
            _ => LedgerError::Db(error),
        }
    }
}

/// A claimed or completed step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// The migration's version.
    pub version: i64,
    /// Which step, from 1.
    pub step: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: String,
    /// The step's checksum when it was begun.
    pub checksum: String,
    /// Whether it is complete; else it was claimed.
    pub done: bool,
    /// The run that claimed or completed it.
    pub run: String,
    /// When it was begun, RFC 3339.
    pub began_at: String,
    /// How long it took, in milliseconds, over all runs; 0 where that isn't known.
    pub took_ms: i64,
}

/// A backfill's range: an interval of keys with a cursor of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRecord {
    /// The migration's version.
    pub version: i64,
    /// Which step, from 1.
    pub step: u32,
    /// Which range of the step, from 1.
    pub number: u32,
    /// It begins behind this one.
    pub start: Cursor,
    /// All of its keys up to here are done, and perhaps one half of a block behind it.
    pub cursor: Cursor,
    /// The range's last key, inclusive.
    pub through: Cursor,
    /// The epoch of the run that owns it.
    pub epoch: i64,
    /// The member that works on it; nothing for the run itself.
    pub owner: String,
    /// Keys passed.
    pub keys_done: i64,
    /// Keys in all, as an estimate that gets better while the work goes on.
    pub keys_total: Option<i64>,
    /// The columns of the key and their types; `None` in a range of an older lockkeeper.
    pub key: Option<String>,
}

impl RangeRecord {
    /// Whether no batch of it is done, nor one of a pass before it.
    pub fn is_untouched(&self) -> bool {
        self.cursor == self.start && self.keys_done == 0
    }

    /// Whether all of its batches are done.
    pub fn is_done(&self) -> bool {
        self.cursor == self.through
    }

    /// Whether its start, its cursor and its end are positions in a key of `columns` columns, described as
    /// `key`.
    pub fn is_along(&self, key: &str, columns: usize) -> bool {
        self.key.as_deref().is_none_or(|mine| mine == key)
            && self.start.has_columns(columns)
            && self.cursor.has_columns(columns)
            && self.through.has_columns(columns)
    }
}

/// How far a backfill is whose ranges these are, in the order of their keys: all keys up to there are
/// done. `None` without a range.
pub fn frontier<'a>(
    mut ranges: impl Iterator<Item = &'a RangeRecord> + Clone,
) -> Option<&'a Cursor> {
    let last = ranges.clone().last();
    ranges.find(|range| !range.is_done()).or(last).map(|range| &range.cursor)
}

/// How far the newest run is with a backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The run's id.
    pub run: String,
    /// Keys passed, over all ranges. None without a range.
    pub keys: Option<i64>,
}

/// One invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Its id.
    pub run: String,
    /// Its epoch.
    pub epoch: i64,
    /// The host's name.
    pub host: String,
    /// The process there.
    pub pid: i64,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it ended, if it did so in order.
    pub ended_at: Option<String>,
    /// `done`, `failed` or `interrupted`, once ended.
    pub outcome: Option<String>,
}

/// Who runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The run's id.
    pub run: String,
    /// The host's name.
    pub host: String,
    /// The process there.
    pub pid: u32,
}

/// The way to our tables in one database.
#[derive(Debug, Clone)]
pub struct Ledger {
    dialect: Dialect,
    schema: String,
}

/// A run's right to write. Holds the epoch that fences it.
#[derive(Debug, Clone)]
pub struct Pen {
    ledger: Ledger,
    run: String,
    epoch: i64,
    /// A member's id; nothing for the run itself.
    owner: String,
}

impl Ledger {
    /// The ledger in this database's schema. Nothing is read or written yet.
    pub fn of(database: &dyn Database) -> Self {
        Ledger { dialect: database.dialect(), schema: database.schema().to_owned() }
    }

    /// One of our tables, qualified and quoted.
    fn table(&self, name: &str) -> String {
        self.dialect.qualified(Some(&self.schema), name)
    }

    /// A query of ours: `[name]` stands for a table, `{1}` for a parameter.
    fn sql(&self, template: &str) -> String {
        let mut sql = template.to_owned();
        for name in schema::TABLES {
            sql = sql.replace(&format!("[{name}]"), &self.table(&format!("lockkeeper_{name}")));
        }
        self.dialect.bind(&sql)
    }
}
