//! Deployment awareness: what ECS and its load balancers will do to the containers of a release.
//!
//! What AWS says becomes plain [`facts`]; everything that is concluded from them is pure. Only
//! the modules below `aws` ask AWS itself.

#[cfg(feature = "ecs")]
pub mod aws;
pub mod facts;
pub mod offline;
pub mod reply;
