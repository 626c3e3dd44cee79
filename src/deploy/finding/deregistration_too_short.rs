//! Connections live longer than targets drain.

use super::{Case, Finding, Severity, round_up};
use crate::deploy::facts::{Balancer, TargetGroup};
use crate::deploy::remedy::{Change, Setting};

pub(super) const CODE: &str = "deregistration-delay-too-short";

/// Spot's warning, in seconds.
const SPOT: u64 = 120;
/// Load balancers take 0 to 3600 s.
const LONGEST: u64 = 3600;

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let Some(lifetime) = case.question.connections else { return Vec::new() };
    let groups = case.facts.target_groups.iter();
    let short = groups.filter(|group| (group.deregistration_delay_or_default() as f64) < lifetime);
    short.map(|group| of(case, group, lifetime)).collect()
}

fn of(case: &Case<'_>, group: &TargetGroup, lifetime: f64) -> Finding {
    let (name, now) = (&group.name, group.deregistration_delay_or_default());
    let title = format!("{name} drains for {now} s, but connections live for {lifetime:.0} s");
    let end = match (group.balancer, group.connection_termination) {
        (Balancer::Application, _) => "an ALB has cut them all about 8 s after SIGTERM",
        (_, Some(true)) => "this NLB cuts them all itself",
        _ => "none outlives the stop timeout",
    };
    let mut finding = Finding::new(CODE, Severity::Warning, title).detail(format!(
        "The connections that are left when the delay has passed end with the task: {end}, and \
         their clients come back all at once.",
    ));
    let to = round_up(lifetime).min(LONGEST);
    if lifetime > LONGEST as f64 {
        finding = finding.detail(format!(
            "No delay is long enough: {LONGEST} s is the most. Let the process spread the closing of \
             its connections over the delay, from the moment that its target drains."
        ));
    }
    if to <= now {
        return finding;
    }
    if to > SPOT && case.facts.service.launch.may_be_spot() {
        return finding.detail(format!(
            "Its tasks may run on Spot, which takes them away within {SPOT} s: a longer delay would not \
             be kept there."
        ));
    }
    let why = format!("each task of a rollout then takes up to {to} s to go");
    let setting = Setting::DeregistrationDelay { target_group: name.clone() };
    finding.change([Change::new(case.facts, setting, Some(to), why)])
}
