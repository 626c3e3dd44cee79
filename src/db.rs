//! The seam to the databases: a narrow session, with the dialect as data.
//!
//! Everything above this floor speaks to a database through [`Database`], [`Session`] and
//! [`Locker`]. The traits are object-safe, so that decorators (faults in tests, timing in an
//! estimate) can wrap them, and every query of the ledger is written once. No transaction guard
//! crosses the seam: a write is a *list* of statements, which commits whole or not at all.

mod dialect;
mod error;
mod mysql;
mod postgres;
mod reading;
mod sqlite;
mod stopwatch;
mod table;
mod url;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

pub use dialect::{Dialect, Engine};
pub use error::{DbError, ErrorKind};
pub use reading::Reading;
pub use stopwatch::Stopwatch;
pub use table::{Blocks, Column, Partitions, Table, TableKind, TableName, Trigger, UniqueKey};
pub use url::{ConnectOptions, Parts, Password, TlsMode, UrlError, may_hold_password};

/// A value that crosses the seam. Keys cross as text and are cast in SQL, both ways, since the
/// database alone knows how to order and to print its own types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// Any integer or boolean that fits 64 bits.
    Int(i64),
    /// Text; everything that isn't an integer is cast to it in SQL.
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer, its values in the order of the select list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The integer in column `index`.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the column is missing or holds something else.
    pub fn int(&self, index: usize) -> Result<i64, DbError> {
        match self.0.get(index) {
            Some(Value::Int(value)) => Ok(*value),
            other => Err(DbError::unexpected("an integer", index, other)),
        }
    }

    /// The text in column `index`.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the column is missing or holds something else.
    pub fn text(&self, index: usize) -> Result<&str, DbError> {
        match self.0.get(index) {
            Some(Value::Text(value)) => Ok(value),
            other => Err(DbError::unexpected("text", index, other)),
        }
    }

    /// The text in column `index`, or `None` for NULL.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the column is missing or holds an integer.
    pub fn optional_text(&self, index: usize) -> Result<Option<&str>, DbError> {
        match self.0.get(index) {
            Some(Value::Null) => Ok(None),
            _ => self.text(index).map(Some),
        }
    }

    /// The text in column `index`, or `None` for NULL. Leaves an empty one there.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the column is missing or holds an integer.
    pub fn take_text(&mut self, index: usize) -> Result<Option<String>, DbError> {
        match self.0.get_mut(index) {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(value)) => Ok(Some(std::mem::take(value))),
            other => Err(DbError::unexpected("text", index, other.as_deref())),
        }
    }

    /// The integer in column `index`, or `None` for NULL.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the column is missing or holds text.
    pub fn optional_int(&self, index: usize) -> Result<Option<i64>, DbError> {
        match self.0.get(index) {
            Some(Value::Null) => Ok(None),
            _ => self.int(index).map(Some),
        }
    }
}

/// How a [`Statement`] travels to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One prepared statement with bound parameters.
    Prepared,
    /// A user's text, possibly of several statements, sent as it stands.
    Script,
}

/// One statement of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The SQL text, with the dialect's own placeholders.
    pub sql: String,
    /// Values for the placeholders, in their order.
    pub params: Vec<Value>,
    /// How it is sent.
    pub shape: Shape,
    /// The number of rows that it must affect; any other number rolls the whole list back as
    /// [`ErrorKind::Fenced`].
    pub must_affect: Option<u64>,
    /// Where a last parameter follows when its turn comes: see [`Statement::timed`].
    pub timed: Option<Stopwatch>,
    /// How long it may take: see [`Statement::within`].
    pub limit: Option<Duration>,
}

impl Statement {
    /// A prepared statement.
    pub fn new(sql: impl Into<String>, params: Vec<Value>) -> Self {
        Statement {
            sql: sql.into(),
            params,
            shape: Shape::Prepared,
            must_affect: None,
            timed: None,
            limit: None,
        }
    }

    /// A user's script, sent as it stands.
    pub fn script(sql: impl Into<String>) -> Self {
        Statement { shape: Shape::Script, ..Statement::new(sql, Vec::new()) }
    }

    /// The same statement, which must affect exactly `rows` rows.
    #[must_use]
    pub fn must_affect(mut self, rows: u64) -> Self {
        self.must_affect = Some(rows);
        self
    }

    /// The same statement with one more parameter, its last: the milliseconds from the begin of its
    /// list until its turn. So what a list enters of itself can say how long it took, in the same
    /// transaction; the stopwatch then shows what was entered.
    #[must_use]
    pub fn timed(mut self, stopwatch: &Stopwatch) -> Self {
        self.timed = Some(stopwatch.clone());
        self
    }

