use super::*;
use crate::deploy::facts::{
    Balancer, Breaker, CodeDeploy, ContainerCheck, Reference, Target, TargetState, TaskDefinition,
};
use crate::deploy::timeline::Verdict;
use crate::deploy::timeline::tests::story;

fn told(seconds: f64) -> Question {
    Question { startup: Some(Startup::told(seconds)), ..Question::default() }
}

fn codes(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn s4_with_the_first_settings_and_150_s_it_does_not_survive_and_the_change_mends_it() {
    let facts = story();
    let diagnosis = Diagnosis::of(&facts, &told(150.0));
    assert_eq!(diagnosis.survives, Some(false));
    assert_eq!(codes(&diagnosis), ["grace-too-short", "circuit-breaker-gives-up-first"]);
    assert_eq!(diagnosis.findings[0].severity, Severity::Fatal);
    let needed: Vec<_> = diagnosis.needed().map(|change| change.to).collect();
    assert_eq!(needed, [Some(195)]);
    let after = Diagnosis::of(&apply(&facts, &diagnosis.changes), &told(150.0));
    assert_eq!((after.survives, after.findings), (Some(true), Vec::new()));
}

#[test]
fn s4_with_35_s_it_survives_but_barely_and_with_the_mended_settings_it_survives() {
    let mut facts = story();
    let diagnosis = Diagnosis::of(&facts, &told(35.0));
    assert_eq!(diagnosis.survives, Some(true));
    let severities: Vec<_> = diagnosis.findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Warning; 2]);
    // (1/3)³ · (1 + 3 · 2/3) of the deployments.
    let breaker = diagnosis.findings.iter().find(|one| one.code.starts_with("circuit"));
    assert!(breaker.expect("a finding").title.contains("about 1 of 10"));
    facts.service.grace = Some(120);
    facts.target_groups[0].check.interval = 30;
    facts.target_groups[0].check.unhealthy = 7;
    let diagnosis = Diagnosis::of(&facts, &told(150.0));
    assert_eq!((diagnosis.survives, codes(&diagnosis)), (Some(true), Vec::new()));
}

#[test]
fn s4_a_smaller_container_is_a_risk_to_what_was_observed() {
    let mut facts = story();
    facts.service.grace = Some(300);
    facts.observed_startup = Some(35.0);
    let size = |cpu| TaskDefinition { cpu: Some(cpu), ..TaskDefinition::default() };
    facts.running = Some(size(1024));
    facts.next.cpu = Some(256);
    let diagnosis = Diagnosis::of(&facts, &Question::default());
    assert_eq!(diagnosis.startup, Some(Startup::observed(35.0)));
    assert_eq!(codes(&diagnosis), ["size-changed"]);
    let finding = &diagnosis.findings[0];
    assert!(finding.title.contains("CPU goes from 1024 to 256"), "{}", finding.title);
    assert!(finding.details.iter().any(|detail| detail.contains("old size")));
    facts.running = Some(size(256));
    assert_eq!(codes(&Diagnosis::of(&facts, &Question::default())), Vec::<&str>::new());
}

#[test]
fn without_a_startup_time_nothing_is_said_of_survival_but_all_else_is() {
    let mut facts = story();
    facts.next.containers[0].stop_timeout = Some(60);
    let question = Question { shutdown: Some(165.0), ..Question::default() };
    let diagnosis = Diagnosis::of(&facts, &question);
    assert_eq!((diagnosis.survives, diagnosis.timeline.clone()), (None, None));
    assert_eq!(codes(&diagnosis), ["stop-timeout-too-short"]);
    facts.next.containers[0].stop_timeout = Some(200);
    let diagnosis = Diagnosis::of(&facts, &Question::default());
    assert_eq!(diagnosis.survives, Some(false));
    assert_eq!(codes(&diagnosis), ["stop-timeout-refused"]);
}

/// A blue/green deployment by CodeDeploy: blue is referred to, green isn't.
pub(crate) fn blue_and_green(balancer: Balancer) -> Facts {
    let mut facts = story();
    let deploy = CodeDeploy { wait: Some(0), ..CodeDeploy::default() };
    facts.service.controller = Controller::CodeDeploy(deploy);
    facts.service.breaker = None;
    facts.knows_listeners = true;
    let blue = &mut facts.target_groups[0];
    (blue.name, blue.balancer) = ("blue".to_owned(), balancer);
    blue.check.port = Some("9002".to_owned());
    blue.references.push(listener(443));
    let mut green = blue.clone();
    (green.name, green.is_alternate) = ("green".to_owned(), true);
    green.references.clear();
    facts.target_groups.push(green);
    facts
}

fn listener(port: u16) -> Reference {
    let listener =
        format!("arn:aws:elasticloadbalancing:eu-west-1:1:listener/net/shop/50dc/{port}");
    Reference { listener, port: Some(port), rule: None, weight: None }
}

