//! The service scheduler: which tasks of which deployment are started and stopped.

use serde_json::{Value, json};

use lockkeeper::deploy::facts::Launch;

use super::clock::{Millis, seconds};
use super::deployment::State;
use super::life::Order;
use super::task::{Status, Stop, Tie};
use super::world::{Event, World};

impl World {
    /// Has the scheduler look at a service, at its next turn.
    pub(super) fn soon(&mut self, key: &str) {
        self.after(self.pace.scheduling, Event::Schedule(key.to_owned()));
    }

    /// The scheduler's turn.
    pub(super) fn schedule(&mut self, key: &str) {
        self.drive(key);
        self.scale(key);
        self.replace(key);
        self.forget(key);
        self.steady(key);
    }

    /// Tasks of a deployment that run, or will.
    fn wanted(&self, key: &str, deployment: &str) -> Vec<String> {
        let is_of = |tie: &Tie| tie.service == key && tie.deployment == deployment;
        let tasks = self.tasks.values().filter(|one| one.is_wanted());
        tasks.filter(|one| one.tie.as_ref().is_some_and(is_of)).map(|one| one.id.clone()).collect()
    }

    fn healthy(&self, tasks: &[String]) -> u32 {
        let serves = |id: &&String| self.tasks[*id].runs() && self.is_healthy(id);
        tasks.iter().filter(serves).count() as u32
    }

    /// One turn of a rolling replacement; whether it is complete.
    pub(super) fn roll(&mut self, key: &str) -> bool {
        let service = &self.services[key];
        let desired = service.facts.desired;
        let (minimum, maximum) = service.bounds();
        let primary = service.primary().clone();
        let older: Vec<_> = service.listed().skip(1).cloned().collect();
        let mut goal = primary.goal;
        let mut total: u32 = goal + older.iter().map(|one| one.goal).sum::<u32>();
        while goal < desired && total < maximum && primary.state == State::InProgress {
            (goal, total) = (goal + 1, total + 1);
        }
        self.service(key).primary_mut().goal = goal;
        let new = self.healthy(&self.wanted(key, &primary.id));
        let old: Vec<(String, String)> = older
            .iter()
            .flat_map(|one| {
                self.wanted(key, &one.id).into_iter().map(|task| (one.id.clone(), task))
            })
            .collect();
        let mut healthy =
            new + self.healthy(&old.iter().map(|one| one.1.clone()).collect::<Vec<_>>());
        let mut kept = 0;
        for (deployment, task) in &old {
            let counts = u32::from(self.tasks[task].runs() && self.is_healthy(task));
            let left = healthy - counts;
            // ECS may go down to the minimum at once; it is only sure to where it needs the room.
            let needs_room = goal < desired && total >= maximum;
            let may = left >= desired || (needs_room && left >= minimum);
            if !may {
                continue;
            }
            if self.tasks[task].is_protected(self.now()) {
                kept += 1;
                continue;
            }
            self.retire(key, deployment, task);
            (healthy, total) = (left, total.saturating_sub(1));
        }
        if kept > 0 {
            self.stuck(
                key,
                format!("was unable to scale in due to (reason {kept} tasks under protection)"),
            );
        } else if goal < desired && total >= maximum && healthy <= minimum && new == goal {
            self.stuck(
                key,
                "was unable to stop or start tasks during a deployment because of the \
                service deployment configuration. Update the minimumHealthyPercent or \
                maximumPercent value and try again"
                    .to_owned(),
            );
        }
        let is_old_gone = older.iter().all(|one| self.is_through(key, &one.id));
        goal >= desired && new >= desired && is_old_gone
    }

    /// Starts all tasks of a blue/green deployment; whether they are up.
    pub(super) fn scale_up(&mut self, key: &str) -> bool {
        let service = self.service(key);
        let desired = service.facts.desired;
        let primary = service.primary_mut();
        if primary.state == State::InProgress {
            primary.goal = desired;
        }
        let id = primary.id.clone();
        self.healthy(&self.wanted(key, &id)) >= desired
    }

