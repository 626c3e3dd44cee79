//! A target group of an NLB that no listener refers to.

use super::{Case, Finding, Severity};
use crate::deploy::facts::{Balancer, Controller, Facts, TargetGroup};
use crate::deploy::remedy::{Change, Setting};
use crate::deploy::timeline::is_paired;

pub(super) const CODE: &str = "orphaned-target-group";

/// The first port tried for a dummy listener; any that is free will do.
const PORT: u16 = 10080;

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let facts = case.facts;
    let orphans: Vec<_> =
        facts.target_groups.iter().filter(|group| is_orphaned(facts, group)).collect();
    let mut ports = free_ports(facts);
    let mut findings: Vec<_> =
        orphans.into_iter().map(|group| of(facts, group, ports.next())).collect();
    if let Some(first) = findings.first_mut() {
        for group in facts.target_groups.iter().filter(|group| is_next(facts, group)) {
            let why = "after the switch this one would be the orphan, when a roll-back needs it";
            first.changes.extend(dummy(facts, group, ports.next(), why));
        }
    }
    findings
}

/// An ALB registers targets at once, whether or not its group is referred to. Where listeners and
/// rules are known, they decide; else the targets' own word does.
pub(super) fn is_orphaned(facts: &Facts, group: &TargetGroup) -> bool {
    let mut reasons = group.targets.iter().filter_map(|target| target.reason.as_deref());
    group.balancer == Balancer::Network
        && match facts.knows_listeners {
            true => group.references.is_empty(),
            false => reasons.any(|reason| reason == "Target.NotInUse"),
        }
}

/// Whether this group is an orphan as soon as its one listener is switched.
fn is_next(facts: &Facts, group: &TargetGroup) -> bool {
    let mut listeners: Vec<_> = group.references.iter().map(|one| &one.listener).collect();
    listeners.dedup();
    group.balancer == Balancer::Network && is_paired(&facts.service) && listeners.len() == 1
}

fn free_ports(facts: &Facts) -> impl Iterator<Item = u16> {
    let groups = facts.target_groups.iter();
    let taken: Vec<_> =
        groups.flat_map(|group| &group.references).filter_map(|reference| reference.port).collect();
    (PORT..).filter(move |port| !taken.contains(port))
}

fn dummy(facts: &Facts, group: &TargetGroup, port: Option<u16>, why: &str) -> Option<Change> {
    let setting = Setting::DummyListener { target_group: group.name.clone() };
    Some(Change::new(facts, setting, Some(port?.into()), why.to_owned()))
}

fn of(facts: &Facts, group: &TargetGroup, port: Option<u16>) -> Finding {
    let title = format!("no listener refers to {}: an NLB registers its targets anew", group.name);
    let mut finding = Finding::new(CODE, Severity::Warning, title).detail(
        "Targets of such a group are `unused`. When a listener comes to refer to it, they are \
         registered anew, 90–180 s long: `initial`, 10 s of Elb.RegistrationInProgress and 60–70 s of \
         Elb.InitialHealthChecking at least, whatever the check's interval.",
    );
    let by_ecs = facts.service.controller == Controller::Ecs;
    finding = match is_paired(&facts.service) {
        // ECS's page on NLBs and blue/green deployments.
        true if by_ecs => finding.detail(
            "By CodeDeploy that has meant errors in 2–3 of 10 deployments at the switch, and a complete \
             outage of 70–80 s at a roll-back. ECS itself waits ten minutes at the switch of an NLB.",
        ),
        true => finding.detail(
            "At the switch that has meant errors in 2–3 of 10 deployments; at a roll-back, a complete \
             outage of 70–80 s.",
        ),
        false => finding.detail("Until then it takes no traffic at all."),
    };
    let why = "a listener that nobody uses keeps the group referred to, and its targets registered; \
               let no security group open its port";
    finding.change(dummy(facts, group, port, why))
}
