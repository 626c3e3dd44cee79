//! What the world wants done outside of it.

use super::target::TargetKey;

/// Something to be done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Start a container's process.
    Start(Launch),
    /// Send SIGTERM to a container's process.
    Terminate(String, String),
    /// Kill a container's processes.
    Kill(String, String),
    /// Run the check of a container.
    Check(ContainerProbe),
    /// Listen in a scripted container's place.
    Listen(Listen),
    /// Listen no more in a scripted container's place.
    Close(String, String),
    /// Ask a target how it is.
    Probe(Probe),
}

/// A container's process.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The task's id.
    pub task: String,
    /// The container's name.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its environment, but for what the endpoints add.
    pub environment: Vec<(String, String)>,
}

/// The check of a container: a command beside its process.
#[derive(Debug, Clone)]
pub struct ContainerProbe {
    /// Where it runs, and with what.
    pub launch: Launch,
    /// How long it may take, in seconds.
    pub timeout: f64,
}

/// Where a scripted container listens.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The task's id.
    pub task: String,
    /// The container's name.
    pub container: String,
    /// The task's address.
    pub address: String,
    /// The container's ports.
    pub ports: Vec<u16>,
}

/// One check of a target.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Which target.
    pub target: TargetKey,
    /// Its address.
    pub address: String,
    /// The port that is asked.
    pub port: u16,
    /// The path that is asked; `None` where a connection is enough.
    pub path: Option<String>,
    /// How long it may take, in seconds.
    pub timeout: f64,
}

/// What a check of a target found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A connection was enough.
    Connected,
    /// An HTTP status.
    Status(u16),
    /// No connection, or one that broke.
    Refused,
    /// Nothing in time.
    Timeout,
}
