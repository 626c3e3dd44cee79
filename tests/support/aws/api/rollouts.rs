//! Service deployments: list, describe, continue; and service revisions.

use serde_json::{Value, json};

use super::super::deployment::{HookDetail, Rollout};
use super::super::world::World;
use super::services::{deployment_configuration, revision_arn};
use super::{Refusal, Reply, strings};

impl World {
    pub(super) fn list_rollouts(&mut self, request: &Value) -> Reply {
        let key = self.asked_service(request, request["service"].as_str().unwrap_or_default())?;
        let statuses = strings(&request["status"]);
        let is_asked =
            |one: &&Rollout| statuses.is_empty() || statuses.iter().any(|name| name == one.status);
        let all = self.services[&key].rollouts.iter().filter(is_asked);
        let all: Vec<Value> = all
            .map(|one| {
                let mut json = self.rollout_json(&key, one);
                json["targetServiceRevisionArn"] = json!(revision_arn(&key, one.revision));
                json
            })
            .collect();
        Ok(json!({ "serviceDeployments": all }))
    }

    pub(super) fn describe_rollouts(&mut self, request: &Value) -> Reply {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in strings(&request["serviceDeploymentArns"]) {
            match self.find_rollout(&arn) {
                Some((key, rollout)) => found.push(self.rollout_json(&key, rollout)),
                None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
            }
        }
        Ok(json!({ "serviceDeployments": found, "failures": failures }))
    }

    pub(super) fn continue_rollout(&mut self, request: &Value) -> Reply {
        let arn = request["serviceDeploymentArn"].as_str().unwrap_or_default();
        let missing =
            || Refusal::new("ServiceDeploymentNotFoundException", "Service deployment not found.");
        let (key, _) = self.find_rollout(arn).ok_or_else(missing)?;
        let goes_on = match request["action"].as_str() {
            Some("CONTINUE") => true,
            Some("ROLLBACK") => false,
            _ => return Err(Refusal::invalid("action must be CONTINUE or ROLLBACK.")),
        };
        let hook = request["hookId"].as_str().unwrap_or_default();
        let is_pause = self.services[&key]
            .rollouts
            .iter()
            .flat_map(|one| &one.hooks)
            .any(|one| one.id == hook && one.function.is_none());
        if !is_pause || !self.resolve_hook(&key, hook, goes_on) {
            return Err(Refusal::invalid("The lifecycle hook is not awaiting an action."));
        }
        Ok(json!({ "serviceDeploymentArn": arn }))
    }

    pub(super) fn describe_revisions(&mut self, request: &Value) -> Reply {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in strings(&request["serviceRevisionArns"]) {
            let all = self.services.iter().flat_map(|(key, service)| {
                service.deployments.iter().map(move |one| (key, service, one))
            });
            match all.into_iter().find(|(key, _, one)| revision_arn(key, one.revision) == arn) {
                Some((_, service, one)) => found.push(json!({
                    "serviceRevisionArn": arn,
                    "serviceArn": service.arn,
                    "taskDefinition": one.definition,
                    "createdAt": self.timestamp(one.created),
                })),
                None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
            }
        }
        Ok(json!({ "serviceRevisions": found, "failures": failures }))
    }

    fn find_rollout(&self, arn: &str) -> Option<(String, &Rollout)> {
        let mut all = self.services.iter().flat_map(|(key, service)| {
            service.rollouts.iter().map(move |rollout| (key.clone(), rollout))
        });
        all.find(|(_, rollout)| rollout.arn == arn)
    }

    fn rollout_json(&self, key: &str, rollout: &Rollout) -> Value {
        let service = &self.services[key];
        let summary = |revision: u32| {
            let of = service.deployments.iter().find(|one| one.revision == revision);
            let weight = match (of.map(|one| one.id == rollout.deployment), rollout.is_shifted) {
                (Some(true), true) | (Some(false), false) => 100.0,
                _ => 0.0,
            };
            let running = of.map_or(0, |one| {
                self.tasks
                    .values()
                    .filter(|task| {
                        task.runs() && task.tie.as_ref().is_some_and(|tie| tie.deployment == one.id)
                    })
                    .count()
            });
            json!({
                "arn": revision_arn(key, revision),
                "requestedTaskCount": of.map_or(0, |one| one.goal),
                "runningTaskCount": running,
                "pendingTaskCount": of.map_or(0, |one| (one.goal as usize).saturating_sub(running)),
                "requestedProductionTrafficWeight": weight,
            })
        };
        let deployment = service.deployments.iter().find(|one| one.id == rollout.deployment);
        let breaker = service.facts.breaker;
        let sources: Vec<Value> = rollout.source.map(summary).into_iter().collect();
        let hooks: Vec<Value> = rollout.hooks.iter().map(|one| self.hook_json(one)).collect();
        let mut json = json!({
            "serviceDeploymentArn": rollout.arn,
            "serviceArn": service.arn,
            "clusterArn": format!("{}:cluster/{}", World::place(), service.facts.cluster),
            "createdAt": self.timestamp(rollout.created),
            "startedAt": self.timestamp(rollout.created),
            "updatedAt": self.timestamp(rollout.entered),
            "sourceServiceRevisions": sources,
            "targetServiceRevision": summary(rollout.revision),
            "status": rollout.status,
            "lifecycleStage": rollout.stage.name(),
            "lifecycleHookDetails": hooks,
            "deploymentConfiguration": deployment_configuration(service),
            "deploymentCircuitBreaker": {
                "status": match (breaker, rollout.is_over()) {
                    (None, _) => "DISABLED",
                    (Some(_), false) => "MONITORING",
                    (Some(_), true) => "MONITORING_COMPLETE",
                },
                "failureCount": deployment.map_or(0, |one| one.failed),
                "threshold": breaker.map_or(0, |one| one.failures(service.facts.desired)),
            },
        });
        if !rollout.reason.is_empty() {
            json["statusReason"] = json!(rollout.reason);
        }
        if let Some(finished) = rollout.finished {
            json["finishedAt"] = json!(self.timestamp(finished));
        }
        if let Some((revision, since, why)) = &rollout.rollback {
            json["rollback"] = json!({
                "reason": why,
                "startedAt": self.timestamp(*since),
                "serviceRevisionArn": revision_arn(key, *revision),
            });
        }
        json
    }

    fn hook_json(&self, hook: &HookDetail) -> Value {
        let mut json = json!({
            "hookId": hook.id,
            "targetType": if hook.function.is_some() { "AWS_LAMBDA" } else { "PAUSE" },
            "status": hook.status,
            "expiresAt": self.timestamp(hook.expires),
            "timeoutAction": "ROLLBACK",
        });
        if let Some(function) = &hook.function {
            json["targetArn"] = json!(function);
        }
        json
    }
}
