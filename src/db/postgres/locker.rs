//! The run lock on PostgreSQL: a session's advisory lock on a connection of its own.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::timeout;

use super::error::Translator;
use super::lease::Lookout;
use super::session::connect;
use super::{pooler, raw};
use crate::db::{DbError, ErrorKind, Locker, Statement};

/// How long the server may take to answer a question about the lock before it counts as gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How many of a pooler's sessions are asked for a lock that is left in one of them.
const TRIES: usize = 100;

/// What `pg_stat_activity` shows. Not from the start: a pooler would hand the name on with the server's
/// session.
const NAMED: &str = "set application_name = 'lockkeeper lock';";

pub struct PostgresLocker {
    connection: PgConnection,
    translate: Translator,
    key: i64,
    lookout: Lookout,
    /// The server's session that has the lock, once it was taken.
    taken_in: Option<String>,
}

impl PostgresLocker {
    /// `None` where a pooler in transaction mode stands between, which can't keep a session's lock.
    pub async fn open(
        options: &PgConnectOptions,
        translate: Translator,
        key: i64,
        schema: &str,
    ) -> Result<Option<Self>, DbError> {
        let mut connection = connect(options, &translate).await?;
        let is_pooled = pooler::is_there(&mut connection, options, &translate).await?;
        let lookout = Lookout::new(schema);
        let locker = PostgresLocker { connection, translate, key, lookout, taken_in: None };
        Ok((!is_pooled).then_some(locker))
    }

    /// A pooler that wasn't found out, or has come since, gave the session that has the lock to somebody else.
    /// It would have it for hours; so it is looked for among those that we get.
    async fn give_back_elsewhere(&mut self) -> Result<(), DbError> {
        let Some(pid) = &self.taken_in else { return Ok(()) };
        let question = format!(
            "select case when pg_backend_pid()::text = '{pid}' \
             then pg_advisory_unlock({}) is not null end::text",
            self.key
        );
        for _ in 0..TRIES {
            if self.ask(&question).await? {
                break;
            }
        }
        Ok(())
    }

    async fn sees_a_lease(&mut self) -> Result<bool, DbError> {
        let looked = self.lookout.sees_another(&mut self.connection, &self.translate);
        timeout(PATIENCE, looked).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn ask(&mut self, question: &str) -> Result<bool, DbError> {
        Ok(self.answer(question).await?.is_some_and(|answer| answer == "true"))
    }

    /// The one value; none without a row.
    async fn answer(&mut self, question: &str) -> Result<Option<String>, DbError> {
        let asked = raw(&mut self.connection, question, &self.translate);
        let rows = timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent()))?;
        Ok(rows.into_iter().flatten().next())
    }
}

/// The server has given no answer in that time.
pub(super) fn silent() -> DbError {
    DbError::new(ErrorKind::Connection, "no answer about the run lock within 10 s")
}

/// Who holds the advisory lock of this key in this database: no row or one.
pub(super) fn held(key: i64) -> Statement {
    // A bigint key shows as two halves, with objsubid 1 (the manual on pg_locks).
    let (high, low) = ((key as u64 >> 32) as u32, key as u32);
    let sql = format!(
        "select pid from pg_locks where locktype = 'advisory' and granted and database = \
         (select oid from pg_database where datname = current_database()) \
         and classid = {high} and objid = {low} and objsubid = 1"
    );
    Statement::new(sql, Vec::new())
}

#[async_trait]
impl Locker for PostgresLocker {
    async fn try_lock(&mut self) -> Result<bool, DbError> {
        // An advisory lock counts: taken twice, it would have to be given back twice.
        if self.still_held().await? {
            return Ok(true);
        }
        // Without trying for it: a lease can't be prolonged while somebody has the lock.
        if self.sees_a_lease().await? {
            return Ok(false);
        }
        let question = format!(
            "{NAMED} select pg_backend_pid()::text where pg_try_advisory_lock({})",
            self.key
        );
        self.taken_in = self.answer(&question).await?;
        if self.taken_in.is_none() {
            return Ok(false);
        }
        // One that was taken just before; see the lease.
        if self.sees_a_lease().await? {
            self.unlock().await?;
            return Ok(false);
        }
        self.lookout.clear(&mut self.connection, &self.translate).await;
        Ok(true)
    }

    async fn still_held(&mut self) -> Result<bool, DbError> {
        let question = format!(
            "select exists (select 1 from ({}) as held where pid = pg_backend_pid())::text",
            held(self.key).sql
        );
        let held = self.ask(&question).await?;
        if !held {
            self.give_back_elsewhere().await?;
        }
        Ok(held)
    }

    async fn unlock(&mut self) -> Result<bool, DbError> {
        let question = format!("select pg_advisory_unlock({})::text", self.key);
        if self.ask(&question).await? {
            return Ok(true);
        }
        self.give_back_elsewhere().await?;
        Ok(false)
    }
}
