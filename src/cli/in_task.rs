//! A run inside a task of ECS: what it is called there, its protection, and the wish that it stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::deploy::agent::{Agent, TaskMetadata, guard, heed};
use crate::ledger::Identity;
use crate::progress::{EcsTask, Event, Progress, Reporter};
use crate::stop::Stop;

/// How long giving the protection back may take, behind an answer that is still open, where nobody is in
/// a hurry: it ends by itself, too.
pub const RELEASE: Duration = Duration::from_secs(13);

/// A run, perhaps inside a task.
#[derive(Debug, Default)]
pub struct InTask {
    id: Option<String>,
    guard: Option<JoinHandle<()>>,
}

impl InTask {
    /// Asks the agent, where there is one, and lets it be watched from now on.
    pub async fn enter(reporter: &Reporter, progress: &watch::Receiver<Progress>) -> Self {
        let Some(agent) = Agent::here() else { return InTask::default() };
        let guard = tokio::spawn(guard(agent.clone(), reporter.clone(), progress.clone()));
        // Without an answer it is a run as any other.
        let task = agent.task().await.ok();
        if let Some(task) = &task {
            reporter.emit(Event::InTask(named(task)));
        }
        InTask { id: task.map(|task| task.id().to_owned()), guard: Some(guard) }
    }

    /// Takes the agent's word that the task is to stop for a signal.
    pub fn heed(reporter: &Reporter, stop: &Stop) {
        if let Some(agent) = Agent::here() {
            tokio::spawn(heed(agent, reporter.clone(), stop.clone()));
        }
    }

    /// Who this process is, for the ledger: a task is found by its id, a container's host name nowhere.
    pub fn identity(&self) -> Identity {
        let identity = super::identity();
        match &self.id {
            Some(id) => Identity { host: format!("ECS task {id}"), ..identity },
            None => identity,
        }
    }

    /// Waits until the protection is given back, but not for longer than this; the run has ended.
    pub async fn leave(self, patience: Duration) {
        if let Some(guard) = self.guard {
            // What became of it was said.
            let _ = tokio::time::timeout(patience, guard).await;
        }
    }
}

fn named(task: &TaskMetadata) -> EcsTask {
    EcsTask {
        id: task.id().to_owned(),
        cluster: task.cluster_name().to_owned(),
        definition: task.definition(),
        service: task.service_name.clone(),
    }
}
