//! A load balancer's check stops a new task before it can answer.

use super::{Case, Finding, Severity};
use crate::deploy::facts::Balancer;
use crate::deploy::remedy;
use crate::deploy::timeline::{Checker, Course, NLB_REGISTRATION, Span, Timeline, of_10};

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
            of_10(share)
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

fn arithmetic(case: &Case<'_>, timeline: &Timeline, course: &Course) -> String {
    let Checker::TargetGroup(name) = &course.by else { return String::new() };
    let mut groups = case.facts.target_groups.iter();
    let Some(group) = groups.find(|group| group.name == *name) else { return String::new() };
    let check = &group.check;
    let (interval, threshold) = (course.interval, course.threshold);
    let mut text = format!(
        "{name}: {threshold} failures {interval:.0} s apart make a target unhealthy {}·{interval:.0} \
         to {threshold}·{interval:.0} + {} s after its start",
        threshold - 1,
        check.timeout
    );
    if group.balancer == Balancer::Network {
        text.push_str(&format!(
            " (an NLB may show it only when it has registered the target, {NLB_REGISTRATION} after it)"
        ));
    }
    let startup = timeline.startup;
    let most = course.stop.map_or(0.0, |stop| startup - stop.earliest);
    let least = course.stop.map_or(0.0, |stop| startup - stop.latest);
    let why = if course.share < 1.0 {
        let shown = match group.balancer {
            Balancer::Network => " and on when the NLB shows its failures",
            Balancer::Application | Balancer::Gateway => "",
        };
        format!(
            "whether the first good answer at {startup:.0} s is in time depends on when in its \
             interval the first check comes{shown}: in {} cases it isn't",
            of_10(course.share)
        )
    } else if least > 0.0 {
        let late = Span::new(least, most);
        format!("the first good answer comes at {startup:.0} s, {late} too late")
    } else if most > 0.0 {
        format!("the first good answer comes at {startup:.0} s, up to {most:.0} s too late")
    } else {
        format!(
            "the first good answer comes at {startup:.0} s, but an unhealthy target needs {} in a row \
             before the grace period ends",
            check.healthy
        )
    };
    format!("{text}; {why}.")
}
