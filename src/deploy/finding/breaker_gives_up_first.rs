//! The circuit breaker ends the deployment before its tasks are healthy.

use super::{Case, Finding, Severity};
use crate::deploy::facts::Breaker;
use crate::deploy::migrates::migrates;
use crate::deploy::timeline::{Timeline, is_rolling, of_10};

pub(super) const CODE: &str = "circuit-breaker-gives-up-first";

pub(super) fn look(case: &Case<'_>) -> Vec<Finding> {
    let service = &case.facts.service;
    let Some(breaker) = service.breaker.filter(|_| is_rolling(service)) else { return Vec::new() };
    let Some(timeline) = case.timeline.filter(|timeline| timeline.stop.is_some()) else {
        return Vec::new();
    };
    let tasks = breaker.failures(service.desired);
    let finding = match timeline.give_up {
        Some(give_up) => {
            let end = if give_up.rollback { "rolls back" } else { "leaves the deployment failed" };
            let title = format!(
                "the circuit breaker gives up after {tasks} tasks, {} after the first start, and {end}",
                give_up.moment
            );
            Finding::new(CODE, Severity::Warning, title)
        }
        None => {
            let share = chance(timeline.verdict.share(), tasks, service.desired, breaker);
            let title = format!(
                "the circuit breaker gives up in {} deployments like this one",
                of_10(share)
            );
            // Then retrying doesn't help, whatever the share of single tasks.
            let severity = if share >= 0.5 { Severity::Fatal } else { Severity::Warning };
            Finding::new(CODE, severity, title).decides()
        }
    };
    let finding = finding.detail(format!(
        "It counts failed tasks: {tasks} of them, with a desired count of {}, end a deployment.",
        service.desired
    ));
    vec![resumed(case, timeline, tasks, finding)]
}

/// Migrations that go on where they were make progress in each life; the breaker counts lives.
fn resumed(case: &Case<'_>, timeline: &Timeline, tasks: u32, finding: Finding) -> Finding {
    let Some(stop) = timeline.stop.filter(|stop| stop.earliest > 0.0) else { return finding };
    let Some(how) = case.facts.next.containers.iter().find_map(migrates) else { return finding };
    let lives = (timeline.startup / stop.earliest).ceil();
    if lives <= f64::from(tasks) || !how.contains("lockkeeper") {
        return finding;
    }
    finding.detail(format!(
        "A migration that goes on where the last task left it might need {lives:.0} lives of {stop}: \
         more than the {tasks} that it gets. Run it ahead of the rollout instead."
    ))
}

/// How likely so many tasks fail before enough are healthy, where each fails by itself with this
/// chance. Where a healthy task sets the count back, they must fail in a row.
fn chance(share: f64, tasks: u32, desired: u32, breaker: Breaker) -> f64 {
    let all_fail = share.powi(tasks as i32);
    if breaker.resets {
        return 1.0 - (1.0 - all_fail).powi(desired as i32);
    }
    // Negative binomial: the sum over the healthy tasks that come before the last failure.
    let (mut term, mut sum) = (all_fail, 0.0);
    for healthy in 0..desired {
        sum += term;
        term *= (1.0 - share) * f64::from(tasks + healthy) / f64::from(healthy + 1);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts deployments instead of reckoning.
    fn counted(share: f64, tasks: u32, desired: u32, resets: bool) -> f64 {
        let mut random = fastrand::Rng::with_seed(5);
        let runs = 20_000;
        let gives_up = |random: &mut fastrand::Rng| {
            let (mut failed, mut healthy) = (0, 0);
            while healthy < desired {
                if random.f64() < share {
                    failed += 1;
                } else {
                    healthy += 1;
                    failed = if resets { 0 } else { failed };
                }
                if failed == tasks {
                    return true;
                }
            }
            false
        };
        f64::from((0..runs).filter(|_| gives_up(&mut random)).count() as u32) / f64::from(runs)
    }

    #[test]
    fn the_chance_is_what_counting_gives() {
        for (share, tasks, desired) in
            [(1.0 / 3.0, 3, 2), (0.4, 3, 10), (0.2, 5, 10), (0.45, 50, 100)]
        {
            for resets in [false, true] {
                let breaker = Breaker { rollback: true, threshold: None, resets };
                let reckoned = chance(share, tasks, desired, breaker);
                let counted = counted(share, tasks, desired, resets);
                assert!(
                    (reckoned - counted).abs() < 0.02,
                    "{share} {tasks} {desired}: {reckoned} {counted}"
                );
            }
        }
    }
}
