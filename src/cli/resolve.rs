//! `resolve`: the human verdict on a step whose outcome is unknown.

use std::time::Duration;

use clap::Args;

use crate::error::{Error, Exit};
use crate::migration::Catalog;
use crate::progress::Reporter;
use crate::runner::{Settings, Verdict, resolve};

use super::connection::Connection;
use super::{Files, PhaseChoice, identity, print};

/// Say what became of a step whose outcome is unknown
#[derive(Debug, Args)]
pub struct Resolve {
    /// The migration's version
    version: i64,
    /// It did not happen: the next run does it again
    #[arg(long, env = "LOCKKEEPER_RETRY", value_parser = super::flag(),
          conflicts_with = "applied", required_unless_present = "applied")]
    retry: bool,
    /// It happened: the next run goes on after it
    #[arg(long, env = "LOCKKEEPER_APPLIED", value_parser = super::flag())]
    applied: bool,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    connection: Connection,
}

impl Resolve {
    /// Runs it.
    ///
    /// # Errors
    /// When there is nothing to resolve, or a run holds the lock.
    pub async fn run(self) -> Result<Exit, Error> {
        let options = self.connection.options()?;
        let catalog = Catalog::read(&self.files.dir, options.engine.dialect())?;
        let (reporter, _progress) = Reporter::new();
        let database = self.connection.connect(&reporter).await?;
        let settings = Settings {
            selection: self.files.selection(PhaseChoice::All),
            lock_wait: Duration::ZERO,
            identity: identity(),
        };
        let verdict = if self.applied { Verdict::Applied } else { Verdict::Retry };
        let step = resolve(database, &catalog, &settings, self.version, verdict).await?;
        let version = self.version;
        print(&match verdict {
            Verdict::Applied => format!("step {step} of migration {version} counts as done\n"),
            Verdict::Retry => format!("step {step} of migration {version} will be done again\n"),
        })?;
        Ok(Exit::Done)
    }
}
