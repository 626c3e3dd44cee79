//! `ecs run`: a one-off task.

use clap::Args;

use super::ledger::LedgerEye;
use super::place::Place;
use super::task::{Site, TaskOptions};
use super::which::{Model, OneTask};
use super::{Told, stop};
use crate::cli::connection::Connection;
use crate::deploy::patience::LONGEST;
use crate::error::{Error, Exit};
use crate::terminal::follower::Follower;

/// Run a one-off task, follow it to its end, and exit as its container does
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    place: Place,
    /// The service whose network, launch type and task definition it takes
    #[arg(long, env = "LOCKKEEPER_ECS_SERVICE", value_name = "NAME", value_parser = crate::cli::text)]
    service: Option<String>,
    #[command(flatten)]
    what: OneTask,
    #[command(flatten)]
    task: TaskOptions,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    connection: Connection,
    /// The container's command, such as `up --phase expand`; without it, its own
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Run {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn logs_json(&self) -> bool {
        self.told.is_json()
    }

    /// Runs it.
    ///
    /// # Errors
    /// Whatever keeps the task from its success.
    pub async fn run(self) -> Result<Exit, Error> {
        let stop = stop()?;
        // A fault in how the database is named is told before anything is started.
        LedgerEye::of(&self.connection)?;
        let aws = self.place.connect().await?;
        let service = match &self.service {
            Some(name) => Some(service(&aws, self.place.cluster(), name).await?),
            None => None,
        };
        let site = Site {
            aws: &aws,
            cluster: self.place.cluster(),
            poll: self.place.poll,
            patience: LONGEST,
            stop: &stop,
        };
        let mut follower = Follower::stderr(self.told.log_format);
        let model = Model { service: service.as_ref(), definition: None };
        let which = self.what.which();
        let prepared = self.task.prepare(site, model, which, self.command, &mut follower).await?;
        let ended = prepared.run(Some(&self.connection), &mut follower).await;
        follower.finish();
        ended?;
        Ok(Exit::Done)
    }
}

/// A service that must be there.
///
/// # Errors
/// Where it isn't, and AWS's.
pub async fn service(
    aws: &crate::deploy::aws::Aws,
    cluster: &str,
    name: &str,
) -> Result<crate::deploy::aws::service::ServiceNow, Error> {
    let found = aws.service_now(cluster, name).await?;
    found.ok_or_else(|| {
        let (service, cluster) = (name.to_owned(), cluster.to_owned());
        crate::deploy::rollout::RolloutError::NoService { service, cluster }.into()
    })
}
