//! A load balancer's check can't pass before the migration has ended.

use super::{Case, Finding, Severity};
use crate::deploy::facts::{Protocol, TargetGroup};
use crate::deploy::migrates::migrates;
use crate::deploy::timeline::asks_for_life;

pub(super) const CODE: &str = "health-check-waits-for-migration";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for attachment in &case.facts.service.load_balancers {
        let Some(container) = case.facts.next.container(&attachment.container) else { continue };
        let Some(how) = migrates(container) else { continue };
        let groups = case.facts.target_groups.iter();
        for group in groups.filter(|group| is_of(group, attachment.target_group.as_str())) {
            if waits(group) {
                findings.push(of(group, &container.name, &how));
            }
        }
    }
    findings
}

fn is_of(group: &TargetGroup, named: &str) -> bool {
    group.name == named || (!group.arn.is_empty() && group.arn == named)
}

/// Only a path that asks for mere life passes while a container migrates.
fn waits(group: &TargetGroup) -> bool {
    let path = group.check.path.as_deref().unwrap_or("/");
    let is_http = matches!(group.check.protocol, Protocol::Http | Protocol::Https);
    !(is_http && asks_for_life(path))
}

fn of(group: &TargetGroup, container: &str, how: &str) -> Finding {
    let what = match (group.check.protocol, group.check.path.as_deref()) {
        (Protocol::Http | Protocol::Https, Some(path)) => path.to_owned(),
        _ => "the port".to_owned(),
    };
    let title =
        format!("the check of {} waits for the migration in container {container}", group.name);
    let ready = if what.contains("ready") {
        format!("{what} says 503 until the schema is ready, as it should")
    } else {
        format!("{what} doesn't answer before the migration has ended")
    };
    Finding::new(CODE, Severity::Warning, title)
        .detail(format!("The container migrates at its start: {how}. {ready}."))
        .detail(
            "So the startup time has the whole migration in it, grows with the data, and a task that \
             is stopped for it takes the migration with it. Run it as a task of its own, ahead of the \
             rollout.",
        )
}
