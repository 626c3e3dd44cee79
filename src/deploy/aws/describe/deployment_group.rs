//! CodeDeploy's deployment group of a service, by way of the deployment that made its task set.

use aws_sdk_codedeploy::types as codedeploy;
use aws_sdk_ecs::types::Service;

use super::{allowed_or_gone, asked};
use crate::deploy::aws::{Aws, AwsError};
use crate::deploy::facts::Unknown;
use crate::deploy::reply::codedeploy::{
    BlueGreen, DeploymentGroup, DeploymentReady, EcsService, LoadBalancerInfo, TargetGroupName,
    TargetGroupPair, TerminateBlue,
};
use crate::deploy::reply::picture::WHAT_DEPLOYMENT_GROUP;

/// The deployment group that deploys the service; `None` where another controller does, where
/// CodeDeploy hasn't deployed it yet, and where it becomes known to be unknown.
///
/// # Errors
/// AWS's, but for a permission that is missing and for what was deleted since.
pub(super) async fn deployment_group(
    aws: &Aws,
    service: &Service,
    unknown: &mut Vec<Unknown>,
) -> Result<Option<DeploymentGroup>, AwsError> {
    let Some(deployment) = last_deployment(service) else { return Ok(None) };
    let found = ask(aws, deployment).await;
    Ok(allowed_or_gone(found, WHAT_DEPLOYMENT_GROUP.to_owned(), unknown)?.flatten())
}

/// CodeDeploy writes its deployment's id to the task set that it makes, as `externalId`. Other
/// controllers write there what they like.
fn last_deployment(service: &Service) -> Option<&str> {
    let controller = service.deployment_controller().map(|one| one.r#type().as_str());
    let sets = service.task_sets().iter().filter(|_| controller == Some("CODE_DEPLOY"));
    let made = sets.filter(|set| set.external_id().is_some());
    // Either is of the same group; the one that is to stay is the surer.
    let best = made.max_by_key(|set| set.status() == Some("PRIMARY"));
    best.and_then(|set| set.external_id())
}

async fn ask(aws: &Aws, deployment: &str) -> Result<Option<DeploymentGroup>, AwsError> {
    let reply = aws.codedeploy.get_deployment().deployment_id(deployment).send().await;
    let found = asked("codedeploy:GetDeployment", reply)?.deployment_info;
    let named = found.and_then(|one| one.application_name.zip(one.deployment_group_name));
    let Some((application, group)) = named else { return Ok(None) };
    let request = aws.codedeploy.get_deployment_group().application_name(application);
    let reply = request.deployment_group_name(group).send().await;
    let found = asked("codedeploy:GetDeploymentGroup", reply)?.deployment_group_info;
    Ok(found.map(Into::into))
}

impl From<codedeploy::DeploymentGroupInfo> for DeploymentGroup {
    fn from(from: codedeploy::DeploymentGroupInfo) -> Self {
        let services = |all: Vec<codedeploy::EcsService>| {
            all.into_iter().map(|one| EcsService { service_name: one.service_name }).collect()
        };
        DeploymentGroup {
            application_name: from.application_name,
            deployment_group_name: from.deployment_group_name,
            ecs_services: from.ecs_services.map(services),
            blue_green_deployment_configuration: from
                .blue_green_deployment_configuration
                .map(Into::into),
            load_balancer_info: from.load_balancer_info.map(Into::into),
        }
    }
}

impl From<codedeploy::BlueGreenDeploymentConfiguration> for BlueGreen {
    fn from(from: codedeploy::BlueGreenDeploymentConfiguration) -> Self {
        let ready = from.deployment_ready_option.map(|one| DeploymentReady {
            action_on_timeout: one.action_on_timeout.map(|action| action.as_str().to_owned()),
            wait_time_in_minutes: u64::try_from(one.wait_time_in_minutes).ok(),
        });
        let blue = from.terminate_blue_instances_on_deployment_success.map(|one| TerminateBlue {
            action: one.action.map(|action| action.as_str().to_owned()),
            termination_wait_time_in_minutes: u64::try_from(one.termination_wait_time_in_minutes)
                .ok(),
        });
        BlueGreen {
            deployment_ready_option: ready,
            terminate_blue_instances_on_deployment_success: blue,
        }
    }
}

impl From<codedeploy::LoadBalancerInfo> for LoadBalancerInfo {
    fn from(from: codedeploy::LoadBalancerInfo) -> Self {
        let named = |group: codedeploy::TargetGroupInfo| TargetGroupName { name: group.name };
        let pair = |pair: codedeploy::TargetGroupPairInfo| TargetGroupPair {
            target_groups: pair.target_groups.map(|all| all.into_iter().map(named).collect()),
        };
        let pairs = from.target_group_pair_info_list;
        LoadBalancerInfo {
            target_group_pair_info_list: pairs.map(|all| all.into_iter().map(pair).collect()),
        }
    }
}
