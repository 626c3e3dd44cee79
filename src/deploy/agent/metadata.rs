//! Task metadata, version 4.

use serde::Deserialize;
use serde::de::DeserializeOwned;

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

/// What a container of a task knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerMetadata {
    /// Its name in the task definition.
    pub name: String,
    /// The networks that it is in: with `awsvpc` one, which all of the task's containers share.
    pub networks: Vec<NetworkMetadata>,
}

/// A network of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkMetadata {
    /// `awsvpc`, `bridge`, `host`.
    pub network_mode: String,
    /// Addresses there.
    #[serde(rename = "IPv4Addresses")]
    pub v4: Vec<String>,
    /// And those of IPv6.
    #[serde(rename = "IPv6Addresses")]
    pub v6: Vec<String>,
}

impl ContainerMetadata {
    /// The task's own addresses, those of IPv4 first: with any other network mode than `awsvpc` it has none
    /// by which a load balancer could reach it.
    pub fn addresses(&self) -> Vec<String> {
        let own = || self.networks.iter().filter(|network| network.network_mode == "awsvpc");
        let v4 = own().flat_map(|network| &network.v4);
        v4.chain(own().flat_map(|network| &network.v6)).cloned().collect()
    }
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
        self.metadata_at("/task").await
    }

    /// Asks who this container is.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn container(&self) -> Result<ContainerMetadata, String> {
        self.metadata_at("").await
    }

    async fn metadata_at<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let (status, body) = ask(format!("{}{path}", self.metadata), None).await?;
        if status != 200 {
            return Err(format!("the agent answered {status}"));
        }
        serde_json::from_str(&body).map_err(|error| format!("the agent's answer: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_with_awsvpc_a_task_has_addresses_of_its_own() {
        let text = r#"{"DockerId": "1", "Name": "web", "Networks": [
            {"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.2.106"], "IPv6Addresses": ["fd00::1"]}
        ]}"#;
        let container: ContainerMetadata = serde_json::from_str(text).expect("a container");
        assert_eq!(container.name, "web");
        assert_eq!(container.addresses(), ["10.0.2.106", "fd00::1"]);
        let bridge = text.replace("awsvpc", "bridge");
        let container: ContainerMetadata = serde_json::from_str(&bridge).expect("a container");
        assert!(container.addresses().is_empty());
    }
}
