//! One connection to a MySQL or MariaDB server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor};

use super::{Server, error, orphans, reading, table};
use crate::db::{
    Canceller, DbError, ErrorKind, Purpose, Reading, Row, Session, Shape, Statement, Table,
    TableName, Value,
};

pub(super) struct MySqlSession {
    connection: MySqlConnection,
    server: Arc<Server>,
    /// The server's number for this connection.
    id: i64,
    /// The longest packet that the server takes (`max_allowed_packet`), fixed when it was opened.
    longest: u64,
    running: Arc<AtomicBool>,
}

impl MySqlSession {
    pub(super) async fn open(server: &Arc<Server>, purpose: Purpose) -> Result<Self, DbError> {
        let mut connection = server.connection().await?;
        let facts = "select connection_id(), @@max_allowed_packet";
        let rows = server.fetch(&mut connection, &Statement::new(facts, vec![])).await?;
        let facts = rows.first().ok_or_else(|| DbError::silent(facts))?;
        let (id, longest) = (facts.int(0)?, u64::try_from(facts.int(1)?).unwrap_or(u64::MAX));
        if let Purpose::Work { run } = purpose {
            // Told to the process first, so that none of its own runs ends it as an orphan.
            server.open().insert(id, run.clone());
            if let Err(error) = orphans::mark(server, &mut connection, id, &run).await {
                server.open().remove(&id);
                return Err(error);
            }
        }
        let running = Arc::new(AtomicBool::new(false));
        Ok(MySqlSession { connection, server: Arc::clone(server), id, longest, running })
    }

    /// The switch for what runs next. When the one before was never turned off, the caller dropped
    /// the future in the middle: the driver may have lost count of the answers, and a transaction
    /// may be open.
    fn start(&self) -> Result<Running, DbError> {
        if self.running.swap(true, Ordering::AcqRel) {
            let message = "the session was left in the middle of a statement: open another";
            return Err(DbError::new(ErrorKind::Connection, message));
        }
        Ok(Running(Arc::clone(&self.running)))
    }

    pub(super) async fn fetch(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        self.server.fetch(&mut self.connection, statement).await
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Refuses what the server would answer by closing the connection in the middle of it, which
    /// looks like a network that went away, at every try.
    fn check_length(&self, sql: &str) -> Result<(), DbError> {
        // One byte more says what the packet is.
        let length = sql.len() as u64 + 1;
        if length < self.longest {
            return Ok(());
        }
        let message = format!(
            "the statement has {} bytes, and the server takes at most {} (max_allowed_packet)",
            sql.len(),
            self.longest
        );
        let mut error = DbError::new(ErrorKind::TooLong, message);
        error.hint = Some(
            "split the statement into several, or let an administrator raise max_allowed_packet on \
             the server (up to 1G)"
                .to_owned(),
        );
        Err(error)
    }

    async fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = self.connection.execute(script).await;
        done.map(|done| done.rows_affected()).map_err(|error| self.server.error(error, sql))
    }

    async fn run(&mut self, statement: &Statement) -> Result<u64, DbError> {
        match statement.shape {
            Shape::Script => self.execute(&statement.sql).await,
            Shape::Prepared => {
                let done = self.connection.execute(bound(statement)).await;
                done.map(|done| done.rows_affected())
                    .map_err(|error| self.server.error(error, &statement.sql))
            }
        }
    }

    async fn run_all(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        for (index, statement) in statements.iter().enumerate() {
            self.check_length(&statement.sql).map_err(|error| error.at(index))?;
        }
        self.execute("START TRANSACTION").await?;
        let mut affected = Vec::with_capacity(statements.len());
        let began = Instant::now();
        for (index, statement) in statements.iter().enumerate() {
            let rows =
                self.run(&statement.in_list(began)).await.map_err(|error| error.at(index))?;
            // Rows found, not rows changed: sqlx asks for CLIENT_FOUND_ROWS.
            if let Some(wanted) = statement.must_affect.filter(|wanted| *wanted != rows) {
                return Err(DbError::fenced(wanted, rows).at(index));
            }
            affected.push(rows);
        }
        Ok(affected)
    }
}

impl Drop for MySqlSession {
    fn drop(&mut self) {
        self.server.open().remove(&self.id);
    }
}

pub(super) async fn connection_id(
    server: &Server,
    connection: &mut MySqlConnection,
) -> Result<i64, DbError> {
    let sql = "select connection_id()";
    let rows = server.fetch(connection, &Statement::new(sql, vec![])).await?;
    rows.first().ok_or_else(|| DbError::silent(sql))?.int(0)
}

pub(super) async fn fetch(
    connection: &mut MySqlConnection,
    statement: &Statement,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    match statement.shape {
        Shape::Prepared => connection.fetch_all(bound(statement)).await,
        Shape::Script => {
            connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement.sql.clone()))).await
        }
    }
}

fn bound(statement: &Statement) -> Query<'static, sqlx::MySql, MySqlArguments> {
    let query = sqlx::query(AssertSqlSafe(statement.sql.clone()));
    statement.params.iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Int(value) => query.bind(*value),
        Value::Text(value) => query.bind(value.clone()),
    })
}

#[async_trait]
impl Session for MySqlSession {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let running = self.start()?;
        let rows = self.fetch(statement).await;
        running.finish();
        rows
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        let running = self.start()?;
        let mut outcome = self.run_all(statements).await;
        match &outcome {
            Ok(_) => {
                if let Err(mut error) = self.execute("COMMIT").await {
                    if error.is_lost() {
                        error.kind = ErrorKind::CommitUnknown;
                    }
                    outcome = Err(error);
                }
            }
            // Nothing to say it to; the server rolls back when it misses the connection.
            Err(error) if error.is_lost() => {}
            Err(_) => {
                if let Err(error) = self.execute("ROLLBACK").await {
                    // An open transaction must not leak into what comes next.
                    outcome = Err(DbError { kind: ErrorKind::Connection, ..error });
                }
            }
        }
        running.finish();
        outcome
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        self.check_length(sql)?;
        let running = self.start()?;
        let outcome = self.execute(sql).await;
        running.finish();
        outcome
    }

    async fn table(&mut self, name: &TableName) -> Result<Option<Table>, DbError> {
        let running = self.start()?;
        let found = table::read(self, name).await;
        running.finish();
        found
    }

    async fn reading(&mut self, names: &[String]) -> Result<Reading, DbError> {
        let running = self.start()?;
        let found = reading::read(self, names).await;
        running.finish();
        found
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        Arc::new(Killer {
            server: Arc::clone(&self.server),
            id: self.id,
            running: Arc::clone(&self.running),
        })
    }
}

/// A statement on its way. Dropped unfinished, it leaves the switch on for
/// [`MySqlSession::start`] to see.
struct Running(Arc<AtomicBool>);

impl Running {
    fn finish(self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Ends the statement by `KILL QUERY` over a connection of its own.
struct Killer {
    server: Arc<Server>,
    id: i64,
    running: Arc<AtomicBool>,
}

#[async_trait]
impl Canceller for Killer {
    async fn cancel(&self) -> Result<(), DbError> {
        let mut connection = self.server.connection().await?;
        // Some servers keep the order for the next statement when none runs.
        if !self.running.load(Ordering::Acquire) {
            return Ok(());
        }
        let sql = format!("KILL QUERY {}", self.id);
        let killed = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await;
        match killed.map_err(|error| self.server.error(error, &sql)) {
            Err(error) if error.code.as_deref() != Some(error::NO_SUCH_THREAD) => Err(error),
            _ => Ok(()),
        }
    }
}
