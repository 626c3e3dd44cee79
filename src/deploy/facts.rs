//! What ECS and the load balancers say of a service, as plain data.
//!
//! Times are whole seconds, as AWS gives them. `None` is what AWS, or a file, doesn't say; the
//! methods know what ECS then takes. Where a default comes from is said beside it.

mod container;
mod origin;
mod service;
mod target;
mod task;

pub use container::{Condition, Container, ContainerCheck, Dependency, LogStream};
pub use origin::Origin;
pub use service::{
    Attachment, Breaker, Capacity, CodeDeploy, Controller, Hook, Launch, Network, Service,
    Strategy, Threshold,
};
pub use target::{Balancer, Protocol, Reference, Target, TargetCheck, TargetGroup, TargetState};
pub use task::TaskDefinition;

/// All that is known of a deployment to come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The service.
    pub service: Service,
    /// What it runs now; `None` for a service that is new, or where a file doesn't say.
    pub running: Option<TaskDefinition>,
    /// What it is to run.
    pub next: TaskDefinition,
    /// The target groups that the service registers its tasks with, alternates among them.
    pub target_groups: Vec<TargetGroup>,
    /// Listeners that refer to none of them count too: whether listeners and rules are known at all.
    pub knows_listeners: bool,
    /// When tasks of the last rollout gave their first good answer: seconds after their start.
    pub observed_startup: Option<f64>,
    /// What couldn't be read, in words: a permission that is missing, a field that a file lacks.
    pub unknown: Vec<Unknown>,
    /// Where it stands in the files that it was read from.
    pub origin: Origin,
}

impl Facts {
    /// The containers of the task definition to come that serve: those essential ones that a load
    /// balancer sends traffic to, or every essential one where there is none.
    pub fn serving(&self) -> impl Iterator<Item = &Container> {
        let attached = &self.service.load_balancers;
        let serves = move |one: &&Container| {
            let mut attached_ones = attached.iter();
            attached.is_empty() || attached_ones.any(|attachment| attachment.container == one.name)
        };
        self.next.containers.iter().filter(|one| one.essential).filter(serves)
    }
}

/// Something that couldn't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What: "the listeners of target group web-8080".
    pub what: String,
    /// Why: "not allowed: elasticloadbalancing:DescribeListeners".
    pub why: String,
    /// The permission that would do, where it is one that is missing.
    pub permission: Option<String>,
}
