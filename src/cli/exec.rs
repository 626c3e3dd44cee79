//! `exec`: any migration tool, under the run lock.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::child::Reaper;
use crate::db::{ConnectOptions, DbError};
use crate::error::{Error, Exit};
use crate::foreign::{self, Outcome, Tool};
use crate::http::Streams;
use crate::ledger::Identity;
use crate::progress::{Event, Reporter};
use crate::runner::RunError;
use crate::stop::Stop;
use crate::terminal::{self, Face, LogFormat};

use super::connection::Connection;
use super::in_task::{InTask, RELEASE};
use super::listen::{self, Address, Server};
use super::signals;

/// Run another migration tool under the lock, and show what the database shows of it
#[derive(Debug, Args)]
pub struct Exec {
    /// How long to wait while another run holds the lock
    #[arg(long, env = "LOCKKEEPER_LOCK_WAIT", value_name = "TIME", default_value = "10m",
          value_parser = super::duration)]
    lock_wait: Duration,
    /// Serve /alive, /ready, /progress, /events, /metrics and a page here, such as 0.0.0.0:9002; of a
    /// name, at each of its addresses
    #[arg(long, env = "LOCKKEEPER_LISTEN", value_name = "ADDR", value_parser = listen::address)]
    listen: Option<Address>,
    /// How long to go on answering there after the end, for others that wait for it; SIGTERM ends it
    #[arg(long, env = "LOCKKEEPER_LINGER", value_name = "TIME", default_value = "0s",
          value_parser = super::duration, requires = "listen")]
    linger: Duration,
    /// How long after SIGTERM the process may live; keep it below the container's stop timeout
    #[arg(long, env = "LOCKKEEPER_STOP_TIMEOUT", value_name = "TIME", default_value = "25s",
          value_parser = super::duration)]
    stop_timeout: Duration,
    /// Text for people, or JSON lines
    #[arg(long, env = "LOCKKEEPER_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
    #[command(flatten)]
    connection: Connection,
    /// The tool and its arguments: `-- alembic upgrade head`
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Exec {
    /// Whether standard error is to carry JSON lines of ours; what the tool writes goes there too.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Runs it.
    ///
    /// # Errors
    /// What kept it from its begin; it tells by itself what ended it.
    pub async fn run(self) -> Result<Exit, Error> {
        let options = self.connection.options()?;
        let reaper = Reaper::start().map_err(|source| Error::Io {
            what: "can't listen for signals".to_owned(),
            source,
            next: "run it where a process may handle signals",
        })?;
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        let given_up = signals::watch(stop.clone(), reporter.clone(), self.stop_timeout)?;
        let server = match &self.listen {
            Some(address) => {
                let streams = Streams::default();
                Server::start(address, &reporter, &progress, None, &stop, &streams).await?
            }
            None => None,
        };
        let face = terminal::start(progress.clone(), Face::stderr(self.log_format));
        InTask::heed(&reporter, &stop);
        let task = InTask::enter(&reporter, &progress).await;
        let identity = task.identity();
        reporter.emit(Event::Started { run: identity.run.clone() });
        let result = tokio::select! {
            biased;
            result = self.supervise(&options, identity, &reaper, &reporter, &stop) => result,
            // The sentinel does what is left to do.
            reason = given_up => Err(RunError::Stopped { reason }.into()),
        };
        reporter.emit(self.end(&result, &stop));
        task.leave(RELEASE).await;
        face.finish().await;
        let exit = match result {
            Ok(outcome) => Exit::Of(outcome.code()),
            // The face has said it. The tool may have ended, but not all that it has left; and 0 would say
            // that it was done.
            Err(Error::Run(RunError::Stopped { .. })) => {
                let exit = progress.borrow().own_tool().and_then(|tool| tool.exit);
                exit.filter(|code| *code != 0).map_or(Exit::Interrupted, Exit::Of)
            }
            Err(error) => super::tell(&error, self.logs_json()),
        };
        if let Some(server) = server {
            stop.sleep(self.linger).await;
            server.stop().await;
        }
        Ok(exit)
    }

    async fn supervise(
        &self,
        options: &ConnectOptions,
        identity: Identity,
        reaper: &Arc<Reaper>,
        reporter: &Reporter,
        stop: &Stop,
    ) -> Result<Outcome, Error> {
        if options.makes_a_file() {
            reporter.emit(Event::NewFile);
        }
        let unreachable = |error: &DbError| {
            reporter.emit(Event::Unreachable { reason: error.to_string() });
        };
        let database = tokio::select! {
            database = self.connection.connect(unreachable) => database?,
            () = stop.requested() => {
                return Err(RunError::Stopped { reason: stop.reason().to_owned() }.into());
            }
        };
        reporter.emit(Event::Connected { database: database.description().to_owned() });
        let settings = foreign::Settings {
            identity,
            lock_wait: self.lock_wait,
            connection: self.connection.environment(),
            mark: None,
        };
        let command = &self.command;
        let tool = Tool { database, command, settings: &settings, reaper, reporter, stop };
        Ok(tool.run().await?)
    }

    /// How the end is reported.
    fn end(&self, result: &Result<Outcome, Error>, stop: &Stop) -> Event {
        match result {
            Ok(outcome) if outcome.code() == 0 => Event::Finished,
            Ok(_) if stop.is_requested() => Event::Interrupted { reason: stop.reason().to_owned() },
            Ok(outcome) => {
                Event::Failed { error: format!("it ended with exit code {}", outcome.code()) }
            }
            Err(Error::Run(error)) => error.event(),
            Err(error) => Event::Failed { error: error.outline() },
        }
    }
}
