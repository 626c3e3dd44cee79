//! A container's own health check stops its task before it can answer.

use super::{Case, Finding, Severity};
use crate::deploy::remedy;
use crate::deploy::timeline::{Checker, Course, of_10};

pub(super) const CODE: &str = "start-period-too-short";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let (Some(startup), Some(timeline)) = (case.startup, case.timeline) else { return Vec::new() };
    let deadly = |course: &&Course| course.share > 0.0;
    let by_group = |course: &Course| matches!(course.by, Checker::TargetGroup(_));
    let needs_grace = timeline.courses.iter().filter(deadly).any(by_group);
    let severity = if timeline.verdict.survives() { Severity::Warning } else { Severity::Fatal };
    let mut findings = Vec::new();
    for course in timeline.courses.iter().filter(deadly) {
        let Checker::Container(name) = &course.by else { continue };
        let Some(stop) = course.stop else { continue };
        let title = match course.share {
            1.0 => {
                format!("container {name} is unhealthy {stop} after its start: its task is stopped")
            }
            share => format!(
                "container {name} is unhealthy before it can answer in {} starts",
                of_10(share)
            ),
        };
        let mut finding = Finding::new(CODE, severity, title).decides().detail(format!(
            "Its health check fails every {:.0} s until {:.0} s; {} failures in a row after the \
             start period, and the grace period of {:.0} s, end the task.",
            course.interval, timeline.startup, course.threshold, timeline.grace
        ));
        finding = match remedy::start_period(case.mended, startup.seconds) {
            // The longer grace that the load balancer needs covers container checks, too.
            _ if needs_grace => finding.detail(
                "The longer grace period that the load balancer's check needs covers this one, too.",
            ),
            Some(changes) => finding
                .change(changes)
                .alternative(remedy::grace(case.mended, startup.seconds)),
            None => finding
                .detail("A start period may have 300 s at most; the service's grace period has no such bound.")
                .change(remedy::grace(case.mended, startup.seconds)),
        };
        findings.push(finding);
    }
    findings
}
