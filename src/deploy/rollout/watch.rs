//! The watch over one deployment of a service.

use std::time::{Duration, Instant};

use super::stand::{Deployment, Snapshot, Stand, judge};
use super::told::Told;
use super::{Rollout, RolloutError};
use crate::deploy::aws::AwsError;
use crate::deploy::aws::service::ServiceNow;
use crate::deploy::cause;
use crate::deploy::facts::Strategy;
use crate::deploy::news::{Listener, News};
use crate::deploy::patience::Patience;
use crate::deploy::task::{Task, last_part};

/// How long ECS may not show a deployment that it has just made; its reads lag behind.
const UNSEEN: Duration = Duration::from_secs(60);

pub(super) struct Watch<'a> {
    rollout: &'a Rollout<'a>,
    /// The deployment's id.
    pub(super) id: String,
    definition: String,
    began: Instant,
    /// Whether it was ever seen.
    seen: bool,
    /// Since when ECS is content.
    content: Option<Instant>,
    patience: Patience,
    told: Told,
}

impl<'a> Watch<'a> {
    /// Updates the service where it isn't at it already.
    pub(super) async fn begin(
        rollout: &'a Rollout<'a>,
        listener: &mut dyn Listener,
    ) -> Result<Self, RolloutError> {
        let now = service(rollout, listener).await?;
        // What can't be watched isn't begun.
        let (poll, stop) = (rollout.poll, rollout.stop);
        let groups = now.target_groups();
        Patience::new(poll).ask(stop, listener, || rollout.aws.groups(&groups)).await?;
        let runs = |wanted: &str| same_definition(&now.definition, wanted);
        let is_same = rollout.definition.as_deref().is_none_or(runs);
        let primary = primary(&now);
        // What failed once is tried again, as somebody asks for it again.
        let failed = primary.is_some_and(|one| one.state.as_deref() == Some("FAILED"));
        let adopts = is_same && !rollout.force && !failed && primary.is_some();
        if stop.is_requested() {
            let reason = stop.reason().to_owned();
            return Err(RolloutError::Interrupted { reason, begun: adopts });
        }
        let primary = match primary {
            Some(primary) if adopts => Some(primary.clone()),
            _ => {
                let update = || {
                    let wanted = rollout.definition.as_deref();
                    let force = rollout.force || is_same;
                    rollout.aws.update_service(&rollout.cluster, &rollout.service, wanted, force)
                };
                Patience::new(poll).ask(stop, listener, update).await?
            }
        };
        let primary = primary.ok_or_else(|| no_service(rollout))?;
        let watch = Watch::over(rollout, &primary, &now);
        listener.tell(News::Deployment {
            id: watch.id.clone(),
            definition: watch.definition.clone(),
            adopted: adopts,
        });
        Ok(watch)
    }

    /// Watches a deployment that served.
    pub(super) async fn again(
        rollout: &'a Rollout<'a>,
        id: &str,
        listener: &mut dyn Listener,
    ) -> Result<Self, RolloutError> {
        let now = service(rollout, listener).await?;
        let Some(ours) = now.deployments.iter().find(|one| one.id == id) else {
            return Err(RolloutError::Overtaken { id: id.to_owned() });
        };
        Ok(Watch::over(rollout, ours, &now))
    }

    fn over(rollout: &'a Rollout<'a>, deployment: &Deployment, now: &ServiceNow) -> Self {
        Watch {
            rollout,
            id: deployment.id.clone(),
            definition: last_part(&deployment.definition).to_owned(),
            began: Instant::now(),
            seen: false,
            content: None,
            patience: Patience::new(rollout.poll),
            told: Told::before(now),
        }
    }

    pub(super) async fn until_serving(
        &mut self,
        listener: &mut dyn Listener,
    ) -> Result<(), RolloutError> {
        loop {
            let Some((seen, stand)) = self.look(listener).await? else { continue };
            self.told.tell(&seen, &self.id, listener);
            let missing = match stand {
                Stand::Serving => {
                    let seconds = self.began.elapsed().as_secs_f64();
                    let definition = self.definition.clone();
                    listener.tell(News::Serving { definition, seconds });
                    return Ok(());
                }
                Stand::Failed(reason) => return Err(self.failed(&seen, reason)),
                Stand::Moving => {
                    self.content = None;
                    self.told.at()
                }
                Stand::Settling(missing) => {
                    let content = *self.content.get_or_insert_with(Instant::now);
                    self.told.waiting(&missing, listener);
                    if content.elapsed() > self.rollout.settle {
                        return Err(self.unsettled(missing));
                    }
                    missing
                }
            };
            self.pause(missing).await?;
        }
    }

    /// Until only its own tasks are left, and it is still what the service is to have: else old code
    /// would be running.
    pub(super) async fn until_alone(
        &mut self,
        listener: &mut dyn Listener,
    ) -> Result<(), RolloutError> {
        loop {
            let Some((seen, stand)) = self.look(listener).await? else { continue };
            if let Stand::Failed(_) = stand {
                return Err(RolloutError::Overtaken { id: self.id.clone() });
            }
            let left = seen.others(&self.id).count();
            if left == 0 && stand == Stand::Serving {
                return Ok(());
            }
            let missing = match left {
                0 => "the new tasks don't serve any more".to_owned(),
                1 => "one old task still runs or drains".to_owned(),
                left => format!("{left} old tasks still run or drain"),
            };
            self.told.waiting(&missing, listener);
            self.pause(missing).await?;
        }
    }

