//! All replies about one service, put together.

use std::collections::BTreeMap;

use super::codedeploy::DeploymentGroup;
use super::ecs::{Service, TaskDefinition};
use super::elb::{Attribute, Listener, Rule, TargetGroup, TargetHealthDescription};
use super::name_of;
use super::target::references;
use crate::deploy::facts::{self, Balancer, Controller, Facts, Origin, Unknown};

/// The scheduling strategy with a task on each instance.
const DAEMON: &str = "DAEMON";

/// All replies about one service. Target groups are known by their ARN, or by whatever name the
/// replies use in its place.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The service.
    pub service: Service,
    /// What it runs.
    pub running: Option<TaskDefinition>,
    /// What it is to run.
    pub next: TaskDefinition,
    /// Target groups; those of other services may be among them.
    pub target_groups: Vec<TargetGroup>,
    /// Their attributes, by ARN.
    pub attributes: BTreeMap<String, Vec<Attribute>>,
    /// Their targets, by ARN.
    pub targets: BTreeMap<String, Vec<TargetHealthDescription>>,
    /// Listeners; `None` where nobody asked.
    pub listeners: Option<Vec<Listener>>,
    /// Their rules; `None` where nobody asked.
    pub rules: Option<Vec<Rule>>,
    /// CodeDeploy's deployment group.
    pub deployment_group: Option<DeploymentGroup>,
    /// The service's `schedulingStrategy`; `None` is ECS's default, `REPLICA`.
    pub scheduling: Option<String>,
    /// What couldn't be read.
    pub unknown: Vec<Unknown>,
}

impl Picture {
    /// The facts in it.
    pub fn facts(mut self) -> Facts {
        let mut service = self.service.facts();
        if let Controller::CodeDeploy(of_group) = &mut service.controller {
            match &self.deployment_group {
                Some(group) => *of_group = group.facts(),
                // Who asked in vain has said so already.
                None if self.unknown.iter().any(|one| one.what == WHAT_DEPLOYMENT_GROUP) => {}
                None => self.unknown.push(Unknown {
                    what: WHAT_DEPLOYMENT_GROUP.to_owned(),
                    why: "`aws deploy get-deployment-group` says it".to_owned(),
                    permission: None,
                }),
            }
        }
        if self.scheduling.as_deref() == Some(DAEMON) {
            self.daemon(&mut service);
        }
        let target_groups = self.groups(&service);
        let knows_listeners = self.knows_listeners(&target_groups);
        self.miss(&service, &target_groups, knows_listeners);
        for attachment in &mut service.load_balancers {
            self.rename(&mut attachment.target_group);
            attachment.alternate.iter_mut().for_each(|group| self.rename(group));
        }
        Facts {
            service,
            running: self.running.map(Into::into),
            next: self.next.into(),
            target_groups: target_groups.into_iter().map(without_address).collect(),
            knows_listeners,
            observed_startup: None,
            unknown: self.unknown,
            origin: Origin::default(),
        }
    }

    /// A daemon has one task on each instance: ECS's defaults are then 0 and 100 %, and how many
    /// tasks there are follows from the instances.
    fn daemon(&mut self, service: &mut facts::Service) {
        service.minimum_percent.get_or_insert(0);
        service.maximum_percent.get_or_insert(100);
        self.unknown.push(Unknown {
            what: format!("how ECS replaces the tasks of {}", service.name),
            why:
                "it is a DAEMON service, with a task on each instance, but is judged as a REPLICA \
                  one"
                .to_owned(),
            permission: None,
        });
    }

