//! Deployment awareness: what ECS and its load balancers will do to the containers of a release.
//!
//! What AWS says becomes plain [`facts`]; everything that is concluded from them is pure. Only
//! the modules below `aws` ask AWS itself.

pub mod agent;
#[cfg(feature = "ecs")]
pub mod aws;
pub mod cause;
pub mod doctor;
pub mod draining;
pub mod facts;
pub mod finding;
pub mod hook;
pub mod lambda;
pub mod migrates;
pub mod news;
pub mod offline;
#[cfg(feature = "ecs")]
pub mod oneoff;
pub mod outcome;
#[cfg(feature = "ecs")]
pub mod patience;
pub mod policy;
pub mod remedy;
pub mod reply;
pub mod report;
#[cfg(feature = "ecs")]
pub mod rollout;
pub mod sight;
pub mod task;
pub mod timeline;
pub mod token;
