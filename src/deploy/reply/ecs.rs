//! What ECS says: `describe-services`, `describe-task-definition`.

use serde::Deserialize;

use super::number::{cpu, memory, number};

/// A service. `create-service` takes most of these fields too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Service {
    pub service_name: Option<String>,
    pub cluster_arn: Option<String>,
    pub cluster: Option<String>,
    pub status: Option<String>,
    #[serde(deserialize_with = "number")]
    pub desired_count: Option<u32>,
    #[serde(deserialize_with = "number")]
    pub running_count: Option<u32>,
    pub task_definition: Option<String>,
    pub deployments: Option<Vec<Deployment>>,
    pub task_sets: Option<Vec<Deployment>>,
    pub deployment_configuration: Option<DeploymentConfiguration>,
    pub deployment_controller: Option<DeploymentController>,
    #[serde(deserialize_with = "number")]
    pub health_check_grace_period_seconds: Option<u64>,
    pub launch_type: Option<String>,
    pub capacity_provider_strategy: Option<Vec<CapacityProviderStrategyItem>>,
    pub platform_version: Option<String>,
    pub network_configuration: Option<NetworkConfiguration>,
    pub load_balancers: Option<Vec<LoadBalancer>>,
}

/// A deployment of a service, or a task set of one that CodeDeploy or another controller deploys.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Deployment {
    pub status: Option<String>,
    pub task_definition: Option<String>,
    pub rollout_state: Option<String>,
    pub launch_type: Option<String>,
    pub capacity_provider_strategy: Option<Vec<CapacityProviderStrategyItem>>,
    pub platform_version: Option<String>,
    pub network_configuration: Option<NetworkConfiguration>,
    pub load_balancers: Option<Vec<LoadBalancer>>,
}

/// How tasks are replaced.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct DeploymentConfiguration {
    pub deployment_circuit_breaker: Option<DeploymentCircuitBreaker>,
    #[serde(deserialize_with = "number")]
    pub maximum_percent: Option<u32>,
    #[serde(deserialize_with = "number")]
    pub minimum_healthy_percent: Option<u32>,
    pub strategy: Option<String>,
    #[serde(deserialize_with = "number")]
    pub bake_time_in_minutes: Option<u64>,
    pub lifecycle_hooks: Option<Vec<DeploymentLifecycleHook>>,
}

/// The circuit breaker.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct DeploymentCircuitBreaker {
    pub enable: Option<bool>,
    pub rollback: Option<bool>,
    pub reset_on_healthy_task: Option<bool>,
    pub threshold_configuration: Option<ThresholdConfiguration>,
}

/// How many tasks may fail.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct ThresholdConfiguration {
    pub r#type: Option<String>,
    #[serde(deserialize_with = "number")]
    pub value: Option<u32>,
}

/// A lifecycle hook.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct DeploymentLifecycleHook {
    pub target_type: Option<String>,
    pub hook_target_arn: Option<String>,
    pub lifecycle_stages: Option<Vec<String>>,
}

/// Who replaces tasks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct DeploymentController {
    pub r#type: Option<String>,
}

/// A capacity provider's share.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct CapacityProviderStrategyItem {
    pub capacity_provider: String,
    #[serde(deserialize_with = "number")]
    pub weight: Option<u32>,
    #[serde(deserialize_with = "number")]
    pub base: Option<u32>,
}

/// Subnets and the like.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct NetworkConfiguration {
    pub awsvpc_configuration: Option<AwsVpcConfiguration>,
}

/// Subnets and the like, of `awsvpc`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct AwsVpcConfiguration {
    pub subnets: Option<Vec<String>>,
    pub security_groups: Option<Vec<String>>,
    pub assign_public_ip: Option<String>,
}

/// A target group that tasks are registered with.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct LoadBalancer {
    pub target_group_arn: Option<String>,
    pub container_name: Option<String>,
    #[serde(deserialize_with = "number")]
    pub container_port: Option<u16>,
    pub advanced_configuration: Option<AdvancedConfiguration>,
}

/// The other target group of a blue/green deployment, and the rules that choose between the two.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct AdvancedConfiguration {
    pub alternate_target_group_arn: Option<String>,
    pub production_listener_rule: Option<String>,
    pub test_listener_rule: Option<String>,
}

/// A task definition, registered or not yet.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TaskDefinition {
    pub task_definition_arn: Option<String>,
    pub family: Option<String>,
    #[serde(deserialize_with = "number")]
    pub revision: Option<u32>,
    #[serde(deserialize_with = "cpu")]
    pub cpu: Option<u32>,
    #[serde(deserialize_with = "memory")]
    pub memory: Option<u32>,
    pub network_mode: Option<String>,
    pub container_definitions: Option<Vec<ContainerDefinition>>,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct ContainerDefinition {
    pub name: String,
    pub image: Option<String>,
    pub essential: Option<bool>,
    #[serde(deserialize_with = "cpu")]
    pub cpu: Option<u32>,
    #[serde(deserialize_with = "memory")]
    pub memory: Option<u32>,
    #[serde(deserialize_with = "memory")]
    pub memory_reservation: Option<u32>,
    pub entry_point: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    #[serde(deserialize_with = "number")]
    pub start_timeout: Option<u64>,
    #[serde(deserialize_with = "number")]
    pub stop_timeout: Option<u64>,
    pub health_check: Option<HealthCheck>,
    pub depends_on: Option<Vec<ContainerDependency>>,
    pub port_mappings: Option<Vec<PortMapping>>,
    pub environment: Option<Vec<Named>>,
    pub secrets: Option<Vec<Named>>,
    pub log_configuration: Option<LogConfiguration>,
}

/// A container's own check.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct HealthCheck {
    pub command: Option<Vec<String>>,
    #[serde(deserialize_with = "number")]
    pub interval: Option<u64>,
    #[serde(deserialize_with = "number")]
    pub timeout: Option<u64>,
    #[serde(deserialize_with = "number")]
    pub retries: Option<u32>,
    #[serde(deserialize_with = "number")]
    pub start_period: Option<u64>,
}

/// An entry of `dependsOn`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct ContainerDependency {
    pub container_name: String,
    pub condition: String,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct PortMapping {
    #[serde(deserialize_with = "number")]
    pub container_port: Option<u16>,
}

/// A variable, of which only the name is read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Named {
    pub name: String,
}

/// Where the log goes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct LogConfiguration {
    pub log_driver: Option<String>,
    pub options: Option<std::collections::BTreeMap<String, Option<String>>>,
}
