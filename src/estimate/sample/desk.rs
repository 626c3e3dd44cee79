//! The one session of a sample: its savepoints, its limits, and its end by a stop.

use std::time::{Duration, Instant};

use crate::db::{DbError, ErrorKind, Row, Session, Statement};
use crate::estimate::guard::guarded;
use crate::stop::Stop;

/// By so much two clocks may disagree about a limit.
pub(super) const CLOCKS: Duration = Duration::from_millis(20);

/// A session in a transaction. When a stop is asked for, what is at work in it is cancelled at once: nothing of
/// it is to stay.
pub(super) struct Desk {
    session: Box<dyn Session>,
    stop: Stop,
}

/// How a statement ended that had a limit.
pub(super) enum Ended {
    /// By itself, after so many seconds.
    Done(f64),
    /// By the limit.
    OutOfTime,
    /// With this error.
    Failed(DbError),
}

impl Desk {
    pub(super) fn new(session: Box<dyn Session>, stop: Stop) -> Self {
        Desk { session, stop }
    }

    /// For reads of the catalog, which take no time.
    pub(super) fn session(&mut self) -> &mut dyn Session {
        self.session.as_mut()
    }

    pub(super) async fn bare(&mut self, sql: &str) -> Result<u64, DbError> {
        let canceller = self.session.canceller();
        guarded(&self.stop, canceller, self.session.bare(sql)).await
    }

    pub(super) async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, DbError> {
        let canceller = self.session.canceller();
        guarded(&self.stop, canceller, self.session.query(statement)).await
    }

    /// The first column of a query without parameters.
    pub(super) async fn texts(&mut self, sql: &str) -> Result<Vec<String>, DbError> {
        let rows = self.query(&Statement::new(sql, Vec::new())).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }

    /// The one number that a query answers; 0 where it answers none.
    pub(super) async fn number(&mut self, sql: &str) -> Result<f64, DbError> {
        let rows = self.query(&Statement::new(sql, Vec::new())).await?;
        let number = rows.first().map(|row| row.optional_int(0)).transpose()?.flatten();
        Ok(number.unwrap_or(0) as f64)
    }

    /// Bytes of a table, its partitions and all of their indexes.
    pub(super) async fn bytes(&mut self, name: &str) -> Result<f64, DbError> {
        self.sized("pg_total_relation_size", name).await
    }

    /// And of what a function of the server counts of each of them.
    pub(super) async fn sized(&mut self, function: &str, name: &str) -> Result<f64, DbError> {
        let sql = format!(
            "select coalesce(sum({function}(relid)), 0)::bigint from \
             (select relid::oid from pg_partition_tree(to_regclass($1::text)) \
             union select to_regclass($1::text)::oid) leaves"
        );
        let rows = self.query(&Statement::new(sql, vec![name.into()])).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.int(0))? as f64)
    }

    /// Bytes of log so far.
    pub(super) async fn log(&mut self) -> Result<f64, DbError> {
        self.number("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").await
    }

    /// From here on all can be taken back, by [`Desk::back`].
    pub(super) async fn mark(&mut self) -> Result<(), DbError> {
        self.bare("savepoint lockkeeper_mark").await.map(drop)
    }

    /// Takes back all since [`Desk::mark`].
    pub(super) async fn back(&mut self) -> Result<(), DbError> {
        self.bare("rollback to savepoint lockkeeper_mark; release savepoint lockkeeper_mark")
            .await
            .map(drop)
    }

    /// Keeps all since [`Desk::mark`].
    pub(super) async fn keep(&mut self) -> Result<(), DbError> {
        self.bare("release savepoint lockkeeper_mark").await.map(drop)
    }

    /// From here on all of a step can be taken back, also when it has failed, by [`Desk::back_to_step`].
    pub(super) async fn mark_step(&mut self) -> Result<(), DbError> {
        self.bare("savepoint lockkeeper_step").await.map(drop)
    }

    /// Takes back all since [`Desk::mark_step`].
    pub(super) async fn back_to_step(&mut self) -> Result<(), DbError> {
        self.bare("rollback to savepoint lockkeeper_step; release savepoint lockkeeper_step")
            .await
            .map(drop)
    }

    /// Keeps all since [`Desk::mark_step`].
    pub(super) async fn keep_step(&mut self) -> Result<(), DbError> {
        self.bare("release savepoint lockkeeper_step").await.map(drop)
    }

    /// A statement of the user's, under a savepoint of its own. What fails is taken back.
    pub(super) async fn within(&mut self, limit: Duration, sql: &str) -> Result<Ended, DbError> {
        self.mark().await?;
        self.limit(Some(limit)).await?;
        let began = Instant::now();
        let done = self.bare(sql).await;
        let took = began.elapsed();
        match done {
            Ok(_) => {
                self.limit(None).await?;
                self.keep().await?;
                Ok(Ended::Done(took.as_secs_f64()))
            }
            Err(error) if error.is_lost() || self.stop.is_requested() => Err(error),
            Err(error) => {
                self.back().await?;
                match error.kind {
                    // The server counts in whole milliseconds, and by another clock.
                    ErrorKind::Cancelled if took + CLOCKS >= limit => Ok(Ended::OutOfTime),
                    _ => Ok(Ended::Failed(error)),
                }
            }
        }
    }

    /// For how long a statement may run; `None` for as long as the session says.
    pub(super) async fn limit(&mut self, limit: Option<Duration>) -> Result<(), DbError> {
        let value = match limit {
            Some(limit) => limit.as_millis().max(1).to_string(),
            None => "default".to_owned(),
        };
        self.bare(&format!("set local statement_timeout to {value}")).await.map(drop)
    }

    /// Rolls all of it back, whatever was asked for meanwhile.
    pub(super) async fn leave(mut self) -> Result<(), DbError> {
        self.session.bare("rollback").await.map(drop)
    }
}
