//! Tasks as the API shows them: StopTask, DescribeTasks, ListTasks.

use serde_json::{Value, json};

use super::super::clock::Millis;
use super::super::task::{Container, Stop, Task};
use super::super::world::World;
use super::{Refusal, Reply, merge, strings};

/// Stopped tasks can be seen for about an hour.
const MEMORY: Millis = 3_600_000;

impl World {
    /// A task of a cluster by its id or ARN, as long as ECS remembers it.
    pub(super) fn asked_task(&self, cluster: &str, name: &str) -> Option<&Task> {
        let id = name.rsplit('/').next().unwrap_or(name);
        self.tasks.get(id).filter(|task| task.cluster == cluster && self.is_remembered(task))
    }

    fn is_remembered(&self, task: &Task) -> bool {
        task.stopped.is_none_or(|stopped| self.now() < stopped + MEMORY)
    }

    pub(super) fn stop_asked_task(&mut self, request: &Value) -> Reply {
        let cluster = self.cluster(&request["cluster"])?;
        let name = request["task"].as_str().unwrap_or_default();
        let missing = || Refusal::invalid("The referenced task was not found.");
        let id = self.asked_task(&cluster, name).ok_or_else(missing)?.id.clone();
        let reason = request["reason"].as_str().unwrap_or("Task stopped by user").to_owned();
        self.stop_task(&id, Stop { code: "UserInitiated", reason });
        Ok(json!({ "task": self.task_json(&id) }))
    }

    pub(super) fn describe_tasks(&mut self, request: &Value) -> Reply {
        let cluster = self.cluster(&request["cluster"])?;
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for name in strings(&request["tasks"]) {
            let id = self.asked_task(&cluster, &name).map(|task| task.id.clone());
            let hidden = id.as_ref().is_none_or(|id| {
                let task = self.task(id);
                let is_hidden = task.hidden > 0;
                task.hidden = task.hidden.saturating_sub(1);
                is_hidden
            });
            match id.filter(|_| !hidden) {
                Some(id) => tasks.push(self.task_json(&id)),
                None => {
                    let id = name.rsplit('/').next().unwrap_or(&name);
                    let arn = format!("{}:task/{cluster}/{id}", World::place());
                    failures.push(json!({ "arn": arn, "reason": "MISSING" }));
                }
            }
        }
        Ok(json!({ "tasks": tasks, "failures": failures }))
    }

    pub(super) fn list_tasks(&mut self, request: &Value) -> Reply {
        let cluster = self.cluster(&request["cluster"])?;
        let wanted = request["desiredStatus"].as_str().unwrap_or("RUNNING");
        let is = |asked: &Value, value: Option<&str>| {
            asked.as_str().is_none_or(|asked| value == Some(asked))
        };
        let service =
            request["serviceName"].as_str().map(|name| name.rsplit('/').next().unwrap_or(name));
        let found = self.tasks.values().filter(|task| {
            task.cluster == cluster
                && task.hidden == 0
                && self.is_remembered(task)
                && (wanted == "STOPPED") != task.is_wanted()
                && is(&request["startedBy"], task.started_by.as_deref())
                && is(&request["family"], Some(&task.family))
                && service.is_none_or(|name| task.group == format!("service:{name}"))
        });
        let all: Vec<&str> = found.map(|task| task.arn.as_str()).collect();
        // By pages, as AWS does: the token is where the next one begins.
        let from: usize =
            request["nextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
        let size = request["maxResults"].as_u64().unwrap_or(100) as usize;
        let page = &all[from.min(all.len())..(from + size).min(all.len())];
        let mut answer = json!({ "taskArns": page });
        if from + size < all.len() {
            answer["nextToken"] = json!((from + size).to_string());
        }
        Ok(answer)
    }

    /// A task as the API shows it.
    pub fn task_json(&self, id: &str) -> Value {
        let task = &self.tasks[id];
        let definition = &self.definitions[&task.definition].json;
        let containers: Vec<Value> =
            task.containers.iter().map(|one| self.container_json(task, one)).collect();
        let mut json = json!({
            "taskArn": task.arn,
            "clusterArn": format!("{}:cluster/{}", World::place(), task.cluster),
            "taskDefinitionArn": task.definition,
            "group": task.group,
            "lastStatus": task.status.name(),
            "desiredStatus": if task.is_wanted() { "RUNNING" } else { "STOPPED" },
            "healthStatus": task.health().name(),
            "createdAt": self.timestamp(task.created),
            "availabilityZone": "eu-central-1a",
            "connectivity": "CONNECTED",
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "cpu": definition["cpu"].as_str().unwrap_or("256"),
            "memory": definition["memory"].as_str().unwrap_or("512"),
            "version": 1,
            "attachments": [{
                "id": format!("eni-attach-{}", &task.id[..8]),
                "type": "ElasticNetworkInterface",
                "status": "ATTACHED",
                "details": [
                    { "name": "subnetId", "value": "subnet-1" },
                    { "name": "networkInterfaceId", "value": format!("eni-{}", &task.id[..8]) },
                    { "name": "privateIPv4Address", "value": task.address },
                ],
            }],
            "overrides": if task.overrides.is_null() { json!({}) } else { task.overrides.clone() },
            "containers": containers,
        });
        merge(&mut json, task.launch.clone());
        if let Some(by) = &task.started_by {
            json["startedBy"] = json!(by);
        }
        let times = [
            ("startedAt", task.started),
            ("stoppingAt", task.stopping),
            ("stoppedAt", task.stopped),
        ];
        for (name, time) in times {
            if let Some(time) = time {
                json[name] = json!(self.timestamp(time));
            }
        }
        if let Some(stop) = &task.stop {
            json["stopCode"] = json!(stop.code);
            json["stoppedReason"] = json!(stop.reason);
        }
        json
    }

    fn container_json(&self, task: &Task, container: &Container) -> Value {
        let resource = format!("container/{}/{}/{}", task.cluster, task.id, container.spec.name);
        let mut json = json!({
            "containerArn": format!("{}:{resource}", World::place()),
            "taskArn": task.arn,
            "name": container.spec.name,
            "image": container.spec.image,
            "lastStatus": container.life.name(),
            "healthStatus": container.health.name(),
            "networkInterfaces": [{
                "attachmentId": format!("eni-attach-{}", &task.id[..8]),
                "privateIpv4Address": task.address,
            }],
        });
        if let Some(code) = container.exit {
            json["exitCode"] = json!(code);
        }
        if let Some(reason) = &container.reason {
            json["reason"] = json!(reason);
        }
        if container.started.is_some() {
            json["runtimeId"] = json!(format!("{}-{}", task.id, container.spec.name));
        }
        json
    }
}
