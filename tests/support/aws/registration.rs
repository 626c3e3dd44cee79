//! How targets are registered, drained, and taken out of use.

use lockkeeper::deploy::facts::{Balancer, TargetState};

use super::clock::seconds;
use super::target::{Registration, TargetKey};
use super::task::Status;
use super::world::{Event, World};

impl World {
    /// Registers a task of a service with the target groups that its deployment is for.
    pub(super) fn register(&mut self, id: &str) {
        let task = &self.tasks[id];
        let Some(tie) = task.tie.clone() else { return };
        let attachments = self.services[&tie.service].attachments(&tie.deployment);
        if attachments.is_empty() {
            return;
        }
        let (address, now) = (task.address.clone(), seconds(self.now()));
        let name = self.services[&tie.service].facts.name.clone();
        self.task(id).targets.clone_from(&attachments);
        self.task(id).moments.registered = Some(now);
        for (group, port) in attachments {
            let message =
                format!("(service {name}) registered 1 targets in (target-group {group}).");
            self.tell(&tie.service, message);
            let target = Registration {
                address: address.clone(),
                port,
                task: id.to_owned(),
                turn: 0,
                state: TargetState::Unused,
                reason: Some("Target.NotInUse"),
                description: Some(
                    "Target group is not configured to receive traffic from the load balancer"
                        .to_owned(),
                ),
                passed: 0,
                failed: 0,
                failure: None,
                asked: None,
                is_settled: false,
            };
            self.balancers.groups.get_mut(&group).expect("a group").targets.push(target);
            self.begin_checks(&TargetKey { group, task: id.to_owned(), port, turn: 0 });
        }
    }

    /// Begins to register a target, where its group is referred to.
    fn begin_checks(&mut self, key: &TargetKey) {
        if !self.balancers.refers_to(&key.group) {
            return;
        }
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        let is_network = group.facts.balancer == Balancer::Network;
        let Some(target) = group.target_mut(key) else { return };
        target.turn += 1;
        target.state = TargetState::Initial;
        target.reason = Some("Elb.RegistrationInProgress");
        target.description = Some("Target registration is in progress".to_owned());
        (target.passed, target.failed, target.is_settled) = (0, 0, !is_network);
        let key = TargetKey { turn: key.turn + 1, ..key.clone() };
        let pace = &self.pace;
        let after = if is_network { pace.nlb_registration } else { pace.alb_registration };
        if after > 0.0 {
            self.after(after, Event::Registered(key));
        } else {
            self.registered(&key);
        }
    }

    /// The load balancer has taken a target up: it is checked from here on.
    pub(super) fn registered(&mut self, key: &TargetKey) {
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        let is_network = group.facts.balancer == Balancer::Network;
        let first = self.pace.phase * group.facts.check.interval as f64;
        let Some(target) = group.target_mut(key) else { return };
        if target.state != TargetState::Initial {
            return;
        }
        target.reason = Some("Elb.InitialHealthChecking");
        target.description = Some("Initial health checks in progress".to_owned());
        if is_network {
            self.after(self.pace.nlb_initial, Event::InitialOver(key.clone()));
        }
        self.after(first, Event::TargetCheck(key.clone()));
    }

    pub(super) fn initial_over(&mut self, key: &TargetKey) {
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        let check = group.facts.check.clone();
        let Some(target) = group.target_mut(key) else { return };
        target.is_settled = true;
        let needed = if target.state == TargetState::Unhealthy { check.healthy } else { 1 };
        if target.passed >= needed {
            self.turn_healthy(key);
        } else if target.state == TargetState::Initial && target.failed >= check.unhealthy {
            self.turn_unhealthy(key);
        }
    }

    /// Begins to deregister a task everywhere.
    pub(super) fn deregister(&mut self, id: &str) {
        if let Some(tie) = self.task(id).tie.clone() {
            let name = self.services[&tie.service].facts.name.clone();
            for (group, _) in self.task(id).targets.clone() {
                let message =
                    format!("(service {name}) deregistered 1 targets in (target-group {group}).");
                self.tell(&tie.service, message);
            }
        }
        for (group, port) in self.task(id).targets.clone() {
            let delay = {
                let group = self.balancers.groups.get_mut(&group).expect("a group");
                let delay = group.facts.deregistration_delay_or_default();
                let targets = &mut group.targets;
                let Some(target) =
                    targets.iter_mut().find(|one| one.task == id && one.port == port)
                else {
                    continue;
                };
                let is_in_use = target.state != TargetState::Unused;
                target.turn += 1;
                target.state = match target.state {
                    TargetState::Unhealthy => TargetState::UnhealthyDraining,
                    _ => TargetState::Draining,
                };
                target.reason = Some("Target.DeregistrationInProgress");
                target.description = Some("Target deregistration is in progress".to_owned());
                (if is_in_use { delay as f64 } else { 0.0 }, target.turn)
            };
            let key = TargetKey { group, task: id.to_owned(), port, turn: delay.1 };
            self.after(delay.0, Event::Drained(key));
        }
    }

    /// The deregistration delay of a target is over.
    pub(super) fn drained(&mut self, key: &TargetKey) {
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        group.targets.retain(|one| !(one.task == key.task && one.port == key.port));
        let task = self.task(&key.task);
        task.targets.retain(|(group, port)| !(*group == key.group && *port == key.port));
        if task.targets.is_empty() && task.status == Status::Deactivating {
            self.terminate(&key.task);
        }
    }

    /// Listeners or rules have changed: groups come into use, or fall out of it.
    pub fn references_changed(&mut self) {
        let groups: Vec<String> = self.balancers.groups.keys().cloned().collect();
        for arn in groups {
            let is_used = self.balancers.refers_to(&arn);
            let group = self.balancers.groups.get_mut(&arn).expect("a group");
            let mut begun = Vec::new();
            for target in &mut group.targets {
                match (is_used, target.state) {
                    (true, TargetState::Unused) => begun.push(TargetKey {
                        group: arn.clone(),
                        task: target.task.clone(),
                        port: target.port,
                        turn: target.turn,
                    }),
                    (
                        false,
                        TargetState::Initial | TargetState::Healthy | TargetState::Unhealthy,
                    ) => {
                        target.turn += 1;
                        target.state = TargetState::Unused;
                        target.reason = Some("Target.NotInUse");
                    }
                    _ => {}
                }
            }
            begun.iter().for_each(|key| self.begin_checks(key));
        }
    }
}
