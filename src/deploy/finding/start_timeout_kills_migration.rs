//! A container that others wait for has a start timeout shorter than its migration.

use super::{Case, Finding, Severity};
use crate::deploy::facts::Container;
use crate::deploy::migrates::migrates;
use crate::deploy::remedy::{Change, Setting, with_margin};

pub(super) const CODE: &str = "start-timeout-kills-migration";

/// Fargate takes 2 to 120 s.
const MOST_ON_FARGATE: u64 = 120;

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let containers = &case.facts.next.containers;
    containers.iter().filter_map(|container| of(case, container)).collect()
}

fn of(case: &Case<'_>, container: &Container) -> Option<Finding> {
    let (timeout, name) = (container.start_timeout?, &container.name);
    let change = |why: &str| {
        let setting = Setting::StartTimeout { container: name.clone() };
        Change::new(case.facts, setting, None, why.to_owned())
    };
    if timeout > MOST_ON_FARGATE && case.facts.service.launch.is_fargate() {
        let title = format!("Fargate refuses a startTimeout of {timeout} s at container {name}");
        let finding = Finding::new(CODE, Severity::Fatal, title)
            .detail(format!("It takes 2 to {MOST_ON_FARGATE} s; longer waits leave it out."))
            .change([change("without it, nothing gives up on a long migration")]);
        return Some(finding);
    }
    let how = migrates(container)?;
    if !case.facts.next.waits_for(name) {
        return None;
    }
    let seconds = timeout as f64;
    let (severity, detail) = match case.question.migration {
        Some(migration) if with_margin(migration) <= seconds => return None,
        Some(migration) if migration > seconds => {
            (Severity::Fatal, format!("It needs {migration:.0} s."))
        }
        Some(migration) => {
            (Severity::Warning, format!("It needs {migration:.0} s: that is close."))
        }
        None => (Severity::Warning, "How long it takes depends on the data.".to_owned()),
    };
    let title = format!("container {name} migrates, and is given up on after {timeout} s");
    let finding = Finding::new(CODE, severity, title)
        .detail(format!("It migrates: {how}. {detail}"))
        .detail(
            "The containers that wait for it then don't start, and the task is stopped; each new \
             task begins with the same wait.",
        )
        .change([change(
            "a migration takes as long as it takes; a stuck one is seen by its progress",
        )]);
    Some(finding)
}
