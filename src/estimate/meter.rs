//! What the database's own counters say between two steps: log, size, dead rows, what was written anew or read
//! from end to end.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::db::{Database, DbError, Engine, Purpose, Session, Statement};

use super::tables::{Changes, Scans, Tables};

/// A step: a migration's version and the step's number.
pub(super) type StepId = (i64, u32);

/// What a step has added to the counters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Metered {
    /// Keys that a backfill has passed.
    pub(super) keys: Option<u64>,
    pub(super) wal: Option<u64>,
    pub(super) size: Option<i64>,
    pub(super) dead: Option<i64>,
    /// What became of tables.
    pub(super) changes: Changes,
    /// Whether the counters show all of that.
    pub(super) shows: bool,
}

/// Reads the counters whenever the step changes, in sessions of its own.
pub(super) struct Meter {
    database: Arc<dyn Database>,
    book: Mutex<Book>,
}

struct Book {
    open: Option<StepId>,
    last: Counters,
    steps: BTreeMap<StepId, Metered>,
}

impl Meter {
    /// Begins with what the counters say now.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn start(database: Arc<dyn Database>) -> Result<Arc<Self>, DbError> {
        let last = Counters::of(database.as_ref()).await?;
        let book = Mutex::new(Book { open: None, last, steps: BTreeMap::new() });
        Ok(Arc::new(Meter { database, book }))
    }

    /// The next write is of this step. Of the one before everything is committed.
    pub(super) async fn at(
        &self,
        step: Option<StepId>,
        keys: Option<u64>,
        session: &mut dyn Session,
    ) {
        let mut book = self.book.lock().await;
        if book.open != step {
            flush(self.database.as_ref(), session).await;
            book.close(self.database.as_ref()).await;
            book.open = step;
        }
        if let (Some(step), Some(keys)) = (step, keys) {
            book.steps.entry(step).or_default().keys = Some(keys);
        }
    }

    /// The open step's write is committed by `session`.
    pub(super) async fn wrote(&self, session: &mut dyn Session) {
        let shows = flush(self.database.as_ref(), session).await;
        let mut book = self.book.lock().await;
        if let Some(step) = book.open {
            book.steps.entry(step).or_default().shows = shows;
        }
    }

    /// What each step has added.
    pub(super) async fn end(&self) -> BTreeMap<StepId, Metered> {
        let mut book = self.book.lock().await;
        book.close(self.database.as_ref()).await;
        std::mem::take(&mut book.steps)
    }
}

/// A server keeps a session's counts for a second, unless it is told not to. Whether it heeds that: before
/// version 15 they come when they come.
async fn flush(database: &dyn Database, session: &mut dyn Session) -> bool {
    let sql = "select pg_stat_force_next_flush()::text";
    database.dialect().engine == Engine::Postgres
        && session.query(&Statement::new(sql, Vec::new())).await.is_ok()
}

impl Book {
    /// What was added since the last look is the open step's. Counters that can't be read say nothing of it.
    async fn close(&mut self, database: &dyn Database) {
        let Ok(now) = Counters::of(database).await else { return };
        let before = std::mem::replace(&mut self.last, now);
        let Some(step) = self.open.take() else { return };
        let (now, metered) = (&self.last, self.steps.entry(step).or_default());
        let since = |now: Option<i64>, before: Option<i64>| Some(now? - before?);
        let add = |sum: &mut Option<i64>, more: Option<i64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0) + more);
            }
        };
        let wal = since(now.wal, before.wal).and_then(|wal| u64::try_from(wal).ok());
        metered.wal = wal.map(|wal| wal + metered.wal.unwrap_or(0)).or(metered.wal);
        add(&mut metered.size, since(now.size, before.size));
        add(&mut metered.dead, since(now.dead, before.dead));
        metered.changes.add(&now.tables, &before.tables);
    }
}

#[derive(Debug, Default)]
struct Counters {
    wal: Option<i64>,
    size: Option<i64>,
    dead: Option<i64>,
    tables: Tables,
}

const POSTGRES: &str = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, \
                        pg_database_size(current_database()), \
                        (select sum(n_dead_tup)::bigint from pg_stat_user_tables)";

/// What InnoDB has written to its redo log: MariaDB's place for it, and MySQL's.
const MYSQL_LOG: [&str; 2] = [
    "select cast(variable_value as signed) from information_schema.global_status \
     where variable_name = 'INNODB_OS_LOG_WRITTEN'",
    "select cast(variable_value as signed) from performance_schema.global_status \
     where variable_name = 'Innodb_os_log_written'",
];

const MYSQL_SIZE: &str = "select cast(sum(data_length + index_length) as signed) from \
                          information_schema.tables where table_schema = database()";

const SQLITE_SIZE: &str = "select (select page_count from pragma_page_count) * \
                           (select page_size from pragma_page_size)";

impl Counters {
    /// In a new session: SQLite's shows a file that wasn't there when it was opened as empty.
    async fn of(database: &dyn Database) -> Result<Self, DbError> {
        let mut session = database.session(Purpose::Watch).await?;
        Counters::read(database.dialect().engine, session.as_mut()).await
    }

    async fn read(engine: Engine, session: &mut dyn Session) -> Result<Self, DbError> {
        match engine {
            Engine::Postgres => {
                let rows = session.query(&Statement::new(POSTGRES, Vec::new())).await?;
                let tables = session.query(&Tables::question(Scans::All)).await?;
                let Some(row) = rows.first() else { return Ok(Counters::default()) };
                Ok(Counters {
                    wal: row.optional_int(0)?,
                    size: row.optional_int(1)?,
                    dead: row.optional_int(2)?,
                    tables: Tables::answered(&tables)?,
                })
            }
            Engine::MySql => Ok(Counters {
                wal: match number(session, MYSQL_LOG[0]).await {
                    Ok(wal) => wal,
                    Err(_) => number(session, MYSQL_LOG[1]).await.unwrap_or_default(),
                },
                size: number(session, MYSQL_SIZE).await?,
                ..Counters::default()
            }),
            Engine::Sqlite => {
                Ok(Counters { size: number(session, SQLITE_SIZE).await?, ..Counters::default() })
            }
        }
    }
}

async fn number(session: &mut dyn Session, sql: &str) -> Result<Option<i64>, DbError> {
    let rows = session.query(&Statement::new(sql, Vec::new())).await?;
    rows.first().map(|row| row.optional_int(0)).transpose().map(Option::flatten)
}
