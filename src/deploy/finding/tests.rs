mod sidecar;

use super::*;
use crate::deploy::doctor::Diagnosis;
use crate::deploy::facts::{
    Attachment, Balancer, Capacity, Condition, Container, ContainerCheck, Dependency, Launch,
    Unknown,
};
use crate::deploy::remedy::apply;
use crate::deploy::timeline::tests::story;

/// S4's service, with a grace that is enough.
fn sound() -> Facts {
    let mut facts = story();
    facts.service.grace = Some(300);
    facts
}

fn told(seconds: f64) -> Question {
    Question { startup: Some(Startup::told(seconds)), ..Question::default() }
}

/// The one finding with this code; all others are none.
#[track_caller]
fn only(facts: &Facts, question: &Question, code: &str) -> Finding {
    let mut findings = Diagnosis::of(facts, question).findings;
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [code]);
    findings.remove(0)
}

#[track_caller]
fn none(facts: &Facts, question: &Question) {
    assert_eq!(Diagnosis::of(facts, question).findings, Vec::new());
}

/// The finding is gone when its changes are made.
#[track_caller]
fn mended(facts: &Facts, question: &Question, finding: &Finding) {
    assert!(!finding.changes.is_empty());
    none(&apply(facts, &finding.changes), question);
}

fn spot() -> Launch {
    let capacity = |provider: &str| Capacity { provider: provider.to_owned(), weight: 1, base: 0 };
    Launch::Providers(vec![capacity("FARGATE"), capacity("FARGATE_SPOT")])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn codes_are_unlike_each_other_and_fit_for_the_name_of_a_file() {
    let mut all: Vec<_> = codes().collect();
    assert!(all.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!((all.len(), count), (19, 19));
}

#[test]
fn a_sound_service_has_no_findings() {
    none(&sound(), &told(150.0));
}

#[test]
fn percentages_that_leave_no_room_are_fatal() {
    for (desired, minimum, maximum, percent) in
        [(1, 100, 100, 200), (1, 100, 150, 200), (3, 70, 100, 134), (10, 95, 105, 110)]
    {
        let mut facts = sound();
        facts.service.desired = desired;
        facts.service.minimum_percent = Some(minimum);
        facts.service.maximum_percent = Some(maximum);
        let finding = only(&facts, &told(10.0), "percentages-cannot-move");
        assert_eq!(finding.severity, Severity::Fatal);
        assert_eq!(finding.changes[0].to, Some(percent), "{desired} {minimum} {maximum}");
        mended(&facts, &told(10.0), &finding);
    }
    for (desired, minimum, maximum) in [(1, 0, 100), (3, 50, 100), (2, 100, 150)] {
        let mut facts = sound();
        facts.service.desired = desired;
        facts.service.minimum_percent = Some(minimum);
        facts.service.maximum_percent = Some(maximum);
        none(&facts, &told(10.0));
    }
}

/// A sidecar that migrates, for which the app waits.
fn with_sidecar(timeout: u64) -> Facts {
    let mut facts = sound();
    facts.next.containers[0].depends_on =
        vec![Dependency { container: "migrate".to_owned(), condition: Condition::Success }];
    facts.next.containers.push(Container {
        name: "migrate".to_owned(),
        essential: false,
        command: words(&["lockkeeper", "up"]),
        start_timeout: Some(timeout),
        ..Container::default()
    });
    facts
}

#[test]
fn a_start_timeout_ends_a_long_migration() {
    let facts = with_sidecar(120);
    let code = "start-timeout-kills-migration";
    assert_eq!(only(&facts, &told(10.0), code).severity, Severity::Warning);
    let long = Question { migration: Some(600.0), ..told(10.0) };
    let finding = only(&facts, &long, code);
    assert_eq!(finding.severity, Severity::Fatal);
    mended(&facts, &long, &finding);
    none(&facts, &Question { migration: Some(60.0), ..told(10.0) });
    let mut started = facts;
    started.next.containers[0].depends_on[0].condition = Condition::Start;
    none(&started, &long);
    let refused = with_sidecar(600);
    assert_eq!(only(&refused, &told(10.0), code).severity, Severity::Fatal);
}

#[test]
fn a_stop_timeout_beyond_fargate_s_is_refused() {
    let mut facts = sound();
    facts.next.containers[0].stop_timeout = Some(165);
    let finding = only(&facts, &told(10.0), "stop-timeout-refused");
    assert_eq!(finding.severity, Severity::Fatal);
    mended(&facts, &told(10.0), &finding);
    facts.service.launch = Launch::Ec2;
    none(&facts, &told(10.0));
}

#[test]
fn a_shutdown_must_fit_the_stop_timeout() {
    let mut facts = sound();
    let shutdown = |seconds| Question { shutdown: Some(seconds), ..told(10.0) };
    none(&facts, &shutdown(30.0));
    let finding = only(&facts, &shutdown(45.0), "stop-timeout-too-short");
    assert!(finding.details[0].contains("30 s (ECS's default)"), "{:?}", finding.details);
    assert_eq!(finding.changes[0].to, Some(50));
    mended(&facts, &shutdown(45.0), &finding);
    // S3: the phases take 165 s.
    let finding = only(&facts, &shutdown(165.0), "stop-timeout-too-short");
    assert_eq!(finding.changes, Vec::new());
    facts.service.launch = Launch::Ec2;
    mended(&facts, &shutdown(165.0), &only(&facts, &shutdown(165.0), "stop-timeout-too-short"));
}

#[test]
fn long_connections_need_a_long_deregistration_delay() {
    let facts = sound();
    let connections = |seconds| Question { connections: Some(seconds), ..told(10.0) };
    none(&facts, &connections(30.0));
    let finding = only(&facts, &connections(600.0), "deregistration-delay-too-short");
    mended(&facts, &connections(600.0), &finding);
    // S2: 24 h. No delay is that long.
    let finding = only(&facts, &connections(86_400.0), "deregistration-delay-too-short");
    assert_eq!(finding.changes[0].to, Some(3600));
    assert!(finding.details.iter().any(|detail| detail.contains("No delay is long enough")));
}

#[test]
fn what_an_alb_does_at_sigterm_is_not_said_of_an_nlb() {
    let mut facts = sound();
    let question = Question { connections: Some(3000.0), ..told(10.0) };
    let details = |facts: &Facts| {
        let findings = Diagnosis::of(facts, &question).findings;
        let finding = findings.iter().find(|one| one.code == "deregistration-delay-too-short");
        finding.expect("a finding").details.join(" ")
    };
    assert!(details(&facts).contains("an ALB has cut them"));
    facts.target_groups[0].balancer = Balancer::Network;
    assert!(details(&facts).contains("none outlives the stop timeout"));
    facts.target_groups[0].connection_termination = Some(true);
    assert!(details(&facts).contains("this NLB cuts them all itself"));
}

#[test]
fn spot_gives_two_minutes_whatever_the_delay() {
    let mut facts = sound();
    facts.target_groups[0].deregistration_delay = None;
    none(&facts, &told(10.0));
    facts.service.launch = spot();
    let finding = only(&facts, &told(10.0), "deregistration-delay-beyond-spot");
    mended(&facts, &told(10.0), &finding);
    let long = Question { connections: Some(200.0), ..told(10.0) };
    assert_eq!(only(&facts, &long, "deregistration-delay-beyond-spot").changes, Vec::new());
}

#[test]
fn a_check_that_waits_for_the_migration_is_named() {
    let mut facts = sound();
    facts.next.containers[0].command = words(&["sh", "-c", "bin/migrate && bin/server"]);
    facts.target_groups[0].check.path = Some("/ready".to_owned());
    let code = "health-check-waits-for-migration";
    let finding = only(&facts, &told(10.0), code);
    assert!(finding.details[0].contains("`bin/migrate`"), "{:?}", finding.details);
    facts.target_groups[0].check.path = Some("/alive".to_owned());
    none(&facts, &told(10.0));
    // A migration in a sidecar is over before the target is registered.
    let mut facts = with_sidecar(120);
    facts.next.containers[1].start_timeout = None;
    none(&facts, &told(10.0));
}

#[test]
fn migrations_on_spot_are_named() {
    let mut facts = with_sidecar(120);
    facts.next.containers[1].start_timeout = None;
    facts.service.launch = spot();
    let finding = only(&facts, &told(10.0), "migration-on-spot");
    assert!(finding.title.contains("container migrate"), "{}", finding.title);
}

#[test]
fn http_checks_of_an_nlb_flood_the_port_that_serves() {
    let mut facts = sound();
    none(&facts, &told(10.0));
    facts.target_groups[0].balancer = Balancer::Network;
    let finding = only(&facts, &told(10.0), "nlb-check-flood");
    assert_eq!(finding.severity, Severity::Warning);
    let after = apply(&facts, &finding.changes);
    assert_eq!(only(&after, &told(10.0), "nlb-check-flood").severity, Severity::Note);
    // The gentler check mustn't stop a task that lives now: healthy at 180 s, or 210 s then.
    facts.service.grace = Some(180);
    assert_eq!(only(&facts, &told(150.0), "nlb-check-flood").changes, Vec::new());
    facts.target_groups[0].check.port = Some("9002".to_owned());
    none(&facts, &told(10.0));
}

#[test]
fn a_container_s_own_check_needs_a_start_period_or_the_grace() {
    let mut facts = sound();
    facts.service.grace = None;
    facts.target_groups.clear();
    facts.next.containers[0].check = Some(ContainerCheck::default());
    let finding = &Diagnosis::of(&facts, &told(150.0)).findings[0];
    assert_eq!((finding.code, finding.severity), ("start-period-too-short", Severity::Fatal));
    assert_eq!(finding.changes[0].to, Some(165));
    mended(&facts, &told(150.0), finding);
    // More than a start period may have.
    let finding = &Diagnosis::of(&facts, &told(400.0)).findings[0];
    assert_eq!(finding.changes[0].setting.name(), "health_check_grace_period_seconds");
    mended(&facts, &told(400.0), finding);
}

#[test]
fn a_service_that_nothing_checks_is_named() {
    let mut facts = sound();
    facts.target_groups.clear();
    facts.service.load_balancers.clear();
    let finding = only(&facts, &told(150.0), "nothing-checks");
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.details[0].contains("up to 110 s in which"), "{:?}", finding.details);
    let finding = only(&facts, &told(10.0), "nothing-checks");
    assert!(finding.details[0].contains("at 10 s, in time"), "{:?}", finding.details);
    facts.next.containers[0].check =
        Some(ContainerCheck { start_period: 60, ..ContainerCheck::default() });
    none(&facts, &told(10.0));
}

#[test]
fn where_both_checks_are_too_early_the_grace_mends_both() {
    let mut facts = story();
    facts.next.containers[0].check = Some(ContainerCheck::default());
    let diagnosis = Diagnosis::of(&facts, &told(150.0));
    let codes: Vec<_> = diagnosis.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        ["grace-too-short", "start-period-too-short", "circuit-breaker-gives-up-first"]
    );
    assert_eq!(diagnosis.changes.len(), 1);
    none(&apply(&facts, &diagnosis.changes), &told(150.0));
}

