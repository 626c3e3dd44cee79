//! What of a rollout was told already: each thing once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::stand::{Snapshot, state_name};
use super::watch::of_a_service;
use crate::deploy::aws::service::ServiceNow;
use crate::deploy::facts::TargetState;
use crate::deploy::hook::Seen;
use crate::deploy::news::{Listener, News};

pub(super) struct Told {
    events: BTreeSet<String>,
    lost: BTreeSet<String>,
    counts: Option<News>,
    targets: BTreeMap<String, (TargetState, Option<String>)>,
    waiting: Option<String>,
    stage: Option<String>,
    hook: Option<String>,
    bake: Duration,
}

impl Told {
    /// What happened before is no news.
    pub(super) fn before(now: &ServiceNow) -> Self {
        Told {
            events: now.events.iter().map(|(id, _)| id.clone()).collect(),
            lost: BTreeSet::new(),
            counts: None,
            targets: BTreeMap::new(),
            waiting: None,
            stage: None,
            hook: None,
            bake: Duration::from_secs(now.facts.bake.unwrap_or(0)),
        }
    }

    /// How long both revisions run side by side after the shift, while ECS calls it in progress.
    pub(super) fn bake(&self) -> Duration {
        self.bake
    }

    /// Where ECS is, in words.
    pub(super) fn at(&self) -> String {
        match (&self.hook, &self.stage) {
            (Some(_), Some(stage)) => format!("it waits at a hook of {stage}"),
            (_, Some(stage)) => format!("ECS is at {stage}"),
            (_, None) => "ECS still replaces tasks".to_owned(),
        }
    }

    pub(super) fn events(&mut self, now: &ServiceNow, listener: &mut dyn Listener) {
        for (id, text) in now.events.iter().rev() {
            if self.events.insert(id.clone()) {
                listener.tell(News::ServiceEvent { text: text.clone() });
            }
        }
    }

    pub(super) fn stage(&mut self, seen: &Seen, listener: &mut dyn Listener) {
        let stage = Some(seen.stage.clone()).filter(|stage| !stage.is_empty() && seen.goes_on);
        if let Some(stage) = stage.clone().filter(|_| stage != self.stage) {
            listener.tell(News::Stage { stage });
        }
        self.stage = stage;
        let hook = seen.pending.as_ref().map(|pending| pending.hook.clone());
        if let Some(pending) = seen.pending.as_ref().filter(|_| hook != self.hook) {
            let (stage, hook) = (pending.stage.clone(), pending.hook.clone());
            listener.tell(News::HookWaits { stage, hook });
        }
        self.hook = hook;
    }

    pub(super) fn tell(&mut self, seen: &Snapshot, id: &str, listener: &mut dyn Listener) {
        self.tell_counts(seen, id, listener);
        for task in seen.lost(id) {
            if self.lost.insert(task.arn.clone()) {
                let cause = of_a_service(task);
                listener.tell(News::TaskLost {
                    task: task.id().to_owned(),
                    sentence: cause.sentence,
                    next: cause.next,
                });
            }
        }
        self.tell_targets(seen, listener);
    }

    fn tell_counts(&mut self, seen: &Snapshot, id: &str, listener: &mut dyn Listener) {
        let Some(ours) = seen.deployment(id) else { return };
        let counts = News::Tasks {
            running: ours.running,
            pending: ours.pending,
            failed: ours.failed,
            desired: ours.desired,
            old: seen.others(id).count() as u32,
        };
        if self.counts.as_ref() != Some(&counts) {
            self.counts = Some(counts.clone());
            listener.tell(counts);
        }
    }

    fn tell_targets(&mut self, seen: &Snapshot, listener: &mut dyn Listener) {
        for group in seen.attached.iter().flatten() {
            for target in &group.targets {
                let port = target.port.map(|port| format!(":{port}")).unwrap_or_default();
                let name = format!("{}{port}", target.id);
                let now = (target.state, target.reason.clone());
                let before = self.targets.insert(format!("{} {name}", group.name), now.clone());
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

    pub(super) fn waiting(&mut self, missing: &str, listener: &mut dyn Listener) {
        if self.waiting.as_deref() != Some(missing) {
            self.waiting = Some(missing.to_owned());
            listener.tell(News::Waiting { reason: missing.to_owned() });
        }
    }
}
