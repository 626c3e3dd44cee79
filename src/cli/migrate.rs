//! What commands that migrate have in common: the options of a run, and the way to its begin.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::oneshot;

use crate::db::{ConnectOptions, Database, DbError, Engine};
use crate::error::Error;
use crate::http::Operator;
use crate::ledger::Identity;
use crate::migration::Catalog;
use crate::progress::{Event, Reporter};
use crate::runner::{Ahead, Settings};

use super::connection::{Connection, named_variable};
use super::throttles::Throttles;
use super::{AutoBatch, Files, PhaseChoice};

/// A token that could be guessed is none.
const SHORTEST_TOKEN: usize = 16;

/// How a run goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Migrations")]
pub struct Migrate {
    #[command(flatten)]
    pub files: Files,
    /// While another run is at work, help it with its backfills
    #[arg(long, env = "LOCKKEEPER_JOIN", value_parser = super::flag())]
    join: bool,
    /// How long to try to reach a database again that is lost while the run is at work
    #[arg(long, env = "LOCKKEEPER_RECONNECT_TIMEOUT", value_name = "TIME", default_value = "2m",
          value_parser = super::duration)]
    reconnect_timeout: Duration,
    /// The environment variable that holds a token, with which pausing and the like can be asked for
    /// over HTTP
    #[arg(long, env = "LOCKKEEPER_HTTP_TOKEN_ENV", value_name = "NAME")]
    http_token_env: Option<String>,
    #[command(flatten)]
    auto_batch: AutoBatch,
    #[command(flatten)]
    throttles: Throttles,
    #[command(flatten)]
    pub connection: Connection,
}

impl Migrate {
    /// What the run is told.
    ///
    /// # Errors
    /// [`Error::Usage`] where the options don't fit this engine.
    pub fn settings(
        &self,
        options: &ConnectOptions,
        phase: PhaseChoice,
        lock_wait: Duration,
        identity: Identity,
    ) -> Result<Settings, Error> {
        if self.join && options.engine == Engine::Sqlite {
            return Err(Error::Usage {
                message: "nobody can help on SQLite, which has one writer at a time".to_owned(),
                next: "leave --join out".to_owned(),
            });
        }
        Ok(Settings {
            selection: self.files.selection(phase),
            lock_wait,
            joins: self.join,
            reconnect: self.reconnect_timeout,
            auto_batch: self.auto_batch.rows(),
            estimates: Vec::new(),
            identity,
            limits: self.throttles.limits(&self.connection, options.engine)?,
        })
    }

    /// Reads the files, and meanwhile connects and reads the history: either takes as long as the
    /// other where there are a thousand files. A file's fault is told first, whichever is found
    /// first, and nothing is told before it. On SQLite, which is quick, the one comes after the other,
    /// so that no database is made for files that can't be used.
    ///
    /// # Errors
    /// The files', and the connection's.
    pub async fn read_and_connect(
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
        let connected = self.reached(reporter, reached);
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

    /// Connects, where no files are needed.
    ///
    /// # Errors
    /// The connection's.
    pub async fn connect(&self, reporter: &Reporter) -> Result<(Arc<dyn Database>, Ahead), Error> {
        let (reached, _) = oneshot::channel();
        let (database, ahead) = self.reached(reporter, reached).await?;
        reporter.emit(Event::Connected { database: database.description().to_owned() });
        Ok((database, ahead))
    }

    async fn reached(
        &self,
        reporter: &Reporter,
        reached: oneshot::Sender<String>,
    ) -> Result<(Arc<dyn Database>, Ahead), Error> {
        let unreachable = |error: &DbError| {
            reporter.emit(Event::Unreachable { reason: error.to_string() });
        };
        let database = self.connection.connect(unreachable).await?;
        // Nobody listens where a file is at fault.
        let _ = reached.send(database.description().to_owned());
        let ahead = Ahead::read(database.as_ref()).await?;
        Ok((database, ahead))
    }

    /// The variable that holds the token.
    pub fn http_token_env(&self) -> Option<&str> {
        self.http_token_env.as_deref()
    }

    /// Who may ask over HTTP, where the token is set.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is none.
    pub fn operator(&self) -> Result<Option<Operator>, Error> {
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
