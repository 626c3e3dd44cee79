//! A service drawn at random, as facts for the doctor and as a world for ECS.

use lockkeeper::deploy::facts::{
    Attachment, Balancer, Breaker, Container, ContainerCheck, Facts, Service, TargetCheck,
    TargetGroup, TaskDefinition, Threshold,
};
use serde_json::json;

use crate::support::aws::{Before, Pace, Script, World};

/// What is drawn. Times are in seconds.
#[derive(Debug)]
pub struct Setting {
    pub facts: Facts,
    /// When a new task begins to answer.
    pub startup: f64,
}

/// What isn't known beforehand, and so is drawn for each play of a setting.
///
/// All checks of targets come four tenths of a second after a whole one, those of containers six, and
/// startup times end in two: so that no two moments coincide, where either order would be right.
#[derive(Debug)]
pub struct Chance {
    pub before: Before,
    pub pace: Pace,
}

impl Setting {
    pub fn draw(random: &mut fastrand::Rng) -> Self {
        let group = group(random);
        let check = random.bool().then(|| container_check(random));
        let app = Container {
            name: "web".to_owned(),
            ports: vec![8080],
            stop_timeout: random.bool().then(|| random.u64(2..=120)),
            check: check.filter(|_| random.u32(..3) == 0),
            ..Container::default()
        };
        let next = TaskDefinition {
            family: "web".to_owned(),
            containers: vec![app],
            ..TaskDefinition::default()
        };
        let service = service(random);
        let facts = Facts { service, next, target_groups: vec![group], ..Facts::default() };
        let startup = startup(random, &facts) as f64 + 0.2;
        Setting { facts, startup }
    }

    /// A world in which the service runs its first revision, which answers at once, and has just
    /// begun to deploy its second.
    pub fn world(&self, chance: &Chance) -> World {
        let mut world = World::new(chance.pace.clone());
        world.images.insert("web:1".to_owned(), Script::web(0.0).into());
        let script = Script { before: chance.before, ..Script::web(self.startup) };
        world.images.insert("web:2".to_owned(), script.into());
        let group = &self.facts.target_groups[0];
        let arn = world.balancers.add_group(group.clone());
        let balancer = world.balancers.add("shop", group.balancer);
        world.balancers.add_listener(&balancer, 80, vec![(arn, 1)]);
        self.define(&mut world, "web:1");
        let service = Service { grace: Some(100_000), ..self.facts.service.clone() };
        world.create_service(service, "web:1");
        world.advance_until("the first revision serves", 3600.0, |world| {
            world.services["shop/web"].is_steady
        });
        // All else of the setting counts from here on.
        let service = world.services.get_mut("shop/web").expect("the service");
        service.facts.grace = self.facts.service.grace;
        let second = self.define(&mut world, "web:2");
        world.deploy("shop/web", &second);
        world
    }

    fn define(&self, world: &mut World, image: &str) -> String {
        let app = &self.facts.next.containers[0];
        let mut container = json!({
            "name": app.name,
            "image": image,
            "portMappings": [{ "containerPort": 8080 }],
        });
        if let Some(timeout) = app.stop_timeout {
            container["stopTimeout"] = json!(timeout);
        }
        if let Some(check) = &app.check {
            container["healthCheck"] = json!({
                "command": check.command,
                "interval": check.interval,
                "timeout": check.timeout,
                "retries": check.retries,
                "startPeriod": check.start_period,
            });
        }
        let json = json!({ "family": "web", "containerDefinitions": [container] });
        world.define(json).expect("a task definition")
    }

    /// One of the phases, and all else that the doctor can't know.
    pub fn chance(&self, random: &mut fastrand::Rng) -> Chance {
        let phase = |first: f64, interval: u64| first / interval as f64;
        let target = self.facts.target_groups[0].check.interval;
        let container = self.facts.next.containers[0].check.as_ref().map_or(30, |one| one.interval);
        let check = self.facts.next.containers[0].check.as_ref();
        let has_start_period = check.is_some_and(|one| one.start_period > 0);
        let pace = Pace {
            provisioning: random.u64(0..20) as f64,
            pulling: random.u64(0..30) as f64,
            // The doctor takes RUNNING and the registration for one moment.
            activating: 0.0,
            scheduling: random.u64(0..5) as f64,
            nlb_registration: random.u64(0..=10) as f64,
            nlb_initial: random.u64(70..170) as f64 + 0.1,
            nlb_hides: random.bool(),
            phase: phase(random.u64(0..target) as f64 + 0.4, target),
            container_phase: match has_start_period {
                true => phase(random.u64(0..container) as f64 + 0.6, container),
                // An interval after the start, and never at the very moment of anything else.
                false => phase(container as f64 + 0.01, container),
            },
            ..Pace::default()
        };
        let before = if random.bool() { Before::Refuses } else { Before::Hangs };
        Chance { before, pace }
    }
}

/// Any, and more of those about which chance decides.
fn startup(random: &mut fastrand::Rng, facts: &Facts) -> u64 {
    let check = &facts.target_groups[0].check;
    let failures = u64::from(check.unhealthy) * check.interval;
    match random.u32(..3) {
        0 => random.u64(0..30),
        1 => failures - random.u64(0..check.interval),
        _ => random.u64(0..500),
    }
}

fn group(random: &mut fastrand::Rng) -> TargetGroup {
    let interval = random.u64(5..=60);
    let balancer = if random.bool() { Balancer::Application } else { Balancer::Network };
    let check = TargetCheck {
        interval,
        timeout: random.u64(2..interval),
        healthy: random.u32(2..=10),
        unhealthy: random.u32(2..=10),
        ..TargetCheck::default()
    };
    TargetGroup {
        name: "web".to_owned(),
        balancer,
        check,
        deregistration_delay: Some(random.u64(0..=120)),
        ..TargetGroup::default()
    }
}

fn container_check(random: &mut fastrand::Rng) -> ContainerCheck {
    ContainerCheck {
        command: ["CMD-SHELL", "curl -f http://localhost:8080/ || exit 1"]
            .map(str::to_owned)
            .into(),
        interval: random.u64(5..=60),
        timeout: random.u64(2..=30),
        retries: random.u32(1..=10),
        start_period: if random.bool() { random.u64(0..=300) } else { 0 },
    }
}

fn service(random: &mut fastrand::Rng) -> Service {
    let desired = random.u32(1..=4);
    // All leave room to move, whatever the desired count.
    let percents = [(100, 200), (50, 200), (0, 100), (75, 150), (0, 200)];
    let percents = percents.into_iter().filter(|(minimum, maximum)| {
        desired * maximum / 100 > desired || (desired * minimum).div_ceil(100) < desired
    });
    let percents: Vec<_> = percents.collect();
    let (minimum, maximum) = percents[random.usize(..percents.len())];
    let breaker = (random.u32(..4) > 0).then(|| Breaker {
        rollback: random.bool(),
        threshold: random.bool().then(|| Threshold::Count(random.u32(1..=6))),
        resets: random.bool(),
    });
    Service {
        name: "web".to_owned(),
        cluster: "shop".to_owned(),
        desired,
        grace: Some(random.u64(0..400)),
        minimum_percent: Some(minimum),
        maximum_percent: Some(maximum),
        breaker,
        load_balancers: vec![Attachment {
            target_group: "web".to_owned(),
            container: "web".to_owned(),
            port: 8080,
            ..Attachment::default()
        }],
        ..Service::default()
    }
}
