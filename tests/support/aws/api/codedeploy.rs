//! CodeDeploy, and how ECS shows a service that it deploys.
//!
//! A service with the name of a deployment group in its facts was deployed by that group already;
//! one without was only made.

use lockkeeper::deploy::facts::{CodeDeploy, Controller};
use serde_json::{Value, json};

use super::super::service::Service;
use super::super::world::World;
use super::{Refusal, Reply};

/// What belongs to the deployment in such a service, and is shown with its task set alone.
const OF_TASK_SETS: [&str; 5] = [
    "loadBalancers",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
];

impl World {
    /// The parameters of GetDeploymentGroup for the group that deploys a service.
    pub fn deployment_group_of(&self, key: &str) -> Option<Value> {
        let CodeDeploy { application, group, .. } = group_of(self.services.get(key)?)?;
        Some(json!({ "applicationName": application, "deploymentGroupName": group }))
    }

    pub(super) fn get_deployment(&self, request: &Value) -> Reply {
        let id = request["deploymentId"].as_str().unwrap_or_default();
        let key = self.services.keys().find(|key| deployment_id(key) == id);
        let missing = || {
            let said = format!("The deployment {id} could not be found");
            Refusal::new("DeploymentDoesNotExistException", said)
        };
        let named = key.and_then(|key| self.deployment_group_of(key)).ok_or_else(missing)?;
        Ok(json!({ "deploymentInfo": {
            "applicationName": named["applicationName"],
            "deploymentGroupName": named["deploymentGroupName"],
            "deploymentId": id,
            "status": "Succeeded",
            "computePlatform": "ECS",
        } }))
    }

    pub(super) fn get_deployment_group(&self, request: &Value) -> Reply {
        let mut keys = self.services.keys();
        let key = keys.find(|key| self.deployment_group_of(key).as_ref() == Some(request));
        let missing = || {
            let said = "No Deployment Group found for name";
            Refusal::new("DeploymentGroupDoesNotExistException", said)
        };
        let service = key.map(|key| &self.services[key]).ok_or_else(missing)?;
        let group = group_of(service).ok_or_else(missing)?;
        let attached = service.facts.load_balancers.iter();
        let pairs = attached.map(|one| {
            let arns = [&one.target_group].into_iter().chain(&one.alternate);
            // CodeDeploy keeps names, also of target groups that are gone.
            let names = arns.map(|arn| json!({ "name": arn.rsplit('/').nth(1) }));
            json!({ "targetGroups": names.collect::<Vec<Value>>() })
        });
        Ok(json!({ "deploymentGroupInfo": {
            "applicationName": group.application,
            "deploymentGroupName": group.group,
            "computePlatform": "ECS",
            "blueGreenDeploymentConfiguration": waits(group),
            "ecsServices": [{
                "clusterName": service.facts.cluster, "serviceName": service.facts.name,
            }],
            "loadBalancerInfo": { "targetGroupPairInfoList": pairs.collect::<Vec<Value>>() },
        } }))
    }
}

/// `blueGreenDeploymentConfiguration`.
fn waits(group: &CodeDeploy) -> Value {
    let wait = group.wait.unwrap_or(0) / 60;
    let action = if wait == 0 { "CONTINUE_DEPLOYMENT" } else { "STOP_DEPLOYMENT" };
    let blue = match group.terminate_wait {
        None => json!({ "action": "KEEP_ALIVE", "terminationWaitTimeInMinutes": 0 }),
        Some(wait) => json!({ "action": "TERMINATE", "terminationWaitTimeInMinutes": wait / 60 }),
    };
    json!({
        "deploymentReadyOption": { "actionOnTimeout": action, "waitTimeInMinutes": wait },
        "terminateBlueInstancesOnDeploymentSuccess": blue,
    })
}

fn group_of(service: &Service) -> Option<&CodeDeploy> {
    match &service.facts.controller {
        Controller::CodeDeploy(group) => Some(group).filter(|group| group.group.is_some()),
        _ => None,
    }
}

/// CodeDeploy's deployment that made the task sets of a service.
fn deployment_id(key: &str) -> String {
    format!("d-{}", key.replace('/', "-").to_uppercase())
}

/// Of what CodeDeploy deploys, ECS shows task sets in place of deployments.
pub(super) fn show_task_sets(key: &str, service: &Service, json: &mut Value) {
    if !matches!(service.facts.controller, Controller::CodeDeploy(_)) {
        return;
    }
    let mut sets = json["deployments"].take();
    json["deployments"] = json!([]);
    for set in sets.as_array_mut().into_iter().flatten() {
        for name in OF_TASK_SETS.into_iter().filter(|name| !json[*name].is_null()) {
            set[name] = json[name].clone();
        }
        // An alternate target group is none of ECS's: CodeDeploy knows it.
        for one in set["loadBalancers"].as_array_mut().into_iter().flatten() {
            one.as_object_mut().and_then(|one| one.remove("advancedConfiguration"));
        }
        if group_of(service).is_some() {
            set["externalId"] = json!(deployment_id(key));
            set["startedBy"] = json!("CODE_DEPLOY");
        }
    }
    for name in OF_TASK_SETS {
        json.as_object_mut().and_then(|json| json.remove(name));
    }
    json["taskSets"] = sets;
}
