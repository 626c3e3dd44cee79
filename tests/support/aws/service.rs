//! A service: what it is to be, its deployments, and what it says of itself.

use lockkeeper::deploy::facts;

use super::clock::Millis;
use super::deployment::{Deployment, Rollout};
use super::world::World;

/// A service.
#[derive(Debug, Clone)]
pub struct Service {
    /// What it is to be, target groups by ARN.
    pub facts: facts::Service,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Millis,
    /// For each entry of `loadBalancers`, the listener or rule through which it has its traffic.
    pub production: Vec<Option<String>>,
    /// Its deployments, the newest (PRIMARY) first. Those that are gone stay, for the record.
    pub deployments: Vec<Deployment>,
    /// Its service deployments, the newest first.
    pub rollouts: Vec<Rollout>,
    /// What it said, the newest first.
    pub events: Vec<(Millis, String)>,
    /// How many revisions it had.
    pub revisions: u32,
    /// Whether it has said that it is steady, since something last changed.
    pub is_steady: bool,
}

impl Service {
    /// The PRIMARY deployment.
    pub fn primary(&self) -> &Deployment {
        &self.deployments[0]
    }

    /// The PRIMARY deployment, to change.
    pub fn primary_mut(&mut self) -> &mut Deployment {
        &mut self.deployments[0]
    }

    /// Deployments that still have tasks, or are to have some.
    pub fn listed(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.iter().filter(|one| !one.is_gone)
    }

    /// A deployment by its id.
    pub fn deployment_mut(&mut self, id: &str) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|one| one.id == id)
    }

    /// The service deployment in progress.
    pub fn rollout(&self) -> Option<&Rollout> {
        self.rollouts.first().filter(|one| !one.is_over())
    }

    /// The service deployment in progress, to change.
    pub fn rollout_mut(&mut self) -> Option<&mut Rollout> {
        self.rollouts.first_mut().filter(|one| !one.is_over())
    }

    /// The target groups and ports that tasks of this deployment are registered with.
    pub fn attachments(&self, deployment: &str) -> Vec<(String, u16)> {
        let of = self.deployments.iter().find(|one| one.id == deployment);
        let is_other = of.is_some_and(|one| one.is_other_side);
        let all = self.facts.load_balancers.iter();
        let group = |one: &facts::Attachment| {
            let other = one.alternate.clone().filter(|_| is_other);
            (other.unwrap_or_else(|| one.target_group.clone()), one.port)
        };
        all.map(group).collect()
    }

    /// How many tasks there must be, and how many there may be.
    pub fn bounds(&self) -> (u32, u32) {
        let desired = self.facts.desired;
        let minimum = (desired * self.facts.minimum_percent_or_default()).div_ceil(100);
        (minimum, desired * self.facts.maximum_percent_or_default() / 100)
    }
}

impl World {
    /// Makes a service, and begins to start its tasks; its ARN.
    pub fn create_service(&mut self, mut facts: facts::Service, definition: &str) -> String {
        for attachment in &mut facts.load_balancers {
            for name in [&mut attachment.target_group].into_iter().chain(&mut attachment.alternate)
            {
                let arn = self.balancers.find(name);
                *name = arn.unwrap_or_else(|| panic!("no target group {name}"));
            }
        }
        let definition = self.definition(definition).expect("a task definition").arn.clone();
        self.clusters.insert(facts.cluster.clone());
        let key = format!("{}/{}", facts.cluster, facts.name);
        let arn = format!("{}:service/{key}", World::place());
        let groups = facts.load_balancers.iter().map(|one| &one.target_group);
        let production = groups.map(|group| self.balancers.production(group)).collect();
        let service = Service {
            production,
            facts,
            arn: arn.clone(),
            created: self.now(),
            deployments: Vec::new(),
            rollouts: Vec::new(),
            events: Vec::new(),
            revisions: 0,
            is_steady: false,
        };
        self.services.insert(key.clone(), service);
        self.deploy(&key, &definition);
        arn
    }

    /// The key of a service by its cluster and its name or ARN.
    pub fn service_key(&self, cluster: &str, name: &str) -> Option<String> {
        let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
        let key = format!("{}/{}", short(cluster), short(name));
        self.services.contains_key(&key).then_some(key)
    }

    /// A service, which exists.
    pub(super) fn service(&mut self, key: &str) -> &mut Service {
        self.services.get_mut(key).expect("a service that exists")
    }

    /// A service says something.
    pub(super) fn tell(&mut self, key: &str, message: String) {
        let now = self.now();
        self.service(key).events.insert(0, (now, message));
    }

    /// A task definition by its ARN, `family:revision`, or the newest of a family.
    pub fn definition(&self, name: &str) -> Option<&super::definition::Definition> {
        let short = name.rsplit('/').next().unwrap_or(name);
        let of = self.definitions.values().filter(|one| {
            one.family == short || format!("{}:{}", one.family, one.revision) == short
        });
        of.max_by_key(|one| one.revision)
    }
}
