//! A task that migrates may be interrupted by Spot.

use super::{Case, Finding, Severity};
use crate::deploy::migrates::migrates;

pub(super) const CODE: &str = "migration-on-spot";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    if !case.facts.service.launch.may_be_spot() {
        return Vec::new();
    }
    let containers = case.facts.next.containers.iter();
    let Some((name, how)) = containers.filter_map(|one| Some((&one.name, migrates(one)?))).next()
    else {
        return Vec::new();
    };
    let title = format!("container {name} migrates, and its task may run on Spot");
    vec![
        Finding::new(CODE, Severity::Warning, title).detail(format!("It migrates: {how}.")).detail(
            "Spot takes a task away with two minutes' warning: a script that takes longer begins \
                 anew, for ever. Run migrations as a task of their own on FARGATE or EC2.",
        ),
    ]
}
