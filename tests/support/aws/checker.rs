//! The load balancers' checkers.

use lockkeeper::deploy::facts::{Balancer, Protocol, TargetState};

use super::clock::seconds;
use super::effect::{Answer, Effect, Probe};
use super::image::Before;
use super::target::{Registration, TargetKey};
use super::task::{Health, Stop};
use super::world::{Event, World};

impl World {
    /// Whether a target of this registration is still to be checked.
    fn is_checked(&mut self, key: &TargetKey) -> bool {
        let target = self.balancers.groups.get_mut(&key.group).and_then(|one| one.target_mut(key));
        target.is_some_and(|target| {
            use TargetState::{Healthy, Initial, Unhealthy};
            matches!(target.state, Initial | Healthy | Unhealthy)
        })
    }

    /// A check is due.
    pub(super) fn check_target(&mut self, key: &TargetKey) {
        if !self.is_checked(key) {
            return;
        }
        let now = self.now();
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        let check = group.facts.check.clone();
        let target = group.target_mut(key).expect("a target that is checked");
        target.asked = Some(now);
        let address = target.address.clone();
        self.after(check.interval as f64, Event::TargetCheck(key.clone()));
        let port = check.port.as_deref().and_then(|port| port.parse().ok()).unwrap_or(key.port);
        if !self.is_real {
            let answer = self.scripted_answer(&key.task, port, check.protocol);
            // One that hangs is given up when its time is over.
            return match answer {
                Answer::Timeout => {
                    self.after(check.timeout as f64, Event::CheckTimesOut(key.clone()))
                }
                answer => self.answered(key, answer),
            };
        }
        let path = (check.protocol == Protocol::Http)
            .then(|| check.path.clone().unwrap_or_else(|| "/".to_owned()));
        let timeout = check.timeout as f64;
        self.effects.push(Effect::Probe(Probe {
            target: key.clone(),
            address,
            port,
            path,
            timeout,
        }));
    }

    /// What the task's containers answer on a port, where all is scripted.
    fn scripted_answer(&self, id: &str, port: u16, protocol: Protocol) -> Answer {
        let task = &self.tasks[id];
        let listens = |one: &&super::task::Container| {
            one.spec.port_mappings.iter().any(|mapping| mapping.container_port == port)
        };
        let Some(container) = task.containers.iter().find(listens) else { return Answer::Refused };
        let name = &container.spec.name;
        let manner = self.age(id, name).zip(self.script(id, name));
        match manner.map_or(Before::Refuses, |(age, script)| script.manner(age)) {
            Before::Refuses => Answer::Refused,
            _ if protocol == Protocol::Tcp => Answer::Connected,
            Before::Answers(status) => Answer::Status(status),
            Before::Hangs => Answer::Timeout,
        }
    }

    pub(super) fn check_times_out(&mut self, key: &TargetKey) {
        self.answered(key, Answer::Timeout);
    }

    /// What a check found.
    pub fn answered(&mut self, key: &TargetKey, answer: Answer) {
        if !self.is_checked(key) {
            return;
        }
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        let check = group.facts.check.clone();
        let failure = match answer {
            Answer::Connected => None,
            Answer::Status(status) if group.accepts(status) => None,
            Answer::Status(status) => Some((
                "Target.ResponseCodeMismatch",
                format!("Health checks failed with these codes: [{status}]"),
            )),
            Answer::Timeout => Some(("Target.Timeout", "Request timed out".to_owned())),
            Answer::Refused => {
                Some(("Target.FailedHealthChecks", "Health checks failed".to_owned()))
            }
        };
        let target = group.target_mut(key).expect("a target that is checked");
        if target.asked.take().is_none() {
            // It was given up already.
            return;
        }
        let Some((reason, description)) = failure else {
            target.passed += 1;
            target.failed = 0;
            let needed = if target.state == TargetState::Unhealthy { check.healthy } else { 1 };
            if target.state != TargetState::Healthy && target.passed >= needed && target.is_settled
            {
                self.turn_healthy(key);
            }
            return;
        };
        target.failed += 1;
        target.passed = 0;
        target.failure = Some((reason, description));
        let is_over = target.failed >= check.unhealthy;
        let shows = target.is_settled || !self.pace.nlb_hides;
        let now = seconds(self.now());
        self.task(&key.task).moments.first_failed_check.get_or_insert(now);
        if is_over && shows {
            self.turn_unhealthy(key);
        }
    }

    pub(super) fn turn_unhealthy(&mut self, key: &TargetKey) {
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        let target = group.target_mut(key).expect("a target that is checked");
        target.state = TargetState::Unhealthy;
        (target.reason, target.description) = target.failure.clone().unzip();
        let now = seconds(self.now());
        self.task(&key.task).moments.unhealthy.get_or_insert(now);
        self.judge(&key.task);
    }

    pub(super) fn turn_healthy(&mut self, key: &TargetKey) {
        let group = self.balancers.groups.get_mut(&key.group).expect("a group");
        let target = group.target_mut(key).expect("a target that is checked");
        target.state = TargetState::Healthy;
        (target.reason, target.description) = (None, None);
        if self.is_healthy(&key.task) {
            self.serves(&key.task);
        }
        if let Some(tie) = self.task(&key.task).tie.clone() {
            self.soon(&tie.service);
        }
    }
}
