//! How a gate stops, and what it may take.

use std::time::Duration;

use clap::Args;

use crate::error::Error;
use crate::gate::{Budget, Tell};

use super::draining::Around;

/// ECS's own stop timeout, and Docker's is shorter.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The phases of the stop, and the time that there is for them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stop")]
pub struct Stopping {
    /// How long after /ready has turned to 503 the load balancer may take to notice
    #[arg(long, env = "LOCKKEEPER_NOTICE", value_name = "TIME", default_value = "15s",
          value_parser = crate::cli::duration)]
    notice: Duration,
    /// How long the program may take to end; without it, what is left of the stop timeout
    #[arg(long, env = "LOCKKEEPER_CHILD_STOP", value_name = "TIME", value_parser = crate::cli::duration)]
    child_stop: Option<Duration>,
    /// How the program is told to stop: a signal, or a URL to POST to
    #[arg(long, env = "LOCKKEEPER_ON_STOP", value_name = "SIGNAL|URL", default_value = "SIGTERM",
          value_parser = Tell::parse)]
    pub on_stop: Tell,
    /// After how long the container is killed; without it, what its task definition says, or else 30 s
    #[arg(long, env = "LOCKKEEPER_STOP_TIMEOUT", value_name = "TIME", value_parser = crate::cli::duration)]
    stop_timeout: Option<Duration>,
}

impl Stopping {
    /// Whether the container's stop timeout has to be asked for.
    pub fn asks(&self) -> bool {
        self.stop_timeout.is_none()
    }

    /// What each phase may take.
    ///
    /// # Errors
    /// Where that is more than the container has.
    pub fn budget(&self, around: &Around) -> Result<Budget, Error> {
        let (timeout, origin) = match (self.stop_timeout, &around.stop_timeout) {
            (Some(told), _) => (told, "--stop-timeout"),
            (None, Some(read)) => (read.timeout, read.origin.as_str()),
            (None, None) => (STOP_TIMEOUT, "the default of --stop-timeout"),
        };
        Ok(Budget::new(self.notice, self.child_stop, timeout, origin)?)
    }
}
