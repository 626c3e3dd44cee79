//! How far a rollout is: pure.

use crate::deploy::facts::{Balancer, Target, TargetState};
use crate::deploy::task::Task;

/// A deployment of a service, as DescribeServices tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deployment {
    /// `ecs-svc/…`; its tasks have it as their `startedBy`.
    pub id: String,
    /// PRIMARY is the one that the service is to have.
    pub status: String,
    /// Its task definition's ARN.
    pub definition: String,
    /// Tasks that there are to be.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that don't run yet.
    pub pending: u32,
    /// Tasks that failed to start or to become healthy.
    pub failed: u32,
    /// IN_PROGRESS, COMPLETED or FAILED, where ECS replaces the tasks.
    pub state: Option<String>,
    /// Why, in ECS's words.
    pub reason: Option<String>,
}

/// A target group, as far as a rollout is concerned with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// ALB or NLB.
    pub balancer: Balancer,
    /// Its load balancers, by ARN.
    pub balancers: Vec<String>,
    /// Whether a listener or a rule forwards traffic to it; `None` where nobody has looked, or may.
    pub takes_traffic: Option<bool>,
    /// Its targets.
    pub targets: Vec<Target>,
}

/// What is seen at one look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The service's deployments.
    pub deployments: Vec<Deployment>,
    /// Tasks that are to run, of any deployment.
    pub tasks: Vec<Task>,
    /// Tasks that aren't to run any more: those that drain, and those that have stopped of late.
    pub leaving: Vec<Task>,
    /// For each container that is registered: its target group, and the other one of a blue/green
    /// deployment.
    pub attached: Vec<Vec<Group>>,
}

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// ECS replaces tasks.
    Moving,
    /// ECS is content, and this is missing.
    Settling(String),
    /// Each new task takes traffic.
    Serving,
    /// It won't.
    Failed(String),
}

impl Snapshot {
    /// A deployment by its id.
    pub fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }

    /// The one that the service is to have.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status == "PRIMARY")
    }

    /// Tasks of this deployment that are to run.
    pub fn tasks_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Task> {
        self.tasks.iter().filter(move |task| task.started_by.as_deref() == Some(id))
    }

    /// Tasks of this deployment that have stopped.
    pub fn lost<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Task> {
        let ours = move |task: &&Task| task.started_by.as_deref() == Some(id);
        self.leaving.iter().filter(ours).filter(|task| task.is_stopped())
    }

    /// Tasks of other deployments that still run, or drain.
    pub fn others<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Task> {
        let not_its = move |task: &&Task| task.started_by.as_deref() != Some(id);
        self.tasks.iter().chain(&self.leaving).filter(not_its).filter(|task| !task.is_stopped())
    }
}

/// How far the rollout of this deployment is.
pub fn judge(seen: &Snapshot, id: &str) -> Stand {
    let Some(ours) = seen.deployment(id) else {
        return Stand::Failed(gone(seen, "it is no longer among the service's deployments"));
    };
    if ours.state.as_deref() == Some("FAILED") {
        return Stand::Failed(ours.reason.clone().unwrap_or_else(|| "no reason given".to_owned()));
    }
    if ours.status != "PRIMARY" {
        return Stand::Failed(gone(seen, "another deployment took its place"));
    }
    let placed = ours.running >= ours.desired && ours.pending == 0;
    // Without a state, of an external controller or an old service, the counts say it.
    let done = match ours.state.as_deref() {
        Some(state) => state == "COMPLETED",
        None => placed && seen.deployments.len() == 1,
    };
    if !done || !placed {
        return Stand::Moving;
    }
    match unserved(seen, ours) {
        Some(missing) => Stand::Settling(missing),
        None => Stand::Serving,
    }
}

/// What the deployment that is primary now says of why ours isn't.
fn gone(seen: &Snapshot, otherwise: &str) -> String {
    let primary = seen.primary().and_then(|primary| primary.reason.as_deref());
    let rollback = primary.filter(|reason| reason.to_lowercase().contains("roll"));
    rollback.unwrap_or(otherwise).to_owned()
}

