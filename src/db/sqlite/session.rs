//! One connection to an SQLite file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Executor, Row as _, TypeInfo, ValueRef};

use super::{error, table};
use crate::db::{
    Canceller, DbError, ErrorKind, Row, Session, Shape, Statement, Table, TableName, Value,
};

/// How many of SQLite's own instructions pass between two looks at the switch: some 10 µs.
const INSTRUCTIONS: i32 = 1_000;

pub(super) struct SqliteSession {
    connection: SqliteConnection,
    switch: Arc<Switch>,
    /// A transaction was begun, and its end not seen: the caller dropped the future.
    open: bool,
}

impl SqliteSession {
    pub(super) async fn new(mut connection: SqliteConnection) -> Result<Self, DbError> {
        let switch = Arc::new(Switch(AtomicU8::new(IDLE)));
        let seen = Arc::clone(&switch);
        connection
            .lock_handle()
            .await
            .map_err(DbError::from_sqlite)?
            .set_progress_handler(INSTRUCTIONS, move || !seen.is_pressed());
        Ok(SqliteSession { connection, switch, open: false })
    }

    /// Turns the switch on for what runs next, after ending what a dropped future left behind.
    async fn start(&mut self) -> Result<Running, DbError> {
        if self.switch.is_pressed() {
            // The lock is handed out when the abandoned statement has ended.
            drop(self.connection.lock_handle().await.map_err(DbError::from_sqlite)?);
            self.switch.0.store(IDLE, Ordering::Release);
        }
        if self.open {
            self.roll_back().await;
        }
        Ok(Running::new(&self.switch))
    }

    async fn roll_back(&mut self) {
        // After some errors SQLite has rolled back already and says "no transaction is active";
        // were one left open, the next BEGIN would fail.
        let _ = self.execute("ROLLBACK").await;
        self.open = false;
    }

    async fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        let result = self.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        result.map(|done| done.rows_affected()).map_err(|failed| {
            let mut failed = DbError::from_sqlite(failed);
            failed.position = error::position(sql, &failed.message);
            failed
        })
    }

    /// A script, with the rows that it changed in all: after a statement that changes none, such as
    /// DDL, SQLite repeats the count of the one before.
    async fn script(&mut self, sql: &str) -> Result<u64, DbError> {
        let before = self.total_changes().await?;
        self.execute(sql).await?;
        Ok(u64::try_from(self.total_changes().await? - before).unwrap_or(0))
    }

    async fn total_changes(&mut self) -> Result<i64, DbError> {
        let rows = self.fetch(&Statement::new("select total_changes()", vec![])).await?;
        rows.first().map_or(Ok(0), |row| row.int(0))
    }

    pub(super) async fn fetch(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let rows = match statement.shape {
            Shape::Script => {
                self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement.sql.clone()))).await
            }
            Shape::Prepared => self.connection.fetch_all(bound(statement)).await,
        };
        let rows = rows.map_err(|failed| {
            let mut failed = DbError::from_sqlite(failed);
            failed.position = error::position(&statement.sql, &failed.message);
            failed
        })?;
        rows.iter().map(decode).collect()
    }

    async fn run(&mut self, statement: &Statement) -> Result<u64, DbError> {
        match statement.shape {
            Shape::Script => self.script(&statement.sql).await,
            Shape::Prepared => {
                let result = self.connection.execute(bound(statement)).await;
                let result = result.map_err(|failed| {
                    let mut failed = DbError::from_sqlite(failed);
                    failed.position = error::position(&statement.sql, &failed.message);
                    failed
                })?;
                Ok(result.rows_affected())
            }
        }
    }

    async fn run_all(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        // IMMEDIATE takes the right to write at once: taken later, it would fail as busy without
        // waiting when another writer came in between.
        self.execute("BEGIN IMMEDIATE").await?;
        let mut affected = Vec::with_capacity(statements.len());
        let began = Instant::now();
        for (index, statement) in statements.iter().enumerate() {
            let rows =
                self.run(&statement.in_list(began)).await.map_err(|error| error.at(index))?;
            if let Some(wanted) = statement.must_affect.filter(|wanted| *wanted != rows) {
                return Err(DbError::fenced(wanted, rows).at(index));
            }
            if self.switch.is_pressed() {
                return Err(DbError::new(ErrorKind::Cancelled, "interrupted").at(index));
            }
            affected.push(rows);
        }
        Ok(affected)
    }
}

