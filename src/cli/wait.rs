//! `wait`: block until the schema is ready, then perhaps become another program.

mod instance;
mod reason;

use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::db::{Database, ErrorKind, Purpose, Session};
use crate::error::{Error, Exit};
use crate::history::History;
use crate::migration::{Catalog, Migration};
use crate::runner::RunError;
use crate::terminal::format::one_line;

use super::connection::Connection;
use super::signals::Signals;
use super::{Files, PhaseChoice};
use instance::Instance;
use reason::{Reason, Told};

/// Between two looks.
const POLL: Duration = Duration::from_millis(500);
/// What the last look may take beyond the timeout.
const LOOK: Duration = Duration::from_secs(1);

/// Wait until the schema is ready; takes no lock and writes nothing
#[derive(Debug, Args)]
pub struct Wait {
    #[command(flatten)]
    files: Files,
    /// Wait for this version instead of what the folder asks for
    #[arg(long, env = "LOCKKEEPER_VERSION", value_name = "VERSION", conflicts_with = "to",
          value_parser = super::version)]
    version: Option<i64>,
    /// Which migrations must be applied; the new release starts before the contract phase
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "expand")]
    phase: PhaseChoice,
    /// Ask another instance instead of the database: http://migrate:9002, or its /ready
    #[arg(long, env = "LOCKKEEPER_URL", value_name = "URL")]
    url: Option<String>,
    /// How long to wait
    #[arg(long, env = "LOCKKEEPER_WAIT_TIMEOUT", value_name = "TIME", default_value = "1h",
          value_parser = super::duration)]
    timeout: Duration,
    #[command(flatten)]
    connection: Connection,
    /// The program to become then
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Wait {
    /// Runs it.
    ///
    /// # Errors
    /// [`Error::NotReady`] when the time ran out, and [`RunError::Stopped`] by a signal.
    pub async fn run(self) -> Result<Exit, Error> {
        let mut signals = Signals::listen()?;
        tokio::select! {
            ready = self.until_ready() => ready?,
            name = signals.next() => {
                return Err(RunError::Stopped { reason: name.to_owned() }.into());
            }
        }
        let Some((program, arguments)) = self.command.split_first() else {
            return Ok(Exit::Done);
        };
        let source = std::process::Command::new(program).args(arguments).exec();
        Err(Error::File {
            what: format!("can't start {program}"),
            source,
            next: "look at the path behind `--`, and whether this user may run it",
        })
    }

    async fn until_ready(&self) -> Result<(), Error> {
        let started = Instant::now();
        match &self.url {
            Some(url) => self.ask_instance(url, started).await,
            None => self.ask_database(started).await,
        }
    }

    async fn ask_instance(&self, url: &str, started: Instant) -> Result<(), Error> {
        let Some(instance) = Instance::at(url) else {
            return Err(Error::Usage {
                message: "what is to be asked is no HTTP URL".to_owned(),
                next: "give --url the form http://HOST:PORT/ready".to_owned(),
            });
        };
        let mut told = Told::default();
        while let Some(reason) = instance.look(self.patience(started)).await {
            self.pause(started, &reason, &mut told).await?;
        }
        Ok(())
    }

    async fn ask_database(&self, started: Instant) -> Result<(), Error> {
        let wanted = self.wanted()?;
        let options = self.connection.options()?;
        let mut open = None;
        let mut told = Told::default();
        loop {
            let time = self.patience(started).min(self.connection.one_attempt().max(LOOK));
            // Before the look, which tells a file that isn't there from one that is no database.
            let is_missing = options.is_missing_file();
            let look = async {
                let open = match &mut open {
                    Some(open) => open,
                    None => {
                        let database = self.connection.connect_once(time).await?;
                        let session = database.session(Purpose::Watch).await?;
                        open.insert(Open { database, session })
                    }
                };
                open.missing(&wanted).await
            };
            let reason = match tokio::time::timeout(time, look).await {
                Ok(Ok(None)) => return Ok(()),
                Ok(Ok(Some(reason))) => reason,
                // A file may still be made by another, or its folder mounted, as a server may still
                // come.
                Ok(Err(Error::Connect { source, .. }))
                    if source.is_unreachable()
                        || is_missing && source.kind == ErrorKind::NoDatabase =>
                {
                    let when = if told.has_answer() { "any more" } else { "yet" };
                    Reason::silence(format!("the database is not reachable {when}: {source}"))
                }
                // A script of the run at work holds SQLite's file.
                Ok(Err(Error::Run(RunError::Db(error))))
                    if error.kind == ErrorKind::LockTimeout =>
                {
                    Reason::answer("locked", error.to_string())
                }
                // The server may be restarting; nothing was lost.
                Ok(Err(Error::Run(RunError::Db(error)))) if error.is_lost() => {
                    open = None;
                    Reason::silence(error.to_string())
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    open = None;
                    Reason::silence("the database gives no answer")
                }
            };
            self.pause(started, &reason, &mut told).await?;
        }
    }

    /// How long one look may take. However short the whole time is, it must do for one.
    fn patience(&self, started: Instant) -> Duration {
        self.timeout.saturating_sub(started.elapsed()).max(LOOK)
    }

    /// What must be applied: name and version of each migration.
    fn wanted(&self) -> Result<Wanted, Error> {
        if let Some(version) = self.version {
            let catalog = Catalog { dir: self.files.dir.clone(), migrations: Vec::new() };
            return Ok(Wanted { versions: vec![version], catalog });
        }
        let dialect = self.connection.options()?.engine.dialect();
        let catalog = Catalog::read(&self.files.dir, dialect)?;
        let selection = self.files.selection(self.phase);
        selection.check(&catalog)?;
        let takes = |migration: &&Migration| selection.takes(migration);
        let versions =
            catalog.migrations.iter().filter(takes).map(|migration| migration.version).collect();
        Ok(Wanted { versions, catalog })
    }

    async fn pause(&self, started: Instant, reason: &Reason, told: &mut Told) -> Result<(), Error> {
        let waited = started.elapsed();
        if waited >= self.timeout {
            return Err(Error::NotReady { waited: self.timeout, reason: told.last_words(reason) });
        }
        if told.is_news(reason, Instant::now()) {
            eprintln!("waiting: {}", one_line(reason.text()));
        }
        tokio::time::sleep(POLL.mul_f64(0.75 + 0.5 * fastrand::f64()).min(self.timeout - waited))
            .await;
        Ok(())
    }
}

struct Wanted {
    versions: Vec<i64>,
    catalog: Catalog,
}

/// An open connection.
struct Open {
    database: Arc<dyn Database>,
    session: Box<dyn Session>,
}

impl Open {
    /// What is missing, or `None` when all is there. Versions that the folder doesn't know are a
    /// newer release's business: its predecessor still runs on that schema.
    async fn missing(&mut self, wanted: &Wanted) -> Result<Option<Reason>, Error> {
        let database = self.database.as_ref();
        let history = History::read(database, self.session.as_mut(), &wanted.catalog)
            .await
            .map_err(crate::runner::SurveyError::from)?;
        let missing = wanted.versions.iter().filter(|version| history.find(**version).is_none());
        let missing: Vec<_> = missing.collect();
        let text = |first| match missing.len() {
            1 => format!("migration {first} is not applied yet"),
            count => format!("{count} migrations are not applied yet, {first} the first of them"),
        };
        Ok(missing.first().map(|first| Reason::answer("pending", text(first))))
    }
}
