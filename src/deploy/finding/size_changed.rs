//! The new task definition has another size than the running one.

use super::{Case, Finding, Severity};
use crate::deploy::doctor::Source;
use crate::deploy::facts::TaskDefinition;

pub(super) const CODE: &str = "size-changed";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let Some(running) = &case.facts.running else { return Vec::new() };
    let changes = changes(running, &case.facts.next);
    let startup = case.startup.map(|startup| format!("{:.0} s", startup.seconds));
    let is_observed = case.startup.is_some_and(|startup| startup.source == Source::Observed);
    let finding = |(what, from, to): (String, u32, u32)| {
        let severity = if to < from { Severity::Warning } else { Severity::Note };
        let startup = startup.as_deref().unwrap_or("the startup time");
        let title = format!(
            "{what} goes from {from} to {to} in the new task definition: {startup} may not hold"
        );
        let finding = Finding::new(CODE, severity, title).detail(
            "Start-up depends on the size: one service took 35 s with 1024 CPU units, 80 s with 512 \
             and 150 s with 256.",
        );
        match is_observed {
            true => finding.detail("The time was observed with the old size."),
            false => finding,
        }
    };
    changes.into_iter().map(finding).collect()
}

/// What has another size: the task, or where that is as it was, its containers.
fn changes(running: &TaskDefinition, next: &TaskDefinition) -> Vec<(String, u32, u32)> {
    let changed = |what: String, from: Option<u32>, to: Option<u32>| {
        Some((what, from?, to?)).filter(|(_, from, to)| from != to)
    };
    let of_task = [
        changed("CPU".to_owned(), running.cpu_units(), next.cpu_units()),
        changed("memory".to_owned(), running.memory_mib(), next.memory_mib()),
    ];
    let of_task: Vec<_> = of_task.into_iter().flatten().collect();
    if !of_task.is_empty() {
        return of_task;
    }
    let pairs = next.containers.iter().filter_map(|to| Some((running.container(&to.name)?, to)));
    let of_both = pairs.flat_map(|(from, to)| {
        let name = &to.name;
        [
            changed(format!("CPU of container {name}"), from.cpu, to.cpu),
            changed(format!("memory of container {name}"), from.memory, to.memory),
        ]
    });
    of_both.flatten().collect()
}
