//! Minimum and maximum percent leave no room for a single task.

use super::{Case, Finding, Severity};
use crate::deploy::remedy::{Change, Setting};
use crate::deploy::timeline::{bounds, is_rolling};

pub(super) const CODE: &str = "percentages-cannot-move";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let service = &case.facts.service;
    let desired = service.desired;
    let (minimum, maximum) = bounds(service);
    if desired == 0 || !is_rolling(service) || maximum > desired || minimum < desired {
        return Vec::new();
    }
    let (least, most) =
        (service.minimum_percent_or_default(), service.maximum_percent_or_default());
    let enough = (u64::from(desired) + 1) * 100;
    let percent = enough.div_ceil(u64::from(desired));
    let why = format!("{percent} % of {desired} leaves room for one more task");
    let finding = Finding::new(
        CODE,
        Severity::Fatal,
        format!(
            "{least} to {most} % of {desired} leave no room: no task can start, and none can stop"
        ),
    );
    let finding = finding
        .decides()
        .detail(format!(
            "At least {minimum} must stay healthy ({least} % of {desired}, rounded up), and at most \
             {maximum} may run ({most} % of {desired}, rounded down)."
        ))
        .detail("Or lower the minimum: then a task is stopped before its successor runs.")
        .change([Change::new(case.facts, Setting::MaximumPercent, Some(percent), why)]);
    vec![finding]
}
