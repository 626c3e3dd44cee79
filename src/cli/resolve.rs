//! `resolve`: the human verdict on a step whose outcome is unknown.

use std::time::Duration;

use clap::Args;

use crate::error::{Error, Exit};
use crate::migration::Catalog;
use crate::runner::{ResolveError, Settings, Verdict, resolve};
use crate::throttle::Limits;

use super::connection::Connection;
use super::{Files, PhaseChoice, identity, print};

/// Say what became of a step whose outcome is unknown
#[derive(Debug, Args)]
pub struct Resolve {
    /// The migration's version
    #[arg(id = "migration", value_name = "VERSION", value_parser = super::version)]
    version: i64,
    /// It did not happen: the next run does it again
    #[arg(long, env = "LOCKKEEPER_RETRY", value_parser = super::flag())]
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
        // Not clap's to judge: a twin that says `false` is there, and says no.
        let verdict = match (self.retry, self.applied) {
            (true, false) => Verdict::Retry,
            (false, true) => Verdict::Applied,
            _ => {
                return Err(Error::Usage {
                    message: "whether the step happened isn't said".to_owned(),
                    next: "give either --applied (it did) or --retry (it didn't)".to_owned(),
                });
            }
        };
        let options = self.connection.options()?;
        let catalog = Catalog::read(&self.files.dir, options.engine.dialect())?;
        let is_missing = options.is_missing_file();
        let database = self.connection.reach(false).await?;
        if is_missing {
            // Nothing was begun there, and the lock and the look would make it.
            return Err(ResolveError::Nothing { version: self.version }.into());
        }
        let settings = Settings {
            joins: false,
            selection: self.files.selection(PhaseChoice::All),
            lock_wait: Duration::ZERO,
            auto_batch: None,
            estimates: Vec::new(),
            reconnect: Duration::ZERO,
            identity: identity(),
            limits: Limits::default(),
        };
        let step = resolve(database, &catalog, &settings, self.version, verdict).await?;
        let version = self.version;
        print(&match verdict {
            Verdict::Applied => format!("step {step} of migration {version} counts as done\n"),
            Verdict::Retry => format!("step {step} of migration {version} will be done again\n"),
        })?;
        Ok(Exit::Done)
    }
}
