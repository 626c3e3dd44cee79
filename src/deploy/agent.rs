//! The ECS agent, as a process inside a task sees it: who it is, and whether it may be stopped.
//!
//! Both endpoints are plain HTTP on the task's own link, so no SDK is needed. What isn't answered is
//! not fatal anywhere: the same program runs outside of ECS.

mod guard;
mod metadata;
mod protection;

use std::time::Duration;

pub use guard::{guard, heed};
pub use metadata::{ContainerMetadata, TaskMetadata};
pub use protection::{Protection, ProtectionError};

/// The agent answers from the same machine.
const ANSWER: Duration = Duration::from_secs(2);
/// But for protection it asks ECS, for up to five seconds.
const ANSWER_OF_ECS: Duration = Duration::from_secs(6);

/// The way to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `ECS_CONTAINER_METADATA_URI_V4`.
    metadata: String,
    /// `ECS_AGENT_URI`; older agents have none.
    agent: Option<String>,
}

impl Agent {
    /// Of the task that this process runs in, where it runs in one.
    pub fn here() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let metadata = variable("ECS_CONTAINER_METADATA_URI_V4")?;
        Some(Agent::at(metadata, variable("ECS_AGENT_URI")))
    }

    /// At these addresses of the agent, as it gives them to a container: for metadata, and for protection.
    pub fn at(metadata: String, agent: Option<String>) -> Self {
        Agent { metadata, agent }
    }
}

/// Asks the agent once, by GET, or by PUT of a body.
async fn ask(url: String, body: Option<String>) -> Result<(u16, String), String> {
    let ask = move || {
        let patience = if body.is_some() { ANSWER_OF_ECS } else { ANSWER };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0);
        let agent: ureq::Agent = config.build().into();
        let answer = match body {
            Some(body) => agent.put(url).header("content-type", "application/json").send(body),
            None => agent.get(url).call(),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        Ok((answer.status().as_u16(), text))
    };
    tokio::task::spawn_blocking(ask).await.map_err(|error| error.to_string())?
}
