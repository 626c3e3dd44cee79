//! DescribeServices and UpdateService.

use lockkeeper::deploy::facts::{Attachment, Controller, Hook, Launch, Strategy, Threshold};
use serde_json::{Value, json};

use super::super::deployment::{Deployment, State};
use super::super::scheduler;
use super::super::service::Service;
use super::super::task::Status;
use super::super::world::World;
use super::codedeploy::show_task_sets;
use super::{Refusal, Reply, merge, strings};

/// The parameters of UpdateService that have an effect.
const UPDATABLE: [&str; 6] = [
    "cluster",
    "service",
    "taskDefinition",
    "forceNewDeployment",
    "desiredCount",
    "healthCheckGracePeriodSeconds",
];

impl World {
    pub(super) fn describe_services(&mut self, request: &Value) -> Reply {
        let cluster = self.cluster(&request["cluster"])?;
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in strings(&request["services"]) {
            match self.service_key(&cluster, &name) {
                Some(key) => services.push(self.service_json(&key)),
                None => {
                    let short = name.rsplit('/').next().unwrap_or(&name);
                    let arn = format!("{}:service/{cluster}/{short}", World::place());
                    failures.push(json!({ "arn": arn, "reason": "MISSING" }));
                }
            }
        }
        Ok(json!({ "services": services, "failures": failures }))
    }

    pub(super) fn update_service(&mut self, request: &Value) -> Reply {
        // What would have no effect here must not look as if it had one.
        let asked = request.as_object().into_iter().flat_map(|request| request.keys());
        if let Some(other) = asked.into_iter().find(|name| !UPDATABLE.contains(&name.as_str())) {
            return Err(Refusal::invalid(format!("the fake can't update {other}")));
        }
        let name = request["service"].as_str().unwrap_or_default();
        let key = self.asked_service(request, name)?;
        let definition = match request["taskDefinition"].as_str() {
            None => None,
            Some(name) => {
                let missing = || Refusal::new("ClientException", "TaskDefinition not found.");
                Some(self.definition(name).ok_or_else(missing)?.arn.clone())
            }
        };
        let service = self.service(&key);
        if let Some(desired) = request["desiredCount"].as_u64() {
            service.facts.desired = desired as u32;
        }
        if let Some(grace) = request["healthCheckGracePeriodSeconds"].as_u64() {
            service.facts.grace = Some(grace);
        }
        let current = service.primary().definition.clone();
        let is_forced = request["forceNewDeployment"] == true;
        match definition {
            Some(definition) if definition != current || is_forced => {
                self.deploy(&key, &definition)
            }
            None if is_forced => self.deploy(&key, &current),
            Some(_) | None => self.soon(&key),
        }
        Ok(json!({ "service": self.service_json(&key) }))
    }

    /// Tasks of a service, or of one of its deployments, that run, and that are yet to.
    fn counts(&self, key: &str, deployment: Option<&str>) -> (usize, usize) {
        let of = self.tasks.values().filter(|task| {
            task.tie.as_ref().is_some_and(|tie| {
                tie.service == key && deployment.is_none_or(|id| tie.deployment == id)
            })
        });
        let count =
            |holds: fn(Status) -> bool| of.clone().filter(|task| holds(task.status)).count();
        (count(|status| status == Status::Running), count(|status| status < Status::Running))
    }

    /// A service as the API shows it.
    pub fn service_json(&self, key: &str) -> Value {
        let service = &self.services[key];
        let facts = &service.facts;
        let (running, pending) = self.counts(key, None);
        let primary = service.primary();
        let deployments: Vec<Value> =
            service.listed().map(|one| self.deployment_json(key, one)).collect();
        let events = service.events.iter().take(100).enumerate().map(|(at, (time, message))| {
            json!({
                "id": format!("event-{}", service.events.len() - at),
                "createdAt": self.timestamp(*time),
                "message": message,
            })
        });
        let controller = match facts.controller {
            Controller::Ecs => "ECS",
            Controller::CodeDeploy(_) => "CODE_DEPLOY",
            Controller::External => "EXTERNAL",
        };
        let mut json = json!({
            "serviceArn": service.arn,
            "serviceName": facts.name,
            "clusterArn": format!("{}:cluster/{}", World::place(), facts.cluster),
            "status": "ACTIVE",
            "desiredCount": facts.desired,
            "runningCount": running,
            "pendingCount": pending,
            "taskDefinition": primary.definition,
            "createdAt": self.timestamp(service.created),
            "schedulingStrategy": "REPLICA",
            "deploymentController": { "type": controller },
            "deploymentConfiguration": deployment_configuration(service),
            "loadBalancers": load_balancers(service),
            "deployments": deployments,
            "events": events.collect::<Vec<Value>>(),
            "serviceRegistries": [],
            "placementConstraints": [],
            "placementStrategy": [],
            "enableECSManagedTags": true,
            "enableExecuteCommand": false,
            "currentServiceRevisions": service.listed().map(|one| json!({
                "arn": revision_arn(key, one.revision),
                "requestedTaskCount": one.goal,
                "runningTaskCount": self.counts(key, Some(&one.id)).0,
                "pendingTaskCount": self.counts(key, Some(&one.id)).1,
            })).collect::<Vec<Value>>(),
        });
        merge(&mut json, launch_json(&facts.launch));
        merge(&mut json, network_json(service));
        if let Some(grace) = facts.grace {
            json["healthCheckGracePeriodSeconds"] = json!(grace);
        }
        if let Some(version) = &facts.platform_version {
            json["platformVersion"] = json!(version);
        }
        if let Some(rollout) = service.rollout() {
            json["currentServiceDeployment"] = json!(rollout.arn);
        }
        show_task_sets(key, service, &mut json);
        json
    }

