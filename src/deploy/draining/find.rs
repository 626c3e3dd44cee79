//! Finding one's own target: by the task's metadata, its service, and its target groups.

use std::time::Duration;

use super::{OwnTarget, StopTimeout, own_targets};
use crate::deploy::agent::{Agent, ContainerMetadata, TaskMetadata};
use crate::deploy::aws::{Aws, AwsError};
use crate::deploy::reply::name_of;

/// Why nobody watches for draining, or knows what ECS allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No agent.
    #[error("this process isn't in a task of ECS")]
    Outside,
    /// The agent is silent.
    #[error("the agent doesn't say who this task is: {reason}")]
    Agent {
        /// Why.
        reason: String,
    },
    /// A one-off task.
    #[error("task {task} is of no service")]
    NoService {
        /// The task's id.
        task: String,
    },
    /// The service is gone.
    #[error("there is no service {service}")]
    NoSuchService {
        /// Its name.
        service: String,
    },
    /// Nothing sends traffic.
    #[error("service {service} has no target group")]
    NoTargetGroup {
        /// The service's name.
        service: String,
    },
    /// The targets are instances.
    #[error("the targets of target group {group} aren't addresses")]
    NoAddresses {
        /// The target group's name.
        group: String,
    },
    /// Another network mode than `awsvpc`.
    #[error("task {task} has no address of its own")]
    NoAddress {
        /// The task's id.
        task: String,
    },
    /// The task definition doesn't name the container.
    #[error("task definition {definition} has no container {container}")]
    NoContainer {
        /// `web:42`.
        definition: String,
        /// The container's name.
        container: String,
    },
    /// AWS refuses.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Unknown {
    /// What to do about it, in one sentence.
    pub fn next(&self) -> String {
        const GIVE: &str =
            "give --target-group and --target, where a load balancer sends traffic here";
        match self {
            Unknown::Outside | Unknown::NoService { .. } => {
                format!("{GIVE}; else say --drain-watch off")
            }
            Unknown::NoTargetGroup { .. } | Unknown::NoSuchService { .. } => {
                format!("nothing, where nothing sends traffic here; else {GIVE}")
            }
            Unknown::NoAddresses { .. } | Unknown::NoAddress { .. } => {
                "give --target-group, and --target with the instance and its port".to_owned()
            }
            Unknown::Agent { .. } => GIVE.to_owned(),
            Unknown::NoContainer { .. } => "give --stop-timeout".to_owned(),
            Unknown::Aws(AwsError::Denied { permission, .. }) => format!(
                "allow the task role {permission}; `lockkeeper ecs policy gate` prints all that it \
                 needs"
            ),
            Unknown::Aws(error) => error.next(),
        }
    }
}

/// The task and the container that this process is in.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    task: TaskMetadata,
    container: ContainerMetadata,
}

impl Whereabouts {
    /// Asks the agent, where there is one.
    ///
    /// # Errors
    /// [`Unknown::Outside`] and [`Unknown::Agent`].
    pub async fn of(agent: Option<Agent>) -> Result<Self, Unknown> {
        let agent = agent.ok_or(Unknown::Outside)?;
        let silent = |reason| Unknown::Agent { reason };
        let task = agent.task().await.map_err(silent)?;
        let container = agent.container().await.map_err(silent)?;
        Ok(Whereabouts { task, container })
    }

    /// The task's ARN.
    pub fn task(&self) -> &str {
        &self.task.arn
    }

    /// How long ECS waits between SIGTERM and SIGKILL.
    ///
    /// # Errors
    /// AWS's, and [`Unknown::NoContainer`].
    pub async fn stop_timeout(&self, aws: &Aws) -> Result<StopTimeout, Unknown> {
        let definition = self.task.definition();
        let name = &self.container.name;
        let found = aws.definition(&definition).await?;
        let missing =
            || Unknown::NoContainer { definition: definition.clone(), container: name.clone() };
        let container = found.facts.container(name).ok_or_else(missing)?;
        let origin = match container.stop_timeout {
            Some(_) => format!("stopTimeout of container {name} in {definition}"),
            None => {
                format!("ECS's default, since container {name} in {definition} has no stopTimeout")
            }
        };
        let timeout = Duration::from_secs(container.stop_timeout_or_default());
        Ok(StopTimeout { timeout, origin })
    }

    /// This task's targets, one in each target group of its service.
    ///
    /// # Errors
    /// Why there are none, or AWS's.
    pub async fn targets(&self, aws: &Aws) -> Result<Vec<OwnTarget>, Unknown> {
        let task = || self.task.id().to_owned();
        let cluster = &self.task.cluster;
        let service = match &self.task.service_name {
            Some(service) => service.clone(),
            // Older agents don't tell it.
            None => aws
                .service_of(cluster, &self.task.arn)
                .await?
                .ok_or_else(|| Unknown::NoService { task: task() })?,
        };
        let found = aws.service_now(cluster, &service).await?;
        let found = found.ok_or_else(|| Unknown::NoSuchService { service: service.clone() })?;
        let attachments = &found.facts.load_balancers;
        let groups: Vec<_> = found.target_groups().into_iter().map(str::to_owned).collect();
        if groups.is_empty() {
            return Err(Unknown::NoTargetGroup { service });
        }
        if let Some(group) = aws.without_addresses(&groups).await? {
            return Err(Unknown::NoAddresses { group: group_name(&group).to_owned() });
        }
        let addresses = self.container.addresses();
        let address = addresses.first().ok_or_else(|| Unknown::NoAddress { task: task() })?;
        Ok(own_targets(attachments, address))
    }
}

/// `web` of `arn:…:targetgroup/web/73e2d6bc24d8a067`.
fn group_name(arn: &str) -> &str {
    arn.rsplit('/').nth(1).unwrap_or_else(|| name_of(arn))
}
