//! Which task definition, image and container a one-off task has.

use std::time::Duration;

use clap::Args;

use crate::deploy::aws::definition::Definition;
use crate::deploy::aws::service::ServiceNow;
use crate::deploy::facts::Container;
use crate::error::Error;

/// What a one-off task runs: of `ecs run`, which has nothing else to name.
#[derive(Debug, Args)]
#[command(next_help_heading = "One-off task")]
pub struct OneTask {
    /// Its task definition: family, family:revision or ARN; without it, the service's
    #[arg(long, env = "LOCKKEEPER_ECS_TASK_DEFINITION", value_name = "NAME", value_parser = crate::cli::text)]
    task_definition: Option<String>,
    /// Register a revision in which the container has this image, and run that
    #[arg(long, env = "LOCKKEEPER_ECS_IMAGE", value_name = "IMAGE", value_parser = crate::cli::text)]
    image: Option<String>,
    /// The container whose command is replaced, and whose exit code counts; without it, the only one,
    /// or the one that the load balancer knows
    #[arg(long, env = "LOCKKEEPER_ECS_CONTAINER", value_name = "NAME", value_parser = crate::cli::text)]
    container: Option<String>,
    /// How long the task may take; then it is stopped, and goes on next time
    #[arg(long, env = "LOCKKEEPER_ECS_TIMEOUT", value_name = "TIME", default_value = "6h",
          value_parser = crate::cli::duration)]
    timeout: Duration,
}

impl OneTask {
    /// In one form with [`Migration`].
    pub fn which(&self) -> Which<'_> {
        Which {
            definition: self.task_definition.as_deref(),
            image: self.image.as_deref(),
            container: self.container.as_deref(),
            timeout: self.timeout,
            option: "--container",
        }
    }
}

/// What the migration of a deployment runs, where that isn't what is deployed.
#[derive(Debug, Args)]
#[command(next_help_heading = "One-off task")]
pub struct Migration {
    /// The task definition of the migration: family, family:revision or ARN; without it, the one that
    /// is deployed
    #[arg(long, env = "LOCKKEEPER_ECS_MIGRATE_TASK_DEFINITION", value_name = "NAME",
          value_parser = crate::cli::text)]
    migrate_task_definition: Option<String>,
    /// Register a revision of that in which the container has this image, and run it
    #[arg(long, env = "LOCKKEEPER_ECS_MIGRATE_IMAGE", value_name = "IMAGE", value_parser = crate::cli::text)]
    migrate_image: Option<String>,
    /// The container whose command is replaced, and whose exit code counts; without it, the only one,
    /// or the one that the load balancer knows
    #[arg(long, env = "LOCKKEEPER_ECS_MIGRATE_CONTAINER", value_name = "NAME", value_parser = crate::cli::text)]
    migrate_container: Option<String>,
    /// How long a migration may take; then its task is stopped, and goes on next time
    #[arg(long, env = "LOCKKEEPER_ECS_MIGRATE_TIMEOUT", value_name = "TIME", default_value = "6h",
          value_parser = crate::cli::duration)]
    migrate_timeout: Duration,
}

impl Migration {
    /// In one form with [`OneTask`].
    pub fn which(&self) -> Which<'_> {
        Which {
            definition: self.migrate_task_definition.as_deref(),
            image: self.migrate_image.as_deref(),
            container: self.migrate_container.as_deref(),
            timeout: self.migrate_timeout,
            option: "--migrate-container",
        }
    }
}

/// Which task definition, image and container, as far as somebody says it.
#[derive(Debug, Clone, Copy)]
pub struct Which<'a> {
    /// The task definition.
    pub definition: Option<&'a str>,
    /// The image.
    pub image: Option<&'a str>,
    container: Option<&'a str>,
    /// How long it may take.
    pub timeout: Duration,
    /// By which option the container is named.
    option: &'static str,
}

/// A task definition, by what is known of it.
pub(super) enum Named<'m> {
    /// It was read already.
    Here(&'m Definition),
    /// Its name.
    There(&'m str),
}

/// What a one-off task is modelled on, where nobody says otherwise.
#[derive(Clone, Copy)]
pub struct Model<'m> {
    /// Where and how it runs.
    pub service: Option<&'m ServiceNow>,
    /// What it runs; the service's own where this is none.
    pub definition: Option<&'m Definition>,
}

impl<'a> Which<'a> {
    /// Which task definition it is, of those that are known or that AWS is to be asked for.
    pub(super) fn named<'m>(self, model: Model<'m>) -> Result<Named<'m>, Error>
    where
        Self: 'm,
    {
        if let Some(name) = self.definition {
            return Ok(Named::There(name));
        }
        match (model.definition, model.service) {
            (Some(definition), _) => Ok(Named::Here(definition)),
            (None, Some(service)) => Ok(Named::There(&service.definition)),
            (None, None) => Err(Error::Usage {
                message: "nobody says what the task is to run".to_owned(),
                next: "give --task-definition, or --service for the service's own".to_owned(),
            }),
        }
    }

    pub(super) fn container<'d>(
        self,
        definition: &'d Definition,
        service: Option<&ServiceNow>,
    ) -> Result<&'d Container, Error> {
        let facts = &definition.facts;
        let names =
            || facts.containers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(name) = self.container {
            return facts.container(name).ok_or_else(|| Error::Usage {
                message: format!("{} has no container {name}", facts.name()),
                next: format!("it has {}; give one to {}", names(), self.option),
            });
        }
        if let [only] = &facts.containers[..] {
            return Ok(only);
        }
        let served = service.and_then(ServiceNow::container);
        served.and_then(|name| facts.container(name)).ok_or_else(|| Error::Usage {
            message: format!("{} has several containers: {}", facts.name(), names()),
            next: format!("say with {} which of them migrates", self.option),
        })
    }
}
