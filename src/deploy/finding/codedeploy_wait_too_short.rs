//! CodeDeploy reroutes the traffic of an NLB before its targets are registered.

use super::orphaned_target_group::is_orphaned;
use super::{Case, Finding, Severity};
use crate::deploy::facts::{Balancer, Controller};
use crate::deploy::remedy::{Change, Setting};

pub(super) const CODE: &str = "codedeploy-wait-too-short";

/// A wait of so many seconds was measured as enough.
const ENOUGH: u64 = 240;
/// What is recommended, with a margin.
const RECOMMENDED: u64 = 300;

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let facts = case.facts;
    let Controller::CodeDeploy(deploy) = &facts.service.controller else { return Vec::new() };
    let Some(wait) = deploy.wait.filter(|wait| *wait < ENOUGH) else { return Vec::new() };
    // With a listener at both groups there is nothing to wait for.
    let may_be_orphaned =
        !facts.knows_listeners || facts.target_groups.iter().any(|group| is_orphaned(facts, group));
    let mut groups = facts.target_groups.iter();
    if !may_be_orphaned || !groups.any(|group| group.balancer == Balancer::Network) {
        return Vec::new();
    }
    let at = if wait == 0 { "at once".to_owned() } else { format!("after {wait} s") };
    let finding = Finding::new(
        CODE,
        Severity::Warning,
        format!("CodeDeploy reroutes the traffic {at}: an NLB needs longer"),
    );
    let why = format!(
        "{ENOUGH} s was measured as enough. CodeDeploy waits for a call then, and stops the deployment \
         where none comes; a dummy listener at both target groups makes the wait needless"
    );
    let change = Change::new(facts, Setting::CodeDeployWait, Some(RECOMMENDED), why);
    let detail = format!(
        "Targets of a group that was not referred to are registered 90–180 s later; {ENOUGH} s are \
         known to be enough."
    );
    let mut finding = finding.detail(detail);
    // Where a listener is known to be missing, that is what mends both.
    match facts.target_groups.iter().any(|group| is_orphaned(facts, group)) {
        true => finding.alternatives.push(change),
        false => finding.changes.push(change),
    }
    vec![finding]
}
