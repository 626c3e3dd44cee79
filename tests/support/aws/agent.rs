//! What the ECS agent answers inside a task: metadata, version 4, and task protection.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::api::Refusal;
use super::clock::Millis;
use super::server::{reset, response};
use super::shared::{Outcome, Shared};
use super::task::{Container, Life, Status, Task};
use super::world::World;

type Place = (String, String);

/// The environment that leads a container here.
pub fn environment(url: &str, task: &str, container: &str) -> [(String, String); 2] {
    [
        ("ECS_CONTAINER_METADATA_URI_V4".to_owned(), format!("{url}/v4/{task}/{container}")),
        ("ECS_AGENT_URI".to_owned(), format!("{url}/api/{task}/{container}")),
    ]
}

/// `$ECS_CONTAINER_METADATA_URI_V4`.
pub async fn container(
    State(shared): State<Arc<Shared>>,
    Path((task, name)): Path<Place>,
) -> Response {
    let found = shared.with(|world| {
        let task = world.tasks.get(&task)?;
        Some(container_json(world, task, task.container(&name)?))
    });
    answer(found)
}

/// `$ECS_CONTAINER_METADATA_URI_V4/task`.
pub async fn task(State(shared): State<Arc<Shared>>, Path((task, _)): Path<Place>) -> Response {
    answer(shared.with(|world| Some(task_json(world, world.tasks.get(&task)?))))
}

/// `$ECS_AGENT_URI/task-protection/v1/state`, to ask.
pub async fn protection(
    State(shared): State<Arc<Shared>>,
    Path((task, _)): Path<Place>,
) -> Response {
    protect_by(&shared, "GetTaskProtection", &task, json!({}))
}

/// `$ECS_AGENT_URI/task-protection/v1/state`, to set.
pub async fn protect(
    State(shared): State<Arc<Shared>>,
    Path((task, _)): Path<Place>,
    body: Bytes,
) -> Response {
    let invalid = |message: String| failure(&Refusal::invalid(message));
    let Ok(Value::Object(fields)) = serde_json::from_slice(&body) else {
        return invalid("UpdateTaskProtection: failed to decode request".to_owned());
    };
    let known = ["ProtectionEnabled", "ExpiresInMinutes"];
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return invalid(format!(
            "UpdateTaskProtection: failed to decode request: json: unknown field \"{name}\""
        ));
    }
    let Some(Value::Bool(is_on)) = fields.get("ProtectionEnabled") else {
        return invalid("Invalid request: does not contain 'ProtectionEnabled' field".to_owned());
    };
    let mut request = json!({ "protectionEnabled": is_on });
    if let Some(minutes) = fields.get("ExpiresInMinutes") {
        request["expiresInMinutes"] = minutes.clone();
    }
    protect_by(&shared, "UpdateTaskProtection", &task, request)
}

/// The agent asks ECS itself, and answers in its own way.
fn protect_by(shared: &Shared, operation: &str, id: &str, mut request: Value) -> Response {
    let Some((cluster, arn)) = shared
        .with(|world| world.tasks.get(id).map(|task| (task.cluster.clone(), task.arn.clone())))
    else {
        return answer(None);
    };
    request["cluster"] = json!(cluster);
    request["tasks"] = json!([arn]);
    match shared.call("ecs", operation, &request) {
        Outcome::Reset => reset(),
        Outcome::Refusal(refusal) => failure(&refusal),
        Outcome::Answer(found) => match found["failures"].get(0) {
            Some(one) => answer(Some(json!({ "failure": {
                "Arn": one["arn"], "Reason": one["reason"], "Detail": one["detail"],
            } }))),
            None => {
                let one = &found["protectedTasks"][0];
                let until = one["expirationDate"].as_f64().map(rfc3339);
                answer(Some(json!({ "protection": {
                    "TaskArn": one["taskArn"],
                    "ProtectionEnabled": one["protectionEnabled"],
                    "ExpirationDate": until,
                } })))
            }
        },
    }
}

fn failure(refusal: &Refusal) -> Response {
    let error = json!({ "Code": refusal.code, "Message": refusal.message });
    response(
        refusal.status,
        "application/json",
        json!({ "requestID": "0", "error": error }).to_string(),
    )
}

fn answer(found: Option<Value>) -> Response {
    match found {
        Some(found) => response(200, "application/json", found.to_string()),
        None => response(404, "application/json", "\"no such task\"".to_owned()),
    }
}

fn rfc3339(timestamp: f64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos((timestamp * 1e9) as i128);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

fn when(world: &World, time: Option<Millis>) -> Value {
    time.map_or(Value::Null, |time| json!(rfc3339(world.timestamp(time))))
}

fn desired(task: &Task) -> &'static str {
    if task.is_wanted() { "RUNNING" } else { "STOPPED" }
}

fn task_json(world: &World, task: &Task) -> Value {
    let known = match task.status {
        Status::Provisioning | Status::Pending | Status::Activating => "CREATED",
        Status::Running | Status::Deactivating | Status::Stopping => "RUNNING",
        Status::Deprovisioning | Status::Stopped => "STOPPED",
    };
    let definition = &world.definitions[&task.definition].json;
    let number = |name: &str| definition[name].as_str().and_then(|text| text.parse::<f64>().ok());
    let containers = task.containers.iter().map(|one| container_json(world, task, one));
    let mut json = json!({
        "Cluster": format!("{}:cluster/{}", World::place(), task.cluster),
        "TaskARN": task.arn,
        "Family": task.family,
        "Revision": task.revision.to_string(),
        "DesiredStatus": desired(task),
        "KnownStatus": known,
        "Limits": {
            "CPU": number("cpu").unwrap_or(256.0) / 1024.0,
            "Memory": number("memory").unwrap_or(512.0),
        },
        "AvailabilityZone": "eu-central-1a",
        "LaunchType": task.launch["launchType"].as_str().unwrap_or("FARGATE"),
        "Containers": containers.collect::<Vec<Value>>(),
    });
    if let Some(name) = task.group.strip_prefix("service:").filter(|_| world.agent_knows_service) {
        json["ServiceName"] = json!(name);
    }
    json
}

fn container_json(world: &World, task: &Task, container: &Container) -> Value {
    let mut json = json!({
        "DockerId": format!("{}-{}", task.id, container.spec.name),
        "Name": container.spec.name,
        "DockerName": container.spec.name,
        "Image": container.spec.image,
        "Labels": {
            "com.amazonaws.ecs.cluster": format!("{}:cluster/{}", World::place(), task.cluster),
            "com.amazonaws.ecs.container-name": container.spec.name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.family,
            "com.amazonaws.ecs.task-definition-version": task.revision.to_string(),
        },
        "DesiredStatus": desired(task),
        "KnownStatus": container.life.name(),
        "Type": "NORMAL",
        "Networks": [{ "NetworkMode": "awsvpc", "IPv4Addresses": [task.address] }],
    });
    if container.life != Life::Pending {
        json["StartedAt"] = when(world, container.started);
    }
    if container.life == Life::Stopped {
        json["FinishedAt"] = when(world, container.finished);
        json["ExitCode"] = json!(container.exit);
    }
    json
}
