//! `--migrate-with`: the schema is another tool's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::child::Reaper;
use crate::db::Database;
use crate::error::Error;
use crate::foreign::{Outcome, Settings, Tool};
use crate::ledger::{Identity, Mark};
use crate::progress::{Event, Reporter};
use crate::stop::Stop;

/// Which tool, for which release.
#[derive(Debug, Args)]
#[command(next_help_heading = "Migrations")]
pub struct OtherTool {
    /// Bring the schema there by this command, under the run lock; no shell reads it, but quotes and
    /// backslashes are heeded
    #[arg(long, env = "LOCKKEEPER_MIGRATE_WITH", value_name = "COMMAND",
          conflicts_with_all = ["migrate", "version", "to"], value_parser = command)]
    migrate_with: Option<Words>,
    /// The release that this image is of: what one has done by that command for it, no other does again
    #[arg(long, env = "LOCKKEEPER_RELEASE", value_name = "NAME", requires = "migrate_with",
          value_parser = super::text)]
    release: Option<String>,
}

/// A program and its arguments.
#[derive(Debug, Clone)]
struct Words(Vec<OsString>);

/// Splits it as a shell does, without anything else that a shell does.
fn command(text: &str) -> Result<Words, &'static str> {
    match shell_words::split(text) {
        Ok(words) if words.is_empty() => Err("it is empty"),
        Ok(words) => Ok(Words(words.into_iter().map(OsString::from).collect())),
        Err(_) => Err("a quote isn't closed"),
    }
}

/// Where it runs.
pub struct Place<'a> {
    pub database: Arc<dyn Database>,
    pub identity: Identity,
    /// Variables by which a process of ours reaches the same database.
    pub connection: Vec<(&'static str, String)>,
    pub lock_wait: Duration,
    pub reaper: &'a Arc<Reaper>,
    pub reporter: &'a Reporter,
    pub stop: &'a Stop,
}

impl OtherTool {
    /// Whether there is one.
    pub fn is_given(&self) -> bool {
        self.migrate_with.is_some()
    }

    /// Runs it under the lock, unless it has been for this release. Without a release's name it runs each
    /// time, and finds by its own history that there is nothing to do.
    ///
    /// # Errors
    /// [`Error::Tool`] where it ends with another code than 0.
    pub async fn run(&self, place: Place<'_>) -> Result<(), Error> {
        let Some(Words(command)) = &self.migrate_with else { return Ok(()) };
        let words = command.iter().map(|word| word.as_bytes());
        let settings = Settings {
            identity: place.identity,
            lock_wait: place.lock_wait,
            connection: place.connection,
            mark: self.release.as_ref().map(|release| Mark::new(release, words)),
        };
        let tool = Tool {
            database: place.database,
            command,
            settings: &settings,
            reaper: place.reaper,
            reporter: place.reporter,
            stop: place.stop,
        };
        match tool.run().await? {
            Outcome::Ended(ended) if ended.code() != 0 => {
                Err(Error::Tool { name: tool.name(), ended })
            }
            Outcome::Ended(_) | Outcome::DoneBefore => {
                place.reporter.emit(Event::Finished);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_and_no_shell_reads_it() {
        let words = |text| command(text).map(|Words(words)| words);
        assert_eq!(words("alembic upgrade head").unwrap(), ["alembic", "upgrade", "head"]);
        assert_eq!(words("bin/shop eval 'A.b(1)'").unwrap(), ["bin/shop", "eval", "A.b(1)"]);
        assert_eq!(words("echo $HOME; rm *").unwrap(), ["echo", "$HOME;", "rm", "*"]);
        assert_eq!(words(" ").unwrap_err(), "it is empty");
        assert_eq!(words("echo 'a").unwrap_err(), "a quote isn't closed");
    }
}