    /// The same statement, which in a list PostgreSQL ends after so long, in whole milliseconds, or sooner
    /// where the session's own limit is shorter: the list then fails as [`ErrorKind::Cancelled`]. None of
    /// the others of the list may take longer either, but the commit may. Elsewhere it means nothing.
    #[must_use]
    pub fn within(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// As it is sent in a list that began then.
    fn in_list(&self, began: Instant) -> Cow<'_, Statement> {
        let Some(stopwatch) = &self.timed else { return Cow::Borrowed(self) };
        let mut statement = self.clone();
        statement.params.push(stopwatch.stop(began).into());
        statement.timed = None;
        Cow::Owned(statement)
    }
}

/// Whole milliseconds, rounded up: 0 is what took no time, or a time that nobody knows.
pub fn millis(took: Duration) -> i64 {
    i64::try_from(took.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX)
}

/// The same time as [`millis`] has of it: what is told of a step is what is entered of it.
pub fn whole_millis(took: Duration) -> Duration {
    Duration::from_millis(millis(took).unsigned_abs())
}

/// What a session is for; a database that shows its sessions shows this too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Reads: plan, status, wait, keep-alive.
    Watch,
    /// Reads of a run that waits for its turn. Where SQLite's file is locked it is told so at once,
    /// since what keeps it from reading is the leader that it waits for.
    Wait,
    /// Writes of the run with this id, under the run lock. A successor that holds the lock may end
    /// such a session when its process is dead.
    Work {
        /// The run's id.
        run: String,
    },
}

/// A connected database.
#[async_trait]
pub trait Database: Send + Sync {
    /// Its dialect.
    fn dialect(&self) -> Dialect;

    /// `PostgreSQL 15.18 · shop at db:5432`: product, version, database, place; never a secret.
    fn description(&self) -> &str;

    /// The schema (PostgreSQL), database (MySQL) or `main` (SQLite) that our tables live in. Our
    /// queries name it, since a user's script may change what an unqualified name means.
    fn schema(&self) -> &str;

    /// Opens a session.
    ///
    /// # Errors
    /// Whatever the server, the network or TLS answers.
    async fn session(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError>;

    /// Opens what is needed to try for the run lock.
    ///
    /// # Errors
    /// As [`Database::session`]; [`ErrorKind::Pooler`] when a pooler stands between that can't keep a
    /// session's lock, and there is nothing to do about it, or it wasn't there before.
    async fn locker(&self) -> Result<Box<dyn Locker>, DbError>;

    /// For how long after its last word a run keeps the run lock, where that is a lease: where a pooler
    /// gives the server's sessions to somebody else at each transaction, so that they keep no lock, and
    /// nothing may be set in them for longer. `None` where it isn't so, and until [`Database::locker`] has
    /// found out.
    fn lease(&self) -> Option<Duration> {
        None
    }

    /// How the sessions of a tool that this run has started are to call themselves, where they can: so that
    /// they are found, and end with those of the run ([`Database::end_orphans`]).
    fn tool_name(&self, _run: &str) -> Option<String> {
        None
    }

    /// Whether somebody holds the run lock. It is only looked at, so that the look works through any
    /// pooler and leaves no trace. With SQLite it is in the way for that moment: the file says it to
    /// nobody but who tries.
    ///
    /// # Errors
    /// The database's, or the operating system's about the lock file.
    async fn is_locked(&self, session: &mut dyn Session) -> Result<bool, DbError>;

    /// The server's numbers of the sessions that write for a run on this database, where it has such
    /// numbers and shows nothing else by which a query could tell those sessions (MySQL).
    ///
    /// # Errors
    /// The server's.
    async fn workers(&self, _session: &mut dyn Session) -> Result<Vec<i64>, DbError> {
        Ok(Vec::new())
    }

    /// Ends sessions of earlier runs that outlived their process, and waits until they are gone.
    /// Only the holder of the run lock may call it. Returns how many there were.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] when this user may not end them.
    async fn end_orphans(&self, run: &str) -> Result<u64, DbError>;

    /// Ends the working sessions of one run, or of a process that helped it: one that gives no sign of
    /// life may stand still in a transaction, with its locks. It doesn't wait until they are gone.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] when this user may not end them.
    async fn end_sessions(&self, run: &str) -> Result<(), DbError>;
}

/// A session: one connection, used by one caller at a time.
#[async_trait]
pub trait Session: Send {
    /// Runs one statement and returns its rows.
    ///
    /// # Errors
    /// The server's, or [`ErrorKind::Type`] for a column that isn't an integer or text.
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError>;

    /// Runs the list in one transaction and returns the rows that each statement affected.
    ///
    /// # Errors
    /// All is rolled back on every error but [`ErrorKind::CommitUnknown`], where the reply to the
    /// commit was lost: read back what the list wrote before going on.
    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError>;

    /// Runs one statement outside any transaction.
    ///
    /// # Errors
    /// The server's. After [`ErrorKind::Connection`] its outcome is unknown.
    async fn bare(&mut self, sql: &str) -> Result<u64, DbError>;

