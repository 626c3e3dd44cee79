//! A task and its containers, as ECS knows them.

use serde_json::Value;

use super::clock::Millis;
use super::definition::ContainerSpec;

/// `lastStatus` of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Its network is being made.
    Provisioning,
    /// Its images are being pulled, and containers that others depend on run.
    Pending,
    /// All containers are started; it is being registered with the target groups.
    Activating,
    /// It runs.
    Running,
    /// It is being deregistered.
    Deactivating,
    /// Its containers are told to stop.
    Stopping,
    /// Its network is being taken away.
    Deprovisioning,
    /// It is over.
    Stopped,
}

impl Status {
    /// As the API says it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Provisioning => "PROVISIONING",
            Status::Pending => "PENDING",
            Status::Activating => "ACTIVATING",
            Status::Running => "RUNNING",
            Status::Deactivating => "DEACTIVATING",
            Status::Stopping => "STOPPING",
            Status::Deprovisioning => "DEPROVISIONING",
            Status::Stopped => "STOPPED",
        }
    }
}

/// Why a task was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// `stopCode`.
    pub code: &'static str,
    /// `stoppedReason`.
    pub reason: String,
}

/// The service that a task belongs to.
#[derive(Debug, Clone)]
pub struct Tie {
    /// The service's key.
    pub service: String,
    /// The deployment's id, `ecs-svc/…`.
    pub deployment: String,
}

/// When things happened to a task, in seconds of the world's time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// Its targets were registered.
    pub registered: Option<f64>,
    /// It became RUNNING; the grace period counts from here.
    pub running: Option<f64>,
    /// A load balancer's check failed for the first time.
    pub first_failed_check: Option<f64>,
    /// A target became unhealthy for the first time.
    pub unhealthy: Option<f64>,
    /// All targets were healthy for the first time.
    pub healthy: Option<f64>,
    /// ECS decided to stop it.
    pub stopping: Option<f64>,
    /// Its containers were told to stop.
    pub terminated: Option<f64>,
    /// It was over.
    pub stopped: Option<f64>,
}

/// A task.
#[derive(Debug, Clone)]
pub struct Task {
    /// The last part of its ARN.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The cluster's name.
    pub cluster: String,
    /// The task definition's ARN.
    pub definition: String,
    /// Its family.
    pub family: String,
    /// Its revision.
    pub revision: u32,
    /// `family:…` or `service:…`.
    pub group: String,
    /// `startedBy`.
    pub started_by: Option<String>,
    /// Its service, where it has one.
    pub tie: Option<Tie>,
    /// `lastStatus`.
    pub status: Status,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its own address: a loopback address of this machine.
    pub address: String,
    /// `overrides`.
    pub overrides: Value,
    /// `launchType` or `capacityProviderName`.
    pub launch: Value,
    /// When it was created.
    pub created: Millis,
    /// When it was RUNNING.
    pub started: Option<Millis>,
    /// When it was decided that it stops: `desiredStatus` is STOPPED from here on.
    pub stopping: Option<Millis>,
    /// When it was over.
    pub stopped: Option<Millis>,
    /// Why.
    pub stop: Option<Stop>,
    /// Whether the service's scheduler stopped it because it isn't needed any more.
    pub is_retired: bool,
    /// How many DescribeTasks don't see it yet.
    pub hidden: u32,
    /// Until when it is protected.
    pub protected_until: Option<Millis>,
    /// When what happened.
    pub moments: Moments,
    /// Target groups that it is registered in, with the port.
    pub targets: Vec<(String, u16)>,
}

impl Task {
    /// A container by its name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|one| one.spec.name == name)
    }

    /// A container by its name, to change.
    pub fn container_mut(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|one| one.spec.name == name)
    }

    /// Whether one of its containers may start; `None` for not yet.
    pub fn readiness(&self, container: &Container) -> Option<Readiness> {
        let mut readiness = Some(Readiness::Ready);
        for on in &container.spec.depends_on {
            match self.container(&on.container_name)?.satisfies(&on.condition) {
                None => return Some(Readiness::Never(on.container_name.clone())),
                Some(false) => readiness = None,
                Some(true) => {}
            }
        }
        readiness
    }

    /// Whether it is to run, and does or will.
    pub fn is_wanted(&self) -> bool {
        self.stopping.is_none()
    }

    /// Whether it is RUNNING, and to stay so.
    pub fn runs(&self) -> bool {
        self.status == Status::Running && self.is_wanted()
    }

    /// Whether no one may stop it for a deployment.
    pub fn is_protected(&self, now: Millis) -> bool {
        self.protected_until.is_some_and(|until| until > now)
    }

    /// `healthStatus`: the worst of its essential containers that have a check.
    pub fn health(&self) -> Health {
        let checked = self.containers.iter().filter(|one| one.spec.health_check.is_some());
        checked.map(|one| one.health).min().unwrap_or(Health::Unknown)
    }
}

/// What the check of a container says; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It failed so often that it counts.
    Unhealthy,
    /// It wasn't checked yet.
    Unknown,
    /// Its last check passed.
    Healthy,
}

impl Health {
    /// As the API says it.
    pub fn name(self) -> &'static str {
        match self {
            Health::Unhealthy => "UNHEALTHY",
            Health::Unknown => "UNKNOWN",
            Health::Healthy => "HEALTHY",
        }
    }
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Not started.
    Pending,
    /// It runs.
    Running,
    /// It ended.
    Stopped,
}

impl Life {
    /// As the API says it.
    pub fn name(self) -> &'static str {
        match self {
            Life::Pending => "PENDING",
            Life::Running => "RUNNING",
            Life::Stopped => "STOPPED",
        }
    }
}

/// A container of a task.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its definition, overrides applied.
    pub spec: ContainerSpec,
    /// How far it is.
    pub life: Life,
    /// Its exit code.
    pub exit: Option<i32>,
    /// `reason`.
    pub reason: Option<String>,
    /// When it was started.
    pub started: Option<Millis>,
    /// When it ended.
    pub finished: Option<Millis>,
    /// What its check says.
    pub health: Health,
    /// When its last check began.
    pub asked: Option<Millis>,
    /// Failures of its check in a row.
    pub failures: u32,
    /// Whether it was told to stop.
    pub told: bool,
}

impl Container {
    /// One that isn't started.
    pub fn new(spec: ContainerSpec) -> Self {
        Container {
            spec,
            life: Life::Pending,
            exit: None,
            reason: None,
            started: None,
            finished: None,
            health: Health::Unknown,
            asked: None,
            failures: 0,
            told: false,
        }
    }

    /// Whether another one that depends on it by this condition may start; `None` for never more.
    fn satisfies(&self, condition: &str) -> Option<bool> {
        match (condition, self.life) {
            ("START", life) => Some(life != Life::Pending),
            ("COMPLETE", life) => Some(life == Life::Stopped),
            ("SUCCESS", Life::Stopped) => (self.exit == Some(0)).then_some(true),
            ("HEALTHY", Life::Stopped) => None,
            ("HEALTHY", Life::Running) if self.health == Health::Unhealthy => None,
            ("HEALTHY", Life::Running) => Some(self.health == Health::Healthy),
            _ => Some(false),
        }
    }
}

/// Whether a container may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Now.
    Ready,
    /// Never, because of this container.
    Never(String),
}
