//! `ecs`: what is done on ECS, from a laptop or a pipeline.

mod deploy;
mod doctor;
mod hook;
#[cfg(feature = "lambda")]
mod lambda;
mod ledger;
mod pending;
mod place;
mod policy;
mod rollout;
mod run;
mod task;
mod which;

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::error::{Error, Exit};
use crate::stop::Stop;
use crate::terminal::LogFormat;

use super::signals::Signals;

/// Migrate, deploy and judge a service on ECS
#[derive(Debug, Args)]
pub struct Ecs {
    #[command(subcommand)]
    command: EcsCommand,
}

#[derive(Debug, Subcommand)]
enum EcsCommand {
    Run(Box<run::Run>),
    Rollout(rollout::RolloutCommand),
    Deploy(Box<deploy::Deploy>),
    Doctor(Box<doctor::Doctor>),
    Hook(Box<hook::Hook>),
    Policy(policy::Policy),
    #[cfg(feature = "lambda")]
    Lambda(Box<lambda::Lambda>),
}

impl Ecs {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn speaks_json(&self) -> bool {
        match &self.command {
            EcsCommand::Run(command) => command.logs_json(),
            EcsCommand::Rollout(command) => command.logs_json(),
            EcsCommand::Deploy(command) => command.logs_json(),
            EcsCommand::Doctor(command) => command.answers_json(),
            EcsCommand::Hook(command) => command.logs_json(),
            EcsCommand::Policy(_) => false,
            #[cfg(feature = "lambda")]
            EcsCommand::Lambda(_) => true,
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Those of the command.
    pub async fn run(self) -> Result<Exit, Error> {
        match self.command {
            EcsCommand::Run(command) => command.run().await,
            EcsCommand::Rollout(command) => command.run().await,
            EcsCommand::Deploy(command) => command.run().await,
            EcsCommand::Doctor(command) => command.run().await,
            EcsCommand::Hook(command) => command.run().await,
            EcsCommand::Policy(command) => command.run(),
            #[cfg(feature = "lambda")]
            EcsCommand::Lambda(command) => command.run().await,
        }
    }
}

/// How long a command may take to end after a second signal.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A stop that the first signal asks for, and the second one forces.
fn stop() -> Result<Stop, Error> {
    let mut signals = Signals::listen()?;
    let stop = Stop::default();
    let asked = stop.clone();
    tokio::spawn(async move {
        let name = signals.next().await;
        asked.request(name);
        signals.next_beside(name).await;
        asked.force();
        // A request that nobody answers mustn't keep the process.
        tokio::time::sleep(LAST_WORDS).await;
        std::process::exit(Exit::Interrupted.code().into());
    });
    Ok(stop)
}

/// How news are told.
#[derive(Debug, Args)]
struct Told {
    /// One row that changes on a terminal and lines elsewhere, always lines, or JSON lines
    #[arg(long, env = "LOCKKEEPER_LOG_FORMAT", value_enum, default_value = "auto")]
    log_format: LogFormat,
}

impl Told {
    fn is_json(&self) -> bool {
        self.log_format == LogFormat::Json
    }
}
