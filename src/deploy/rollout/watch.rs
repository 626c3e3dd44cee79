//! The watch over one deployment of a service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::stand::{Snapshot, Stand, judge, state_name};
use super::{Rollout, RolloutError};
use crate::deploy::aws::AwsError;
use crate::deploy::aws::service::ServiceNow;
use crate::deploy::cause;
use crate::deploy::facts::TargetState;
use crate::deploy::news::{Listener, News};
use crate::deploy::patience::Patience;
use crate::deploy::task::{Task, last_part};

pub(super) struct Watch<'a> {
    rollout: &'a Rollout<'a>,
    /// The deployment's id.
    id: String,
    definition: String,
    began: Instant,
    /// Since when ECS is content.
    content: Option<Instant>,
    patience: Patience,
    told: Told,
}

/// What was told already.
#[derive(Default)]
struct Told {
    events: BTreeSet<String>,
    lost: BTreeSet<String>,
    counts: Option<News>,
    targets: BTreeMap<String, (TargetState, Option<String>)>,
    waiting: Option<String>,
}

impl Told {
    /// What happened before is no news.
    fn before(now: &ServiceNow) -> Self {
        let events = now.events.iter().map(|(id, _)| id.clone()).collect();
        Told { events, ..Told::default() }
    }
}

impl<'a> Watch<'a> {
    /// Updates the service where it isn't at it already.
    pub(super) async fn begin(
        rollout: &'a Rollout<'a>,
        listener: &mut dyn Listener,
    ) -> Result<Self, RolloutError> {
        let now = service(rollout).await?;
        let told = Told::before(&now);
        let runs = |wanted: &str| same_definition(&now.definition, wanted);
        let is_same = rollout.definition.as_deref().is_none_or(runs);
        let primary = now.deployments.into_iter().find(|one| one.status == "PRIMARY");
        // What failed once is tried again, as somebody asks for it again.
        let failed = primary.as_ref().is_some_and(|one| one.state.as_deref() == Some("FAILED"));
        let adopts = is_same && !rollout.force && !failed && primary.is_some();
        let primary = match primary {
            Some(primary) if adopts => Some(primary),
            _ => {
                let wanted = rollout.definition.as_deref();
                let (cluster, name) = (&rollout.cluster, &rollout.service);
                let force = rollout.force || is_same;
                rollout.aws.update_service(cluster, name, wanted, force).await?
            }
        };
        let primary = primary.ok_or_else(|| no_service(rollout))?;
        let watch = Watch::over(rollout, primary.id, primary.definition, told);
        listener.tell(News::Deployment {
            id: watch.id.clone(),
            definition: watch.definition.clone(),
            adopted: adopts,
        });
        Ok(watch)
    }

    /// Watches the deployment that there is.
    pub(super) async fn here(rollout: &'a Rollout<'a>) -> Result<Self, RolloutError> {
        let now = service(rollout).await?;
        let told = Told::before(&now);
        let primary = now.deployments.into_iter().find(|one| one.status == "PRIMARY");
        let primary = primary.ok_or_else(|| no_service(rollout))?;
        Ok(Watch::over(rollout, primary.id, primary.definition, told))
    }

    fn over(rollout: &'a Rollout<'a>, id: String, definition: String, told: Told) -> Self {
        Watch {
            rollout,
            id,
            definition: last_part(&definition).to_owned(),
            began: Instant::now(),
            content: None,
            patience: Patience::new(rollout.poll),
            told,
        }
    }

    pub(super) async fn until_serving(
        mut self,
        listener: &mut dyn Listener,
    ) -> Result<(), RolloutError> {
        loop {
            let Some(seen) = self.look(listener).await? else { continue };
            self.tell(&seen, listener);
            let missing = match judge(&seen, &self.id) {
                Stand::Serving => {
                    let seconds = self.began.elapsed().as_secs_f64();
                    let definition = self.definition.clone();
                    listener.tell(News::Serving { definition, seconds });
                    return Ok(());
                }
                Stand::Failed(reason) => return Err(self.failed(&seen, reason)),
                Stand::Moving => {
                    self.content = None;
                    "ECS still replaces tasks".to_owned()
                }
                Stand::Settling(missing) => {
                    let content = *self.content.get_or_insert_with(Instant::now);
                    self.tell_waiting(&missing, listener);
                    if content.elapsed() > self.rollout.settle {
                        return Err(self.unsettled(missing));
                    }
                    missing
                }
            };
            self.pause(missing).await?;
        }
    }

    /// Until only tasks of the primary deployment are left.
    pub(super) async fn until_alone(
        mut self,
        listener: &mut dyn Listener,
    ) -> Result<(), RolloutError> {
        loop {
            let Some(seen) = self.look(listener).await? else { continue };
            let left = seen.others(&self.id).count();
            if left == 0 {
                return Ok(());
            }
            let missing = match left {
                1 => "one old task still runs or drains".to_owned(),
                left => format!("{left} old tasks still run or drain"),
            };
            self.tell_waiting(&missing, listener);
            self.pause(missing).await?;
        }
    }

