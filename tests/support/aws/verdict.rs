//! What ECS makes of the checks of targets and containers.

use lockkeeper::deploy::facts::TargetState;

use super::clock::millis;
use super::target::Registration;
use super::task::{Health, Stop};
use super::world::World;

impl World {
    /// The targets of a task.
    pub fn targets_of(&self, id: &str) -> impl Iterator<Item = &Registration> {
        let groups = self.tasks.get(id).into_iter().flat_map(|task| &task.targets);
        groups.filter_map(move |(group, port)| {
            let targets = &self.balancers.groups.get(group)?.targets;
            targets.iter().find(|one| one.task == id && one.port == *port)
        })
    }

    /// Whether ECS counts a task as healthy: its containers, and its targets. Of a target group that
    /// nobody refers to it learns nothing, and doesn't wait for it.
    pub fn is_healthy(&self, id: &str) -> bool {
        let task = &self.tasks[id];
        let checked =
            task.containers.iter().any(|one| one.spec.essential && one.spec.health_check.is_some());
        let containers = !checked || task.health() == Health::Healthy;
        containers
            && self
                .targets_of(id)
                .all(|one| matches!(one.state, TargetState::Healthy | TargetState::Unused))
    }

    /// Stops a task of a service that is found unhealthy, unless its grace period still runs.
    pub(super) fn judge(&mut self, id: &str) {
        let task = &self.tasks[id];
        let Some(tie) = task.tie.clone().filter(|_| task.runs()) else { return };
        let facts = &self.services[&tie.service].facts;
        let grace = millis(facts.grace_or_default() as f64);
        if self.now() < task.started.unwrap_or(0) + grace {
            return;
        }
        let name = facts.name.clone();
        let unhealthy = task.targets.iter().find_map(|(group, port)| {
            let targets = &self.balancers.groups.get(group)?.targets;
            let target = targets.iter().find(|one| one.task == id && one.port == *port)?;
            (target.state == TargetState::Unhealthy).then(|| (group.clone(), target.clone()))
        });
        if let Some((group, target)) = unhealthy {
            let why = target.description.unwrap_or_default();
            let port = target.port;
            self.tell(
                &tie.service,
                format!(
                    "(service {name}) (port {port}) is unhealthy in (target-group {group}) due to \
                 (reason {why})."
                ),
            );
            let reason = format!("Task failed ELB health checks in (target-group {group})");
            return self.stop_task(id, Stop { code: "ServiceSchedulerInitiated", reason });
        }
        let essential = task.containers.iter().filter(|one| one.spec.essential);
        if essential.into_iter().any(|one| one.health == Health::Unhealthy) {
            let arn = &task.arn;
            let message = format!("(service {name}) (task {arn}) failed container health checks.");
            self.tell(&tie.service, message);
            let reason = "Task failed container health checks".to_owned();
            self.stop_task(id, Stop { code: "ServiceSchedulerInitiated", reason });
        }
    }
}
