use super::*;
use crate::deploy::facts::{
    Attachment, Balancer, Breaker, Container, ContainerCheck, Service, Strategy, TargetCheck,
    TargetGroup, TaskDefinition,
};

/// S4's service, with its first settings.
pub(crate) fn story() -> Facts {
    let service = Service {
        name: "web".to_owned(),
        cluster: "shop".to_owned(),
        desired: 2,
        running: 2,
        grace: Some(15),
        minimum_percent: Some(50),
        maximum_percent: Some(200),
        breaker: Some(Breaker { rollback: true, threshold: None, resets: false }),
        load_balancers: vec![Attachment {
            target_group: "web-8080".to_owned(),
            container: "app".to_owned(),
            port: 8080,
            ..Attachment::default()
        }],
        ..Service::default()
    };
    let check = TargetCheck {
        path: Some("/api/health-check".to_owned()),
        interval: 15,
        timeout: 5,
        healthy: 2,
        unhealthy: 3,
        ..TargetCheck::default()
    };
    let group = TargetGroup {
        name: "web-8080".to_owned(),
        check,
        deregistration_delay: Some(30),
        ..TargetGroup::default()
    };
    let app = Container { name: "app".to_owned(), ports: vec![8080], ..Container::default() };
    let next =
        TaskDefinition { family: "web".to_owned(), containers: vec![app], ..Default::default() };
    Facts { service, next, target_groups: vec![group], ..Facts::default() }
}

/// The settings that mended it.
fn mended() -> Facts {
    let mut facts = story();
    facts.service.grace = Some(120);
    facts.target_groups[0].check.interval = 30;
    facts.target_groups[0].check.unhealthy = 7;
    facts
}

fn seconds(span: Option<Span>) -> (f64, f64) {
    let span = span.expect("a span");
    (span.earliest.round(), span.latest.round())
}

#[test]
fn s4_a_start_of_150_s_does_not_survive_the_first_settings() {
    let timeline = Timeline::of(&story(), 150.0);
    assert_eq!(timeline.verdict, Verdict::Fails);
    assert!(!timeline.verdict.survives());
    assert_eq!(seconds(timeline.courses[0].failing.first().copied()), (0.0, 20.0));
    assert_eq!(seconds(timeline.courses[0].unhealthy), (30.0, 50.0));
    assert_eq!(seconds(timeline.stop), (30.0, 50.0));
    assert_eq!(seconds(timeline.terminate), (30.0, 80.0));
    assert_eq!(seconds(timeline.gone), (30.0, 110.0));
    assert_eq!(timeline.healthy, None);
    let give_up = timeline.give_up.expect("a circuit breaker");
    assert_eq!((give_up.tasks, give_up.rollback), (3, true));
    // Two at once, so two rounds.
    assert_eq!(seconds(Some(give_up.moment)), (60.0, 220.0));
}

#[test]
fn s4_a_start_of_35_s_survives_the_first_settings_in_two_thirds_of_the_phases() {
    let timeline = Timeline::of(&story(), 35.0);
    let Verdict::Tight { share } = timeline.verdict else { panic!("{:?}", timeline.verdict) };
    assert!((share - 1.0 / 3.0).abs() < 1e-9, "{share}");
    assert!(timeline.verdict.survives());
    assert_eq!(seconds(timeline.healthy), (35.0, 45.0));
    assert_eq!(timeline.give_up, None);
}

#[test]
fn s4_a_start_of_150_s_survives_the_settings_that_mended_it() {
    let timeline = Timeline::of(&mended(), 150.0);
    assert_eq!(timeline.verdict, Verdict::Survives);
    assert_eq!((timeline.stop, timeline.courses[0].unhealthy), (None, None));
    assert_eq!(seconds(timeline.healthy), (150.0, 180.0));
}

#[test]
fn a_target_that_is_unhealthy_when_the_grace_ends_is_stopped_at_once() {
    let mut facts = story();
    facts.service.grace = Some(100);
    let timeline = Timeline::of(&facts, 150.0);
    assert_eq!(seconds(timeline.courses[0].unhealthy), (30.0, 50.0));
    assert_eq!(seconds(timeline.stop), (100.0, 100.0));
}