    /// Sets something for this session, by one of the dialect's statements. Where the server's session
    /// is somebody else's after each transaction, each of this one's sets it for itself alone.
    ///
    /// # Errors
    /// The server's.
    async fn set(&mut self, sql: &str) -> Result<(), DbError> {
        self.bare(sql).await.map(drop)
    }

    /// Takes back all that was [set](Session::set), by these statements.
    ///
    /// # Errors
    /// The server's.
    async fn reset(&mut self, resets: &[&str]) -> Result<(), DbError> {
        for sql in resets {
            self.bare(sql).await?;
        }
        Ok(())
    }

    /// What the catalog says of a table, or `None` where there is no such relation.
    ///
    /// # Errors
    /// The server's.
    async fn table(&mut self, name: &TableName) -> Result<Option<Table>, DbError>;

    /// The columns of a table alone, for whom the rest would be too many questions. None where
    /// there is no such relation.
    ///
    /// # Errors
    /// The server's.
    async fn columns(&mut self, name: &TableName) -> Result<Vec<Column>, DbError> {
        Ok(self.table(name).await?.map(|table| table.columns).unwrap_or_default())
    }

    /// Whether there is such a relation.
    ///
    /// # Errors
    /// The server's.
    async fn has_table(&mut self, name: &TableName) -> Result<bool, DbError> {
        Ok(!self.columns(name).await?.is_empty())
    }

    /// How this session reads a statement that calls functions and operators by these bare names.
    /// SQLite has none of a user's own, and reads a text in one way.
    ///
    /// # Errors
    /// The server's.
    async fn reading(&mut self, _names: &[String]) -> Result<Reading, DbError> {
        Ok(Reading::default())
    }

    /// A handle that ends this session's running statement from outside.
    fn canceller(&self) -> Arc<dyn Canceller>;
}

/// Ends a session's running statement from outside; the statement then fails as
/// [`ErrorKind::Cancelled`].
#[async_trait]
pub trait Canceller: Send + Sync {
    /// Asks for it. A session that runs nothing is left alone where the database can tell.
    ///
    /// # Errors
    /// Whatever the way to the server answers.
    async fn cancel(&self) -> Result<(), DbError>;
}

/// The run lock, tried for by polling: a blocking wait would hold a snapshot open, with which
/// `CREATE INDEX CONCURRENTLY` deadlocks.
#[async_trait]
pub trait Locker: Send {
    /// One try. `true` when the lock is now held.
    ///
    /// # Errors
    /// The server's.
    async fn try_lock(&mut self) -> Result<bool, DbError>;

    /// Whether the lock is still held, asked of the server; doubles as keep-alive.
    ///
    /// # Errors
    /// The server's; any error here means that the lock can no longer be relied on.
    async fn still_held(&mut self) -> Result<bool, DbError>;

    /// Gives the lock back. `false` when it turned out not to be held.
    ///
    /// # Errors
    /// The server's; the lock then ends with its connection.
    async fn unlock(&mut self) -> Result<bool, DbError>;
}

/// Connects, retrying with back-off while the server isn't reachable *yet*.
///
/// `timeout` bounds the whole; `on_retry` is told each reason and the pause before the next try.
///
/// # Errors
/// The last error when the time ran out; at once for errors that waiting can't mend (password,
/// database, TLS).
pub async fn connect(
    options: &ConnectOptions,
    timeout: Duration,
    on_retry: &mut (dyn FnMut(&DbError, Duration) + Send),
) -> Result<Arc<dyn Database>, DbError> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        // A host that swallows packets would else hold up one attempt for minutes.
        let left = timeout.saturating_sub(started.elapsed()).max(Duration::from_secs(1));
        let error = match connect_once(options, left).await {
            Ok(database) => return Ok(database),
            Err(error) => error,
        };
        if !error.is_unreachable() || started.elapsed() + pause > timeout {
            return Err(error);
        }
        on_retry(&error, pause);
        tokio::time::sleep(pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
}

/// Connects, or not, within this time.
///
/// # Errors
/// The first that there is.
pub async fn connect_once(
    options: &ConnectOptions,
    timeout: Duration,
) -> Result<Arc<dyn Database>, DbError> {
    let no_answer = |_| DbError::new(ErrorKind::Connection, "no answer");
    tokio::time::timeout(timeout, open(options, timeout)).await.map_err(no_answer)?
}

async fn open(options: &ConnectOptions, patience: Duration) -> Result<Arc<dyn Database>, DbError> {
    options.check_files()?;
    Ok(match options.engine {
        Engine::Postgres => Arc::new(postgres::Postgres::connect(options).await?),
        Engine::MySql => Arc::new(mysql::MySql::connect(options).await?),
        Engine::Sqlite => Arc::new(sqlite::Sqlite::connect(options, patience).await?),
    })
}
