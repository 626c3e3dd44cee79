//! The run lock on PostgreSQL: a session's advisory lock on a connection of its own.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::error::Translator;
use super::{open, raw};
use crate::db::{DbError, ErrorKind, Locker, Statement};

/// How long the server may take to answer a question about the lock before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct PostgresLocker {
    connection: PgConnection,
    translate: Translator,
    key: i64,
    pid: String,
}

impl PostgresLocker {
    pub async fn open(
        options: &PgConnectOptions,
        translate: Translator,
        key: i64,
    ) -> Result<Self, DbError> {
        let connection = open(options, "lockkeeper lock", &translate).await?;
        let mut locker = PostgresLocker { connection, translate, key, pid: String::new() };
        locker.pid = locker.backend().await?;
        locker.refuse_pooler(options).await?;
        Ok(locker)
    }

    /// Two clients that share a server session, or one whose session changes between two queries,
    /// prove a pooler in transaction mode. While the second client has a transaction open, a pooler
    /// either gave it our server session or has to give us another (or none at all).
    async fn refuse_pooler(&mut self, options: &PgConnectOptions) -> Result<(), DbError> {
        let mut other = open(options, "lockkeeper lock", &self.translate).await?;
        let others =
            raw(&mut other, "begin; select pg_backend_pid()::text", &self.translate).await?;
        let now = tokio::time::timeout(PATIENCE, self.backend()).await;
        let shared = others.iter().flatten().any(|pid| *pid == self.pid);
        if shared || !matches!(&now, Ok(Ok(pid)) if *pid == self.pid) {
            return Err(DbError::new(
                ErrorKind::Pooler,
                "a pooler in transaction mode stands before the server, and can't keep a session's \
                 lock",
            ));
        }
        raw(&mut other, "rollback", &self.translate).await?;
        Ok(())
    }

    async fn backend(&mut self) -> Result<String, DbError> {
        let rows =
            raw(&mut self.connection, "select pg_backend_pid()::text", &self.translate).await?;
        Ok(rows[0][0].clone())
    }

    async fn ask(&mut self, question: &str) -> Result<bool, DbError> {
        let asked = raw(&mut self.connection, question, &self.translate);
        let rows = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| {
            DbError::new(ErrorKind::Connection, "no answer about the run lock within 10 s")
        })??;
        Ok(rows[0][0] == "true")
    }
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
        let question = format!("select pg_try_advisory_lock({})::text", self.key);
        self.ask(&question).await
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
