//! The checks that decide on a new task: which there are, and how each counts.

use serde::Serialize;

use super::Span;
use crate::deploy::facts::{Balancer, Container, Facts, TargetGroup};

/// How long an NLB takes until a new target is registered: 70 s and 180 s have been measured. AWS
/// states no figure ("a few minutes"), so both ends are doubtful.
pub const NLB_REGISTRATION: Span = Span { earliest: 70.0, latest: 180.0 };

/// When an NLB begins to check a new target: at once, or after `Elb.RegistrationInProgress`, for
/// which 10 s were measured.
const NLB_CHECKS: Span = Span { earliest: 0.0, latest: 10.0 };

/// Who checks a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum Checker {
    /// A load balancer, by the check of this target group.
    TargetGroup(String),
    /// ECS, by the health check of this container.
    Container(String),
}

/// How a checker counts. Times are seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Probe {
    pub by: Checker,
    pub interval: f64,
    pub timeout: f64,
    /// Whether the interval starts anew when a check has ended, not when it began.
    pub rests: bool,
    /// Failures in a row that make it unhealthy.
    pub unhealthy: u32,
    /// Successes in a row that a new target needs, at least.
    pub first: u32,
    /// The same, at most.
    pub first_at_most: u32,
    /// Successes in a row that an unhealthy one needs.
    pub again: u32,
    /// Failures don't count before this.
    pub quiet: f64,
    /// The first check comes within an interval after this.
    pub begins: Span,
    /// Whether it comes within a second instead.
    pub is_punctual: bool,
    /// When the target can be healthy at all.
    pub registered: Span,
}

impl Probe {
    /// A load balancer checks from registration on. A new ALB target needs one success, an
    /// unhealthy one the healthy threshold. An NLB's needs one by AWS's older documents; the newer
    /// ones speak of "the initial health checks", without a number.
    pub fn of_group(group: &TargetGroup) -> Probe {
        let check = &group.check;
        let is_alb = group.balancer == Balancer::Application;
        let healthy = check.healthy.max(1);
        Probe {
            by: Checker::TargetGroup(group.name.clone()),
            interval: check.interval.max(1) as f64,
            timeout: check.timeout as f64,
            rests: false,
            unhealthy: check.unhealthy.max(1),
            first: 1,
            first_at_most: if is_alb { 1 } else { healthy },
            again: healthy,
            quiet: 0.0,
            begins: match group.balancer {
                Balancer::Network => NLB_CHECKS,
                Balancer::Application | Balancer::Gateway => Span::at(0.0),
            },
            is_punctual: false,
            registered: match group.balancer {
                Balancer::Network => NLB_REGISTRATION,
                Balancer::Application | Balancer::Gateway => Span::at(0.0),
            },
        }
    }

    /// Docker waits an interval after the end of each check, doesn't count failures of checks that
    /// begin in the start period, and takes one success for healthy (moby, `daemon/health.go`). Its
    /// first check comes an interval after the start. In a start period newer versions check more
    /// often than older ones, so the first check after it may come anywhere in an interval.
    fn of_container(container: &Container) -> Option<Probe> {
        let check = container.check.as_ref()?;
        let interval = check.interval.max(1) as f64;
        let is_punctual = check.start_period == 0;
        Some(Probe {
            by: Checker::Container(container.name.clone()),
            interval,
            timeout: check.timeout as f64,
            rests: true,
            unhealthy: check.retries.max(1),
            first: 1,
            first_at_most: 1,
            again: 1,
            quiet: check.start_period as f64,
            begins: Span::at(if is_punctual { interval } else { 0.0 }),
            is_punctual,
            registered: Span::at(0.0),
        })
    }
}

/// The probes of the containers that the startup time is of. An essential container that is unhealthy
/// ends its task; others don't.
pub(super) fn of_containers(facts: &Facts) -> Vec<Probe> {
    let judged = facts.serving();
    judged.filter(|one| !asks_life_only(one)).filter_map(Probe::of_container).collect()
}

/// Whether the container's check asks for life, not for readiness.
fn asks_life_only(container: &Container) -> bool {
    let words = container.check.iter().flat_map(|check| &check.command);
    let mut words = words.flat_map(|word| word.split_whitespace());
    words.any(|word| asks_for_life(word.trim_end_matches(['"', '\'', ';'])))
}

/// Whether a path, or an URL, asks for mere life. Such a path answers from the start, also while a
/// migration runs, so the startup time says nothing about it.
pub fn asks_for_life(path: &str) -> bool {
    ["/alive", "/live", "/livez", "/liveness"].iter().any(|life| path.ends_with(life))
}
