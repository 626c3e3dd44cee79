//! The draining of this process's own target, noticed long before SIGTERM.
//!
//! ECS deregisters a target, lets it drain for the deregistration delay, and only then sends SIGTERM; a
//! load balancer has been seen to cut all connections about 8 seconds after that. Who wants to end long
//! connections in order has to look for the draining itself.
//!
//! What follows from a look is pure ([`Looks`], [`Pace`], [`Window`]); only [`find`] and [`watch`] ask AWS.

#[cfg(feature = "ecs")]
pub mod find;
mod looks;
mod own;
mod pace;
#[cfg(feature = "ecs")]
pub mod watch;
mod window;

use std::time::Duration;

pub use looks::Looks;
pub use own::{OwnTarget, Place, own_targets};
pub use pace::Pace;
pub use window::Window;

/// This process's target is being taken out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noticed {
    /// How long it has to end what it has open.
    pub window: Duration,
}

/// The time between SIGTERM and SIGKILL, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopTimeout {
    /// How long it is.
    pub timeout: Duration,
    /// Where it was read: `stopTimeout of container web in web:42`.
    pub origin: String,
}
