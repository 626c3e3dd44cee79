//! SIGKILL comes before an orderly shutdown has ended.

use super::stop_timeout_refused::MOST_ON_FARGATE;
use super::{Case, Finding, Severity, round_up};
use crate::deploy::facts::Container;
use crate::deploy::remedy::{Change, Setting, with_margin};

pub(super) const CODE: &str = "stop-timeout-too-short";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let Some(shutdown) = case.question.shutdown else { return Vec::new() };
    let short =
        case.facts.serving().filter(|one| (one.stop_timeout_or_default() as f64) < shutdown);
    short.map(|container| of(case, container, shutdown)).collect()
}

fn of(case: &Case<'_>, container: &Container, shutdown: f64) -> Finding {
    let (name, now) = (&container.name, container.stop_timeout_or_default());
    let title =
        format!("container {name} is killed {now} s after SIGTERM; it needs {shutdown:.0} s");
    let default = if container.stop_timeout.is_none() { " (ECS's default)" } else { "" };
    let finding = Finding::new(CODE, Severity::Warning, title).detail(format!(
        "stopTimeout is {now} s{default}: what is open {now} s after SIGTERM is cut off by SIGKILL, \
         {:.0} s too early.",
        shutdown - now as f64
    ));
    let is_fargate = case.facts.service.launch.is_fargate();
    if is_fargate && shutdown > MOST_ON_FARGATE as f64 {
        return finding.detail(format!(
            "Fargate takes {MOST_ON_FARGATE} s at most, so no stopTimeout is enough: begin the \
             shutdown when the target drains, before SIGTERM, and shorten it."
        ));
    }
    let mut to = round_up(with_margin(shutdown));
    if is_fargate {
        to = to.min(MOST_ON_FARGATE);
    }
    let why =
        format!("{shutdown:.0} s and a tenth; a process that hangs is killed that much later");
    let setting = Setting::StopTimeout { container: name.clone() };
    finding.change([Change::new(case.facts, setting, Some(to), why)])
}
