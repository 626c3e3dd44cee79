//! Resources of Terraform's provider for AWS, as far as they say how a service is deployed.
//!
//! A block is a list, of one element mostly.

mod balancer;
mod codedeploy;
mod service;

pub use balancer::{Action, Listener, Rule, TargetGroup};
pub use codedeploy::DeploymentGroup;
pub use service::{Service, TaskDefinition};

/// The only element of a block.
fn first<T>(block: Option<Vec<T>>) -> Option<T> {
    block.and_then(|all| all.into_iter().next())
}
