//! What one step did on the copy.

/// How it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// All of it was run.
    Rehearsed,
    /// A part of it was run, and taken back.
    Sampled,
    /// It couldn't be run there; what is said of it is derived from other measurements.
    Derived,
}

/// What its time grows with.
#[derive(Debug, Clone, PartialEq)]
pub enum Extent {
    /// Nothing: a change of the catalog alone.
    Constant,
    /// The rows of a table.
    Rows(String),
    /// The bytes of a table, indexes included.
    Bytes(String),
    /// The rows of a table, which are sorted: n·log n.
    Sort(String),
    /// The bytes of a table, or nothing: it isn't seen.
    Perhaps(String),
}

impl Extent {
    /// The table.
    pub fn table(&self) -> Option<&str> {
        match self {
            Extent::Constant => None,
            Extent::Rows(table)
            | Extent::Bytes(table)
            | Extent::Sort(table)
            | Extent::Perhaps(table) => Some(table),
        }
    }
}

/// A lock that was seen held.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Held {
    /// On which table.
    pub table: String,
    /// The database's name for its mode: `AccessExclusiveLock`.
    pub mode: String,
    /// For how long at most.
    pub seconds: f64,
}

/// What one step did on the copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The migration's version.
    pub version: i64,
    /// The migration's name.
    pub name: String,
    /// `expand` or `contract`.
    pub phase: &'static str,
    /// Which step, from 1.
    pub step: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: &'static str,
    /// Its first statement, on one line, without literals and comments, and cut.
    pub statement: String,
    /// How many it has; 0 where that isn't known.
    pub statements: usize,
    /// How it is known.
    pub how: How,
    /// How long it takes on the copy.
    pub seconds: f64,
    /// The standard deviation of the logarithm of that, as far as it was measured; 0 where it wasn't.
    pub spread: f64,
    /// Of that, waiting for others' locks.
    pub lock_wait_seconds: f64,
    /// Of that, held back or slowed down.
    pub throttled_seconds: f64,
    /// Rows that it goes along, of a backfill.
    pub rows: Option<u64>,
    /// Rows that it changes, of a backfill.
    pub changed: Option<u64>,
    /// Bytes of log that it writes; `None` where the database doesn't say.
    pub wal_bytes: Option<u64>,
    /// By how many bytes the database grows.
    pub size_bytes: Option<i64>,
    /// By how many its dead rows grow.
    pub dead_rows: Option<i64>,
    /// The longest lock on each table in each mode.
    pub locks: Vec<Held>,
    /// Tables that it wrote anew.
    pub rewrites: Vec<String>,
    /// Tables that it read from end to end.
    pub scans: Vec<String>,
    /// Whether it is an ALTER that writes them.
    pub alters: bool,
    /// Whether it has a statement that changes rows.
    pub changes_rows: bool,
    /// What its time grows with.
    pub extent: Extent,
    /// Other tables that it may grow with as well.
    pub others: Vec<String>,
    /// What is to be known of this figure.
    pub notes: Vec<String>,
}

impl Measured {
    /// How long it was at work.
    pub fn worked_seconds(&self) -> f64 {
        (self.seconds - self.lock_wait_seconds - self.throttled_seconds).max(0.0)
    }
}
