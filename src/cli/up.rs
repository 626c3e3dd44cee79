//! `up`: apply what is pending.

use std::time::Duration;

use clap::Args;

use crate::db::ConnectOptions;
use crate::error::{Error, Exit};
use crate::http::{Operator, Streams};
use crate::progress::{Event, Reporter};
use crate::runner::{Run, RunError, Settings};
use crate::stop::Stop;
use crate::terminal::{self, Face, LogFormat};

use super::in_task::{InTask, RELEASE};
use super::listen::{self, Address, Server};
use super::migrate::Migrate;
use super::{PhaseChoice, signals};

/// Apply what is pending
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    migrate: Migrate,
    /// Which migrations: before the rollout, after it, or both
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "all")]
    phase: PhaseChoice,
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
    /// Bars on a terminal and lines elsewhere, always lines, or JSON lines
    #[arg(long, env = "LOCKKEEPER_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
}

impl Up {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Runs it.
    ///
    /// # Errors
    /// What kept the run from its begin; it tells by itself what ended it.
    pub async fn run(self) -> Result<Exit, Error> {
        let options = self.migrate.connection.options()?;
        let settings =
            self.migrate.settings(&options, self.phase, self.lock_wait, super::identity())?;
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        let given_up = signals::watch(stop.clone(), reporter.clone(), self.stop_timeout)?;
        let operator = self.migrate.operator()?;
        if operator.is_some() && self.listen.is_none() {
            return Err(Error::Usage {
                message: "a token is of no use where nobody can ask".to_owned(),
                next: "give --listen an address too".to_owned(),
            });
        }
        let server = match &self.listen {
            Some(address) => {
                let (operator, streams) = (operator.clone(), Streams::default());
                Server::start(address, &reporter, &progress, operator, &stop, &streams).await?
            }
            None => None,
        };
        let face = terminal::start(progress.clone(), Face::stderr(self.log_format));
        let task = InTask::enter(&reporter, &progress).await;
        InTask::heed(&reporter, &stop);
        let settings = Settings { identity: task.identity(), ..settings };
        reporter.emit(Event::Started { run: settings.identity.run.clone() });
        let result = tokio::select! {
            biased;
            result = self.migrate(&options, &settings, &reporter, &stop, operator) => result,
            // Its connections close with it, and the servers roll back what is open.
            reason = given_up => Err(RunError::Stopped { reason }.into()),
        };
        // The run reports its own end; what fails before there is one, has to be reported here.
        if let Err(error) = &result
            && !progress.borrow().state.is_final()
        {
            reporter.emit(match error {
                Error::Run(error) => error.event(),
                error => Event::Failed { error: error.outline() },
            });
        }
        task.leave(RELEASE).await;
        face.finish().await;
        let exit = match result {
            Ok(_) => Exit::Done,
            // The face has said by what, how far it is, and what to do; more would be less.
            Err(Error::Run(RunError::Stopped { .. })) => Exit::Interrupted,
            // Now: the lingering may take an hour.
            Err(error) => super::tell(&error, self.logs_json()),
        };
        if let Some(server) = server {
            stop.sleep(self.linger).await;
            server.stop().await;
        }
        Ok(exit)
    }

    async fn migrate(
        &self,
        options: &ConnectOptions,
        settings: &Settings,
        reporter: &Reporter,
        stop: &Stop,
        operator: Option<Operator>,
    ) -> Result<u64, Error> {
        let (catalog, (database, ahead)) = tokio::select! {
            both = self.migrate.read_and_connect(options, reporter) => both?,
            () = stop.requested() => {
                let reason = stop.reason().to_owned();
                return Err(RunError::Stopped { reason }.into());
            }
        };
        if let Some(operator) = operator {
            operator.connected(&database);
        }
        Ok(Run { database, catalog: &catalog, settings, reporter, stop }.up(ahead).await?)
    }
}
