//! The SDK's types as [replies](crate::deploy::reply), field by field: what follows from them is
//! said in one place, for files too.

use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::deploy::reply;

/// A number that AWS never has negative.
fn whole<N: TryFrom<i32>>(number: i32) -> Option<N> {
    N::try_from(number).ok()
}

fn all<F, T: From<F>>(from: Option<Vec<F>>) -> Option<Vec<T>> {
    from.map(|all| all.into_iter().map(Into::into).collect())
}

impl From<ecs::Service> for reply::ecs::Service {
    fn from(from: ecs::Service) -> Self {
        reply::ecs::Service {
            service_name: from.service_name,
            cluster_arn: from.cluster_arn,
            cluster: None,
            status: from.status,
            desired_count: whole(from.desired_count),
            running_count: whole(from.running_count),
            task_definition: from.task_definition,
            deployments: all(from.deployments),
            task_sets: all(from.task_sets),
            deployment_configuration: from.deployment_configuration.map(Into::into),
            deployment_controller: from.deployment_controller.map(|one| {
                reply::ecs::DeploymentController { r#type: Some(one.r#type.as_str().to_owned()) }
            }),
            health_check_grace_period_seconds: from
                .health_check_grace_period_seconds
                .and_then(whole),
            launch_type: from.launch_type.map(|one| one.as_str().to_owned()),
            capacity_provider_strategy: all(from.capacity_provider_strategy),
            platform_version: from.platform_version,
            network_configuration: from.network_configuration.map(Into::into),
            load_balancers: all(from.load_balancers),
        }
    }
}

impl From<ecs::Deployment> for reply::ecs::Deployment {
    fn from(from: ecs::Deployment) -> Self {
        reply::ecs::Deployment {
            status: from.status,
            task_definition: from.task_definition,
            rollout_state: from.rollout_state.map(|one| one.as_str().to_owned()),
            launch_type: from.launch_type.map(|one| one.as_str().to_owned()),
            capacity_provider_strategy: all(from.capacity_provider_strategy),
            platform_version: from.platform_version,
            network_configuration: from.network_configuration.map(Into::into),
            load_balancers: None,
        }
    }
}

impl From<ecs::TaskSet> for reply::ecs::Deployment {
    fn from(from: ecs::TaskSet) -> Self {
        reply::ecs::Deployment {
            status: from.status,
            task_definition: from.task_definition,
            rollout_state: None,
            launch_type: from.launch_type.map(|one| one.as_str().to_owned()),
            capacity_provider_strategy: all(from.capacity_provider_strategy),
            platform_version: from.platform_version,
            network_configuration: from.network_configuration.map(Into::into),
            load_balancers: all(from.load_balancers),
        }
    }
}

impl From<ecs::DeploymentConfiguration> for reply::ecs::DeploymentConfiguration {
    fn from(from: ecs::DeploymentConfiguration) -> Self {
        reply::ecs::DeploymentConfiguration {
            deployment_circuit_breaker: from.deployment_circuit_breaker.map(Into::into),
            maximum_percent: from.maximum_percent.and_then(whole),
            minimum_healthy_percent: from.minimum_healthy_percent.and_then(whole),
            strategy: from.strategy.map(|one| one.as_str().to_owned()),
            bake_time_in_minutes: from.bake_time_in_minutes.and_then(whole),
            lifecycle_hooks: all(from.lifecycle_hooks),
        }
    }
}

impl From<ecs::DeploymentCircuitBreaker> for reply::ecs::DeploymentCircuitBreaker {
    fn from(from: ecs::DeploymentCircuitBreaker) -> Self {
        reply::ecs::DeploymentCircuitBreaker {
            enable: Some(from.enable),
            rollback: Some(from.rollback),
            reset_on_healthy_task: from.reset_on_healthy_task,
            threshold_configuration: from.threshold_configuration.map(|one| {
                reply::ecs::ThresholdConfiguration {
                    r#type: Some(one.r#type.as_str().to_owned()),
                    value: whole(one.value),
                }
            }),
        }
    }
}

impl From<ecs::DeploymentLifecycleHook> for reply::ecs::DeploymentLifecycleHook {
    fn from(from: ecs::DeploymentLifecycleHook) -> Self {
        let stages = from
            .lifecycle_stages
            .map(|stages| stages.into_iter().map(|stage| stage.as_str().to_owned()).collect());
        reply::ecs::DeploymentLifecycleHook {
            target_type: from.target_type.map(|one| one.as_str().to_owned()),
            hook_target_arn: from.hook_target_arn,
            lifecycle_stages: stages,
        }
    }
}

impl From<ecs::CapacityProviderStrategyItem> for reply::ecs::CapacityProviderStrategyItem {
    fn from(from: ecs::CapacityProviderStrategyItem) -> Self {
        reply::ecs::CapacityProviderStrategyItem {
            capacity_provider: from.capacity_provider,
            weight: whole(from.weight),
            base: whole(from.base),
        }
    }
}

impl From<ecs::NetworkConfiguration> for reply::ecs::NetworkConfiguration {
    fn from(from: ecs::NetworkConfiguration) -> Self {
        let awsvpc = from.awsvpc_configuration.map(|one| reply::ecs::AwsVpcConfiguration {
            subnets: Some(one.subnets),
            security_groups: one.security_groups,
            assign_public_ip: one.assign_public_ip.map(|one| one.as_str().to_owned()),
        });
        reply::ecs::NetworkConfiguration { awsvpc_configuration: awsvpc }
    }
}

impl From<ecs::LoadBalancer> for reply::ecs::LoadBalancer {
    fn from(from: ecs::LoadBalancer) -> Self {
        reply::ecs::LoadBalancer {
            target_group_arn: from.target_group_arn,
            container_name: from.container_name,
            container_port: from.container_port.and_then(whole),
            advanced_configuration: from.advanced_configuration.map(|one| {
                reply::ecs::AdvancedConfiguration {
                    alternate_target_group_arn: one.alternate_target_group_arn,
                    production_listener_rule: one.production_listener_rule,
                    test_listener_rule: one.test_listener_rule,
                }
            }),
        }
    }
}

impl From<ecs::TaskDefinition> for reply::ecs::TaskDefinition {
    fn from(from: ecs::TaskDefinition) -> Self {
        reply::ecs::TaskDefinition {
            task_definition_arn: from.task_definition_arn,
            family: from.family,
            revision: whole(from.revision),
            // ECS answers with plain numbers, whatever they were registered as.
            cpu: from.cpu.and_then(|cpu| cpu.parse().ok()),
            memory: from.memory.and_then(|memory| memory.parse().ok()),
            network_mode: from.network_mode.map(|one| one.as_str().to_owned()),
            container_definitions: all(from.container_definitions),
        }
    }
}

impl From<ecs::ContainerDefinition> for reply::ecs::ContainerDefinition {
    fn from(from: ecs::ContainerDefinition) -> Self {
        let named = |name| reply::ecs::Named { name };
        let variables = from.environment.map(|all| all.into_iter().filter_map(|one| one.name));
        let secrets = from.secrets.map(|all| all.into_iter().map(|one| named(one.name)).collect());
        let ports = from.port_mappings.map(|all| all.into_iter().map(|one| one.container_port));
        let port =
            |port: Option<i32>| reply::ecs::PortMapping { container_port: port.and_then(whole) };
        reply::ecs::ContainerDefinition {
            name: from.name.unwrap_or_default(),
            image: from.image,
            essential: from.essential,
            cpu: whole(from.cpu),
            memory: from.memory.and_then(whole),
            memory_reservation: from.memory_reservation.and_then(whole),
            entry_point: from.entry_point,
            command: from.command,
            start_timeout: from.start_timeout.and_then(whole),
            stop_timeout: from.stop_timeout.and_then(whole),
            health_check: from.health_check.map(Into::into),
            depends_on: all(from.depends_on),
            port_mappings: ports.map(|ports| ports.map(port).collect()),
            environment: variables.map(|names| names.map(named).collect()),
            secrets,
            log_configuration: from.log_configuration.map(Into::into),
        }
    }
}

impl From<ecs::HealthCheck> for reply::ecs::HealthCheck {
    fn from(from: ecs::HealthCheck) -> Self {
        reply::ecs::HealthCheck {
            command: Some(from.command),
            interval: from.interval.and_then(whole),
            timeout: from.timeout.and_then(whole),
            retries: from.retries.and_then(whole),
            start_period: from.start_period.and_then(whole),
        }
    }
}

impl From<ecs::ContainerDependency> for reply::ecs::ContainerDependency {
    fn from(from: ecs::ContainerDependency) -> Self {
        reply::ecs::ContainerDependency {
            container_name: from.container_name,
            condition: from.condition.as_str().to_owned(),
        }
    }
}

impl From<ecs::LogConfiguration> for reply::ecs::LogConfiguration {
    fn from(from: ecs::LogConfiguration) -> Self {
        let options =
            from.options.map(|all| all.into_iter().map(|(key, value)| (key, Some(value))));
        reply::ecs::LogConfiguration {
            log_driver: Some(from.log_driver.as_str().to_owned()),
            options: options.map(Iterator::collect),
        }
    }
}

impl From<elb::TargetGroup> for reply::elb::TargetGroup {
    fn from(from: elb::TargetGroup) -> Self {
        reply::elb::TargetGroup {
            target_group_arn: from.target_group_arn,
            target_group_name: from.target_group_name,
            protocol: from.protocol.map(|one| one.as_str().to_owned()),
            health_check_protocol: from.health_check_protocol.map(|one| one.as_str().to_owned()),
            health_check_port: from.health_check_port,
            health_check_path: from.health_check_path,
            health_check_interval_seconds: from.health_check_interval_seconds.and_then(whole),
            health_check_timeout_seconds: from.health_check_timeout_seconds.and_then(whole),
            healthy_threshold_count: from.healthy_threshold_count.and_then(whole),
            unhealthy_threshold_count: from.unhealthy_threshold_count.and_then(whole),
            matcher: from.matcher.map(|one| reply::elb::Matcher {
                http_code: one.http_code,
                grpc_code: one.grpc_code,
            }),
            load_balancer_arns: from.load_balancer_arns,
        }
    }
}

impl From<elb::TargetGroupAttribute> for reply::elb::Attribute {
    fn from(from: elb::TargetGroupAttribute) -> Self {
        reply::elb::Attribute { key: from.key.unwrap_or_default(), value: from.value }
    }
}

impl From<elb::TargetHealthDescription> for reply::elb::TargetHealthDescription {
    fn from(from: elb::TargetHealthDescription) -> Self {
        let target = from.target.map(|one| reply::elb::TargetDescription {
            id: one.id.unwrap_or_default(),
            port: one.port.and_then(whole),
        });
        let health = from.target_health.map(|one| reply::elb::TargetHealth {
            state: one.state.map(|one| one.as_str().to_owned()),
            reason: one.reason.map(|one| one.as_str().to_owned()),
            description: one.description,
        });
        reply::elb::TargetHealthDescription {
            target: target.unwrap_or_default(),
            target_health: health.unwrap_or_default(),
        }
    }
}

impl From<elb::Listener> for reply::elb::Listener {
    fn from(from: elb::Listener) -> Self {
        reply::elb::Listener {
            listener_arn: from.listener_arn,
            port: from.port.and_then(whole),
            default_actions: all(from.default_actions),
        }
    }
}

impl From<elb::Rule> for reply::elb::Rule {
    fn from(from: elb::Rule) -> Self {
        reply::elb::Rule {
            rule_arn: from.rule_arn,
            listener_arn: None,
            is_default: from.is_default,
            actions: all(from.actions),
        }
    }
}

impl From<elb::Action> for reply::elb::Action {
    fn from(from: elb::Action) -> Self {
        reply::elb::Action {
            target_group_arn: from.target_group_arn,
            forward_config: from
                .forward_config
                .map(|one| reply::elb::ForwardConfig { target_groups: all(one.target_groups) }),
        }
    }
}

impl From<elb::TargetGroupTuple> for reply::elb::TargetGroupTuple {
    fn from(from: elb::TargetGroupTuple) -> Self {
        reply::elb::TargetGroupTuple {
            target_group_arn: from.target_group_arn,
            weight: from.weight.and_then(whole),
        }
    }
}
