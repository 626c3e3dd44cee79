//! From ECS's task definitions to facts.

use super::ecs::{ContainerDefinition, HealthCheck, LogConfiguration, TaskDefinition};
use super::family_of;
use crate::deploy::facts;
use crate::deploy::facts::{Condition, Container, ContainerCheck, Dependency, LogStream};

impl From<TaskDefinition> for facts::TaskDefinition {
    fn from(from: TaskDefinition) -> Self {
        let (family, revision) = from.task_definition_arn.as_deref().map_or(("", 0), family_of);
        facts::TaskDefinition {
            family: from.family.unwrap_or_else(|| family.to_owned()),
            revision: from.revision.unwrap_or(revision),
            cpu: from.cpu,
            memory: from.memory,
            network_mode: from.network_mode,
            containers: from.container_definitions.into_iter().flatten().map(Into::into).collect(),
            arn: from.task_definition_arn,
        }
    }
}

impl From<ContainerDefinition> for Container {
    fn from(from: ContainerDefinition) -> Self {
        let variables = [from.environment, from.secrets];
        let dependency = |one: super::ecs::ContainerDependency| {
            let condition = condition(&one.condition)?;
            Some(Dependency { container: one.container_name, condition })
        };
        let ports = from.port_mappings.into_iter().flatten();
        Container {
            name: from.name,
            image: from.image.unwrap_or_default(),
            essential: from.essential.unwrap_or(true),
            // ECS says 0 where nothing was said.
            cpu: from.cpu.filter(|cpu| *cpu > 0),
            memory: from.memory.or(from.memory_reservation),
            entry_point: from.entry_point.unwrap_or_default(),
            command: from.command.unwrap_or_default(),
            stop_timeout: from.stop_timeout,
            start_timeout: from.start_timeout,
            check: from.health_check.map(Into::into),
            depends_on: from.depends_on.into_iter().flatten().filter_map(dependency).collect(),
            ports: ports.filter_map(|port| port.container_port).collect(),
            environment: variables.into_iter().flatten().flatten().map(|one| one.name).collect(),
            log: from.log_configuration.and_then(log),
        }
    }
}

impl From<HealthCheck> for ContainerCheck {
    fn from(from: HealthCheck) -> Self {
        let usual = ContainerCheck::default();
        ContainerCheck {
            command: from.command.unwrap_or_default(),
            interval: from.interval.unwrap_or(usual.interval),
            timeout: from.timeout.unwrap_or(usual.timeout),
            retries: from.retries.unwrap_or(usual.retries),
            start_period: from.start_period.unwrap_or(usual.start_period),
        }
    }
}

fn condition(word: &str) -> Option<Condition> {
    match word {
        "START" => Some(Condition::Start),
        "COMPLETE" => Some(Condition::Complete),
        "SUCCESS" => Some(Condition::Success),
        "HEALTHY" => Some(Condition::Healthy),
        _ => None,
    }
}

fn log(from: LogConfiguration) -> Option<LogStream> {
    if from.log_driver.as_deref() != Some("awslogs") {
        return None;
    }
    let mut options = from.options.unwrap_or_default();
    let mut take = |key| options.remove(key).flatten();
    Some(LogStream {
        group: take("awslogs-group")?,
        region: take("awslogs-region"),
        prefix: take("awslogs-stream-prefix"),
    })
}
