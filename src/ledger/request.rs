//! What operators ask of a run, from any machine that reaches the database.
//!
//! A request isn't a state: `pause` is asked for by a row, and *met* when the run at work enters its
//! epoch there. The rows lie in a table of their own, so that asking never waits for a script.

use std::time::{Duration, Instant};

use crate::db::{Session, Statement, Value};
use crate::history::now;

use super::{Ledger, LedgerError};

/// The first version of the ledger that has the table.
const SINCE: i64 = 4;
/// How long a request is tried to be written where something is in its way.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one try waits for it. On SQLite the file is free only for a moment between two batches,
/// and who sleeps longer than that in SQLite's own way may never meet one.
const ONE_TRY: Duration = Duration::from_millis(1);

const PAUSE: &str = "pause";
const RATE: &str = "rate";
const WORKERS: &str = "workers";
const ABORT: &str = "abort";

/// A request that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The rate in rows per second, the number of workers, or the epoch of the run that is to be
    /// aborted.
    pub value: Option<i64>,
    /// Who asked: `user on host`.
    pub asked_by: String,
    /// When, RFC 3339.
    pub asked_at: String,
    /// The epoch of the run that has met it.
    pub met_epoch: Option<i64>,
}

/// All requests that stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// To hold, until it is taken back. It outlives the run.
    pub pause: Option<Request>,
    /// To do no more than so many rows per second. It outlives the run.
    pub rate: Option<Request>,
    /// To work by so many sessions, whatever the files say. It outlives the run.
    pub workers: Option<Request>,
    /// To end the run of one epoch.
    pub abort: Option<Request>,
}

impl Ledger {
    /// Whether this database has a place for requests: not before a run of this version was at work.
    ///
    /// # Errors
    /// As [`Ledger::version`].
    pub async fn takes_requests(&self, session: &mut dyn Session) -> Result<bool, LedgerError> {
        Ok(self.version(session).await?.is_some_and(|version| version >= SINCE))
    }

    /// What is asked for, of a ledger that [takes requests](Ledger::takes_requests).
    ///
    /// # Errors
    /// The database's.
    pub async fn requests(&self, session: &mut dyn Session) -> Result<Requests, LedgerError> {
        let sql = self
            .sql("select name, value, asked_by, asked_at, met_epoch from [request] order by name");
        let mut requests = Requests::default();
        for row in session.query(&Statement::new(sql, Vec::new())).await? {
            let request = Request {
                value: row.optional_int(1)?,
                asked_by: row.text(2)?.to_owned(),
                asked_at: row.text(3)?.to_owned(),
                met_epoch: row.optional_int(4)?,
            };
            match row.text(0)? {
                PAUSE => requests.pause = Some(request),
                RATE => requests.rate = Some(request),
                WORKERS => requests.workers = Some(request),
                ABORT => requests.abort = Some(request),
                // A later version's, which is nothing that this one could do.
                _ => {}
            }
        }
        Ok(requests)
    }

    /// Asks to pause.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_pause(&self, session: &mut dyn Session, by: &str) -> Result<(), LedgerError> {
        self.ask(session, PAUSE, None, by).await
    }

    /// Takes a pause back. Whether there was one.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_resume(&self, session: &mut dyn Session) -> Result<bool, LedgerError> {
        self.take_back(session, PAUSE).await
    }

    /// Asks for no more than so many rows per second, or takes that back.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_rate(
        &self,
        session: &mut dyn Session,
        rate: Option<u32>,
        by: &str,
    ) -> Result<(), LedgerError> {
        match rate {
            Some(rate) => self.ask(session, RATE, Some(rate.into()), by).await,
            None => self.take_back(session, RATE).await.map(|_| ()),
        }
    }

    /// Asks for so many workers in every backfill, or takes that back.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_workers(
        &self,
        session: &mut dyn Session,
        count: Option<u32>,
        by: &str,
    ) -> Result<(), LedgerError> {
        match count {
            Some(count) => self.ask(session, WORKERS, Some(count.into()), by).await,
            None => self.take_back(session, WORKERS).await.map(|_| ()),
        }
    }

    /// Asks the run of this epoch to end. Its successor has another one, and isn't meant.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_abort(
        &self,
        session: &mut dyn Session,
        epoch: i64,
        by: &str,
    ) -> Result<(), LedgerError> {
        self.ask(session, ABORT, Some(epoch), by).await
    }

    /// Enters that the run of this epoch holds, as it was asked to.
    ///
    /// # Errors
    /// The database's.
    pub async fn meet_pause(
        &self,
        session: &mut dyn Session,
        epoch: i64,
    ) -> Result<(), LedgerError> {
        let sql = self.sql("update [request] set met_epoch = {1} where name = {2}");
        session.transact(&[Statement::new(sql, vec![epoch.into(), PAUSE.into()])]).await?;
        Ok(())
    }

    async fn ask(
        &self,
        session: &mut dyn Session,
        name: &str,
        value: Option<i64>,
        by: &str,
    ) -> Result<(), LedgerError> {
        let delete = self.sql("delete from [request] where name = {1}");
        let insert = self.sql(
            "insert into [request] (name, value, asked_by, asked_at) values ({1}, {2}, {3}, {4})",
        );
        let params: Vec<Value> = vec![name.into(), value.into(), by.into(), now().into()];
        let list = [Statement::new(delete, vec![name.into()]), Statement::new(insert, params)];
        self.write(session, &list).await.map(|_| ())
    }

    async fn take_back(&self, session: &mut dyn Session, name: &str) -> Result<bool, LedgerError> {
        let sql = self.sql("delete from [request] where name = {1}");
        let counts = self.write(session, &[Statement::new(sql, vec![name.into()])]).await?;
        Ok(counts.first().is_some_and(|count| *count > 0))
    }

    /// Writes as soon as the way is free. Of two who ask the same at one moment, one is refused as a
    /// duplicate, and its next try takes the place of the other's.
    async fn write(
        &self,
        session: &mut dyn Session,
        list: &[Statement],
    ) -> Result<Vec<u64>, LedgerError> {
        // A pooler may hand the server's session to an application afterwards, with all that was set
        // for longer than a transaction.
        let local = self.dialect.set_local_lock_timeout(ONE_TRY).map(Statement::script);
        let is_local = local.is_some();
        let whole: Vec<_> = local.into_iter().chain(list.iter().cloned()).collect();
        let started = Instant::now();
        if !is_local {
            session.bare(&self.dialect.set_lock_timeout(ONE_TRY)).await?;
        }
        loop {
            match session.transact(&whole).await {
                Err(error)
                    if (error.is_transient() || error.is_duplicate())
                        && started.elapsed() < PATIENCE =>
                {
                    tokio::time::sleep(ONE_TRY).await;
                }
                done => {
                    if !is_local {
                        // What was written stays written, and what failed has failed before this. A
                        // session that can't be set back isn't one that could be asked anything.
                        session.bare(self.dialect.reset_lock_timeout()).await.ok();
                    }
                    return Ok(done?.split_off(whole.len() - list.len()));
                }
            }
        }
    }
}
