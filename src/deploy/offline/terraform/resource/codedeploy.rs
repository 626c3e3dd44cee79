//! CodeDeploy's deployment groups.

use serde::Deserialize;

use super::first;
use crate::deploy::reply::codedeploy;
use crate::deploy::reply::number::number;

/// `aws_codedeploy_deployment_group`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeploymentGroup {
    app_name: Option<String>,
    deployment_group_name: Option<String>,
    ecs_service: Option<Vec<EcsService>>,
    blue_green_deployment_config: Option<Vec<BlueGreen>>,
    load_balancer_info: Option<Vec<LoadBalancerInfo>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EcsService {
    service_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BlueGreen {
    deployment_ready_option: Option<Vec<Ready>>,
    terminate_blue_instances_on_deployment_success: Option<Vec<Terminate>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ready {
    action_on_timeout: Option<String>,
    #[serde(deserialize_with = "number")]
    wait_time_in_minutes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Terminate {
    action: Option<String>,
    #[serde(deserialize_with = "number")]
    termination_wait_time_in_minutes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoadBalancerInfo {
    target_group_pair_info: Option<Vec<Pair>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pair {
    target_group: Option<Vec<GroupName>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupName {
    name: Option<String>,
}

impl DeploymentGroup {
    /// Whether it deploys this service. A name that isn't known yet may be the service's.
    pub fn deploys(&self, service: Option<&str>) -> bool {
        let names =
            || self.ecs_service.iter().flatten().filter_map(|one| one.service_name.as_deref());
        names().next().is_none() || names().any(|name| Some(name) == service)
    }
}

impl From<DeploymentGroup> for codedeploy::DeploymentGroup {
    fn from(from: DeploymentGroup) -> Self {
        let blue_green = first(from.blue_green_deployment_config).unwrap_or_default();
        let pairs = first(from.load_balancer_info).and_then(|one| one.target_group_pair_info);
        let named = |one: GroupName| codedeploy::TargetGroupName { name: one.name };
        let pair = |pair: Pair| codedeploy::TargetGroupPair {
            target_groups: pair.target_group.map(|all| all.into_iter().map(named).collect()),
        };
        let ready = |one: Ready| codedeploy::DeploymentReady {
            action_on_timeout: one.action_on_timeout,
            wait_time_in_minutes: one.wait_time_in_minutes,
        };
        let terminate = |one: Terminate| codedeploy::TerminateBlue {
            action: one.action,
            termination_wait_time_in_minutes: one.termination_wait_time_in_minutes,
        };
        let blue = first(blue_green.terminate_blue_instances_on_deployment_success);
        codedeploy::DeploymentGroup {
            application_name: from.app_name,
            deployment_group_name: from.deployment_group_name,
            ecs_services: None,
            blue_green_deployment_configuration: Some(codedeploy::BlueGreen {
                deployment_ready_option: first(blue_green.deployment_ready_option).map(ready),
                terminate_blue_instances_on_deployment_success: blue.map(terminate),
            }),
            load_balancer_info: Some(codedeploy::LoadBalancerInfo {
                target_group_pair_info_list: pairs.map(|all| all.into_iter().map(pair).collect()),
            }),
        }
    }
}
