//! The world alone, without any I/O: when a task is found unhealthy and stopped, against plain
//! arithmetic.

use lockkeeper::deploy::facts::{Balancer, Service, TargetCheck, TargetGroup};

use super::{definition, service};
use crate::support::aws::{Before, Pace, Script, World};
use crate::support::random;

/// What is drawn. Times are in seconds.
#[derive(Debug)]
struct Setting {
    interval: u64,
    timeout: u64,
    unhealthy: u32,
    healthy: u32,
    grace: u64,
    /// When the first check falls. Nothing else has this fraction of a second, so that no two moments
    /// coincide.
    first: f64,
    /// When the task begins to answer.
    answers: f64,
    hangs: bool,
}

impl Setting {
    fn draw(random: &mut fastrand::Rng) -> Self {
        let interval = random.u64(5..60);
        Setting {
            interval,
            timeout: random.u64(2..interval),
            unhealthy: random.u32(2..=10),
            healthy: random.u32(2..=10),
            grace: random.u64(0..400),
            first: random.u64(0..interval) as f64 + 0.4,
            answers: random.u64(0..500) as f64 + 0.2,
            hangs: random.bool(),
        }
    }

    /// When the first check fails, when the target is unhealthy, and when the task is stopped.
    fn expected(&self) -> [Option<f64>; 3] {
        let interval = self.interval as f64;
        let late = if self.hangs { self.timeout as f64 } else { 0.0 };
        let check = |nth: f64| self.first + nth * interval;
        let failures = ((self.answers - self.first) / interval).ceil().max(0.0);
        let failed = (failures > 0.0).then_some(self.first + late);
        let is_unhealthy = failures >= f64::from(self.unhealthy);
        let unhealthy = is_unhealthy.then(|| check(f64::from(self.unhealthy) - 1.0) + late);
        let recovered = check(failures + f64::from(self.healthy) - 1.0);
        let grace = self.grace as f64;
        let stopped = unhealthy.map(|at| at.max(grace)).filter(|at| *at < recovered);
        [failed, unhealthy, stopped]
    }

    /// What the world does.
    fn played(&self) -> [Option<f64>; 3] {
        let phase = self.first / self.interval as f64;
        let mut world = World::new(Pace { phase, ..Pace::immediate() });
        let before = if self.hangs { Before::Hangs } else { Before::Answers(503) };
        let script = Script { before, ..Script::web(self.answers) };
        world.images.insert("web".to_owned(), script.into());
        world.define(definition("web", "web", &[])).unwrap();
        let check = TargetCheck {
            interval: self.interval,
            timeout: self.timeout,
            unhealthy: self.unhealthy,
            healthy: self.healthy,
            ..TargetCheck::default()
        };
        let group = world.balancers.add_group(TargetGroup {
            name: "web".to_owned(),
            check,
            ..TargetGroup::default()
        });
        let balancer = world.balancers.add("shop", Balancer::Application);
        world.balancers.add_listener(&balancer, 80, vec![(group, 1)]);
        world.create_service(
            Service { desired: 1, grace: Some(self.grace), ..service("web", None) },
            "web",
        );
        world.advance(2000.0);
        let first = world.tasks.values().next().unwrap();
        assert_eq!((first.moments.registered, first.moments.running), (Some(0.0), Some(0.0)));
        let moments = first.moments;
        [moments.first_failed_check, moments.unhealthy, moments.stopping]
    }
}

#[test]
fn a_task_is_unhealthy_and_stopped_when_arithmetic_says_so() {
    let mut random = random();
    let mut stopped = 0;
    for _ in 0..500 {
        let setting = Setting::draw(&mut random);
        let (expected, played) = (setting.expected(), setting.played());
        for (one, other) in expected.iter().zip(&played) {
            let is_near = match (one, other) {
                (Some(one), Some(other)) => (one - other).abs() < 0.01,
                (one, other) => one.is_none() && other.is_none(),
            };
            assert!(is_near, "{setting:?}: expected {expected:?}, played {played:?}");
        }
        stopped += u32::from(expected[2].is_some());
    }
    assert!((50..450).contains(&stopped), "both ends are drawn: {stopped} of 500 were stopped");
}
