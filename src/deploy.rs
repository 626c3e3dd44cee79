//! Deployment awareness: what ECS and its load balancers will do to the containers of a release.
//!
//! What AWS says becomes plain [`facts`]; everything that is concluded from them is pure. Only
//! the modules below `aws` ask AWS itself.

pub mod doctor;
pub mod facts;
pub mod finding;
pub mod migrates;
pub mod remedy;
pub mod report;
pub mod timeline;
