//! `pause`, `resume`, `abort`, `rate`, `workers`: what an operator asks of a run, by way of the database.

use clap::Args;

use crate::error::{Error, Exit};
use crate::progress::Holder;
use crate::runner::{Desk, Leader, RowRate, WorkerCount};
use crate::terminal::format::one_line;

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
    #[arg(value_name = "ROWS")]
    rows: RowRate,
    #[command(flatten)]
    connection: Connection,
}

/// Let every backfill have so many workers, whatever its file says, in all runs
#[derive(Debug, Args)]
pub struct Workers {
    /// Sessions at work at once, in each process that works on the backfill, or `off`
    #[arg(value_name = "NUMBER")]
    count: WorkerCount,
    #[command(flatten)]
    connection: Connection,
}

impl Pause {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be asked.
    pub async fn run(self) -> Result<Exit, Error> {
        let said = match at_work(desk(&self.connection).await?.pause().await?) {
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
        let leader = desk(&self.connection).await?.resume().await?;
        let said = match leader.map(at_work) {
            None => "nothing was paused".to_owned(),
            Some(Some(run)) => format!("{run} goes on"),
            Some(None) => "no run is at work: the next one won't wait".to_owned(),
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
        let leader = desk(&self.connection).await?.abort().await?;
        let run = at_work(leader).unwrap_or_default();
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
        desk(&self.connection).await?.rate(self.rows).await?;
        print(&match self.rows {
            RowRate(Some(rows)) => format!("backfills do no more than {rows} rows/s from now on\n"),
            RowRate(None) => "backfills are as fast as they can be from now on\n".to_owned(),
        })?;
        Ok(Exit::Done)
    }
}

impl Workers {
    /// Runs it.
    ///
    /// # Errors
    /// When nothing can be asked, or SQLite is to have more than one.
    pub async fn run(self) -> Result<Exit, Error> {
        desk(&self.connection).await?.workers(self.count).await?;
        print(&match self.count {
            WorkerCount(Some(1)) => "backfills have one worker from now on\n".to_owned(),
            WorkerCount(Some(count)) => {
                format!("backfills have {count} workers from now on, or fewer under a load\n")
            }
            WorkerCount(None) => "backfills have as many workers as their files say\n".to_owned(),
        })?;
        Ok(Exit::Done)
    }
}

async fn desk(connection: &Connection) -> Result<Desk, Error> {
    let database = connection.reach(false).await?;
    Ok(Desk::open(database, who()).await?)
}

/// The run at work: `run 7f3c on task-1 (process 7)`.
fn at_work(leader: Leader) -> Option<String> {
    match leader {
        Leader::Nobody => None,
        Leader::Running(None) => Some("the run at work".to_owned()),
        Leader::Running(Some(Holder { run, host, pid, .. })) => {
            // What stands in the tables may be anybody's.
            let (run, host) = (one_line(&run), one_line(&host));
            Some(format!("run {run} on {host} (process {pid})"))
        }
    }
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