    /// Stops all older tasks; whether they are gone.
    pub(super) fn clean_up(&mut self, key: &str) -> bool {
        let older: Vec<String> =
            self.services[key].listed().skip(1).map(|one| one.id.clone()).collect();
        for deployment in &older {
            for task in self.wanted(key, deployment) {
                if !self.tasks[&task].is_protected(self.now()) {
                    self.retire(key, deployment, &task);
                }
            }
        }
        older.iter().all(|one| self.is_through(key, one))
    }

    /// Whether all tasks of a deployment were at least told to stop.
    fn is_through(&self, key: &str, deployment: &str) -> bool {
        let is_of = |tie: &Tie| tie.service == key && tie.deployment == deployment;
        let mut tasks = self.tasks.values().filter(|one| one.tie.as_ref().is_some_and(is_of));
        tasks.all(|one| one.status >= Status::Stopping)
    }

    fn retire(&mut self, key: &str, deployment: &str, task: &str) {
        let now = self.now();
        let service = self.service(key);
        let name = service.facts.name.clone();
        if let Some(of) = service.deployment_mut(deployment) {
            (of.goal, of.updated) = (of.goal.saturating_sub(1), now);
        }
        self.task(task).is_retired = true;
        let reason = format!("Scaling activity initiated by (deployment {deployment})");
        self.tell(key, format!("(service {name}) has begun draining connections on 1 tasks."));
        self.stop_task(task, Stop { code: "ServiceSchedulerInitiated", reason });
        self.tell(key, format!("(service {name}) has stopped 1 running tasks: (task {task})."));
    }

    fn stuck(&mut self, key: &str, why: String) {
        let service = self.service(key);
        let name = service.facts.name.clone();
        if !std::mem::replace(&mut service.primary_mut().is_stuck, true) {
            self.tell(key, format!("(service {name}) {why}."));
        }
    }

    /// Follows `desiredCount` where no deployment is under way.
    fn scale(&mut self, key: &str) {
        let service = self.service(key);
        if service.rollout().is_some() || service.primary().state == State::Failed {
            return;
        }
        let desired = service.facts.desired;
        let primary = service.primary_mut();
        let surplus = primary.goal.saturating_sub(desired);
        primary.goal = primary.goal.max(desired);
        let id = primary.id.clone();
        let now = self.now();
        let mut tasks = self.wanted(key, &id);
        tasks.retain(|task| !self.tasks[task].is_protected(now));
        for task in tasks.iter().rev().take(surplus as usize) {
            self.retire(key, &id, task);
        }
    }

    /// Gives each deployment as many tasks as it is to have: one that is lost is replaced by one of
    /// the same revision.
    fn replace(&mut self, key: &str) {
        let service = &self.services[key];
        let goals: Vec<_> = service
            .listed()
            .map(|one| (one.id.clone(), one.definition.clone(), one.goal, one.state))
            .collect();
        for (id, definition, goal, state) in goals {
            if state == State::Failed {
                continue;
            }
            for _ in self.wanted(key, &id).len()..goal as usize {
                let facts = &self.services[key].facts;
                let name = facts.name.clone();
                let order = Order {
                    cluster: facts.cluster.clone(),
                    definition: definition.clone(),
                    overrides: Value::Null,
                    started_by: Some(id.clone()),
                    launch: launch(&facts.launch),
                    group: Some(format!("service:{name}")),
                    tie: Some(Tie { service: key.to_owned(), deployment: id.clone() }),
                };
                let task = self.launch(order);
                self.service(key).is_steady = false;
                self.tell(key, format!("(service {name}) has started 1 tasks: (task {task})."));
            }
        }
    }

