//! The life of a new task: what its checks, ECS and the circuit breaker will do to it, and when.
//!
//! Moments are seconds since RUNNING, and spans where the phase of the checks isn't known. A target
//! is registered a little before (ACTIVATING); that is taken for the same moment.

mod course;
mod probe;
mod rolling;
mod span;
#[cfg(test)]
pub(crate) mod tests;

use serde::Serialize;

use super::facts::Facts;
pub use course::Course;
pub use probe::{Checker, NLB_REGISTRATION, asks_for_life};
pub use rolling::{GiveUp, Wave, bounds, is_paired, is_rolling};
pub use span::Span;

/// From the decision for a new task to its RUNNING, at most: finding a place, network, image. A
/// minute is usual on Fargate; AWS states no figure, and a large image takes longer.
pub const LAUNCH: f64 = 60.0;

/// ECS counts a task that nothing checks as healthy so long after RUNNING (its API, at
/// `minimumHealthyPercent`).
pub const UNCHECKED: f64 = 40.0;

/// The life of a new task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timeline {
    /// When it gives its first good answer.
    pub startup: f64,
    /// When the grace period ends.
    pub grace: f64,
    /// What each check makes of it.
    pub courses: Vec<Course>,
    /// Whether the deployment survives.
    pub verdict: Verdict,
    /// When ECS stops it, in the phases in which it does: its targets are deregistered.
    pub stop: Option<Span>,
    /// When it gets SIGTERM: after the deregistration delay, or sooner where nothing is connected.
    pub terminate: Option<Span>,
    /// When it is gone: at SIGTERM, or killed after the stop timeout.
    pub gone: Option<Span>,
    /// When the next task in its place runs.
    pub replacement: Option<Span>,
    /// When the circuit breaker gives up, where every task is stopped.
    pub give_up: Option<GiveUp>,
    /// When all checks say healthy, in the phases in which it isn't stopped.
    pub healthy: Option<Span>,
    /// How many such tasks start at once.
    pub wave: Wave,
}

/// Whether a deployment survives its checks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Verdict {
    /// No phase of the checks stops a task.
    Survives,
    /// It depends on the phase of the checks, which is chance.
    Tight {
        /// Share of the phases in which a task is stopped before it is healthy: between 0 and 1.
        share: f64,
    },
    /// Every task is stopped.
    Fails,
}

impl Verdict {
    fn of(share: f64) -> Verdict {
        match share {
            0.0 => Verdict::Survives,
            1.0 => Verdict::Fails,
            share => Verdict::Tight { share },
        }
    }

    /// Whether it does. A task that is stopped is replaced, so where fewer than half are stopped the
    /// next one likely lives.
    pub fn survives(self) -> bool {
        self.share() < 0.5
    }

    /// Share of the tasks that are stopped before they are healthy: 0 to 1.
    pub fn share(self) -> f64 {
        match self {
            Verdict::Survives => 0.0,
            Verdict::Tight { share } => share,
            Verdict::Fails => 1.0,
        }
    }
}

/// A share of the cases, in words: `about 3 of 10`. No startup time is known well enough for more.
pub fn of_10(share: f64) -> String {
    match (share * 10.0).round().clamp(0.0, 10.0) {
        0.0 => "fewer than 1 of 10".to_owned(),
        10.0 => "more than 9 of 10".to_owned(),
        of => format!("about {of:.0} of 10"),
    }
}

