//! Neither a load balancer nor a container check looks at a new task.

use super::{Case, Finding, Severity};
use crate::deploy::timeline::UNCHECKED;

pub(super) const CODE: &str = "nothing-checks";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let (Some(timeline), facts) = (case.timeline, case.facts) else { return Vec::new() };
    // A check for mere life decides nothing about a start, but it does look at the task.
    let has_check = facts.serving().any(|one| one.check.is_some());
    // A target group that couldn't be read checks all the same.
    let is_balanced = !facts.target_groups.is_empty() || !facts.service.load_balancers.is_empty();
    if has_check || is_balanced {
        return Vec::new();
    }
    let startup = timeline.startup;
    let when = match startup > UNCHECKED {
        true => format!(
            "A new task answers at {startup:.0} s: up to {:.0} s in which old tasks are gone and new \
             ones don't answer.",
            startup - UNCHECKED
        ),
        false => format!(
            "A new task answers at {startup:.0} s, in time, but one that never does is counted all \
             the same."
        ),
    };
    let title = "nothing checks a new task: ECS takes a running one for good, and stops old ones \
                 whether it answers or not";
    vec![
        Finding::new(CODE, Severity::Warning, title.to_owned())
            .detail(format!(
                "Without any check ECS counts a task {UNCHECKED:.0} s after RUNNING (its API, at \
                 minimumHealthyPercent). {when}"
            ))
            .detail("Give its essential container a health check, or the service a load balancer."),
    ]
}
