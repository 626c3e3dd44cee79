//! Services and task definitions.

use serde::Deserialize;

use super::first;
use crate::deploy::reply::ecs;
use crate::deploy::reply::number::{cpu, memory, number};

/// `aws_ecs_service`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    name: Option<String>,
    cluster: Option<String>,
    #[serde(deserialize_with = "number")]
    desired_count: Option<u32>,
    launch_type: Option<String>,
    platform_version: Option<String>,
    task_definition: Option<String>,
    #[serde(deserialize_with = "number")]
    health_check_grace_period_seconds: Option<u64>,
    #[serde(deserialize_with = "number")]
    deployment_maximum_percent: Option<u32>,
    #[serde(deserialize_with = "number")]
    deployment_minimum_healthy_percent: Option<u32>,
    deployment_circuit_breaker: Option<Vec<Breaker>>,
    deployment_configuration: Option<Vec<Configuration>>,
    deployment_controller: Option<Vec<Controller>>,
    capacity_provider_strategy: Option<Vec<Provider>>,
    network_configuration: Option<Vec<Network>>,
    pub load_balancer: Vec<LoadBalancer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Breaker {
    enable: Option<bool>,
    rollback: Option<bool>,
    reset_on_healthy_task: Option<bool>,
    threshold_configuration: Option<Vec<Threshold>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Threshold {
    r#type: Option<String>,
    #[serde(deserialize_with = "number")]
    value: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    strategy: Option<String>,
    #[serde(deserialize_with = "number")]
    bake_time_in_minutes: Option<u64>,
    lifecycle_hook: Option<Vec<Hook>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hook {
    target_type: Option<String>,
    hook_target_arn: Option<String>,
    lifecycle_stages: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Controller {
    r#type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Provider {
    capacity_provider: String,
    #[serde(deserialize_with = "number")]
    weight: Option<u32>,
    #[serde(deserialize_with = "number")]
    base: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    subnets: Option<Vec<Option<String>>>,
    security_groups: Option<Vec<Option<String>>>,
    assign_public_ip: Option<bool>,
}

/// `load_balancer` of a service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    target_group_arn: Option<String>,
    container_name: Option<String>,
    #[serde(deserialize_with = "number")]
    container_port: Option<u16>,
    advanced_configuration: Option<Vec<Advanced>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Advanced {
    alternate_target_group_arn: Option<String>,
}

impl From<Service> for ecs::Service {
    fn from(from: Service) -> Self {
        let share = |one: Provider| ecs::CapacityProviderStrategyItem {
            capacity_provider: one.capacity_provider,
            weight: one.weight,
            base: one.base,
        };
        let providers = from.capacity_provider_strategy;
        let configuration = first(from.deployment_configuration).unwrap_or_default();
        let hooks = configuration.lifecycle_hook.into_iter().flatten();
        ecs::Service {
            service_name: from.name,
            cluster: from.cluster,
            desired_count: from.desired_count,
            task_definition: from.task_definition,
            health_check_grace_period_seconds: from.health_check_grace_period_seconds,
            launch_type: from.launch_type.filter(|kind| !kind.is_empty()),
            platform_version: from.platform_version.filter(|version| !version.is_empty()),
            capacity_provider_strategy: providers.map(|all| all.into_iter().map(share).collect()),
            deployment_controller: first(from.deployment_controller)
                .map(|one| ecs::DeploymentController { r#type: one.r#type }),
            deployment_configuration: Some(ecs::DeploymentConfiguration {
                deployment_circuit_breaker: first(from.deployment_circuit_breaker).map(Into::into),
                maximum_percent: from.deployment_maximum_percent,
                minimum_healthy_percent: from.deployment_minimum_healthy_percent,
                strategy: configuration.strategy,
                bake_time_in_minutes: configuration.bake_time_in_minutes,
                lifecycle_hooks: Some(hooks.map(Into::into).collect()),
            }),
            network_configuration: first(from.network_configuration).map(Into::into),
            load_balancers: Some(from.load_balancer.into_iter().map(Into::into).collect()),
            ..ecs::Service::default()
        }
    }
}

impl From<Breaker> for ecs::DeploymentCircuitBreaker {
    fn from(from: Breaker) -> Self {
        let threshold = first(from.threshold_configuration);
        ecs::DeploymentCircuitBreaker {
            enable: from.enable,
            rollback: from.rollback,
            reset_on_healthy_task: from.reset_on_healthy_task,
            threshold_configuration: threshold
                .map(|one| ecs::ThresholdConfiguration { r#type: one.r#type, value: one.value }),
        }
    }
}

impl From<Hook> for ecs::DeploymentLifecycleHook {
    fn from(from: Hook) -> Self {
        ecs::DeploymentLifecycleHook {
            target_type: from.target_type,
            hook_target_arn: from.hook_target_arn,
            lifecycle_stages: from.lifecycle_stages,
        }
    }
}

impl From<Network> for ecs::NetworkConfiguration {
    fn from(from: Network) -> Self {
        // Those that aren't known yet are null.
        let known =
            |all: Option<Vec<Option<String>>>| all.map(|all| all.into_iter().flatten().collect());
        let public = if from.assign_public_ip == Some(true) { "ENABLED" } else { "DISABLED" };
        ecs::NetworkConfiguration {
            awsvpc_configuration: Some(ecs::AwsVpcConfiguration {
                subnets: known(from.subnets),
                security_groups: known(from.security_groups),
                assign_public_ip: Some(public.to_owned()),
            }),
        }
    }
}

impl From<LoadBalancer> for ecs::LoadBalancer {
    fn from(from: LoadBalancer) -> Self {
        let advanced = first(from.advanced_configuration);
        ecs::LoadBalancer {
            target_group_arn: from.target_group_arn,
            container_name: from.container_name,
            container_port: from.container_port,
            advanced_configuration: advanced.map(|one| ecs::AdvancedConfiguration {
                alternate_target_group_arn: one.alternate_target_group_arn,
                ..ecs::AdvancedConfiguration::default()
            }),
        }
    }
}

/// `aws_ecs_task_definition`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TaskDefinition {
    arn: Option<String>,
    family: Option<String>,
    #[serde(deserialize_with = "number")]
    revision: Option<u32>,
    #[serde(deserialize_with = "cpu")]
    cpu: Option<u32>,
    #[serde(deserialize_with = "memory")]
    memory: Option<u32>,
    network_mode: Option<String>,
    /// JSON.
    pub container_definitions: Option<String>,
}

impl From<TaskDefinition> for ecs::TaskDefinition {
    fn from(from: TaskDefinition) -> Self {
        ecs::TaskDefinition {
            task_definition_arn: from.arn.filter(|arn| !arn.is_empty()),
            family: from.family,
            revision: from.revision,
            cpu: from.cpu,
            memory: from.memory,
            network_mode: from.network_mode,
            container_definitions: None,
        }
    }
}
