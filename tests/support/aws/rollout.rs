//! How a service deployment goes from stage to stage, with its hooks, and back.

use lockkeeper::deploy::facts::Strategy;

use super::clock::{millis, seconds};
use super::deployment::{Deployment, HookDetail, Rollout, Stage, State};
use super::world::{Event, World};

/// Seconds that a hook waits; ECS's default is a day, after which it rolls back.
const HOOK_TIMEOUT: f64 = 86_400.0;

impl World {
    /// Begins a deployment to a task definition, given by ARN.
    pub fn deploy(&mut self, key: &str, definition: &str) {
        let now = self.now();
        let digits = u64::from_str_radix(&self.unique()[..16], 16).unwrap_or(0) % 10_u64.pow(18);
        let id = format!("ecs-svc/{:019}", 10_u64.pow(18) + digits);
        let service = self.service(key);
        service.revisions += 1;
        let is_first = service.deployments.is_empty();
        let strategy = service.facts.strategy;
        let is_other_side = !is_first
            && match strategy {
                Strategy::Rolling => service.primary().is_other_side,
                _ => !service.primary().is_other_side,
            };
        let deployment = Deployment {
            definition: definition.to_owned(),
            revision: service.revisions,
            is_other_side,
            goal: 0,
            failed: 0,
            state: State::InProgress,
            reason: format!("ECS deployment {id} in progress."),
            created: now,
            updated: now,
            is_gone: false,
            is_stuck: false,
            id: id.clone(),
        };
        let source = (!is_first).then(|| service.primary().revision);
        if let Some(older) = service.rollout_mut() {
            older.status = "STOPPED";
            older.reason =
                "Service deployment was stopped because a new one was started.".to_owned();
            older.finished = Some(now);
        }
        let rollout = Rollout {
            arn: format!("{}:service-deployment/{key}/{}", World::place(), &id[8..]),
            deployment: id,
            source,
            revision: service.revisions,
            rollback: None,
            status: "IN_PROGRESS",
            reason: String::new(),
            // The first deployment of a service has nothing to shift or to pause before.
            stage: if is_first { Stage::ScaleUp } else { Stage::ReconcileService },
            entered: now,
            is_open: is_first,
            is_shifted: is_first,
            hooks: Vec::new(),
            created: now,
            finished: None,
        };
        service.deployments.insert(0, deployment);
        service.rollouts.insert(0, rollout);
        service.is_steady = false;
        self.soon(key);
    }

    /// Moves the service deployment in progress as far as it goes.
    pub(super) fn drive(&mut self, key: &str) {
        while let Some(rollout) = self.services[key].rollout() {
            let stage = rollout.stage;
            if !rollout.is_open && !rollout.is_back() && rollout.source.is_some() {
                self.open_hooks(key);
            }
            let rollout = self.services[key].rollout().expect("the one in progress");
            if rollout.hooks.iter().any(HookDetail::is_open) || !self.is_done(key, stage) {
                return;
            }
            let now = self.now();
            let service = self.service(key);
            let strategy = service.facts.strategy;
            let rollout = service.rollout_mut().expect("the one in progress");
            match stage.next(strategy) {
                Some(next) => {
                    (rollout.stage, rollout.entered, rollout.is_open) = (next, now, false)
                }
                None => self.complete(key),
            }
        }
    }

    fn open_hooks(&mut self, key: &str) {
        let (now, id) = (self.now(), self.unique());
        let service = self.service(key);
        let active = service.listed().count();
        let hooks = service.facts.hooks.clone();
        let rollout = service.rollout_mut().expect("the one in progress");
        rollout.is_open = true;
        let stage = rollout.stage;
        // AWS: this stage only happens with more than one active revision.
        if stage == Stage::ReconcileService && active <= 2 {
            return;
        }
        let due =
            hooks.into_iter().filter(|hook| hook.stages.iter().any(|one| one == stage.name()));
        let opened: Vec<HookDetail> = due
            .enumerate()
            .map(|(at, hook)| HookDetail {
                id: format!("{}-{at}", &id[..16]),
                status: if hook.function.is_some() { "IN_PROGRESS" } else { "AWAITING_ACTION" },
                function: hook.function,
                stage,
                expires: now + millis(HOOK_TIMEOUT),
            })
            .collect();
        rollout.hooks.extend(opened.clone());
        for hook in opened {
            self.after(HOOK_TIMEOUT, Event::HookExpires(key.to_owned(), hook.id));
        }
    }

