//! Task protection.

use serde_json::{Value, json};

use super::super::clock::millis;
use super::super::task::Task;
use super::super::world::{Event, World};
use super::{Refusal, Reply, strings};

impl World {
    pub(super) fn get_protection(&mut self, request: &Value) -> Reply {
        let cluster = self.cluster(&request["cluster"])?;
        self.protections(&cluster, &strings(&request["tasks"]))
    }

    pub(super) fn update_protection(&mut self, request: &Value) -> Reply {
        let cluster = self.cluster(&request["cluster"])?;
        let names = strings(&request["tasks"]);
        let minutes = request["expiresInMinutes"].as_i64();
        let is_on = request["protectionEnabled"] == true;
        for name in &names {
            let id = self.asked_task(&cluster, name).map(|task| task.id.clone());
            if let Some(id) = id {
                self.protect(&id, is_on, minutes)?;
            }
        }
        self.protections(&cluster, &names)
    }

    /// Protects a task of a service for so many minutes, 120 by default, or no more.
    pub fn protect(&mut self, id: &str, is_on: bool, minutes: Option<i64>) -> Result<(), Refusal> {
        let minutes = minutes.unwrap_or(120);
        if !(1..=2880).contains(&minutes) {
            return Err(Refusal::invalid("expiresInMinutes must be between 1 and 2880"));
        }
        let now = self.now();
        let Some(tie) = self.task(id).tie.clone() else { return Ok(()) };
        let length = minutes as f64 * 60.0;
        self.task(id).protected_until = is_on.then(|| now + millis(length));
        if is_on {
            self.after(length, Event::Schedule(tie.service));
        } else {
            self.soon(&tie.service);
        }
        Ok(())
    }

    fn protections(&self, cluster: &str, names: &[String]) -> Reply {
        let (mut protected, mut failures) = (Vec::new(), Vec::new());
        for name in names {
            match self.asked_task(cluster, name) {
                Some(task) => match self.protection_json(task) {
                    Ok(json) => protected.push(json),
                    Err(json) => failures.push(json),
                },
                None => failures.push(json!({ "arn": name, "reason": "MISSING" })),
            }
        }
        Ok(json!({ "protectedTasks": protected, "failures": failures }))
    }

    /// A task's protection, or the failure of a task that can't have one.
    fn protection_json(&self, task: &Task) -> Result<Value, Value> {
        if task.tie.is_none() {
            return Err(json!({
                "arn": task.arn,
                "reason": "TASK_NOT_VALID",
                "detail": "The task is not part of a service.",
            }));
        }
        let until = task.protected_until.filter(|until| *until > self.now());
        let mut json = json!({ "taskArn": task.arn, "protectionEnabled": until.is_some() });
        if let Some(until) = until {
            json["expirationDate"] = json!(self.timestamp(until));
        }
        Ok(json)
    }
}
