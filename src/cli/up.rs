//! `up`: apply what is pending.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::db::ConnectOptions;
use crate::error::{Error, Exit};
use crate::estimate;
use crate::http::Operator;
use crate::progress::{Estimated, Event, Reporter};
use crate::runner::{Run, RunError, Settings};
use crate::stop::Stop;

use super::migrate::Migrate;
use super::watched::Watched;
use super::{PhaseChoice, read_file};

/// Apply what is pending
#[derive(Debug, Args)]
pub struct Up {
    /// Which migrations: before the rollout, after it, or both
    #[arg(long, env = "LOCKKEEPER_PHASE", value_enum, default_value = "all")]
    phase: PhaseChoice,
    /// An estimate's report (JSON): it tells the time left until that is measured, and what came of it is kept
    #[arg(long, env = "LOCKKEEPER_ESTIMATE", value_name = "FILE", value_parser = super::path())]
    estimate: Option<PathBuf>,
    #[command(flatten)]
    watched: Watched,
    #[command(flatten)]
    migrate: Migrate,
}

impl Up {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn logs_json(&self) -> bool {
        self.watched.logs_json()
    }

    /// Runs it.
    ///
    /// # Errors
    /// What kept the run from its begin; it tells by itself what ended it.
    pub async fn run(self) -> Result<Exit, Error> {
        let options = self.migrate.connection.options()?;
        let lock_wait = self.watched.lock_wait;
        let settings = self.migrate.settings(&options, self.phase, lock_wait, super::identity())?;
        let estimates = self.estimate.as_deref().map(estimated).transpose()?.unwrap_or_default();
        let operator = self.migrate.operator()?;
        let mut scene = self.watched.begin(operator.clone()).await?;
        let settings = Settings { identity: scene.task.identity(), estimates, ..settings };
        let (reporter, stop) = (scene.reporter.clone(), scene.stop.clone());
        reporter.emit(Event::Started { run: settings.identity.run.clone() });
        let work = self.migrate(&options, &settings, &reporter, &stop, operator);
        let result = scene.play(work).await;
        // The run reports its own end; what fails before there is one, has to be reported here.
        if let Err(error) = &result
            && !scene.progress.borrow().state.is_final()
        {
            reporter.emit(match error {
                Error::Run(error) => error.event(),
                error => Event::Failed { error: error.outline() },
            });
        }
        let last_words = || match result {
            Ok(_) => Exit::Done,
            // The face has said by what, how far it is, and what to do; more would be less.
            Err(Error::Run(RunError::Stopped { .. })) => Exit::Interrupted,
            Err(error) => super::tell(&error, self.logs_json()),
        };
        Ok(scene.end(last_words).await)
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

fn estimated(path: &Path) -> Result<Vec<Estimated>, Error> {
    estimate::estimated(&read_file(path)?).map_err(|error| Error::Usage {
        message: format!("{}: {error}", path.display()),
        next: "make one by `lockkeeper estimate --json FILE`".to_owned(),
    })
}