    /// Does what a stage is for; whether it is done.
    fn is_done(&mut self, key: &str, stage: Stage) -> bool {
        let service = &self.services[key];
        let strategy = service.facts.strategy;
        let rollout = service.rollout().expect("the one in progress");
        let is_plain =
            strategy == Strategy::Rolling || rollout.source.is_none() || rollout.is_back();
        match stage {
            Stage::ScaleUp if is_plain => self.roll(key),
            Stage::ScaleUp => self.scale_up(key),
            Stage::CleanUp => self.clean_up(key),
            _ if is_plain => true,
            Stage::ProductionTrafficShift => {
                if !rollout.is_shifted {
                    self.shift(key);
                    self.service(key).rollout_mut().expect("the one in progress").is_shifted = true;
                }
                true
            }
            Stage::BakeTime => {
                let bake = service.facts.bake.unwrap_or(0) as f64;
                let left = bake - seconds(self.now() - rollout.entered);
                if left > 0.0 {
                    self.after(left, Event::Schedule(key.to_owned()));
                }
                left <= 0.0
            }
            _ => true,
        }
    }

    /// Turns the traffic over to the other target groups.
    fn shift(&mut self, key: &str) {
        let service = &self.services[key];
        let attachments = service.facts.load_balancers.iter().zip(&service.production);
        for (one, production) in attachments {
            let (Some(alternate), Some(arn)) = (&one.alternate, production) else { continue };
            match service.primary().is_other_side {
                true => self.balancers.swap(arn, &one.target_group, alternate),
                false => self.balancers.swap(arn, alternate, &one.target_group),
            }
        }
        self.references_changed();
    }

    fn complete(&mut self, key: &str) {
        let now = self.now();
        let service = self.service(key);
        let name = service.facts.name.clone();
        let rollout = service.rollout_mut().expect("the one in progress");
        rollout.finished = Some(now);
        let is_back = rollout.is_back();
        rollout.status = if is_back { "ROLLBACK_SUCCESSFUL" } else { "SUCCESSFUL" };
        let primary = service.primary_mut();
        (primary.state, primary.updated) = (State::Completed, now);
        let id = primary.id.clone();
        if !is_back {
            primary.reason = format!("ECS deployment {id} completed.");
        }
        self.tell(key, format!("(service {name}) (deployment {id}) deployment completed."));
    }

    /// An answer to a hook: by ContinueServiceDeployment, by a function, or by its timeout.
    pub fn resolve_hook(&mut self, key: &str, id: &str, goes_on: bool) -> bool {
        let Some(rollout) = self.service(key).rollout_mut() else { return false };
        let hook = rollout.hooks.iter_mut().find(|hook| hook.id == id && hook.is_open());
        let Some(hook) = hook else { return false };
        hook.status = if goes_on { "SUCCEEDED" } else { "FAILED" };
        let stage = hook.stage.name();
        if goes_on {
            self.soon(key);
        } else {
            self.turn_back(
                key,
                &format!("Service deployment rolled back because of a lifecycle hook at {stage}."),
            );
        }
        true
    }

    pub(super) fn hook_expires(&mut self, key: &str, id: &str) {
        if self.resolve_hook(key, id, false) {
            let rollouts = &mut self.service(key).rollouts;
            let mut hooks = rollouts.iter_mut().flat_map(|rollout| &mut rollout.hooks);
            if let Some(hook) = hooks.find(|hook| hook.id == id) {
                hook.status = "TIMED_OUT";
            }
        }
    }

    /// Goes back to the last deployment that was completed, where there is one.
    pub(super) fn turn_back(&mut self, key: &str, why: &str) {
        let now = self.now();
        let service = self.service(key);
        let failed = service.primary_mut();
        (failed.state, failed.updated) = (State::Failed, now);
        why.clone_into(&mut failed.reason);
        let is_shifted = service.rollout().is_some_and(|rollout| rollout.is_shifted);
        let mut older = service.deployments.iter().skip(1);
        let Some(at) = older.position(|one| one.state == State::Completed) else { return };
        let mut old = service.deployments.remove(at + 1);
        old.is_gone = false;
        (old.state, old.updated) = (State::InProgress, now);
        let name = service.facts.name.clone();
        let (id, revision) = (old.id.clone(), old.revision);
        let by =
            if why.contains("circuit breaker") { "ECS deployment circuit breaker: r" } else { "R" };
        old.reason = format!("{by}olling back to deploymentId {id}.");
        let rollout = service.rollout_mut().expect("the one that fails");
        rollout.status = "ROLLBACK_IN_PROGRESS";
        why.clone_into(&mut rollout.reason);
        rollout.rollback = Some((revision, now, why.to_owned()));
        rollout.hooks.retain(|hook| !hook.is_open());
        (rollout.stage, rollout.entered) = (Stage::ScaleUp, now);
        let shifts = service.facts.strategy != Strategy::Rolling && is_shifted;
        service.deployments.insert(0, old);
        self.tell(key, format!("(service {name}) rolling back to deploymentId {id}."));
        if shifts {
            self.shift(key);
        }
        self.soon(key);
    }
}
