//! Targets drain longer than a Spot interruption lets them.

use super::{Case, Finding, Severity};
use crate::deploy::facts::TargetGroup;
use crate::deploy::remedy::{Change, Setting};

pub(super) const CODE: &str = "deregistration-delay-beyond-spot";

/// A Spot interruption comes with so many seconds' warning.
const WARNING: u64 = 120;
/// What is left of them for the shutdown itself.
const SHUTDOWN: u64 = 30;

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    if !case.facts.service.launch.may_be_spot() {
        return Vec::new();
    }
    let groups = case.facts.target_groups.iter();
    let long = groups.filter(|group| group.deregistration_delay_or_default() > WARNING);
    long.map(|group| of(case, group)).collect()
}

fn of(case: &Case<'_>, group: &TargetGroup) -> Finding {
    let (name, now) = (&group.name, group.deregistration_delay_or_default());
    let title = format!("{name} drains for {now} s, but Spot gives {WARNING} s");
    let finding = Finding::new(CODE, Severity::Warning, title).detail(format!(
        "SIGTERM comes with the warning, not after the delay, and the task is gone {WARNING} s later: \
         connections that count on {now} s are cut."
    ));
    let to = WARNING - SHUTDOWN;
    if case.question.connections.is_some_and(|lifetime| lifetime > to as f64) {
        return finding.detail("Connections this long don't go with Spot.");
    }
    let why = format!("that leaves {SHUTDOWN} s of the warning for the shutdown itself");
    let setting = Setting::DeregistrationDelay { target_group: name.clone() };
    finding.change([Change::new(case.facts, setting, Some(to), why)])
}
