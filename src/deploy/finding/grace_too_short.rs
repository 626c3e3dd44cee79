//! A load balancer's check stops a new task before it can answer.

use super::{Case, Finding, Severity};
use crate::deploy::remedy;
use crate::deploy::timeline::{Checker, Course, Timeline};

pub(super) const CODE: &str = "grace-too-short";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let (Some(startup), Some(timeline)) = (case.startup, case.timeline) else { return Vec::new() };
    let is_group = |course: &&Course| matches!(course.by, Checker::TargetGroup(_));
    let deadly: Vec<_> =
        timeline.courses.iter().filter(is_group).filter(|course| course.share > 0.0).collect();
    let Some(first) = deadly.first() else { return Vec::new() };
    let grace = timeline.grace;
    let severity = if timeline.verdict.survives() { Severity::Warning } else { Severity::Fatal };
    let title = match (first.stop, first.share) {
        (Some(stop), 1.0) => format!(
            "the grace period of {grace:.0} s is too short: every new task is stopped {stop} \
             after its start"
        ),
        (_, share) => format!(
            "the grace period of {grace:.0} s is short: {} new tasks are stopped before they \
             are healthy",
            of_100(share)
        ),
    };
    let mut finding = Finding::new(CODE, severity, title).decides();
    for course in deadly {
        finding = finding.detail(arithmetic(case, timeline, course));
    }
    finding = finding.detail(
        "The load balancer checks from registration on; the grace period only makes ECS ignore its \
         verdict until it ends.",
    );
    let lenient = remedy::checks(case.facts, startup.seconds);
    vec![
        finding
            .change(remedy::grace(case.mended, startup.seconds))
            .alternative(lenient.into_iter().flatten()),
    ]
}

/// `33 of 100`
pub(super) fn of_100(share: f64) -> String {
    match (share * 100.0).round().clamp(0.0, 100.0) {
        0.0 => "fewer than 1 of 100".to_owned(),
        100.0 => "more than 99 of 100".to_owned(),
        of => format!("{of:.0} of 100"),
    }
}

fn arithmetic(case: &Case<'_>, timeline: &Timeline, course: &Course) -> String {
    let Checker::TargetGroup(name) = &course.by else { return String::new() };
    let groups = &case.facts.target_groups;
    let timeout =
        groups.iter().find(|group| group.name == *name).map_or(0, |one| one.check.timeout);
    let (interval, threshold) = (course.interval, course.threshold);
    let mut text = format!(
        "{name}: {threshold} failures {interval:.0} s apart make a target unhealthy {}·{interval:.0} \
         to {threshold}·{interval:.0} + {timeout} s after its start",
        threshold - 1
    );
    let startup = timeline.startup;
    let too_late = course.stop.map(|stop| (startup - stop.latest, startup - stop.earliest));
    match too_late {
        Some((least, most)) if course.share >= 1.0 && least >= 0.0 => text.push_str(&format!(
            "; the first good answer comes at {startup:.0} s, {least:.0}–{most:.0} s too late."
        )),
        Some(_) if course.share >= 1.0 => text.push_str(&format!(
            "; the first good answer comes at {startup:.0} s, but an unhealthy target needs {} good \
             ones before the grace period ends.",
            groups.iter().find(|group| group.name == *name).map_or(1, |one| one.check.healthy)
        )),
        _ => text.push_str(&format!(
            "; whether the first good answer at {startup:.0} s is in time depends on when in its \
             interval the first check comes: in {} cases it isn't.",
            of_100(course.share)
        )),
    }
    text
}