    fn deployment_json(&self, key: &str, deployment: &Deployment) -> Value {
        let service = &self.services[key];
        let (running, pending) = self.counts(key, Some(&deployment.id));
        let is_primary = service.primary().id == deployment.id;
        // Of the PRIMARY one it is the service's from the start, until it is given up.
        let desired = match deployment.state {
            State::Failed => 0,
            _ if is_primary => service.facts.desired,
            _ => deployment.goal,
        };
        let mut json = json!({
            "id": deployment.id,
            "status": if is_primary { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": deployment.definition,
            "desiredCount": desired,
            "runningCount": running,
            "pendingCount": pending,
            "failedTasks": deployment.failed,
            "createdAt": self.timestamp(deployment.created),
            "updatedAt": self.timestamp(deployment.updated),
            "rolloutState": deployment.state.name(),
            "rolloutStateReason": deployment.reason,
        });
        merge(&mut json, launch_json(&service.facts.launch));
        merge(&mut json, network_json(service));
        json
    }
}

/// `arn:aws:ecs:…:service-revision/…`.
pub(super) fn revision_arn(key: &str, revision: u32) -> String {
    format!(
        "{}:service-revision/{key}/{:019}",
        World::place(),
        4_000_000_000_000_000_000 + u64::from(revision)
    )
}

/// How a service shows where its tasks run.
fn launch_json(launch: &Launch) -> Value {
    let Launch::Providers(all) = launch else { return scheduler::launch(launch) };
    let all = all.iter().map(|one| {
        json!({
            "capacityProvider": one.provider, "weight": one.weight, "base": one.base,
        })
    });
    json!({ "capacityProviderStrategy": all.collect::<Vec<Value>>() })
}

fn network_json(service: &Service) -> Value {
    let Some(network) = &service.facts.network else { return json!({}) };
    json!({ "networkConfiguration": { "awsvpcConfiguration": {
        "subnets": network.subnets,
        "securityGroups": network.security_groups,
        "assignPublicIp": if network.public_ip { "ENABLED" } else { "DISABLED" },
    } } })
}

fn load_balancers(service: &Service) -> Vec<Value> {
    let entry = |(one, production): (&Attachment, &Option<String>)| {
        let mut json = json!({
            "targetGroupArn": one.target_group,
            "containerName": one.container,
            "containerPort": one.port,
        });
        if let Some(alternate) = &one.alternate {
            json["advancedConfiguration"] = json!({
                "alternateTargetGroupArn": alternate,
                "productionListenerRule": production,
                "roleArn": "arn:aws:iam::123456789012:role/ecsInfrastructureRole",
            });
        }
        json
    };
    service.facts.load_balancers.iter().zip(&service.production).map(entry).collect()
}

/// `deploymentConfiguration`.
pub(super) fn deployment_configuration(service: &Service) -> Value {
    let facts = &service.facts;
    let hook = |hook: &Hook| {
        let mut json = json!({
            "targetType": if hook.function.is_some() { "AWS_LAMBDA" } else { "PAUSE" },
            "lifecycleStages": hook.stages,
        });
        if let Some(function) = &hook.function {
            json["hookTargetArn"] = json!(function);
            json["roleArn"] = json!("arn:aws:iam::123456789012:role/ecsHooks");
        }
        json
    };
    let mut json = json!({
        "maximumPercent": facts.maximum_percent_or_default(),
        "minimumHealthyPercent": facts.minimum_percent_or_default(),
        "strategy": match facts.strategy {
            Strategy::Rolling => "ROLLING",
            Strategy::BlueGreen => "BLUE_GREEN",
            Strategy::Linear => "LINEAR",
            Strategy::Canary => "CANARY",
        },
        "bakeTimeInMinutes": facts.bake.unwrap_or(0) / 60,
        "lifecycleHooks": facts.hooks.iter().map(hook).collect::<Vec<Value>>(),
        "deploymentCircuitBreaker": { "enable": false, "rollback": false },
    });
    if let Some(breaker) = &facts.breaker {
        json["deploymentCircuitBreaker"] = json!({
            "enable": true, "rollback": breaker.rollback, "resetOnHealthyTask": breaker.resets,
        });
        let threshold = breaker.threshold.map(|threshold| match threshold {
            Threshold::Count(value) => ("COUNT", value),
            Threshold::BoundedPercent(value) => ("BOUNDED_PERCENT", value),
            Threshold::UnboundedPercent(value) => ("UNBOUNDED_PERCENT", value),
        });
        if let Some((kind, value)) = threshold {
            json["deploymentCircuitBreaker"]["thresholdConfiguration"] =
                json!({ "type": kind, "value": value });
        }
    }
    json
}