    /// Looks once; nothing where AWS gives no answer that counts, after a pause.
    async fn look(
        &mut self,
        listener: &mut dyn Listener,
    ) -> Result<Option<(Snapshot, Stand)>, RolloutError> {
        match self.snapshot(listener).await {
            Ok(looked) => {
                self.patience.reset();
                Ok(Some(looked))
            }
            Err(error) => {
                let stop = self.rollout.stop;
                let waited = self.patience.wait(error, stop, listener).await;
                if waited.is_err() && stop.is_requested() {
                    return Err(interrupted(stop.reason()));
                }
                waited?;
                Ok(None)
            }
        }
    }

    async fn snapshot(
        &mut self,
        listener: &mut dyn Listener,
    ) -> Result<(Snapshot, Stand), AwsError> {
        let Rollout { aws, cluster, service, .. } = self.rollout;
        let now = aws.service_now(cluster, service).await?.unwrap_or_default();
        self.told.events(&now, listener);
        if now.facts.strategy != Strategy::Rolling || !now.facts.hooks.is_empty() {
            // It says more than the service does; who may not ask does without.
            if let Ok(Some(latest)) = aws.latest_deployment(cluster, service).await {
                self.told.stage(&latest, listener);
            }
        }
        let (tasks, leaving) = aws.service_tasks(cluster, service).await?;
        let groups = aws.groups(&now.target_groups()).await?;
        let attached = now.facts.load_balancers.iter().map(|attachment| {
            let both = [Some(&attachment.target_group), attachment.alternate.as_ref()];
            let is_it = |arn: &&String| both.iter().flatten().any(|one| one == arn);
            groups.iter().filter(|group| is_it(&&group.arn)).cloned().collect::<Vec<_>>()
        });
        let attached = attached.filter(|groups| !groups.is_empty()).collect();
        let mut seen = Snapshot { deployments: now.deployments, tasks, leaving, attached };
        let mut stand = self.judge(&seen);
        if stand == Stand::Serving {
            // Only now does it matter, and it takes a request for each listener.
            let mut groups: Vec<_> = seen.attached.iter_mut().flatten().collect();
            match aws.look_up_traffic(&mut groups).await {
                // Who may not read listeners must believe ECS.
                Err(error) if error.permission().is_some() => {}
                looked => looked?,
            }
            stand = self.judge(&seen);
        }
        Ok((seen, stand))
    }

    fn judge(&mut self, seen: &Snapshot) -> Stand {
        let is_there = seen.deployment(&self.id).is_some();
        self.seen |= is_there;
        if !is_there && !self.seen && self.began.elapsed() < UNSEEN {
            return Stand::Moving;
        }
        judge(seen, &self.id)
    }

    async fn pause(&self, missing: String) -> Result<(), RolloutError> {
        let stop = self.rollout.stop;
        if self.began.elapsed() > self.rollout.timeout + self.told.bake() {
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
        let waited = Duration::from_secs(self.began.elapsed().as_secs());
        RolloutError::Unsettled { waited, reason }
    }

    fn failed(&self, seen: &Snapshot, reason: String) -> RolloutError {
        let newest = seen.lost(&self.id).max_by(|one, other| {
            one.stopped_at.unwrap_or(0.0).total_cmp(&other.stopped_at.unwrap_or(0.0))
        });
        let (reason, next) = match newest.map(of_a_service) {
            Some(cause) => (format!("{reason}; its last task: {}", cause.sentence), cause.next),
            None => (reason, "see the service's events above".to_owned()),
        };
        RolloutError::Failed { definition: self.definition.clone(), reason, next }
    }
}

/// Why a task of a service stopped: as seen from a container that failed, else from the first.
pub(super) fn of_a_service(task: &Task) -> cause::Cause {
    let failed = task.containers.iter().find(|one| one.exit_code.is_some_and(|code| code != 0));
    cause::of(task, failed.or(task.containers.first()).map_or("", |one| &one.name))
}

async fn service(
    rollout: &Rollout<'_>,
    listener: &mut dyn Listener,
) -> Result<ServiceNow, RolloutError> {
    let look = || rollout.aws.service_now(&rollout.cluster, &rollout.service);
    let now = match Patience::new(rollout.poll).ask(rollout.stop, listener, look).await {
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

fn primary(now: &ServiceNow) -> Option<&Deployment> {
    now.deployments.iter().find(|one| one.status == "PRIMARY")
}

fn no_service(rollout: &Rollout<'_>) -> RolloutError {
    let (service, cluster) = (rollout.service.clone(), rollout.cluster.clone());
    RolloutError::NoService { service, cluster }
}

fn interrupted(reason: &str) -> RolloutError {
    RolloutError::Interrupted { reason: reason.to_owned(), begun: true }
}

/// Whether an ARN is of the task definition that is wanted: an ARN, or family and revision. A family
/// alone is its newest revision, which only ECS knows.
fn same_definition(arn: &str, wanted: &str) -> bool {
    arn == wanted || wanted.contains(':') && last_part(arn) == wanted
}