    /// Older deployments without tasks leave the list.
    fn forget(&mut self, key: &str) {
        let through: Vec<String> = self.services[key]
            .listed()
            .skip(1)
            .filter(|one| {
                (one.goal == 0 || one.state == State::Failed) && self.is_through(key, &one.id)
            })
            .filter(|one| self.wanted(key, &one.id).is_empty())
            .map(|one| one.id.clone())
            .collect();
        // A deployment is listed until the one that replaces it is complete.
        if self.services[key].rollout().is_none() {
            for id in through {
                if let Some(deployment) = self.service(key).deployment_mut(&id) {
                    deployment.is_gone = true;
                }
            }
        }
    }

    fn steady(&mut self, key: &str) {
        let service = &self.services[key];
        let primary = service.primary();
        let is_steady = service.rollout().is_none()
            && primary.state == State::Completed
            && self.healthy(&self.wanted(key, &primary.id)) == service.facts.desired;
        let name = service.facts.name.clone();
        if is_steady && !service.is_steady {
            self.service(key).is_steady = true;
            self.tell(key, format!("(service {name}) has reached a steady state."));
        }
    }

    /// A task of a service has become healthy for the first time.
    pub(super) fn serves(&mut self, id: &str) {
        let now = seconds(self.now());
        let task = self.task(id);
        let is_news = task.moments.healthy.is_none() && task.is_wanted();
        let Some(tie) = task.tie.clone().filter(|_| is_news) else { return };
        task.moments.healthy = Some(now);
        let service = self.service(&tie.service);
        let resets = service.facts.breaker.is_some_and(|breaker| breaker.resets);
        if let Some(deployment) = service.deployment_mut(&tie.deployment).filter(|_| resets) {
            deployment.failed = 0;
        }
    }

    /// A task of a service is being stopped: the circuit breaker counts those that failed.
    pub(super) fn lost(&mut self, id: &str, tie: &Tie) {
        let key = tie.service.as_str();
        self.soon(key);
        let task = &self.tasks[id];
        let by_hand = task.stop.as_ref().is_some_and(|stop| stop.code == "UserInitiated");
        let is_retired = task.is_retired;
        let now: Millis = self.now();
        let service = self.service(key);
        service.is_steady = false;
        let breaker = service.facts.breaker;
        let desired = service.facts.desired;
        let name = service.facts.name.clone();
        let is_current = service.rollout().is_some() && service.primary().id == tie.deployment;
        let primary = service.primary_mut();
        if is_retired || by_hand || !is_current || primary.state != State::InProgress {
            return;
        }
        (primary.failed, primary.updated) = (primary.failed + 1, now);
        let Some(breaker) = breaker.filter(|one| primary.failed >= one.failures(desired)) else {
            return;
        };
        let (deployment, reason) =
            (primary.id.clone(), "ECS deployment circuit breaker: tasks failed to start.");
        reason.clone_into(&mut primary.reason);
        (primary.state, primary.goal) = (State::Failed, 0);
        let failed = "deployment failed: tasks failed to start.";
        self.tell(key, format!("(service {name}) (deployment {deployment}) {failed}"));
        let has_older =
            self.services[key].deployments.iter().skip(1).any(|one| one.state == State::Completed);
        if breaker.rollback && has_older {
            self.turn_back(key, reason);
        } else if let Some(rollout) = self.service(key).rollout_mut() {
            (rollout.status, rollout.finished) = ("STOPPED", Some(now));
            reason.clone_into(&mut rollout.reason);
        }
    }
}

/// How a task shows where it runs.
pub fn launch(launch: &Launch) -> Value {
    match launch {
        Launch::Fargate => json!({ "launchType": "FARGATE" }),
        Launch::Ec2 => json!({ "launchType": "EC2" }),
        Launch::External => json!({ "launchType": "EXTERNAL" }),
        Launch::Providers(all) => {
            let first = all.iter().max_by_key(|one| (one.base, one.weight));
            json!({ "capacityProviderName": first.map(|one| &one.provider) })
        }
    }
}
