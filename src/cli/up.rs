//! `up`: apply what is pending.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::oneshot;

use crate::db::{ConnectOptions, Database, DbError, Engine};
use crate::error::{Error, Exit};
use crate::http::Operator;
use crate::migration::Catalog;
use crate::progress::{Event, Reporter};
use crate::runner::{Ahead, Run, RunError, Settings};
use crate::stop::Stop;
use crate::terminal::{self, Face, LogFormat};

use super::connection::{Connection, named_variable};
use super::in_task::InTask;
use super::listen::{self, Address, Server};
use super::throttles::Throttles;
use super::{AutoBatch, Files, PhaseChoice, signals};

/// A token that could be guessed is none.
const SHORTEST_TOKEN: usize = 16;

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
    /// While another run is at work, help it with its backfills
    #[arg(long, env = "LOCKKEEPER_JOIN", value_parser = super::flag())]
    join: bool,
    /// How long to try to reach a database again that is lost while the run is at work
    #[arg(long, env = "LOCKKEEPER_RECONNECT_TIMEOUT", value_name = "TIME", default_value = "2m",
          value_parser = super::duration)]
    reconnect_timeout: Duration,
    /// Serve /alive, /ready, /progress, /events, /metrics and a page here, such as 0.0.0.0:9002; of a
    /// name, at each of its addresses
    #[arg(long, env = "LOCKKEEPER_LISTEN", value_name = "ADDR", value_parser = listen::address)]
    listen: Option<Address>,
    /// The environment variable that holds a token, with which pausing and the like can be asked for
    /// there
    #[arg(long, env = "LOCKKEEPER_HTTP_TOKEN_ENV", value_name = "NAME", requires = "listen")]
    http_token_env: Option<String>,
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
    #[command(flatten)]
    auto_batch: AutoBatch,
    #[command(flatten)]
    throttles: Throttles,
    #[command(flatten)]
    connection: Connection,
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
        let options = self.connection.options()?;
        let limits = self.throttles.limits(&self.connection, options.engine)?;
        if self.join && options.engine == Engine::Sqlite {
            return Err(Error::Usage {
                message: "nobody can help on SQLite, which has one writer at a time".to_owned(),
                next: "leave --join out".to_owned(),
            });
        }
        let (reporter, progress) = Reporter::new();
        let stop = Stop::default();
        let given_up = signals::watch(stop.clone(), reporter.clone(), self.stop_timeout)?;
        let operator = self.operator()?;
        let server = match &self.listen {
            Some(address) => {
                Server::start(address, &reporter, &progress, operator.clone(), &stop).await?
            }
            None => None,
        };
        let face = terminal::start(progress.clone(), Face::stderr(self.log_format));
        let task = InTask::enter(&reporter, &progress, &stop).await;
        let settings = Settings {
            selection: self.files.selection(self.phase),
            lock_wait: self.lock_wait,
            joins: self.join,
            reconnect: self.reconnect_timeout,
            auto_batch: self.auto_batch.rows(),
            identity: task.identity(),
            limits,
        };
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
        task.leave().await;
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
            both = self.read_and_connect(options, reporter) => both?,
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

    /// Reads the files, and meanwhile connects and reads the history: either takes as long as the
    /// other where there are a thousand files. A file's fault is told first, whichever is found
    /// first, and nothing is told before it. On SQLite, which is quick, the one comes after the other,
    /// so that no database is made for files that can't be used.
    async fn read_and_connect(
        &self,
        options: &ConnectOptions,
        reporter: &Reporter,
    ) -> Result<(Catalog, (Arc<dyn Database>, Ahead)), Error> {
        let (dir, dialect) = (self.files.dir.clone(), options.engine.dialect());
        let reading = tokio::task::spawn_blocking(move || Catalog::read(&dir, dialect));
        let catalog = async {
            match reading.await {
                Ok(catalog) => Ok::<_, Error>(catalog?),
                // A panic goes on where its result was wanted.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        };
        let (reached, database) = oneshot::channel();
        // Before anything can have made it.
        let is_new = options.makes_a_file();
        let told = async {
            // Of a connection that failed nothing comes, and its own error is told.
            if let Ok(database) = database.await {
                if is_new {
                    reporter.emit(Event::NewFile);
                }
                reporter.emit(Event::Connected { database });
            }
        };
        let connected = async move {
            let unreachable = |error: &DbError| {
                reporter.emit(Event::Unreachable { reason: error.to_string() });
            };
            let database = self.connection.connect(unreachable).await?;
            // Nobody listens where a file is at fault.
            let _ = reached.send(database.description().to_owned());
            let ahead = Ahead::read(database.as_ref()).await?;
            Ok::<_, Error>((database, ahead))
        };
        if options.engine == Engine::Sqlite {
            let catalog = catalog.await?;
            let (connected, ()) = tokio::join!(connected, told);
            return Ok((catalog, connected?));
        }
        let known = async {
            let catalog = catalog.await?;
            told.await;
            Ok::<_, Error>(catalog)
        };
        let (catalog, connected) = tokio::try_join!(known, async { Ok(connected.await) })?;
        Ok((catalog, connected?))
    }

    /// Who may ask over HTTP, where the token is set.
    fn operator(&self) -> Result<Option<Operator>, Error> {
        let Some(name) = &self.http_token_env else { return Ok(None) };
        let token = named_variable("--http-token-env", name)?;
        // A secret that comes from a file ends with a line break, which no header can have.
        let token = token.trim();
        let fault = match token {
            token if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                "has other characters than visible ASCII".to_owned()
            }
            token if token.len() < SHORTEST_TOKEN => {
                format!("is shorter than {SHORTEST_TOKEN} characters")
            }
            token => return Ok(Some(Operator::with(token))),
        };
        Err(Error::Usage {
            message: format!("the token in {name} {fault}"),
            next: "make a random one: openssl rand -hex 32".to_owned(),
        })
    }
}
