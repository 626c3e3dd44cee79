//! Task metadata, version 4.

use serde::Deserialize;

use super::{Agent, ask};
use crate::deploy::task::last_part;

/// What a task knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskMetadata {
    /// The cluster, by name or ARN.
    #[serde(default)]
    pub cluster: String,
    /// The task's ARN.
    #[serde(rename = "TaskARN")]
    pub arn: String,
    /// The task definition's family.
    #[serde(default)]
    pub family: String,
    /// Its revision.
    #[serde(default)]
    pub revision: String,
    /// The service, where the agent tells it: not always.
    pub service_name: Option<String>,
    /// RUNNING, or STOPPED once it is to stop; that may come before SIGTERM.
    #[serde(default)]
    pub desired_status: String,
}

impl TaskMetadata {
    /// The task's id.
    pub fn id(&self) -> &str {
        last_part(&self.arn)
    }

    /// `shop-migrate:42`.
    pub fn definition(&self) -> String {
        format!("{}:{}", self.family, self.revision)
    }

    /// The cluster's name.
    pub fn cluster_name(&self) -> &str {
        last_part(&self.cluster)
    }
}

impl Agent {
    /// Asks who this task is.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn task(&self) -> Result<TaskMetadata, String> {
        let (status, body) = ask(format!("{}/task", self.metadata), None).await?;
        if status != 200 {
            return Err(format!("the agent answered {status}"));
        }
        serde_json::from_str(&body).map_err(|error| format!("the agent's answer: {error}"))
    }
}