#[test]
fn a_migration_that_resumes_needs_more_lives_than_the_breaker_allows() {
    let mut facts = story();
    facts.next.containers[0].command = words(&["lockkeeper", "up"]);
    facts.service.load_balancers = vec![Attachment::default()];
    let findings = Diagnosis::of(&facts, &told(1200.0)).findings;
    let breaker = findings.iter().find(|finding| finding.code.starts_with("circuit"));
    let details = breaker.expect("a finding").details.join(" ");
    assert!(details.contains("40 lives of 30–50 s: more than the 3"), "{details}");
}

#[test]
fn what_is_not_known_is_said_with_the_permission_that_would_do() {
    let mut facts = sound();
    let unknown = |what: &str, permission: Option<&str>| Unknown {
        what: what.to_owned(),
        why: "no such field".to_owned(),
        permission: permission.map(str::to_owned),
    };
    let permission = Some("elasticloadbalancing:DescribeRules");
    facts.unknown = vec![
        unknown("the rules of a", permission),
        unknown("the desired count", None),
        unknown("the rules of b", permission),
    ];
    let findings = Diagnosis::of(&facts, &told(10.0)).findings;
    let titles: Vec<_> = findings.iter().map(|one| (one.code, one.severity)).collect();
    assert_eq!(titles, [("permission-missing", Severity::Note), ("facts-missing", Severity::Note)]);
    assert!(findings[0].details[0].contains("the rules of a, the rules of b"));
    assert_eq!(findings[1].details, ["the desired count: no such field."]);
}

#[test]
fn of_an_nlb_it_says_that_registration_may_hide_the_failures() {
    let mut facts = story();
    facts.target_groups[0].balancer = Balancer::Network;
    facts.target_groups[0].check.port = Some("9002".to_owned());
    let findings = Diagnosis::of(&facts, &told(200.0)).findings;
    assert!(findings[0].title.ends_with("stopped 30–180 s after its start"), "{findings:#?}");
    let arithmetic = &findings[0].details[0];
    for part in ["2·15 to 3·15 + 5 s", "registered the target, 70–180 s", "20–170 s too late"]
    {
        assert!(arithmetic.contains(part), "{arithmetic}");
    }
    // Within the registration nobody sees the failures, or everybody does.
    let findings = Diagnosis::of(&facts, &told(150.0)).findings;
    let arithmetic = &findings[0].details[0];
    assert!(arithmetic.contains("and on when the NLB shows its failures"), "{arithmetic}");
}
