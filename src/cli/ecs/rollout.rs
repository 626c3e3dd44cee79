//! `ecs rollout`: a service is told what to run, and watched until it serves.

use std::time::Duration;

use clap::Args;

use super::place::Place;
use super::run::service;
use super::{Told, stop};
use crate::deploy::aws::Aws;
use crate::deploy::aws::definition::Definition;
use crate::deploy::aws::service::ServiceNow;
use crate::deploy::news::{Listener, News};
use crate::deploy::patience::Patience;
use crate::deploy::report;
use crate::deploy::rollout::{Rollout, RolloutError};
use crate::error::{Error, Exit};
use crate::stop::Stop;
use crate::terminal::follower::Follower;
use crate::terminal::{LogFormat, stdout_width};

/// The first pause before AWS is asked again.
const POLL: Duration = Duration::from_secs(1);

/// What the service is to run, and how long that may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rollout")]
pub struct RolloutOptions {
    /// The service
    #[arg(long, env = "LOCKKEEPER_ECS_SERVICE", value_name = "NAME", value_parser = crate::cli::text)]
    pub service: String,
    /// The task definition that it is to run: family, family:revision or ARN; without it, its own
    #[arg(long, env = "LOCKKEEPER_ECS_TASK_DEFINITION", value_name = "NAME", value_parser = crate::cli::text)]
    task_definition: Option<String>,
    /// Register a revision in which the container has this image, and deploy that
    #[arg(long, env = "LOCKKEEPER_ECS_IMAGE", value_name = "IMAGE", value_parser = crate::cli::text)]
    image: Option<String>,
    /// The container that gets the image; without it, the only one, or the one that the load balancer
    /// knows
    #[arg(long, env = "LOCKKEEPER_ECS_CONTAINER", value_name = "NAME", value_parser = crate::cli::text)]
    container: Option<String>,
    /// Make a new deployment, though the service runs that already
    #[arg(long, env = "LOCKKEEPER_ECS_FORCE", value_parser = crate::cli::flag())]
    force: bool,
    /// How long the rollout may take
    #[arg(long, env = "LOCKKEEPER_ECS_ROLLOUT_TIMEOUT", value_name = "TIME", default_value = "1h",
          value_parser = crate::cli::duration)]
    rollout_timeout: Duration,
    /// How long targets may take to serve once ECS is content; those of an NLB need minutes
    #[arg(long, env = "LOCKKEEPER_ECS_SETTLE", value_name = "TIME", default_value = "6m",
          value_parser = crate::cli::duration)]
    settle: Duration,
}

impl RolloutOptions {
    /// The task definition that is to be deployed; registers a revision for another image.
    ///
    /// # Errors
    /// AWS's, and where the container can't be told.
    pub async fn definition(
        &self,
        aws: &Aws,
        now: &ServiceNow,
        stop: &Stop,
        listener: &mut dyn Listener,
    ) -> Result<Definition, Error> {
        if let Some(controller) = now.controller() {
            let service = self.service.clone();
            return Err(RolloutError::Controller { service, controller }.into());
        }
        let name = self.task_definition.as_deref().unwrap_or(&now.definition);
        let base = aws.definition(name).await?;
        let Some(image) = &self.image else { return Ok(base) };
        let container = self.container(&base, now)?;
        // Of two that register at once, one is told to try again, and finds the other's.
        let ask = || aws.with_image(&base, container, image);
        let (definition, new) = Patience::new(POLL).ask(stop, listener, ask).await?;
        if new {
            listener.tell(News::Registered { definition: definition.facts.name() });
        }
        Ok(definition)
    }

    fn container<'d>(&self, base: &'d Definition, now: &ServiceNow) -> Result<&'d str, Error> {
        let containers = &base.facts.containers;
        let told = self.container.as_deref().or(now.container());
        let found = match (told, &containers[..]) {
            (Some(name), _) => base.facts.container(name),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let names = containers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
        found.map(|one| one.name.as_str()).ok_or_else(|| Error::Usage {
            message: format!(
                "{}: it can't be told which container gets the image",
                base.facts.name()
            ),
            next: format!("it has {names}; give one to --container"),
        })
    }

    /// The rollout of this task definition.
    pub fn rollout<'a>(
        &self,
        aws: &'a Aws,
        place: &Place,
        definition: Option<String>,
        stop: &'a Stop,
    ) -> Rollout<'a> {
        Rollout {
            aws,
            cluster: place.cluster().to_owned(),
            service: self.service.clone(),
            definition,
            force: self.force,
            poll: place.poll,
            timeout: self.rollout_timeout,
            settle: self.settle,
            stop,
        }
    }
}

/// Tells what the doctor says of a deployment that has failed.
pub async fn tell_view(place: &Place, service: &str, json: bool, ended: &Result<(), Error>) {
    let Err(Error::Rollout(RolloutError::Failed { definition, .. })) = ended else { return };
    let Ok(aws) = place.connect().await else { return };
    let view = super::doctor::view(&aws, place.cluster(), service, definition).await;
    let Some(diagnosis) = view else { return };
    if json {
        let report = report::json(&diagnosis);
        Follower::stderr(LogFormat::Json).tell(News::Doctor { report });
    } else {
        eprint!("\n{}\n", report::text(&diagnosis, stdout_width()));
    }
}

/// Deploy a task definition, and watch until the new tasks really serve
#[derive(Debug, Args)]
pub struct RolloutCommand {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    options: RolloutOptions,
    #[command(flatten)]
    told: Told,
}

impl RolloutCommand {
    /// Whether standard error is to carry JSON lines and nothing else.
    pub fn logs_json(&self) -> bool {
        self.told.is_json()
    }

    /// Runs it.
    ///
    /// # Errors
    /// Whatever keeps the new tasks from serving.
    pub async fn run(self) -> Result<Exit, Error> {
        let stop = stop()?;
        let aws = self.place.connect().await?;
        let now = service(&aws, self.place.cluster(), &self.options.service).await?;
        let mut follower = Follower::stderr(self.told.log_format);
        let definition = self.options.definition(&aws, &now, &stop, &mut follower).await?;
        let rollout = self.options.rollout(&aws, &self.place, Some(definition.arn), &stop);
        let ended = rollout.run(&mut follower).await.map(drop).map_err(Error::from);
        follower.finish();
        tell_view(&self.place, &self.options.service, self.told.is_json(), &ended).await;
        ended?;
        Ok(Exit::Done)
    }
}