impl Timeline {
    /// Of a task that gives its first good answer `startup_seconds` after its start.
    pub fn of(facts: &Facts, startup_seconds: f64) -> Timeline {
        let startup = startup_seconds.max(0.0);
        let grace = facts.service.grace_or_default() as f64;
        let courses = courses(facts, startup, grace);
        let verdict = Verdict::of(stopped_share(&courses));
        let stop = stop(&courses);
        let (drain, kill) = (drain(facts), kill(facts));
        // A target without connections may be done before its delay has passed, and a process may
        // end at SIGTERM.
        let terminate = stop.map(|stop| stop.later(0.0, drain));
        let gone = terminate.map(|terminate| terminate.later(0.0, kill));
        // ECS starts the replacement first where `maximumPercent` has room, else afterwards.
        let replacement = stop.map(|stop| stop.later(0.0, drain + kill + LAUNCH));
        let give_up = stop
            .filter(|_| verdict == Verdict::Fails)
            .and_then(|stop| GiveUp::of(&facts.service, stop, drain + kill + LAUNCH));
        let healthy = healthy(&courses);
        let wave = Wave::of(&facts.service);
        Timeline {
            startup,
            grace,
            courses,
            verdict,
            stop,
            terminate,
            gone,
            replacement,
            give_up,
            healthy,
            wave,
        }
    }

    /// What ECS says of a task that gets through: only a check can tell whether it is true.
    pub fn healthy_word(&self) -> &'static str {
        if self.courses.is_empty() { "taken for good" } else { "healthy" }
    }

    /// The check that decides: it stops the most tasks, or lets them be healthy last.
    pub fn decisive(&self) -> Option<&Course> {
        let key = |course: &Course| (course.share, course.healthy.map_or(0.0, |span| span.latest));
        let by_key = |a: &&Course, b: &&Course| {
            let ((a_share, a_last), (b_share, b_last)) = (key(a), key(b));
            a_share.total_cmp(&b_share).then(a_last.total_cmp(&b_last))
        };
        // Of equals, the first: a load balancer's before a container's.
        self.courses.iter().rev().max_by(by_key)
    }
}

/// Load balancers first. In a blue/green deployment the new tasks are in one of each pair of target
/// groups, and which one changes each time: the worse side counts.
fn courses(facts: &Facts, startup: f64, grace: f64) -> Vec<Course> {
    let side = |alternate: bool| -> Vec<Course> {
        let groups = facts.target_groups.iter().filter(|group| group.is_alternate == alternate);
        let probes = groups.map(probe::Probe::of_group);
        probes.map(|probe| Course::of(&probe, startup, grace)).collect()
    };
    let (mut courses, other) = (side(false), side(true));
    if is_paired(&facts.service)
        && (courses.is_empty() || stopped_share(&other) > stopped_share(&courses))
    {
        courses = other;
    }
    let containers = probe::of_containers(facts);
    courses.extend(containers.iter().map(|probe| Course::of(probe, startup, grace)));
    courses
}

/// The phases of two checks have nothing to do with each other.
fn stopped_share(courses: &[Course]) -> f64 {
    1.0 - courses.iter().map(|course| 1.0 - course.share).product::<f64>()
}

/// The first check that stops the task ends it; one that may not doesn't make that later.
fn stop(courses: &[Course]) -> Option<Span> {
    let any = courses.iter().filter_map(|course| course.stop).reduce(Span::or)?;
    let sure = courses.iter().filter(|course| course.share >= 1.0);
    let sure = sure.filter_map(|course| course.stop).map(|stop| stop.latest);
    Some(Span::new(any.earliest, sure.reduce(f64::min).unwrap_or(any.latest)))
}

fn healthy(courses: &[Course]) -> Option<Span> {
    let mut all = Span::at(if courses.is_empty() { UNCHECKED } else { 0.0 });
    for course in courses {
        all = all.and(course.healthy?);
    }
    Some(all)
}

/// Seconds that its targets drain, at most.
fn drain(facts: &Facts) -> f64 {
    let delays = facts.target_groups.iter().map(|group| group.deregistration_delay_or_default());
    delays.max().unwrap_or(0) as f64
}

/// Seconds between SIGTERM and SIGKILL: of the container that may take longest.
fn kill(facts: &Facts) -> f64 {
    let containers = facts.next.containers.iter();
    containers.map(|one| one.stop_timeout_or_default()).max().unwrap_or(30) as f64
}
