//! Hooks that call a Lambda function: what they say, and what they are answered. Pure.
//!
//! ECS calls again and again until the answer isn't IN_PROGRESS, and brings the details of the last
//! answer along. CodeDeploy calls once, and is told later.

use serde_json::{Value, json};

/// What calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A lifecycle hook of an ECS deployment.
    Ecs(EcsCall),
    /// A lifecycle event of a CodeDeploy deployment.
    CodeDeploy {
        /// `DeploymentId`.
        deployment: String,
        /// `LifecycleEventHookExecutionId`.
        execution: String,
    },
}

/// A lifecycle hook of an ECS deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsCall {
    /// `lifecycleStage`.
    pub stage: String,
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// The service revision that is to be deployed.
    pub revision: Option<String>,
    /// What the last answer left.
    pub details: Details,
}

/// What one answer leaves for the next call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The task that migrates, by ARN.
    pub task: Option<String>,
    /// The container that counts.
    pub container: Option<String>,
    /// How many tasks were started.
    pub starts: u64,
    /// When the first call came, in seconds since 1970.
    pub since: Option<u64>,
}

/// Why an event can't be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is neither ECS's nor CodeDeploy's.
    #[error("this event is neither of an ECS lifecycle hook nor of CodeDeploy: it has {has}")]
    Unknown {
        /// The names of its fields.
        has: String,
    },
    /// The service can't be told.
    #[error("the event names no service of a cluster: {arn}")]
    NoService {
        /// What it has in that place.
        arn: String,
    },
}

/// Seconds after which ECS is to call again.
const CALL_BACK: u64 = 15;

/// What ECS is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The deployment goes on.
    Succeeded,
    /// It is rolled back.
    Failed,
    /// Ask again.
    InProgress(Details),
}

impl Call {
    /// Reads an event, in the nested shape of today or the flat one of older texts.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn of(event: &Value) -> Result<Self, EventError> {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        if let (Some(deployment), Some(execution)) =
            (text("DeploymentId"), text("LifecycleEventHookExecutionId"))
        {
            return Ok(Call::CodeDeploy { deployment, execution });
        }
        let Some(stage) = text("lifecycleStage") else {
            let has = event.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
            return Err(EventError::Unknown { has: has.unwrap_or_default().join(", ") });
        };
        let detail = |name: &str| {
            let nested = event["executionDetails"][name].as_str();
            nested.or(event[name].as_str()).map(str::to_owned)
        };
        let arn = detail("serviceArn").unwrap_or_default();
        let (cluster, service) = place(&arn).ok_or(EventError::NoService { arn: arn.clone() })?;
        Ok(Call::Ecs(EcsCall {
            stage,
            cluster: cluster.to_owned(),
            service: service.to_owned(),
            revision: detail("targetServiceRevisionArn"),
            details: Details::of(&event["hookDetails"]),
        }))
    }
}

impl Details {
    fn of(details: &Value) -> Self {
        let text = |name: &str| details[name].as_str().map(str::to_owned);
        Details {
            task: text("task"),
            container: text("container"),
            starts: details["starts"].as_u64().unwrap_or(0),
            since: details["since"].as_u64(),
        }
    }
}

impl Reply {
    /// As ECS reads it.
    pub fn to_json(&self) -> Value {
        match self {
            Reply::Succeeded => json!({ "hookStatus": "SUCCEEDED" }),
            Reply::Failed => json!({ "hookStatus": "FAILED" }),
            Reply::InProgress(details) => json!({
                "hookStatus": "IN_PROGRESS",
                "callBackDelay": CALL_BACK,
                "hookDetails": {
                    "task": details.task,
                    "container": details.container,
                    "starts": details.starts,
                    "since": details.since,
                },
            }),
        }
    }
}

/// Cluster and service of `arn:aws:ecs:eu-central-1:1:service/shop/web`. The old short form has no
/// cluster.
fn place(arn: &str) -> Option<(&str, &str)> {
    let (_, path) = arn.split_once(":service/")?;
    path.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:ecs:eu-central-1:123456789012:service/shop/web";

    fn expected(details: Details) -> Call {
        Call::Ecs(EcsCall {
            stage: "PRE_SCALE_UP".to_owned(),
            cluster: "shop".to_owned(),
            service: "web".to_owned(),
            revision: Some("arn:revision".to_owned()),
            details,
        })
    }

    #[test]
    fn both_shapes_of_ecs_are_read() {
        let nested = json!({
            "executionId": "a", "lifecycleStage": "PRE_SCALE_UP", "resourceArn": "arn:deployment",
            "executionDetails": { "serviceArn": ARN, "targetServiceRevisionArn": "arn:revision" },
            "hookDetails": {}
        });
        assert_eq!(Call::of(&nested), Ok(expected(Details::default())));
        let flat = json!({
            "executionId": "a", "lifecycleStage": "PRE_SCALE_UP",
            "serviceArn": ARN, "targetServiceRevisionArn": "arn:revision"
        });
        assert_eq!(Call::of(&flat), Ok(expected(Details::default())));
    }

    #[test]
    fn what_one_answer_leaves_comes_back_with_the_next_call() {
        let details = Details {
            task: Some("arn:task".to_owned()),
            container: Some("migrate".to_owned()),
            starts: 2,
            since: Some(1_790_000_000),
        };
        let answer = Reply::InProgress(details.clone()).to_json();
        assert_eq!(answer["hookStatus"], "IN_PROGRESS");
        let event = json!({
            "lifecycleStage": "PRE_SCALE_UP",
            "executionDetails": { "serviceArn": ARN, "targetServiceRevisionArn": "arn:revision" },
            "hookDetails": answer["hookDetails"]
        });
        assert_eq!(Call::of(&event), Ok(expected(details)));
    }

    #[test]
    fn code_deploy_is_told_apart_and_strangers_are_refused() {
        let event = json!({ "DeploymentId": "d-1", "LifecycleEventHookExecutionId": "x" });
        let (deployment, execution) = ("d-1".to_owned(), "x".to_owned());
        assert_eq!(Call::of(&event), Ok(Call::CodeDeploy { deployment, execution }));
        assert!(matches!(Call::of(&json!({ "Records": [] })), Err(EventError::Unknown { .. })));
        let short = json!({
            "lifecycleStage": "PRE_SCALE_UP",
            "executionDetails": { "serviceArn": "arn:aws:ecs:eu-central-1:1:service/web" }
        });
        assert!(matches!(Call::of(&short), Err(EventError::NoService { .. })));
    }
}
