//! RunTask.

use serde_json::{Value, json};

use super::super::life::Order;
use super::super::world::World;
use super::{Refusal, Reply};

impl World {
    pub(super) fn run_task(&mut self, request: &Value) -> Reply {
        let cluster = self.cluster(&request["cluster"])?;
        validate(request)?;
        let name = request["taskDefinition"].as_str().unwrap_or_default();
        let missing = || Refusal::new("ClientException", "TaskDefinition not found.");
        let definition = self.definition(name).ok_or_else(missing)?;
        let known = definition.containers.iter().map(|one| one.name.as_str());
        let known: Vec<&str> = known.collect();
        let overrides = request["overrides"]["containerOverrides"].as_array();
        for one in overrides.map(Vec::as_slice).unwrap_or_default() {
            let name = one["name"].as_str().unwrap_or_default();
            if !known.contains(&name) {
                return Err(Refusal::invalid(format!(
                    "Override for container named {name} is not a container in the TaskDefinition."
                )));
            }
        }
        let definition = definition.arn.clone();
        // The token itself is no parameter that the tasks depend on.
        let mut parameters = request.clone();
        parameters["clientToken"] = Value::Null;
        let token = request["clientToken"].as_str();
        if let Some((before, tasks)) = token.and_then(|token| self.tokens.get(token)) {
            if *before != parameters {
                let mut refusal = Refusal::new(
                    "ConflictException",
                    "The RunTask request could not be \
                    processed due to conflicts. The provided clientToken is already in use with a \
                    different RunTask request. The resourceIds are the existing task ARNs which are \
                    already associated with the clientToken.",
                );
                refusal.members = json!({ "resourceIds": tasks });
                return Err(refusal);
            }
            let tasks: Vec<Value> = tasks
                .iter()
                .filter_map(|arn| Some(self.task_json(arn.rsplit('/').next()?)))
                .collect();
            return Ok(json!({ "tasks": tasks, "failures": [] }));
        }
        let launch = match request["capacityProviderStrategy"][0]["capacityProvider"].as_str() {
            Some(provider) => json!({ "capacityProviderName": provider }),
            None => json!({ "launchType": request["launchType"].as_str().unwrap_or("EC2") }),
        };
        let count = request["count"].as_u64().unwrap_or(1);
        let ids: Vec<String> = (0..count)
            .map(|_| {
                self.launch(Order {
                    cluster: cluster.clone(),
                    definition: definition.clone(),
                    overrides: request["overrides"].clone(),
                    started_by: request["startedBy"].as_str().map(str::to_owned),
                    launch: launch.clone(),
                    group: request["group"].as_str().map(str::to_owned),
                    tie: None,
                })
            })
            .collect();
        let arns = ids.iter().map(|id| self.tasks[id].arn.clone()).collect();
        if let Some(token) = token {
            self.tokens.insert(token.to_owned(), (parameters, arns));
        }
        let tasks: Vec<Value> = ids.iter().map(|id| self.task_json(id)).collect();
        Ok(json!({ "tasks": tasks, "failures": [] }))
    }
}

/// The limits of RunTask's parameters.
fn validate(request: &Value) -> Result<(), Refusal> {
    let has = |name: &str| request[name].as_array().is_some_and(|list| !list.is_empty());
    if request["launchType"].is_string() && has("capacityProviderStrategy") {
        return Err(Refusal::invalid(
            "Specifying both a launch type and capacity provider strategy is \
            not supported. Remove one and try again.",
        ));
    }
    if request["clientToken"].as_str().is_some_and(|token| token.len() > 64) {
        return Err(Refusal::invalid("clientToken must be 64 characters or fewer."));
    }
    let is_sound = |name: &str| {
        let sound = |letter: char| letter.is_ascii_alphanumeric() || "-/_".contains(letter);
        name.len() <= 128 && name.chars().all(sound)
    };
    if request["startedBy"].as_str().is_some_and(|by| !is_sound(by)) {
        return Err(Refusal::invalid(
            "startedBy must be 128 characters or fewer, and consist of \
            letters, numbers, hyphens, forward slash, and underscores.",
        ));
    }
    if request["propagateTags"] == "SERVICE" {
        return Err(Refusal::invalid("SERVICE is not a valid value for propagateTags."));
    }
    if request["overrides"].to_string().len() > 8192 {
        return Err(Refusal::invalid("Container Overrides length must be at most 8192"));
    }
    Ok(())
}
