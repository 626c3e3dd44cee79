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

/// What `pg_stat_activity` shows. Not from the start: a pooler would hand the name on with the server's
/// session.
const NAMED: &str = "set application_name = 'lockkeeper lock';";

pub struct PostgresLocker {
    connection: PgConnection,
    translate: Translator,
    key: i64,
    lookout: Lookout,
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
        Ok((!is_pooled).then_some(PostgresLocker { connection, translate, key, lookout }))
    }

    async fn sees_a_lease(&mut self) -> Result<bool, DbError> {
        let looked = self.lookout.sees_another(&mut self.connection, &self.translate);
        timeout(PATIENCE, looked).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn ask(&mut self, question: &str) -> Result<bool, DbError> {
        let asked = raw(&mut self.connection, question, &self.translate);
        let rows = timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent()))?;
        Ok(rows.iter().flatten().any(|answer| answer == "true"))
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
        let question = format!("{NAMED} select pg_try_advisory_lock({})::text", self.key);
        if !self.ask(&question).await? {
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
        self.ask(&question).await
    }

    async fn unlock(&mut self) -> Result<bool, DbError> {
        let question = format!("select pg_advisory_unlock({})::text", self.key);
        self.ask(&question).await
    }
}