fn bound(
    statement: &Statement,
) -> sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(statement.sql.clone()));
    statement.params.iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Int(value) => query.bind(*value),
        Value::Text(value) => query.bind(value.clone()),
    })
}

/// By the value's own type: a column's doesn't bind in SQLite.
fn decode(row: &SqliteRow) -> Result<Row, DbError> {
    let refuse = |index: usize, found: &str| {
        DbError::new(ErrorKind::Type, format!("column {index} is {found}: cast it to text"))
    };
    let value = |index: usize| {
        let value = row.try_get_raw(index).map_err(DbError::from_sqlite)?;
        if value.is_null() {
            return Ok(Value::Null);
        }
        let kind = value.type_info().name().to_owned();
        match kind.as_str() {
            "INTEGER" => <i64 as Decode<sqlx::Sqlite>>::decode(value).map(Value::Int),
            "TEXT" => <String as Decode<sqlx::Sqlite>>::decode(value).map(Value::Text),
            other => return Err(refuse(index, other)),
        }
        .map_err(|_| refuse(index, "no valid UTF-8"))
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}

#[async_trait]
impl Session for SqliteSession {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let running = self.start().await?;
        let rows = self.fetch(statement).await;
        running.finish();
        rows
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        let running = self.start().await?;
        self.open = true;
        let mut outcome = self.run_all(statements).await;
        if outcome.is_ok()
            && let Err(mut error) = self.execute("COMMIT").await
        {
            if error.is_lost() || error::is_open(&error) {
                error.kind = ErrorKind::CommitUnknown;
            }
            outcome = Err(error);
        }
        // From here on the switch must not touch what runs: a ROLLBACK can't be interrupted.
        running.finish();
        match outcome {
            Ok(_) => self.open = false,
            Err(_) => self.roll_back().await,
        }
        outcome
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        let running = self.start().await?;
        let outcome = self.script(sql).await;
        running.finish();
        outcome
    }

    async fn table(&mut self, name: &TableName) -> Result<Option<Table>, DbError> {
        let running = self.start().await?;
        let found = table::read(self, name).await;
        running.finish();
        found
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        Arc::<Switch>::clone(&self.switch)
    }
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const PRESSED: u8 = 2;

/// Ends the running statement when pressed; SQLite looks at it every so many instructions.
struct Switch(AtomicU8);

impl Switch {
    fn is_pressed(&self) -> bool {
        self.0.load(Ordering::Acquire) == PRESSED
    }
}

#[async_trait]
impl Canceller for Switch {
    async fn cancel(&self) -> Result<(), DbError> {
        // Only what runs is ended; that nothing runs is no error.
        let _ = self.0.compare_exchange(RUNNING, PRESSED, Ordering::AcqRel, Ordering::Acquire);
        Ok(())
    }
}

/// While it lives, the switch works. Dropped without [`Running::finish`], the caller has dropped
/// the future: the statement, which nobody waits for any more, is ended.
struct Running(Option<Arc<Switch>>);

impl Running {
    fn new(switch: &Arc<Switch>) -> Self {
        switch.0.store(RUNNING, Ordering::Release);
        Running(Some(Arc::clone(switch)))
    }

    fn finish(mut self) {
        if let Some(switch) = self.0.take() {
            switch.0.store(IDLE, Ordering::Release);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(switch) = self.0.take() {
            switch.0.store(PRESSED, Ordering::Release);
        }
    }
}
