//! `wait`: block until the schema is ready, then perhaps become another program.

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use clap::Args;

use crate::db::{Database, Purpose, Session};
use crate::error::{Error, Exit};
use crate::history::History;
use crate::migration::{Catalog, Migration};
use crate::progress::Reporter;
use crate::runner::RunError;

use super::connection::Connection;
use super::signals::Signals;
use super::{Files, PhaseChoice, probe};

/// Between two looks.
const POLL: Duration = Duration::from_millis(500);
/// How long one answer of another instance may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Wait until the schema is ready; takes no lock and writes nothing
#[derive(Debug, Args)]
pub struct Wait {
    #[command(flatten)]
    files: Files,
    /// Wait for this version instead of what the folder asks for
    #[arg(long, env = "LOCKKEEPER_VERSION", value_name = "VERSION", conflicts_with = "to")]
    version: Option<i64>,
    /// Which migrations must be applied; the new release starts before the contract phase
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "expand")]
    phase: PhaseChoice,
    /// Ask another instance instead of the database, such as http://migrate:9002/ready
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
        Err(Error::Io { what: format!("can't start {program}"), source })
    }

    async fn until_ready(&self) -> Result<(), Error> {
        let started = Instant::now();
        match &self.url {
            Some(url) => self.ask_instance(url, started).await,
            None => self.ask_database(started).await,
        }
    }

    async fn ask_instance(&self, url: &str, started: Instant) -> Result<(), Error> {
        let mut said = Said::default();
        loop {
            match probe::get(url.to_owned(), ANSWER).await {
                Ok(()) => return Ok(()),
                Err(error) => self.pause(started, error.to_string(), &mut said).await?,
            }
        }
    }

    async fn ask_database(&self, started: Instant) -> Result<(), Error> {
        let wanted = self.wanted()?;
        let (reporter, _progress) = Reporter::new();
        let database = self.connection.connect(&reporter).await?;
        let mut session = None;
        let mut said = Said::default();
        loop {
            match missing(database.as_ref(), &mut session, &wanted).await {
                Ok(None) => return Ok(()),
                Ok(Some(reason)) => self.pause(started, reason, &mut said).await?,
                // The server may be restarting; nothing was lost.
                Err(Error::Run(RunError::Db(error))) if error.is_lost() => {
                    session = None;
                    self.pause(started, error.to_string(), &mut said).await?;
                }
                Err(error) => return Err(error),
            }
        }
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
        if let Some(to) = selection.to
            && catalog.find(to).is_none()
        {
            let dir = catalog.dir.clone();
            return Err(crate::plan::PlanError::NoTarget { to, dir }.into());
        }
        let takes = |migration: &&Migration| selection.takes(migration);
        let versions =
            catalog.migrations.iter().filter(takes).map(|migration| migration.version).collect();
        Ok(Wanted { versions, catalog })
    }

    async fn pause(&self, started: Instant, reason: String, said: &mut Said) -> Result<(), Error> {
        let waited = started.elapsed();
        if waited >= self.timeout {
            return Err(Error::NotReady { waited: self.timeout, reason });
        }
        said.once(&reason);
        tokio::time::sleep(POLL.mul_f64(0.75 + 0.5 * fastrand::f64()).min(self.timeout - waited))
            .await;
        Ok(())
    }
}

struct Wanted {
    versions: Vec<i64>,
    catalog: Catalog,
}

/// Says why it waits: once for each reason.
#[derive(Default)]
struct Said(String);

impl Said {
    fn once(&mut self, reason: &str) {
        if self.0 != reason {
            eprintln!("waiting: {reason}");
            reason.clone_into(&mut self.0);
        }
    }
}

/// What is missing, or `None` when all is there. Versions that the folder doesn't know are a newer
/// release's business: its predecessor still runs on that schema.
async fn missing(
    database: &dyn Database,
    session: &mut Option<Box<dyn Session>>,
    wanted: &Wanted,
) -> Result<Option<String>, Error> {
    let session = match session {
        Some(session) => session,
        None => session.insert(database.session(Purpose::Watch).await?),
    };
    let history = History::read(database, session.as_mut(), &wanted.catalog)
        .await
        .map_err(crate::runner::SurveyError::from)?;
    let missing = wanted.versions.iter().filter(|version| history.find(**version).is_none());
    let missing: Vec<_> = missing.collect();
    Ok(missing.first().map(|first| match missing.len() {
        1 => format!("migration {first} is not applied yet"),
        count => format!("{count} migrations are not applied yet, {first} the first of them"),
    }))
}