/// What keeps new tasks from taking traffic: each must take it in each place where it is registered.
fn unserved(seen: &Snapshot, ours: &Deployment) -> Option<String> {
    let tasks: Vec<_> = seen.tasks_of(&ours.id).collect();
    if (tasks.len() as u32) < ours.desired {
        return Some(format!("{} of {} new tasks are listed", tasks.len(), ours.desired));
    }
    seen.attached.iter().find_map(|groups| {
        if tasks.iter().any(|task| task.address.is_none() && task.address_v6.is_none()) {
            return unserved_instances(groups, ours.desired);
        }
        tasks.iter().find_map(|task| unserved_task(groups, task))
    })
}

fn unserved_task(groups: &[Group], task: &Task) -> Option<String> {
    let mut why = None;
    for group in groups {
        let Some(target) = group.targets.iter().find(|target| task.is_at(&target.id)) else {
            continue;
        };
        if group.takes_traffic == Some(false) {
            why.get_or_insert_with(|| unforwarded(group));
        } else if serves(target) {
            return None;
        } else {
            why = Some(waiting_for(group, target));
        }
    }
    let names = || groups.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" or ");
    Some(why.unwrap_or_else(|| format!("task {} is not registered with {}", task.id(), names())))
}

/// Of tasks without an address of their own (bridge or host network) a target can't be told from
/// another task's: all that don't drain count.
fn unserved_instances(groups: &[Group], desired: u32) -> Option<String> {
    let mut served = 0;
    for group in groups.iter().filter(|group| group.takes_traffic != Some(false)) {
        let leaves =
            |state| matches!(state, TargetState::Draining | TargetState::UnhealthyDraining);
        let stay: Vec<_> = group.targets.iter().filter(|one| !leaves(one.state)).collect();
        if let Some(target) = stay.iter().find(|target| !serves(target)) {
            return Some(waiting_for(group, target));
        }
        served += stay.len() as u32;
    }
    match groups.iter().find(|group| group.takes_traffic == Some(false)) {
        _ if served >= desired => None,
        Some(group) if served == 0 => Some(unforwarded(group)),
        _ => Some(format!("{served} of {desired} new tasks are registered as targets")),
    }
}

/// Traffic goes to healthy targets, and to those that nobody checks.
fn serves(target: &Target) -> bool {
    matches!(target.state, TargetState::Healthy | TargetState::Unavailable)
}

fn unforwarded(group: &Group) -> String {
    format!("no listener forwards traffic to target group {}", group.name)
}

fn waiting_for(group: &Group, target: &Target) -> String {
    let state = state_name(target.state);
    let reason = target.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let patience = match (group.balancer, target.state) {
        (Balancer::Network, TargetState::Initial | TargetState::Unused) => {
            "; an NLB takes 90 to 180 s to register a target"
        }
        _ => "",
    };
    format!("target {} of {} is {state}{reason}{patience}", target.id, group.name)
}

