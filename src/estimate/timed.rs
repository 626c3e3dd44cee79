//! The timing decorator: the run's own database, which tells the meter where one step ends and the next begins.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::db::{
    Canceller, Column, Database, DbError, Dialect, Locker, Purpose, Reading, Row, Session,
    Statement, Table, TableName,
};
use crate::progress::Progress;

use super::meter::Meter;

/// A database whose working sessions are watched.
pub(super) struct Timed {
    pub(super) database: Arc<dyn Database>,
    pub(super) meter: Arc<Meter>,
    pub(super) progress: watch::Receiver<Progress>,
}

#[async_trait]
impl Database for Timed {
    fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    fn description(&self) -> &str {
        self.database.description()
    }

    fn schema(&self) -> &str {
        self.database.schema()
    }

    async fn session(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        let works = matches!(purpose, Purpose::Work { .. });
        let session = self.database.session(purpose).await?;
        if !works {
            return Ok(session);
        }
        Ok(Box::new(TimedSession {
            session,
            meter: self.meter.clone(),
            progress: self.progress.clone(),
        }))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        self.database.locker().await
    }

    fn lease(&self) -> Option<Duration> {
        self.database.lease()
    }

    fn tool_name(&self, run: &str) -> Option<String> {
        self.database.tool_name(run)
    }

    async fn is_locked(&self, session: &mut dyn Session) -> Result<bool, DbError> {
        self.database.is_locked(session).await
    }

    async fn workers(&self, session: &mut dyn Session) -> Result<Vec<i64>, DbError> {
        self.database.workers(session).await
    }

    async fn end_orphans(&self, run: &str) -> Result<u64, DbError> {
        self.database.end_orphans(run).await
    }

    async fn end_sessions(&self, run: &str) -> Result<(), DbError> {
        self.database.end_sessions(run).await
    }
}

struct TimedSession {
    session: Box<dyn Session>,
    meter: Arc<Meter>,
    progress: watch::Receiver<Progress>,
}

impl TimedSession {
    /// Before each write: whatever the step before has done is committed by now. Whether it is one of many of
    /// a backfill.
    async fn mark(&mut self) -> bool {
        let (step, keys) = {
            let progress = self.progress.borrow();
            let current = progress.current.as_ref();
            (current.map(|step| (step.version, step.step)), current.and_then(|step| step.rows_done))
        };
        self.meter.at(step, keys, self.session.as_mut()).await;
        keys.is_some()
    }
}

#[async_trait]
impl Session for TimedSession {
    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        self.session.query(statement).await
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, DbError> {
        let fills = self.mark().await;
        let result = self.session.transact(statements).await;
        if !fills {
            self.meter.wrote(self.session.as_mut()).await;
        }
        result
    }

    async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        self.mark().await;
        let result = self.session.bare(sql).await;
        self.meter.wrote(self.session.as_mut()).await;
        result
    }

    async fn set(&mut self, sql: &str) -> Result<(), DbError> {
        self.session.set(sql).await
    }

    async fn reset(&mut self, resets: &[&str]) -> Result<(), DbError> {
        self.session.reset(resets).await
    }

    async fn table(&mut self, name: &TableName) -> Result<Option<Table>, DbError> {
        self.session.table(name).await
    }

    async fn columns(&mut self, name: &TableName) -> Result<Vec<Column>, DbError> {
        self.session.columns(name).await
    }

    async fn has_table(&mut self, name: &TableName) -> Result<bool, DbError> {
        self.session.has_table(name).await
    }

    async fn reading(&mut self, names: &[String]) -> Result<Reading, DbError> {
        self.session.reading(names).await
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        self.session.canceller()
    }
}
