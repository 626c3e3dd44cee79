//! What CodeDeploy says: `aws deploy get-deployment-group`.

use serde::Deserialize;

use super::number::number;
use crate::deploy::facts::CodeDeploy;

/// A deployment group.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct DeploymentGroup {
    pub application_name: Option<String>,
    pub deployment_group_name: Option<String>,
    pub ecs_services: Option<Vec<EcsService>>,
    pub blue_green_deployment_configuration: Option<BlueGreen>,
    pub load_balancer_info: Option<LoadBalancerInfo>,
}

/// Which service it deploys.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct EcsService {
    pub service_name: Option<String>,
}

/// How long it waits.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct BlueGreen {
    pub deployment_ready_option: Option<DeploymentReady>,
    pub terminate_blue_instances_on_deployment_success: Option<TerminateBlue>,
}

/// What happens when the replacement tasks are ready.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct DeploymentReady {
    pub action_on_timeout: Option<String>,
    #[serde(deserialize_with = "number")]
    pub wait_time_in_minutes: Option<u64>,
}

/// What happens to the old tasks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TerminateBlue {
    pub action: Option<String>,
    #[serde(deserialize_with = "number")]
    pub termination_wait_time_in_minutes: Option<u64>,
}

/// Its target groups.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct LoadBalancerInfo {
    pub target_group_pair_info_list: Option<Vec<TargetGroupPair>>,
}

/// The two between which traffic is shifted.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TargetGroupPair {
    pub target_groups: Option<Vec<TargetGroupName>>,
}

/// A target group's name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TargetGroupName {
    pub name: Option<String>,
}

impl DeploymentGroup {
    /// The facts in it.
    pub fn facts(&self) -> CodeDeploy {
        let blue_green = self.blue_green_deployment_configuration.as_ref();
        let ready = blue_green.and_then(|one| one.deployment_ready_option.as_ref());
        let blue =
            blue_green.and_then(|one| one.terminate_blue_instances_on_deployment_success.as_ref());
        CodeDeploy {
            application: self.application_name.clone(),
            group: self.deployment_group_name.clone(),
            wait: ready.map(DeploymentReady::seconds),
            terminate_wait: blue
                .filter(|blue| !blue.keeps())
                .and_then(|blue| blue.termination_wait_time_in_minutes)
                .map(|minutes| minutes * 60),
            keeps_old: blue.is_some_and(TerminateBlue::keeps),
        }
    }

    /// Names of all its target groups.
    pub fn target_groups(&self) -> impl Iterator<Item = &str> {
        let pairs =
            self.load_balancer_info.iter().flat_map(|info| &info.target_group_pair_info_list);
        pairs
            .flatten()
            .flat_map(|pair| &pair.target_groups)
            .flatten()
            .filter_map(|group| group.name.as_deref())
    }
}

impl TerminateBlue {
    /// `KEEP_ALIVE` never stops the old tasks; whatever wait stands beside it means nothing.
    fn keeps(&self) -> bool {
        self.action.as_deref() == Some("KEEP_ALIVE")
    }
}

impl DeploymentReady {
    /// `CONTINUE_DEPLOYMENT` reroutes at once; `STOP_DEPLOYMENT` waits so long for somebody to do it.
    fn seconds(&self) -> u64 {
        match self.action_on_timeout.as_deref() {
            Some("STOP_DEPLOYMENT") => self.wait_time_in_minutes.unwrap_or(0) * 60,
            _ => 0,
        }
    }
}
