//! `ecs hook`: migrate while a deployment waits at a PAUSE hook.

use std::time::Duration;

use clap::{Args, Parser};

use super::ledger::LedgerEye;
use super::place::Place;
use super::run::service;
use super::task::{Site, TaskOptions};
use super::which::{Migration, Model};
use super::{Told, stop};
use crate::cli::connection::Connection;
use crate::deploy::aws::Aws;
use crate::deploy::aws::definition::Definition;
use crate::deploy::hook::{Pending, Wait};
use crate::deploy::news::{Listener, News};
use crate::deploy::oneoff::LaunchError;
use crate::deploy::patience::LONGEST;
use crate::error::{Error, Exit};
use crate::stop::Stop;
use crate::terminal::follower::Follower;

/// Wait until a deployment pauses at a hook, migrate, and let it go on or roll back
#[derive(Debug, Args)]
pub struct Hook {
    #[command(flatten)]
    place: Place,
    /// The service
    #[arg(long, env = "LOCKKEEPER_ECS_SERVICE", value_name = "NAME", value_parser = crate::cli::text)]
    service: String,
    /// The lifecycle stage of the PAUSE hook
    #[arg(long, env = "LOCKKEEPER_ECS_STAGE", value_name = "STAGE", default_value = "PRE_SCALE_UP",
          value_parser = crate::cli::text)]
    stage: String,
    /// How long to wait until a deployment comes to that hook
    #[arg(long, env = "LOCKKEEPER_ECS_HOOK_TIMEOUT", value_name = "TIME", default_value = "1h",
          value_parser = crate::cli::duration)]
    hook_timeout: Duration,
    /// Migrate in this process instead of a task: what stands behind `--` is a lockkeeper command
    #[arg(long, env = "LOCKKEEPER_ECS_HERE", value_parser = crate::cli::flag())]
    here: bool,
    #[command(flatten)]
    migration: Migration,
    #[command(flatten)]
    task: TaskOptions,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    connection: Connection,
    /// What migrates
    #[arg(last = true, value_name = "COMMAND", default_values = ["up", "--phase", "expand"])]
    command: Vec<String>,
}

/// The command that migrates here.
#[derive(Debug, Parser)]
#[command(name = "lockkeeper", no_binary_name = true)]
enum Here {
    Up(Box<crate::cli::up::Up>),
}

impl Hook {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn logs_json(&self) -> bool {
        self.told.is_json()
    }

    /// Runs it.
    ///
    /// # Errors
    /// Whatever keeps the deployment from going on.
    pub async fn run(self) -> Result<Exit, Error> {
        // What can't be understood is told before anything is waited for.
        let here = match self.here {
            true => Some(Here::try_parse_from(&self.command).map_err(|error| {
                Error::Usage {
                    message: format!(
                        "the command behind `--` can't be run here: {}",
                        first(&error)
                    ),
                    next: "with --here, give an `up` of lockkeeper, such as -- up --phase expand"
                        .to_owned(),
                }
            })?),
            false => None,
        };
        let mut follower = Follower::stderr(self.told.log_format);
        let done = self.wait_and_migrate(here, &mut follower).await;
        follower.finish();
        done?;
        Ok(Exit::Done)
    }

    async fn wait_and_migrate(
        &self,
        here: Option<Here>,
        follower: &mut Follower,
    ) -> Result<(), Error> {
        let aws = self.place.connect().await?;
        let stop = stop()?;
        let wait = Wait {
            aws: &aws,
            cluster: self.place.cluster().to_owned(),
            service: self.service.clone(),
            stage: self.stage.clone(),
            poll: self.place.poll,
            timeout: self.hook_timeout,
            stop: &stop,
        };
        // A fault in how the database is named is told before anything is waited for.
        LedgerEye::of(&self.connection)?;
        let pending = wait.until_paused(follower).await?;
        let exit = match here {
            Some(Here::Up(up)) => {
                follower.finish();
                let json = up.logs_json();
                let exit = up.run().await.unwrap_or_else(|error| crate::cli::tell(&error, json));
                exit.code()
            }
            None => match self.migrate(&aws, &stop, &pending, follower).await {
                Ok(()) => Exit::Done.code(),
                // Only how the container itself ended says anything of the migration.
                Err(Error::Launch(error @ LaunchError::Failed { exit, .. })) => {
                    follower.finish();
                    crate::cli::tell(&error.into(), self.told.is_json());
                    exit
                }
                Err(error) => {
                    follower.tell(News::Warning {
                        message: format!("the hook of {} is not answered", pending.stage),
                        next: "run the same command again before the hook's own timeout ends"
                            .to_owned(),
                    });
                    return Err(error);
                }
            },
        };
        Ok(wait.answer(&pending, exit, follower).await?)
    }

    async fn migrate(
        &self,
        aws: &Aws,
        stop: &Stop,
        pending: &Pending,
        listener: &mut dyn Listener,
    ) -> Result<(), Error> {
        let now = service(aws, self.place.cluster(), &self.service).await?;
        let site = Site {
            aws,
            cluster: self.place.cluster(),
            poll: self.place.poll,
            patience: LONGEST,
            stop,
        };
        let which = self.migration.which();
        let definition = match which.definition {
            Some(_) => None,
            None => Some(deployed(aws, pending.revision.as_deref()).await?),
        };
        let model = Model { service: Some(&now), definition: definition.as_ref() };
        let command = self.command.clone();
        let prepared = self.task.prepare(site, model, which, command, listener).await?;
        prepared.run(Some(&self.connection), listener).await
    }
}

/// The task definition of the revision that is to be deployed: the new image has the new migrations, and
/// the one that runs doesn't, so that is never taken instead.
///
/// # Errors
/// AWS's, and where the deployment doesn't say it.
pub async fn deployed(aws: &Aws, revision: Option<&str>) -> Result<Definition, Error> {
    let unknown = || Error::Usage {
        message: "the deployment doesn't say which task definition it is to deploy".to_owned(),
        next: "give --migrate-task-definition".to_owned(),
    };
    let revision = revision.ok_or_else(unknown)?;
    let name = aws.revision_definition(revision).await?.ok_or_else(unknown)?;
    Ok(aws.definition(&name).await?)
}

/// The first line of what clap says.
fn first(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
