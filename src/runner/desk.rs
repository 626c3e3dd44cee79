//! Where an operator's requests are handed in, whichever way they come.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::db::{Database, DbError, Engine, Purpose, Session};
use crate::ledger::{Ledger, LedgerError, RunRecord};
use crate::migration::MOST_WORKERS;

use super::lock::holder;
use super::{Leader, RunError, leader};

/// How often an abort looks who is at work: before it is written, after that, and once more where that
/// was another run by then.
const LOOKS: usize = 3;
/// How long it waits for one that has ended.
const MOMENT: Duration = Duration::from_millis(100);

/// Why something can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is no place for it yet.
    #[error("no run of this version of lockkeeper has worked on this database yet")]
    NoLedger,
    /// There is nobody to end.
    #[error("no run is at work that could be aborted")]
    NobodyAtWork,
    /// More workers than it can have.
    #[error("SQLite has one writer at a time, and so one worker")]
    OneWriter,
    /// It has the lock, and hasn't entered yet who it is.
    #[error("a run has just taken the lock, and isn't known by its name yet")]
    NotYetKnown,
    /// As for any run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<DbError> for DeskError {
    fn from(error: DbError) -> Self {
        RunError::from(error).into()
    }
}

impl From<LedgerError> for DeskError {
    fn from(error: LedgerError) -> Self {
        RunError::from(error).into()
    }
}

impl DeskError {
    /// The way out, where it is one of the operator's own.
    pub fn next(&self) -> Option<&'static str> {
        match self {
            DeskError::NoLedger => Some("ask again when `lockkeeper up` is at work"),
            DeskError::NobodyAtWork => Some("`lockkeeper pause` keeps the next one from working"),
            DeskError::OneWriter => Some("nothing: a backfill works there as fast as it can"),
            DeskError::NotYetKnown => Some("ask again in a moment"),
            DeskError::Run(_) => None,
        }
    }
}

/// Rows per second as an operator writes it, `off` among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRate(pub Option<u32>);

impl FromStr for RowRate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "off" => Ok(RowRate(None)),
            Ok(rows) if rows > 0 => Ok(RowRate(Some(rows))),
            _ => Err("a rate is a number of rows per second from 1 on, or `off`"),
        }
    }
}

/// A number of workers as an operator writes it, `off` among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerCount(pub Option<u32>);

impl FromStr for WorkerCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "off" => Ok(WorkerCount(None)),
            Ok(count) if (1..=MOST_WORKERS).contains(&count) => Ok(WorkerCount(Some(count))),
            _ => Err(format!("workers are a number from 1 to {MOST_WORKERS}, or `off`")),
        }
    }
}

/// Where an operator's requests are handed in.
pub struct Desk {
    database: Arc<dyn Database>,
    session: Box<dyn Session>,
    ledger: Ledger,
    by: String,
}

impl Desk {
    /// Opens a session for who asks: `alice on desk-7`.
    ///
    /// # Errors
    /// [`DeskError::NoLedger`], and the database's.
    pub async fn open(database: Arc<dyn Database>, by: String) -> Result<Self, DeskError> {
        let mut session = database.session(Purpose::Watch).await?;
        let ledger = Ledger::of(database.as_ref());
        match ledger.takes_requests(session.as_mut()).await? {
            true => Ok(Desk { database, session, ledger, by }),
            false => Err(DeskError::NoLedger),
        }
    }

    /// Asks to pause. Returns who is at work.
    ///
    /// # Errors
    /// The database's.
    pub async fn pause(&mut self) -> Result<Leader, DeskError> {
        self.ledger.ask_pause(self.session.as_mut(), &self.by).await?;
        self.leader().await
    }

    /// Takes a pause back. Returns who is at work, or `None` where nothing was paused.
    ///
    /// # Errors
    /// The database's.
    pub async fn resume(&mut self) -> Result<Option<Leader>, DeskError> {
        match self.ledger.ask_resume(self.session.as_mut()).await? {
            true => Ok(Some(self.leader().await?)),
            false => Ok(None),
        }
    }

    /// Asks for no more than so many rows per second, or takes that back.
    ///
    /// # Errors
    /// The database's.
    pub async fn rate(&mut self, RowRate(rows): RowRate) -> Result<(), DeskError> {
        Ok(self.ledger.ask_rate(self.session.as_mut(), rows, &self.by).await?)
    }

    /// Asks for so many workers in every backfill, or takes that back.
    ///
    /// # Errors
    /// [`DeskError::OneWriter`], and the database's.
    pub async fn workers(&mut self, WorkerCount(count): WorkerCount) -> Result<(), DeskError> {
        let has_one = self.database.dialect().engine == Engine::Sqlite;
        if has_one && count.is_some_and(|count| count > 1) {
            return Err(DeskError::OneWriter);
        }
        Ok(self.ledger.ask_workers(self.session.as_mut(), count, &self.by).await?)
    }

    /// Asks the run at work to end, and returns which that is.
    ///
    /// # Errors
    /// [`DeskError::NobodyAtWork`], [`DeskError::NotYetKnown`], and the database's.
    pub async fn abort(&mut self) -> Result<Leader, DeskError> {
        let mut asked: Option<RunRecord> = None;
        // Who has ended meanwhile has a successor, perhaps, and that one is meant then.
        for _ in 0..LOOKS {
            if !self.database.is_locked(self.session.as_mut()).await? {
                let ended = asked.map(|record| Leader::Running(Some(holder(record))));
                return ended.ok_or(DeskError::NobodyAtWork);
            }
            let Some(record) = self.ledger.leader(self.session.as_mut()).await? else {
                if asked.is_none() {
                    return Err(DeskError::NotYetKnown);
                }
                // It has ended, and is about to give the lock back; or its successor has it already.
                tokio::time::sleep(MOMENT).await;
                continue;
            };
            if asked.as_ref().is_some_and(|asked| asked.epoch == record.epoch) {
                return Ok(Leader::Running(Some(holder(record))));
            }
            self.ledger.ask_abort(self.session.as_mut(), record.epoch, &self.by).await?;
            asked = Some(record);
        }
        asked.map(|record| Leader::Running(Some(holder(record)))).ok_or(DeskError::NotYetKnown)
    }

    async fn leader(&mut self) -> Result<Leader, DeskError> {
        Ok(leader(self.database.as_ref(), self.session.as_mut()).await?)
    }
}