    /// The target groups of the service, the alternate ones behind their own.
    fn groups(&self, service: &facts::Service) -> Vec<facts::TargetGroup> {
        let mut wanted: Vec<(String, bool)> = Vec::new();
        let mut want = |arn: &str, is_alternate| {
            if !arn.is_empty() && !wanted.iter().any(|(known, _)| known == arn) {
                wanted.push((arn.to_owned(), is_alternate));
            }
        };
        for attachment in &service.load_balancers {
            want(&attachment.target_group, false);
            attachment.alternate.iter().for_each(|group| want(group, true));
        }
        for name in self.deployment_group.iter().flat_map(DeploymentGroup::target_groups) {
            let named = |one: &&TargetGroup| one.target_group_name.as_deref() == Some(name);
            let group = self.target_groups.iter().find(named);
            group
                .and_then(|one| one.target_group_arn.as_deref())
                .iter()
                .for_each(|arn| want(arn, true));
        }
        let group = |(arn, is_alternate): (String, bool)| {
            let group = self.target_group(&arn)?;
            let attributes = self.attributes.get(&arn).map(Vec::as_slice).unwrap_or_default();
            let listeners = self.listeners.as_deref().unwrap_or_default();
            let rules = self.rules.as_deref().unwrap_or_default();
            let targets = self.targets.get(&arn).into_iter().flatten().cloned();
            Some(facts::TargetGroup {
                is_alternate,
                references: references(&arn, listeners, rules),
                targets: targets.map(Into::into).collect(),
                ..group.facts(attributes)
            })
        };
        wanted.into_iter().filter_map(group).collect()
    }

    fn target_group(&self, arn: &str) -> Option<&TargetGroup> {
        self.target_groups.iter().find(|one| one.target_group_arn.as_deref() == Some(arn))
    }

    /// Only an ALB's listeners have rules, and only who isn't referred to otherwise needs them.
    /// Of a service without load balancers there is nothing to know.
    fn knows_listeners(&self, groups: &[facts::TargetGroup]) -> bool {
        let needs_rules = |group: &facts::TargetGroup| {
            group.balancer == Balancer::Application && group.references.is_empty()
        };
        let has_rules = self.rules.is_some() || !groups.iter().any(needs_rules);
        self.service.attachments().is_empty() || (self.listeners.is_some() && has_rules)
    }

    /// Says what nobody gave.
    fn miss(&mut self, service: &facts::Service, groups: &[facts::TargetGroup], listeners: bool) {
        let mut missing = Vec::new();
        for attachment in &service.load_balancers {
            let group = &attachment.target_group;
            if !group.is_empty() && self.target_group(group).is_none() {
                missing.push((what_group(target_group_name(group)), "describe-target-groups"));
            }
        }
        for name in self.deployment_group.iter().flat_map(DeploymentGroup::target_groups) {
            if !groups.iter().any(|group| group.name == name) {
                missing.push((what_group(name), "describe-target-groups"));
            }
        }
        for group in groups.iter().filter(|group| !self.attributes.contains_key(&group.arn)) {
            missing.push((what_attributes(&group.name), "describe-target-group-attributes"));
        }
        if !listeners && !groups.is_empty() {
            let command = match self.listeners {
                Some(_) => "describe-rules",
                None => "describe-listeners",
            };
            missing.push((WHAT_LISTENERS.to_owned(), command));
        }
        for (what, command) in missing {
            // Who was refused has said so already, with the permission.
            if !self.unknown.iter().any(|known| known.what == what) {
                let why = format!("nothing given says it, as `aws elbv2 {command}` would");
                self.unknown.push(Unknown { what, why, permission: None });
            }
        }
    }

    /// A name in place of what is no ARN.
    fn rename(&self, group: &mut String) {
        if !group.starts_with("arn:")
            && let Some(named) =
                self.target_group(group).and_then(|one| one.target_group_name.clone())
        {
            *group = named;
        }
    }
}

/// What isn't known of CodeDeploy.
pub const WHAT_DEPLOYMENT_GROUP: &str = "CodeDeploy's deployment group";

/// What isn't known of listeners and rules.
pub const WHAT_LISTENERS: &str = "who forwards to the target groups";

/// What isn't known of a target group that wasn't given.
pub fn what_group(name: &str) -> String {
    format!("target group {name}")
}

/// What isn't known of a target group without its attributes.
pub fn what_attributes(name: &str) -> String {
    format!("the deregistration delay of target group {name}")
}

/// `web-8080` of `arn:…:targetgroup/web-8080/73e2d6bc24d8a067`.
fn target_group_name(arn: &str) -> &str {
    match arn.rsplit_once('/') {
        Some((rest, _)) => name_of(rest),
        None => arn,
    }
}

fn without_address(group: facts::TargetGroup) -> facts::TargetGroup {
    let arn = if group.arn.starts_with("arn:") { group.arn } else { String::new() };
    facts::TargetGroup { arn, ..group }
}
