//! Resources of Terraform's provider for AWS, as far as they say how a service is deployed.
//!
//! A block is a list, of one element mostly.

mod balancer;
mod codedeploy;
mod service;

pub use balancer::{Action, Listener, Rule, TargetGroup};
pub use codedeploy::DeploymentGroup;
pub use service::{Service, TaskDefinition};

/// What a service's fate depends on. Which target group it has is followed apart from these.
pub const SERVICE: [&str; 19] = [
    "desired_count",
    "health_check_grace_period_seconds",
    "scheduling_strategy",
    "launch_type",
    "capacity_provider_strategy.capacity_provider",
    "capacity_provider_strategy.weight",
    "capacity_provider_strategy.base",
    "deployment_maximum_percent",
    "deployment_minimum_healthy_percent",
    "deployment_controller.type",
    "deployment_circuit_breaker.enable",
    "deployment_circuit_breaker.rollback",
    "deployment_circuit_breaker.reset_on_healthy_task",
    "deployment_circuit_breaker.threshold_configuration.type",
    "deployment_circuit_breaker.threshold_configuration.value",
    "deployment_configuration.strategy",
    "deployment_configuration.bake_time_in_minutes",
    "load_balancer.container_name",
    "load_balancer.container_port",
];

/// What a target group's checks and its draining depend on.
pub const TARGET_GROUP: [&str; 11] = [
    "protocol",
    "deregistration_delay",
    "connection_termination",
    "health_check.protocol",
    "health_check.port",
    "health_check.path",
    "health_check.matcher",
    "health_check.interval",
    "health_check.timeout",
    "health_check.healthy_threshold",
    "health_check.unhealthy_threshold",
];

/// What of a task definition is compared with the one before; its containers, with their stop
/// timeouts, are one text.
pub const TASK_DEFINITION: [&str; 2] = ["cpu", "memory"];

/// The only element of a block.
fn first<T>(block: Option<Vec<T>>) -> Option<T> {
    block.and_then(|all| all.into_iter().next())
}
