//! A stop timeout that Fargate doesn't take.

use super::{Case, Finding, Severity};
use crate::deploy::remedy::{Change, Setting};

pub(super) const CODE: &str = "stop-timeout-refused";

/// Fargate's maximum.
pub(super) const MOST_ON_FARGATE: u64 = 120;

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    if !case.facts.service.launch.is_fargate() {
        return Vec::new();
    }
    let containers = case.facts.next.containers.iter();
    let too_long = containers.filter_map(|one| Some((&one.name, one.stop_timeout?)));
    let too_long = too_long.filter(|(_, timeout)| *timeout > MOST_ON_FARGATE);
    let finding = |(name, timeout): (&String, u64)| {
        let title = format!("Fargate refuses a stopTimeout of {timeout} s at container {name}");
        let setting = Setting::StopTimeout { container: name.clone() };
        let why = format!("{MOST_ON_FARGATE} s is the most that Fargate takes");
        Finding::new(CODE, Severity::Fatal, title)
            .detail(
                "What needs longer has to begin before SIGTERM: when the target drains, in the \
                 deregistration delay.",
            )
            .change([Change::new(case.facts, setting, Some(MOST_ON_FARGATE), why)])
    };
    too_long.map(finding).collect()
}
