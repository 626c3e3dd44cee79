//! `up`: apply what is pending.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Exit};
use crate::http;
use crate::migration::Catalog;
use crate::progress::{Event, Progress, Reporter};
use crate::runner::{Run, Settings};
use crate::stop::Stop;
use crate::terminal::{self, Face, LogFormat};

use super::connection::Connection;
use super::{Files, PhaseChoice, identity, signals};

/// Apply what is pending
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    files: Files,
    /// Which migrations: before the rollout, after it, or both
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "all")]
    phase: PhaseChoice,
    /// How long to wait while another run holds the lock
    #[arg(long, env = "LOCKKEEPER_LOCK_WAIT", value_name = "TIME", default_value = "10m",
          value_parser = super::duration)]
    lock_wait: Duration,
    /// Serve /alive, /ready, /progress, /events, /metrics and a page here, such as 0.0.0.0:9002
    #[arg(long, env = "LOCKKEEPER_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How long after SIGTERM the process may live; keep it below the container's stop timeout
    #[arg(long, env = "LOCKKEEPER_STOP_TIMEOUT", value_name = "TIME", default_value = "25s",
          value_parser = super::duration)]
    stop_timeout: Duration,
    /// Bars on a terminal and lines elsewhere, always lines, or JSON lines
    #[arg(long, env = "LOCKKEEPER_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
    #[command(flatten)]
    connection: Connection,
}

impl Up {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever ended the run.
    pub async fn run(self) -> Result<Exit, Error> {
        let options = self.connection.options()?;
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        signals::watch(stop.clone(), reporter.clone(), self.stop_timeout)?;
        let server = self.listen(progress.clone()).await?;
        let face = terminal::start(progress, Face::stderr(self.log_format));
        let settings = Settings {
            selection: self.files.selection(self.phase),
            lock_wait: self.lock_wait,
            identity: identity(),
        };
        reporter.emit(Event::Started { run: settings.identity.run.clone() });
        let dialect = options.engine.dialect();
        let result = match Catalog::read(&self.files.dir, dialect) {
            Ok(catalog) => self.migrate(&catalog, &settings, &reporter, &stop).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = &result {
            reporter.emit(Event::Failed { error: error.to_string() });
        }
        face.finish().await;
        if let Some(server) = server {
            server.stop().await;
        }
        result.map(|_| Exit::Done)
    }

    async fn migrate(
        &self,
        catalog: &Catalog,
        settings: &Settings,
        reporter: &Reporter,
        stop: &Stop,
    ) -> Result<u64, Error> {
        let database = tokio::select! {
            database = self.connection.connect(reporter) => database?,
            () = stop.requested() => {
                let reason = stop.reason().to_owned();
                return Err(crate::runner::RunError::Stopped { reason }.into());
            }
        };
        Ok(Run { database, catalog, settings, reporter, stop }.up().await?)
    }

    async fn listen(&self, progress: Receiver<Progress>) -> Result<Option<Server>, Error> {
        let Some(address) = self.listen else { return Ok(None) };
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| Error::Listen { address: address.to_string(), source })?;
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(http::serve(listener, progress, shutdown.clone()));
        Ok(Some(Server { shutdown, task }))
    }
}

struct Server {
    shutdown: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Lets the open answers end, the event streams with the last state among them.
    async fn stop(self) {
        self.shutdown.cancel();
        // An answer that a client doesn't fetch mustn't hold up the exit.
        tokio::time::timeout(Duration::from_secs(1), self.task).await.ok();
    }
}