    /// Looks once; nothing where AWS gives no answer that counts, after a pause.
    async fn look(
        &mut self,
        listener: &mut dyn Listener,
    ) -> Result<Option<Snapshot>, RolloutError> {
        match self.snapshot(listener).await {
            Ok(seen) => {
                self.patience.reset();
                Ok(Some(seen))
            }
            Err(RolloutError::Aws(error)) => {
                let stop = self.rollout.stop;
                let waited = self.patience.wait(error, stop, listener).await;
                if waited.is_err() && stop.is_requested() {
                    return Err(interrupted(stop.reason()));
                }
                waited?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn snapshot(&mut self, listener: &mut dyn Listener) -> Result<Snapshot, RolloutError> {
        let rollout = self.rollout;
        let now = service(rollout).await?;
        for (id, text) in now.events.iter().rev() {
            if self.told.events.insert(id.clone()) {
                listener.tell(News::ServiceEvent { text: text.clone() });
            }
        }
        let (tasks, leaving) =
            rollout.aws.service_tasks(&rollout.cluster, &rollout.service).await?;
        let groups = rollout.aws.groups(now.target_groups()).await?;
        Ok(Snapshot { deployments: now.deployments, tasks, leaving, groups })
    }

    fn tell(&mut self, seen: &Snapshot, listener: &mut dyn Listener) {
        self.tell_counts(seen, listener);
        self.tell_lost(seen, listener);
        self.tell_targets(seen, listener);
    }

    fn tell_counts(&mut self, seen: &Snapshot, listener: &mut dyn Listener) {
        let Some(ours) = seen.deployment(&self.id) else { return };
        let counts = News::Tasks {
            running: ours.running,
            pending: ours.pending,
            failed: ours.failed,
            desired: ours.desired,
            old: seen.others(&self.id).count() as u32,
        };
        if self.told.counts.as_ref() != Some(&counts) {
            self.told.counts = Some(counts.clone());
            listener.tell(counts);
        }
    }

    fn tell_lost(&mut self, seen: &Snapshot, listener: &mut dyn Listener) {
        for task in lost(seen, &self.id) {
            if self.told.lost.insert(task.arn.clone()) {
                let cause = cause::of(task, ended(task));
                listener.tell(News::TaskLost {
                    task: task.id().to_owned(),
                    sentence: cause.sentence,
                    next: cause.next,
                });
            }
        }
    }

    fn tell_targets(&mut self, seen: &Snapshot, listener: &mut dyn Listener) {
        for group in &seen.groups {
            for target in &group.targets {
                let port = target.port.map(|port| format!(":{port}")).unwrap_or_default();
                let name = format!("{}{port}", target.id);
                let now = (target.state, target.reason.clone());
                let before =
                    self.told.targets.insert(format!("{} {name}", group.name), now.clone());
                if before.as_ref() != Some(&now) {
                    listener.tell(News::Target {
                        target: name,
                        group: group.name.clone(),
                        state: state_name(target.state),
                        reason: target.reason.clone(),
                    });
                }
            }
        }
    }

    fn tell_waiting(&mut self, missing: &str, listener: &mut dyn Listener) {
        if self.told.waiting.as_deref() != Some(missing) {
            self.told.waiting = Some(missing.to_owned());
            listener.tell(News::Waiting { reason: missing.to_owned() });
        }
    }

    async fn pause(&self, missing: String) -> Result<(), RolloutError> {
        let stop = self.rollout.stop;
        if self.began.elapsed() > self.rollout.timeout {
            return Err(self.unsettled(missing));
        }
        stop.sleep(self.rollout.poll).await;
        match stop.is_requested() {
            true => Err(interrupted(stop.reason())),
            false => Ok(()),
        }
    }

    fn unsettled(&self, reason: String) -> RolloutError {
        // Less than a second says nothing.
        let waited = std::time::Duration::from_secs(self.began.elapsed().as_secs());
        RolloutError::Unsettled { waited, reason }
    }

    fn failed(&self, seen: &Snapshot, reason: String) -> RolloutError {
        let last = lost(seen, &self.id).last().map(|task| cause::of(task, ended(task)));
        let (reason, next) = match last {
            Some(cause) => (format!("{reason}; its last task: {}", cause.sentence), cause.next),
            None => (reason, "see the service's events above".to_owned()),
        };
        RolloutError::Failed { definition: self.definition.clone(), reason, next }
    }
}

async fn service(rollout: &Rollout<'_>) -> Result<ServiceNow, RolloutError> {
    let now = rollout.aws.service_now(&rollout.cluster, &rollout.service).await;
    let now = match now {
        Err(AwsError::NotFound { .. }) => None,
        now => now?,
    };
    let now = now.ok_or_else(|| no_service(rollout))?;
    match now.controller() {
        Some(controller) => {
            Err(RolloutError::Controller { service: rollout.service.clone(), controller })
        }
        None => Ok(now),
    }
}

fn no_service(rollout: &Rollout<'_>) -> RolloutError {
    let (service, cluster) = (rollout.service.clone(), rollout.cluster.clone());
    RolloutError::NoService { service, cluster }
}

fn interrupted(reason: &str) -> RolloutError {
    RolloutError::Interrupted { reason: reason.to_owned() }
}

/// Whether an ARN is of the task definition that is wanted: an ARN, or family and revision. A family
/// alone is its newest revision, which only ECS knows.
fn same_definition(arn: &str, wanted: &str) -> bool {
    arn == wanted || wanted.contains(':') && last_part(arn) == wanted
}

/// Tasks of this deployment that have stopped, or are stopping.
fn lost<'a>(seen: &'a Snapshot, id: &'a str) -> impl Iterator<Item = &'a Task> {
    let ours = move |task: &&Task| task.started_by.as_deref() == Some(id);
    seen.leaving.iter().filter(ours).filter(|task| task.is_stopped())
}

/// The container of a service's task that says most: one that failed, else the first.
fn ended(task: &Task) -> &str {
    let failed = task.containers.iter().find(|one| one.exit_code.is_some_and(|code| code != 0));
    failed.or(task.containers.first()).map_or("", |one| &one.name)
}
