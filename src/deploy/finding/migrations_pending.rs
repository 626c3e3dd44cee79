//! Migrations wait for this release.

use super::{Case, Finding, Severity};
use crate::deploy::migrates::migrates;

pub(super) const CODE: &str = "migrations-pending";

/// Of a database that was asked. Ahead of the rollout they are only good to know; in a container that
/// migrates at its start, they are a part of the startup time.
pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let Some(pending) = case.question.pending else { return Vec::new() };
    if pending.expand == 0 && pending.contract == 0 {
        return Vec::new();
    }
    let title = match (pending.expand, pending.contract) {
        (expand, 0) => format!("{} before this release is rolled out", wait(expand)),
        (0, contract) => format!("{} until the old tasks are gone", wait(contract)),
        (expand, contract) => {
            format!("{} before this release is rolled out, {contract} after it", wait(expand))
        }
    };
    let at_start = case.facts.next.containers.iter().find(|one| migrates(one).is_some());
    let finding = match at_start.filter(|_| pending.expand > 0) {
        Some(container) => Finding::new(CODE, Severity::Warning, title).detail(format!(
            "Container {} migrates at its start, so how long they take is a part of the startup time.",
            container.name
        )),
        None if pending.expand > 0 => Finding::new(CODE, Severity::Note, title)
            .detail("The new tasks need them: apply them first, by `lockkeeper ecs run` or `ecs deploy`."),
        None => Finding::new(CODE, Severity::Note, title),
    };
    vec![finding]
}

fn wait(count: usize) -> String {
    match count {
        1 => "1 migration is to be applied".to_owned(),
        count => format!("{count} migrations are to be applied"),
    }
}
