//! A container of a task definition.

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image, with tag or digest.
    pub image: String,
    /// Whether the task ends with it. ECS's default is yes.
    pub essential: bool,
    /// CPU units.
    pub cpu: Option<u32>,
    /// MiB: its hard limit, or its reservation.
    pub memory: Option<u32>,
    /// `entryPoint`.
    pub entry_point: Vec<String>,
    /// `command`.
    pub command: Vec<String>,
    /// `stopTimeout`.
    pub stop_timeout: Option<u64>,
    /// `startTimeout`.
    pub start_timeout: Option<u64>,
    /// `healthCheck`.
    pub check: Option<ContainerCheck>,
    /// `dependsOn`.
    pub depends_on: Vec<Dependency>,
    /// Container ports.
    pub ports: Vec<u16>,
    /// Names of its environment variables; values may be secrets.
    pub environment: Vec<String>,
    /// Where its log goes, where that is CloudWatch.
    pub log: Option<LogStream>,
}

impl Default for Container {
    fn default() -> Self {
        Container {
            name: String::new(),
            image: String::new(),
            essential: true,
            cpu: None,
            memory: None,
            entry_point: Vec::new(),
            command: Vec::new(),
            stop_timeout: None,
            start_timeout: None,
            check: None,
            depends_on: Vec::new(),
            ports: Vec::new(),
            environment: Vec::new(),
            log: None,
        }
    }
}

impl Container {
    /// Seconds between SIGTERM and SIGKILL; ECS's default is 30.
    pub fn stop_timeout_or_default(&self) -> u64 {
        self.stop_timeout.unwrap_or(30)
    }
}

/// `healthCheck` of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerCheck {
    /// `command`.
    pub command: Vec<String>,
    /// Seconds between two checks: 5–300, by default 30.
    pub interval: u64,
    /// Seconds that one may take: 2–60, by default 5.
    pub timeout: u64,
    /// Failures in a row that make it unhealthy: 1–10, by default 3.
    pub retries: u32,
    /// Seconds in which failures don't count: 0–300, by default off.
    pub start_period: u64,
}

impl Default for ContainerCheck {
    fn default() -> Self {
        ContainerCheck {
            command: Vec::new(),
            interval: 30,
            timeout: 5,
            retries: 3,
            start_period: 0,
        }
    }
}

/// An entry of `dependsOn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Another container of the task.
    pub container: String,
    /// What is waited for.
    pub condition: Condition,
}

/// What `dependsOn` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Its start.
    Start,
    /// Its end, whatever the exit code.
    Complete,
    /// Its end with exit code 0.
    Success,
    /// Its health check.
    Healthy,
}

/// Where the `awslogs` driver writes: the stream of a task is `prefix/container/task-id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    /// `awslogs-group`.
    pub group: String,
    /// `awslogs-region`.
    pub region: Option<String>,
    /// `awslogs-stream-prefix`.
    pub prefix: Option<String>,
}
