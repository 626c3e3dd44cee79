//! The operations: what is asked, and what AWS would answer.

pub mod balancers;
pub mod codedeploy;
pub mod definitions;
pub mod logs;
pub mod placing;
pub mod protection;
pub mod rollouts;
pub mod services;
pub mod tasks;
pub mod xml;

use serde_json::{Value, json};

use super::world::World;

/// An answer, or an error of AWS.
pub type Reply = Result<Value, Refusal>;

/// An error of AWS.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code: `ClusterNotFoundException`.
    pub code: String,
    /// The message.
    pub message: String,
    /// Further members.
    pub members: Value,
}

impl Refusal {
    /// One with status 400.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Refusal { status: 400, code, message, members: json!({}) }
    }

    /// `InvalidParameterException`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Refusal::new("InvalidParameterException", message)
    }
}

/// The strings of a list.
pub(super) fn strings(list: &Value) -> Vec<String> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Merges the members of one object into another.
pub(super) fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

/// The name of a cluster from its name or ARN.
fn cluster_name(asked: &Value) -> String {
    let name = asked.as_str().unwrap_or("default");
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

impl World {
    /// The cluster that is asked for, where there is one.
    pub(super) fn cluster(&self, asked: &Value) -> Result<String, Refusal> {
        let name = cluster_name(asked);
        let missing = || Refusal::new("ClusterNotFoundException", "Cluster not found.");
        self.clusters.contains(&name).then_some(name).ok_or_else(missing)
    }

    /// The key of the service that is asked for.
    pub(super) fn asked_service(&self, request: &Value, name: &str) -> Result<String, Refusal> {
        let cluster = self.cluster(&request["cluster"])?;
        let missing = || Refusal::new("ServiceNotFoundException", "Service not found.");
        self.service_key(&cluster, name).ok_or_else(missing)
    }

    /// Answers an operation that speaks JSON, `ECS.RunTask` and the like.
    pub fn answer(&mut self, operation: &str, request: &Value) -> Reply {
        match operation {
            "RunTask" => self.run_task(request),
            "StopTask" => self.stop_asked_task(request),
            "DescribeTasks" => self.describe_tasks(request),
            "ListTasks" => self.list_tasks(request),
            "RegisterTaskDefinition" => self.register_definition(request),
            "DescribeTaskDefinition" => self.describe_definition(request),
            "DescribeServices" => self.describe_services(request),
            "UpdateService" => self.update_service(request),
            "ListServiceDeployments" => self.list_rollouts(request),
            "DescribeServiceDeployments" => self.describe_rollouts(request),
            "DescribeServiceRevisions" => self.describe_revisions(request),
            "ContinueServiceDeployment" => self.continue_rollout(request),
            "GetTaskProtection" => self.get_protection(request),
            "UpdateTaskProtection" => self.update_protection(request),
            "GetLogEvents" => self.log_events(request),
            "DescribeLogStreams" => self.log_streams(request),
            "GetDeployment" => self.get_deployment(request),
            "GetDeploymentGroup" => self.get_deployment_group(request),
            "PutLifecycleEventHookExecutionStatus" => Ok(json!({
                "lifecycleEventHookExecutionId": request["lifecycleEventHookExecutionId"],
            })),
            other => {
                Err(Refusal::new("UnknownOperationException", format!("unknown operation {other}")))
            }
        }
    }
}