/// As AWS writes it.
pub fn state_name(state: TargetState) -> &'static str {
    match state {
        TargetState::Initial => "initial",
        TargetState::Healthy => "healthy",
        TargetState::Unhealthy => "unhealthy",
        TargetState::UnhealthyDraining => "unhealthy.draining",
        TargetState::Unused => "unused",
        TargetState::Draining => "draining",
        TargetState::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ecs-svc/2";

    fn deployment(state: &str, running: u32) -> Deployment {
        Deployment {
            id: ID.to_owned(),
            status: "PRIMARY".to_owned(),
            desired: 1,
            running,
            state: Some(state.to_owned()),
            ..Deployment::default()
        }
    }

    fn seen(state: &str, target: TargetState, referred: bool) -> Snapshot {
        let address = Some("10.0.0.7".to_owned());
        let started_by = Some(ID.to_owned());
        Snapshot {
            deployments: vec![deployment(state, 1)],
            tasks: vec![Task { address, started_by, ..Task::default() }],
            leaving: Vec::new(),
            attached: vec![vec![Group {
                name: "web".to_owned(),
                balancer: Balancer::Network,
                takes_traffic: Some(referred),
                targets: vec![
                    Target {
                        id: "10.0.0.7".to_owned(),
                        port: Some(80),
                        state: target,
                        reason: None,
                        description: None,
                    },
                    Target {
                        id: "10.0.0.3".to_owned(),
                        port: Some(80),
                        state: TargetState::Draining,
                        reason: None,
                        description: None,
                    },
                ],
                ..Group::default()
            }]],
        }
    }

    #[test]
    fn it_serves_when_ecs_is_content_and_the_target_is_healthy_and_referred_to() {
        assert_eq!(judge(&seen("COMPLETED", TargetState::Healthy, true), ID), Stand::Serving);
        assert_eq!(judge(&seen("IN_PROGRESS", TargetState::Healthy, true), ID), Stand::Moving);
        for (target, referred) in [
            (TargetState::Initial, true),
            (TargetState::Unused, false),
            (TargetState::Healthy, false),
        ] {
            let stand = judge(&seen("COMPLETED", target, referred), ID);
            assert!(matches!(stand, Stand::Settling(_)), "{stand:?}");
        }
    }

    #[test]
    fn a_task_that_is_no_target_yet_does_not_serve() {
        let mut seen = seen("COMPLETED", TargetState::Healthy, true);
        seen.attached[0][0].targets.remove(0);
        assert!(matches!(judge(&seen, ID), Stand::Settling(_)));
    }

    #[test]
    fn an_alternate_group_that_nobody_refers_to_does_not_matter_beside_one_that_serves() {
        let mut seen = seen("COMPLETED", TargetState::Healthy, true);
        let other =
            Group { name: "green".to_owned(), takes_traffic: Some(false), ..Group::default() };
        seen.attached[0].insert(0, other);
        assert_eq!(judge(&seen, ID), Stand::Serving);
    }

    #[test]
    fn in_each_of_several_places_it_must_take_traffic() {
        let mut seen = seen("COMPLETED", TargetState::Healthy, true);
        let mut orphan = seen.attached[0][0].clone();
        orphan.takes_traffic = Some(false);
        orphan.targets[0].state = TargetState::Unused;
        seen.attached.push(vec![orphan]);
        assert!(matches!(judge(&seen, ID), Stand::Settling(_)));
        seen.attached[1][0].targets.clear();
        assert!(matches!(judge(&seen, ID), Stand::Settling(_)));
    }

    #[test]
    fn without_addresses_all_targets_count_but_those_that_drain() {
        let mut seen = seen("COMPLETED", TargetState::Healthy, true);
        seen.tasks[0].address = None;
        assert_eq!(judge(&seen, ID), Stand::Serving);
        seen.attached[0][0].targets[0].state = TargetState::Initial;
        assert!(matches!(judge(&seen, ID), Stand::Settling(_)));
    }

    #[test]
    fn a_service_of_no_task_is_served_by_none() {
        let mut seen = seen("COMPLETED", TargetState::Healthy, true);
        seen.tasks.clear();
        assert!(matches!(judge(&seen, ID), Stand::Moving | Stand::Settling(_)));
        (seen.deployments[0].desired, seen.deployments[0].running) = (0, 0);
        assert_eq!(judge(&seen, ID), Stand::Serving);
    }

    #[test]
    fn failed_rolled_back_and_overtaken_are_failures_with_their_reasons() {
        let mut failed = seen("FAILED", TargetState::Healthy, true);
        failed.deployments[0].reason = Some("tasks failed to start".to_owned());
        assert_eq!(judge(&failed, ID), Stand::Failed("tasks failed to start".to_owned()));
        let mut rolled = seen("IN_PROGRESS", TargetState::Healthy, true);
        rolled.deployments[0].status = "ACTIVE".to_owned();
        let reason = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.";
        rolled.deployments.push(Deployment {
            id: "ecs-svc/3".to_owned(),
            status: "PRIMARY".to_owned(),
            reason: Some(reason.to_owned()),
            ..Deployment::default()
        });
        assert_eq!(judge(&rolled, ID), Stand::Failed(reason.to_owned()));
        rolled.deployments.remove(0);
        assert_eq!(judge(&rolled, ID), Stand::Failed(reason.to_owned()));
    }
}
