//! `exec`: any migration tool, under the run lock.

use std::ffi::OsString;
use std::sync::Arc;

use clap::Args;

use crate::child::Reaper;
use crate::db::{ConnectOptions, DbError};
use crate::error::{Error, Exit};
use crate::foreign::{self, Outcome, Tool};
use crate::ledger::Identity;
use crate::progress::{Event, Reporter};
use crate::runner::RunError;
use crate::stop::Stop;

use super::connection::Connection;
use super::signals;
use super::watched::Watched;

/// Run another migration tool under the lock, and show what the database shows of it
#[derive(Debug, Args)]
pub struct Exec {
    #[command(flatten)]
    watched: Watched,
    #[command(flatten)]
    connection: Connection,
    /// The tool and its arguments: `-- alembic upgrade head`
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Exec {
    /// Whether standard error is to carry JSON lines of ours; what the tool writes goes there too.
    pub fn logs_json(&self) -> bool {
        self.watched.logs_json()
    }

    /// Runs it.
    ///
    /// # Errors
    /// What kept it from its begin; it tells by itself what ended it.
    pub async fn run(self) -> Result<Exit, Error> {
        let options = self.connection.options()?;
        let reaper = Reaper::start().map_err(signals::unheard)?;
        let mut scene = self.watched.begin(None).await?;
        let (reporter, stop) = (scene.reporter.clone(), scene.stop.clone());
        let identity = scene.task.identity();
        reporter.emit(Event::Started { run: identity.run.clone() });
        // Where it is given up, the sentinel does what is left to do.
        let result =
            scene.play(self.supervise(&options, identity, &reaper, &reporter, &stop)).await;
        reporter.emit(self.end(&result, &stop));
        let progress = scene.progress.clone();
        let last_words = || match result {
            Ok(outcome) => Exit::Of(outcome.code()),
            // The face has said it. The tool may have ended, but not all that it has left; and 0 would say
            // that it was done.
            Err(Error::Run(RunError::Stopped { .. })) => {
                let exit = progress.borrow().own_tool().and_then(|tool| tool.exit);
                exit.filter(|code| *code != 0).map_or(Exit::Interrupted, Exit::Of)
            }
            Err(error) => super::tell(&error, self.logs_json()),
        };
        Ok(scene.end(last_words).await)
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
            lock_wait: self.watched.lock_wait,
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