#[test]
fn s5_an_nlb_s_orphaned_target_group_is_found_and_an_alb_s_is_none() {
    let facts = blue_and_green(Balancer::Network);
    let diagnosis = Diagnosis::of(&facts, &told(10.0));
    assert_eq!(codes(&diagnosis), ["orphaned-target-group", "codedeploy-wait-too-short"]);
    let finding = &diagnosis.findings[0];
    let all = finding.details.join(" ");
    for cost in ["90–180 s", "2–3 of 10 deployments", "70–80 s"] {
        assert!(all.contains(cost), "{all}");
    }
    // One for green, and one for blue, which is the orphan after the switch.
    let ports: Vec<_> = finding.changes.iter().map(|change| change.to).collect();
    assert_eq!(ports, [Some(10080), Some(10081)]);
    // The listeners make the wait needless: one of the two is enough.
    assert_eq!(diagnosis.findings[1].changes, []);
    assert_eq!(diagnosis.findings[1].alternatives[0].to, Some(300));
    let mended = apply(&facts, &diagnosis.changes);
    assert_eq!(codes(&Diagnosis::of(&mended, &told(10.0))), Vec::<&str>::new());

    let alb = blue_and_green(Balancer::Application);
    assert_eq!(codes(&Diagnosis::of(&alb, &told(10.0))), Vec::<&str>::new());
}

#[test]
fn s5_any_listener_or_rule_keeps_a_group_from_being_an_orphan_even_with_weight_0() {
    let mut facts = blue_and_green(Balancer::Network);
    facts.target_groups[1].references.push(Reference { weight: Some(0), ..listener(10080) });
    assert_eq!(codes(&Diagnosis::of(&facts, &told(10.0))), Vec::<&str>::new());
}

#[test]
fn s5_where_listeners_are_not_known_the_targets_own_word_counts() {
    let mut facts = blue_and_green(Balancer::Network);
    facts.knows_listeners = false;
    facts.target_groups.iter_mut().for_each(|group| group.references.clear());
    let diagnosis = Diagnosis::of(&facts, &told(10.0));
    assert_eq!(codes(&diagnosis), ["codedeploy-wait-too-short"]);
    facts.target_groups[1].targets.push(Target {
        id: "10.0.0.1".to_owned(),
        port: None,
        state: TargetState::Unused,
        reason: Some("Target.NotInUse".to_owned()),
        description: None,
    });
    let diagnosis = Diagnosis::of(&facts, &told(10.0));
    assert_eq!(codes(&diagnosis), ["orphaned-target-group", "codedeploy-wait-too-short"]);
    assert_eq!(diagnosis.findings[0].changes.len(), 1);
}

#[test]
fn a_circuit_breaker_can_give_up_although_most_tasks_live() {
    let mut facts = story();
    facts.service.desired = 100;
    facts.service.breaker = Some(Breaker {
        rollback: true,
        threshold: Some(crate::deploy::facts::Threshold::Count(10)),
        resets: false,
    });
    let diagnosis = Diagnosis::of(&facts, &told(35.0));
    let timeline = diagnosis.timeline.as_ref().expect("a timeline");
    assert!(timeline.verdict.survives());
    assert_eq!(diagnosis.survives, Some(false));
    assert_eq!(codes(&diagnosis)[0], "circuit-breaker-gives-up-first");
    assert_eq!(diagnosis.needed().count(), 1);
}

#[test]
fn with_all_changes_made_any_deployment_survives() {
    let mut random = fastrand::Rng::with_seed(77);
    let mut failed = 0;
    for _ in 0..300 {
        let mut facts = if random.bool() { story() } else { blue_and_green(Balancer::Network) };
        for group in &mut facts.target_groups {
            group.check.interval = random.u64(5..=60);
            (group.check.healthy, group.check.unhealthy) = (random.u32(2..=10), random.u32(2..=10));
            group.check.port = random.bool().then(|| "9002".to_owned());
        }
        facts.service.desired = random.u32(1..20);
        facts.service.minimum_percent = Some(random.u32(0..=10) * 10);
        facts.service.maximum_percent = Some(100 + random.u32(0..=10) * 10);
        facts.service.grace = Some(random.u64(0..300));
        let app = &mut facts.next.containers[0];
        app.stop_timeout = Some(random.u64(0..200));
        app.start_timeout = random.bool().then(|| random.u64(2..200));
        if random.bool() {
            let start_period = random.u64(0..=300);
            app.check = Some(ContainerCheck { start_period, ..ContainerCheck::default() });
        }
        let question =
            Question { shutdown: Some(random.f64() * 100.0), ..told(random.f64() * 500.0) };
        let diagnosis = Diagnosis::of(&facts, &question);
        failed += u32::from(diagnosis.survives == Some(false));
        let after = Diagnosis::of(&apply(&facts, &diagnosis.changes), &question);
        assert_eq!(after.survives, Some(true), "{diagnosis:#?}\n{:#?}", after.findings);
        let verdict = after.timeline.map(|timeline| timeline.verdict);
        assert_eq!(verdict, Some(Verdict::Survives), "{:#?}", diagnosis.changes);
    }
    assert!(failed > 50, "{failed}");
}