#[test]
fn an_unhealthy_target_needs_its_successes_before_the_grace_ends() {
    let mut facts = story();
    // Healthy at the second good check, 165–180 s.
    for (grace, verdict) in [(180, Verdict::Survives), (165, Verdict::Fails)] {
        facts.service.grace = Some(grace);
        assert_eq!(Timeline::of(&facts, 150.0).verdict, verdict, "{grace}");
    }
    facts.service.grace = Some(170);
    let share = Timeline::of(&facts, 150.0).verdict.share();
    assert!((share - 2.0 / 3.0).abs() < 1e-9, "{share}");
}

#[test]
fn a_new_target_of_an_alb_needs_one_success_and_an_nlb_s_its_registration_and_perhaps_more() {
    let mut facts = story();
    facts.target_groups[0].check.healthy = 3;
    assert_eq!(seconds(Timeline::of(&facts, 10.0).healthy), (10.0, 25.0));
    facts.target_groups[0].balancer = Balancer::Network;
    assert_eq!(seconds(Timeline::of(&facts, 10.0).healthy), (70.0, 180.0));
    facts.service.grace = Some(1000);
    assert_eq!(seconds(Timeline::of(&facts, 300.0).healthy), (300.0, 345.0));
}

#[test]
fn a_container_is_first_checked_an_interval_after_its_start() {
    let mut facts = story();
    facts.target_groups.clear();
    facts.service.grace = None;
    let check = ContainerCheck { interval: 10, timeout: 5, retries: 3, ..Default::default() };
    facts.next.containers[0].check = Some(check);
    // Checks at 10, 20 and 30 s where they are refused; at 10, 25 and 40 s where they hang.
    assert_eq!(Timeline::of(&facts, 25.0).verdict, Verdict::Survives);
    assert_eq!(Timeline::of(&facts, 30.0).verdict, Verdict::Survives);
    assert_eq!(Timeline::of(&facts, 35.0).verdict, Verdict::Tight { share: 0.5 });
    let timeline = Timeline::of(&facts, 41.0);
    assert_eq!(timeline.verdict, Verdict::Fails);
    assert_eq!(timeline.stop, Some(Span::new(30.0, 46.0)));
}

#[test]
fn a_container_that_is_unhealthy_after_its_start_period_stops_its_task() {
    let mut facts = story();
    facts.target_groups.clear();
    let check = ContainerCheck { interval: 10, timeout: 5, retries: 3, ..Default::default() };
    facts.next.containers[0].check = Some(ContainerCheck { start_period: 60, ..check.clone() });
    let timeline = Timeline::of(&facts, 200.0);
    assert_eq!(timeline.verdict, Verdict::Fails);
    // The first one that counts is at 60–70 s, or 75 s where each takes its 5 s.
    assert_eq!(seconds(timeline.stop), (80.0, 110.0));
    assert_eq!(Timeline::of(&facts, 60.0).verdict, Verdict::Survives);
    facts.next.containers[0].essential = false;
    assert_eq!(Timeline::of(&facts, 200.0).verdict, Verdict::Survives);
}

#[test]
fn a_check_for_life_passes_while_the_task_is_not_ready() {
    let mut facts = story();
    facts.target_groups.clear();
    let command = ["CMD-SHELL", "curl --fail http://127.0.0.1:9002/alive || exit 1"];
    let command = command.map(str::to_owned).to_vec();
    facts.next.containers[0].check = Some(ContainerCheck { command, ..Default::default() });
    assert_eq!(Timeline::of(&facts, 2000.0).verdict, Verdict::Survives);
}

#[test]
fn without_any_check_a_task_is_taken_for_healthy() {
    let mut facts = story();
    facts.target_groups.clear();
    let timeline = Timeline::of(&facts, 2000.0);
    assert_eq!(timeline.verdict, Verdict::Survives);
    assert_eq!(seconds(timeline.healthy), (40.0, 40.0));
}

#[test]
fn two_checks_stop_a_task_where_either_does() {
    let mut facts = story();
    let mut second = facts.target_groups[0].clone();
    second.name = "web-8081".to_owned();
    facts.target_groups.push(second);
    let share = Timeline::of(&facts, 35.0).verdict.share();
    assert!((share - 5.0 / 9.0).abs() < 1e-9, "{share}");
}

