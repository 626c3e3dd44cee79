//! A task as ECS describes it.

/// A task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Task {
    /// Its ARN.
    pub arn: String,
    /// Its task definition's ARN.
    pub definition: String,
    /// `lastStatus`: PROVISIONING, PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING,
    /// DEPROVISIONING, STOPPED.
    pub status: String,
    /// `desiredStatus`: RUNNING or STOPPED.
    pub desired: String,
    /// `stopCode`.
    pub stop_code: Option<String>,
    /// `stoppedReason`.
    pub stopped_reason: Option<String>,
    /// Who started it: a service's deployment, or what RunTask was told.
    pub started_by: Option<String>,
    /// Its private IPv4 address, of `awsvpc`.
    pub address: Option<String>,
    /// Its IPv6 address, of `awsvpc`.
    pub address_v6: Option<String>,
    /// When it stopped, in seconds since 1970.
    pub stopped_at: Option<f64>,
    /// Its containers.
    pub containers: Vec<TaskContainer>,
}

/// A container of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskContainer {
    /// Its name.
    pub name: String,
    /// Its `lastStatus`.
    pub status: String,
    /// How it ended; nothing where it never started, or ECS lost sight of it.
    pub exit_code: Option<i32>,
    /// Why, in ECS's words.
    pub reason: Option<String>,
}

impl Task {
    /// The last part of its ARN, by which people and log streams know it.
    pub fn id(&self) -> &str {
        last_part(&self.arn)
    }

    /// Whether it has ended.
    pub fn is_stopped(&self) -> bool {
        self.status == "STOPPED"
    }

    /// A container by its name.
    pub fn container(&self, name: &str) -> Option<&TaskContainer> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// Whether this is one of its addresses.
    pub fn is_at(&self, address: &str) -> bool {
        [&self.address, &self.address_v6].into_iter().flatten().any(|one| one == address)
    }

    /// Whether this container has ended, with a code that is known.
    pub fn has_ended(&self, container: &str) -> bool {
        self.container(container)
            .is_some_and(|one| one.status == "STOPPED" && one.exit_code.is_some())
    }
}

/// What stands behind the last slash of an ARN: `web` of `arn:…:cluster/web`, and of `web` itself.
pub fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
