//! `pause`, `resume`, `abort`, `rate`: what an operator asks of a run, by way of the database.

use clap::Args;

use crate::db::{Database, Purpose, Session};
use crate::error::{Error, Exit};
use crate::ledger::{Ledger, LedgerError};
use crate::progress::Holder;
use crate::runner::{Leader, RunError, leader};

use super::connection::Connection;
use super::print;

/// Hold the run at work, and those that follow, between two batches or steps
#[derive(Debug, Args)]
pub struct Pause {
    #[command(flatten)]
    connection: Connection,
}

/// Take `pause` back
#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    connection: Connection,
}

/// End the run at work; the next one goes on from there
#[derive(Debug, Args)]
pub struct Abort {
    #[command(flatten)]
    connection: Connection,
}

/// Let backfills do no more than so many rows per second, in all runs
#[derive(Debug, Args)]
pub struct Rate {
    /// Rows per second over all workers, or `off`
    #[arg(value_name = "ROWS", value_parser = rate)]
    rows: RowRate,
    #[command(flatten)]
    connection: Connection,
}

/// A rate on the command line.
#[derive(Debug, Clone, Copy)]
struct RowRate(Option<u32>);

fn rate(text: &str) -> Result<RowRate, &'static str> {
    match text.parse() {
        _ if text == "off" => Ok(RowRate(None)),
        Ok(rows) if rows > 0 => Ok(RowRate(Some(rows))),
        _ => Err("a rate is a number of rows per second from 1 on, or `off`"),
    }
}

impl Pause {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be asked.
    pub async fn run(self) -> Result<Exit, Error> {
        let mut desk = Desk::open(&self.connection).await?;
        desk.ledger.ask_pause(desk.session.as_mut(), &who()).await.map_err(asking)?;
        let said = match desk.leader().await? {
            Some(run) => format!("{run} pauses as soon as the open batch or step has ended"),
            None => "no run is at work: the next one waits".to_owned(),
        };
        print(&format!("{said}; `lockkeeper resume` lets it go on\n"))?;
        Ok(Exit::Done)
    }
}

impl Resume {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be asked.
    pub async fn run(self) -> Result<Exit, Error> {
        let mut desk = Desk::open(&self.connection).await?;
        let was = desk.ledger.ask_resume(desk.session.as_mut()).await.map_err(asking)?;
        let said = match (was, desk.leader().await?) {
            (false, _) => "nothing was paused".to_owned(),
            (true, Some(run)) => format!("{run} goes on"),
            (true, None) => "no run is at work: the next one won't wait".to_owned(),
        };
        print(&format!("{said}\n"))?;
        Ok(Exit::Done)
    }
}

impl Abort {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be asked, or no run is at work.
    pub async fn run(self) -> Result<Exit, Error> {
        let mut desk = Desk::open(&self.connection).await?;
        let run = desk.leader().await?;
        let ended = desk.ledger.leader(desk.session.as_mut()).await.map_err(asking)?;
        let (Some(run), Some(record)) = (run, ended) else {
            return Err(Error::Request {
                message: "no run is at work that could be aborted".to_owned(),
                next: "`lockkeeper pause` keeps the next one from working",
            });
        };
        let session = desk.session.as_mut();
        desk.ledger.ask_abort(session, record.epoch, &who()).await.map_err(asking)?;
        print(&format!("{run} ends; `lockkeeper up` goes on from there\n"))?;
        Ok(Exit::Done)
    }
}

impl Rate {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be asked.
    pub async fn run(self) -> Result<Exit, Error> {
        let mut desk = Desk::open(&self.connection).await?;
        let RowRate(rows) = self.rows;
        desk.ledger.ask_rate(desk.session.as_mut(), rows, &who()).await.map_err(asking)?;
        print(&match rows {
            Some(rows) => format!("backfills do no more than {rows} rows/s from now on\n"),
            None => "backfills are as fast as they can be from now on\n".to_owned(),
        })?;
        Ok(Exit::Done)
    }
}

/// Where requests are handed in.
struct Desk {
    database: std::sync::Arc<dyn Database>,
    session: Box<dyn Session>,
    ledger: Ledger,
}

impl Desk {
    async fn open(connection: &Connection) -> Result<Self, Error> {
        let database = connection.reach(false).await?;
        let mut session = database.session(Purpose::Watch).await?;
        let ledger = Ledger::of(database.as_ref());
        if !ledger.takes_requests(session.as_mut()).await.map_err(asking)? {
            return Err(Error::Request {
                message: "no run of this version of lockkeeper has worked on this database yet"
                    .to_owned(),
                next: "ask again when `lockkeeper up` is at work",
            });
        }
        Ok(Desk { database, session, ledger })
    }

    /// The run at work: `run 7f3c on task-1 (process 7)`.
    async fn leader(&mut self) -> Result<Option<String>, Error> {
        Ok(match leader(self.database.as_ref(), self.session.as_mut()).await? {
            Leader::Nobody => None,
            Leader::Running(None) => Some("the run at work".to_owned()),
            Leader::Running(Some(Holder { run, host, pid, .. })) => {
                Some(format!("run {run} on {host} (process {pid})"))
            }
        })
    }
}

fn asking(error: LedgerError) -> Error {
    RunError::from(error).into()
}

/// `alice on desk-7`.
fn who() -> String {
    let host = super::identity().host;
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    match user.filter(|user| !user.is_empty()) {
        Some(user) => format!("{user} on {host}"),
        None => format!("somebody on {host}"),
    }
}