#[test]
fn the_percentages_say_how_many_start_at_once() {
    let mut service = story().service;
    for (desired, minimum, maximum, least, most) in [
        (2, 50, 200, 2, 2),
        (4, 50, 100, 0, 2),
        (4, 100, 150, 2, 2),
        (1, 100, 150, 0, 0),
        (3, 50, 100, 0, 1),
    ] {
        service.desired = desired;
        service.minimum_percent = Some(minimum);
        service.maximum_percent = Some(maximum);
        assert_eq!(Wave::of(&service), Wave { least, most }, "{desired} {minimum} {maximum}");
    }
}

#[test]
fn only_rolling_deployments_of_ecs_have_a_circuit_breaker() {
    let mut facts = story();
    facts.service.strategy = Strategy::BlueGreen;
    assert_eq!(Timeline::of(&facts, 150.0).give_up, None);
    facts.service.strategy = Strategy::Rolling;
    facts.service.breaker = None;
    assert_eq!(Timeline::of(&facts, 150.0).give_up, None);
}

/// One task, event by event, by the rules as AWS tells them: no formula of the timeline is used.
fn walk(check: &TargetCheck, grace: f64, startup: f64, phase: f64, late: f64) -> Walk {
    let (mut failures, mut successes) = (0, 0);
    let (mut is_new, mut is_unhealthy) = (true, false);
    let mut walk = Walk::default();
    let mut events = Vec::new();
    let last = (startup.max(grace) / check.interval as f64) as u32 + 20;
    for number in 0..last {
        let begins = (phase + f64::from(number)) * check.interval as f64;
        let passes = begins >= startup;
        events.push((if passes { begins } else { begins + late }, Some(passes)));
    }
    events.push((grace, None));
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (now, event) in events {
        match event {
            Some(false) => {
                walk.first_failure.get_or_insert(now);
                (failures, successes) = (failures + 1, 0);
                if failures == check.unhealthy {
                    is_unhealthy = true;
                    walk.unhealthy.get_or_insert(now);
                }
            }
            Some(true) => {
                (failures, successes) = (0, successes + 1);
                if is_new && !is_unhealthy || successes == check.healthy {
                    walk.healthy = Some(now);
                    return walk;
                }
            }
            None => {}
        }
        is_new &= event != Some(true);
        if is_unhealthy && now >= grace {
            walk.stop = Some(now);
            return walk;
        }
    }
    walk
}

#[derive(Debug, Default)]
struct Walk {
    first_failure: Option<f64>,
    unhealthy: Option<f64>,
    stop: Option<f64>,
    healthy: Option<f64>,
}

#[track_caller]
fn lies_in(moment: Option<f64>, span: Option<Span>, what: &str) {
    let Some(moment) = moment else { return };
    let span = span.unwrap_or_else(|| panic!("{what} at {moment}, which isn't foreseen"));
    let holds = span.earliest - 1e-6 <= moment && moment <= span.latest + 1e-6;
    assert!(holds, "{what} at {moment}, not in {span:?}");
}

#[test]
fn a_walk_through_random_settings_stays_in_the_spans_and_is_stopped_as_often_as_foretold() {
    let mut random = fastrand::Rng::with_seed(0x10c4);
    for _ in 0..400 {
        let mut facts = story();
        let interval = random.u64(5..=60);
        let check = &mut facts.target_groups[0].check;
        check.interval = interval;
        check.timeout = random.u64(2..interval.min(30));
        (check.healthy, check.unhealthy) = (random.u32(2..=10), random.u32(2..=10));
        let grace = random.u64(0..400);
        facts.service.grace = Some(grace);
        let startup = random.f64() * 400.0;
        let timeline = Timeline::of(&facts, startup);
        let (check, course) = (&facts.target_groups[0].check, &timeline.courses[0]);
        let walks = 400;
        let mut stopped = 0;
        for number in 0..walks {
            let phase = (f64::from(number) + random.f64()) / f64::from(walks);
            let late = if number % 2 == 0 { 0.0 } else { check.timeout as f64 };
            let walk = walk(check, grace as f64, startup, phase, late);
            lies_in(walk.first_failure, course.failing.first().copied(), "a failure");
            lies_in(walk.unhealthy, course.unhealthy, "unhealthy");
            lies_in(walk.stop, timeline.stop, "stopped");
            lies_in(walk.healthy, timeline.healthy, "healthy");
            stopped += u32::from(walk.stop.is_some());
        }
        let share = f64::from(stopped) / f64::from(walks);
        let foretold = timeline.verdict.share();
        assert!((share - foretold).abs() < 0.02, "{share}, not {foretold}: {facts:?} {startup}");
    }
}
