//! The task definition.

use super::{Condition, Container};

/// A task definition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskDefinition {
    /// `family`.
    pub family: String,
    /// `revision`; 0 where it isn't registered yet.
    pub revision: u32,
    /// The whole ARN, where it has one.
    pub arn: Option<String>,
    /// CPU units of the whole task.
    pub cpu: Option<u32>,
    /// MiB of the whole task.
    pub memory: Option<u32>,
    /// `networkMode`.
    pub network_mode: Option<String>,
    /// Its containers.
    pub containers: Vec<Container>,
}

impl TaskDefinition {
    /// Whether a container of it waits for more than this one's start. Until then the task isn't RUNNING.
    pub fn waits_for(&self, name: &str) -> bool {
        let dependencies = self.containers.iter().flat_map(|one| &one.depends_on);
        let mut waits = dependencies.filter(|one| one.condition != Condition::Start);
        waits.any(|dependency| dependency.container == name)
    }

    /// `web:42`, or `web` where it isn't registered.
    pub fn name(&self) -> String {
        match self.revision {
            0 => self.family.clone(),
            revision => format!("{}:{revision}", self.family),
        }
    }

    /// A container by its name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// CPU units: of the task, or of its containers together; `None` where nobody says.
    pub fn cpu_units(&self) -> Option<u32> {
        let sum = self.containers.iter().map(|one| one.cpu.unwrap_or(0)).sum();
        self.cpu.or((sum > 0).then_some(sum))
    }

    /// MiB: of the task, or of its containers together; `None` where nobody says.
    pub fn memory_mib(&self) -> Option<u32> {
        let sum = self.containers.iter().map(|one| one.memory.unwrap_or(0)).sum();
        self.memory.or((sum > 0).then_some(sum))
    }
}
