//! The HTTP checks of an NLB come from many nodes at once, to the port that serves.

use super::{Case, Finding, Severity};
use crate::deploy::facts::{Balancer, Protocol, TargetGroup};
use crate::deploy::remedy::{Change, Setting, apply};
use crate::deploy::timeline::{Timeline, Verdict};

pub(super) const CODE: &str = "nlb-check-flood";

/// An NLB's default interval, and the longest of the two that it had for long.
const USUAL: u64 = 30;

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let groups = case.facts.target_groups.iter();
    let flooded = groups.filter(|group| {
        let is_http = matches!(group.check.protocol, Protocol::Http | Protocol::Https);
        group.balancer == Balancer::Network && is_http && hits_the_service(case, group)
    });
    flooded.map(|group| of(case, group)).collect()
}

/// Whether the checks go to the port that takes traffic.
fn hits_the_service(case: &Case<'_>, group: &TargetGroup) -> bool {
    let port = group.check.port.as_deref().unwrap_or("traffic-port");
    let mut attachments = case.facts.service.load_balancers.iter();
    port == "traffic-port" || attachments.any(|one| one.port.to_string() == port)
}

fn of(case: &Case<'_>, group: &TargetGroup) -> Finding {
    let (name, interval) = (&group.name, group.check.interval);
    let path = group.check.path.as_deref().unwrap_or("/");
    let is_dense = interval < USUAL;
    let severity = if is_dense { Severity::Warning } else { Severity::Note };
    let title = format!("the NLB's checks of {name} go to {path} on the port that serves");
    let finding = Finding::new(CODE, severity, title)
        .detail(format!(
            "Every node of an NLB checks every target by itself, so much more than one request comes \
             each {interval} s, many at once."
        ))
        .detail("Let them ask a cheap path on a management port of its own, or check by TCP.");
    if !is_dense {
        return finding;
    }
    let setting = Setting::CheckInterval { target_group: name.clone() };
    let why = format!("{interval} s are many requests; a target that breaks is noticed later");
    let change = Change::new(case.facts, setting, Some(USUAL), why);
    match harms(case, &change) {
        true => finding.detail(format!(
            "Checks {USUAL} s apart would be gentler, but with this grace period new tasks might be \
             stopped then."
        )),
        false => finding.change([change]),
    }
}

/// Whether new tasks live without the change, and some don't with it: an unhealthy target recovers
/// later where its checks are further apart.
fn harms(case: &Case<'_>, change: &Change) -> bool {
    let Some(startup) = case.startup else { return false };
    let after = apply(case.facts, std::slice::from_ref(change));
    let lives = |facts| Timeline::of(facts, startup.seconds).verdict == Verdict::Survives;
    lives(case.facts) && !lives(&after)
}
