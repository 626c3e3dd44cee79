//! Manifests of AWS Copilot.

use serde_json::Value;

use super::*;
use crate::deploy::doctor::{Diagnosis, Question, Startup};
use crate::deploy::facts::{
    Balancer, Breaker, Condition, ContainerCheck, Launch, Protocol, TargetCheck, TargetGroup,
};
use crate::deploy::remedy::{Format, render};

const LEAST: &str = "
name: web
type: Load Balanced Web Service
image:
  build: Dockerfile
  port: 4000
http:
  path: '/'
";

const WHOLE: &str = "
name: web
type: Load Balanced Web Service
image:
  location: registry.example/shop:42
  port: 4000
  depends_on:
    migrate: success
  healthcheck:
    command: ['CMD', '/alive']
    start_period: 2m
http:
  path: '/'
  healthcheck:
    path: /api/health-check
    success_codes: '200,301'
    healthy_threshold: 3
    unhealthy_threshold: 7
    interval: 30s
    timeout: 10s
    grace_period: 1m30s
  deregistration_delay: 50s
cpu: 1024
memory: 2048
count: 2
command: bin/server --port 4000
variables:
  LOG_LEVEL: info
secrets:
  DATABASE_URL: /copilot/shop/prod/secrets/DATABASE_URL
sidecars:
  migrate:
    image: registry.example/shop-migrations:42
    essential: false
    command: ['up', '--phase', 'expand']
taskdef_overrides:
  - path: ContainerDefinitions[0].StopTimeout
    value: 120
  - path: ContainerDefinitions[0].Ulimits[-].HardLimit
    value: 1024
environments:
  prod:
    count:
      range:
        min: 4
        max: 10
        spot_from: 6
    http:
      healthcheck:
        grace_period: 600s
    cpu: 256
  test:
    deployment:
      rolling: recreate
    count:
      spot: 1
";

fn manifest(text: &str, environment: Option<&str>) -> Result<Facts, OfflineError> {
    let documents = vec![document("copilot/web/manifest.yml", text)];
    Offline { documents, service: None, environment: environment.map(str::to_owned) }.facts()
}

fn group(facts: &Facts) -> &TargetGroup {
    facts.target_groups.first().expect("a target group")
}

#[test]
fn what_a_manifest_leaves_out_is_what_copilot_takes() {
    let facts = manifest(LEAST, None).unwrap();
    assert_eq!(facts.unknown, []);
    let service = &facts.service;
    assert_eq!((service.name.as_str(), service.desired, service.grace), ("web", 1, Some(60)));
    assert_eq!((service.minimum_percent, service.maximum_percent), (Some(100), Some(200)));
    let breaker = Breaker { rollback: true, threshold: None, resets: false };
    assert_eq!((service.breaker, &service.launch), (Some(breaker), &Launch::Fargate));
    let attachment = &service.load_balancers[0];
    assert_eq!((attachment.container.as_str(), attachment.port), ("web", 4000));
    let group = group(&facts);
    assert_eq!(attachment.target_group, group.name);
    let check = TargetCheck { success: Some("200".to_owned()), ..TargetCheck::default() };
    assert_eq!(group.check, check);
    assert_eq!(group.deregistration_delay, Some(60));
    assert!(facts.knows_listeners && !group.references.is_empty());
    assert_eq!((facts.next.cpu, facts.next.memory), (Some(256), Some(512)));
    assert_eq!(facts.next.containers.len(), 1);
    assert_eq!(facts.running, None);
}

#[test]
fn a_whole_manifest_is_read() {
    let facts =
        manifest(&WHOLE.replace("  test:\n", "  other:\n  test:\n"), Some("other")).unwrap();
    assert_eq!((facts.service.desired, facts.service.grace), (2, Some(90)));
    let group = group(&facts);
    let expected = TargetCheck {
        protocol: Protocol::Http,
        path: Some("/api/health-check".to_owned()),
        port: None,
        interval: 30,
        timeout: 10,
        healthy: 3,
        unhealthy: 7,
        success: Some("200,301".to_owned()),
    };
    assert_eq!((&group.check, group.deregistration_delay), (&expected, Some(50)));
    assert_eq!((facts.next.cpu, facts.next.memory), (Some(1024), Some(2048)));
    let web = facts.next.container("web").unwrap();
    assert_eq!((web.image.as_str(), web.stop_timeout), ("registry.example/shop:42", Some(120)));
    assert_eq!(web.command, ["bin/server", "--port", "4000"]);
    assert_eq!(web.environment, ["LOG_LEVEL", "DATABASE_URL"]);
    assert_eq!(web.depends_on[0].condition, Condition::Success);
    let check = ContainerCheck {
        command: vec!["CMD".to_owned(), "/alive".to_owned()],
        interval: 10,
        timeout: 5,
        retries: 2,
        start_period: 120,
    };
    assert_eq!(web.check, Some(check));
    let migrate = facts.next.container("migrate").unwrap();
    assert!(!migrate.essential);
    assert_eq!(migrate.command, ["up", "--phase", "expand"]);
    let unknown = facts.unknown.iter().map(|one| one.what.as_str()).collect::<Vec<_>>();
    assert_eq!(
        unknown,
        ["what ContainerDefinitions[0].Ulimits[-].HardLimit of the task definition is"]
    );
}

#[test]
fn the_overrides_of_the_chosen_environment_count() {
    let prod = manifest(WHOLE, Some("prod")).unwrap();
    assert_eq!((prod.service.desired, prod.service.grace), (4, Some(600)));
    assert_eq!(group(&prod).check.interval, 30, "what isn't overridden stays");
    assert_eq!(prod.next.cpu, Some(256));
    let Launch::Providers(shares) = &prod.service.launch else { panic!() };
    let shares = shares.iter().map(|one| (one.provider.as_str(), one.weight, one.base));
    assert_eq!(shares.collect::<Vec<_>>(), [("FARGATE_SPOT", 1, 0), ("FARGATE", 0, 5)]);

    let test = manifest(WHOLE, Some("test")).unwrap();
    assert_eq!((test.service.minimum_percent, test.service.maximum_percent), (Some(0), Some(100)));
    assert!(test.service.launch.may_be_spot());

    let none = manifest(WHOLE, None).unwrap();
    assert_eq!(none.unknown[0].what, "what differs in the environments prod, test");
}

#[test]
fn an_environment_or_a_service_that_the_manifest_does_not_have_is_refused() {
    let refused = |text: &str, service: Option<&str>, environment: Option<&str>| {
        let documents = vec![document("copilot/web/manifest.yml", text)];
        let own = |name: Option<&str>| name.map(str::to_owned);
        let offline = Offline { documents, service: own(service), environment: own(environment) };
        let error = offline.facts().unwrap_err();
        assert!(!error.next().is_empty());
        error.to_string()
    };
    assert_eq!(
        refused(WHOLE, None, Some("prdo")),
        "copilot/web/manifest.yml: there is no environment prdo in it, but prod, test"
    );
    assert_eq!(
        refused(LEAST, None, Some("prod")),
        "copilot/web/manifest.yml: there is no environment prod in it, nor any other"
    );
    assert_eq!(
        refused(WHOLE, Some("foo"), Some("prod")),
        "copilot/web/manifest.yml: there is no service foo in it, but web"
    );
}

#[test]
fn a_change_for_an_environment_is_printed_where_it_counts() {
    let text = WHOLE.replace("grace_period: 600s", "grace_period: 10s");
    let question = Question { startup: Some(Startup::told(400.0)), ..Question::default() };
    for environment in [None, Some("prod"), Some("test")] {
        let facts = manifest(&text, environment).unwrap();
        let diagnosis = Diagnosis::of(&facts, &question);
        assert_eq!(diagnosis.survives, Some(false), "{environment:?}");
        let printed = render(&facts, &diagnosis.changes, Format::Copilot);
        let mut whole: Value = serde_saphyr::from_str(&text).unwrap();
        merge(&mut whole, serde_saphyr::from_str(&printed).unwrap());
        // JSON is YAML, too.
        let mended = manifest(&whole.to_string(), environment).unwrap();
        let diagnosis = Diagnosis::of(&mended, &question);
        assert_eq!(diagnosis.survives, Some(true), "{environment:?}:\n{printed}");
    }
}

/// As a person merges a part of a manifest into the whole.
fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[test]
fn a_check_may_be_a_path_and_https_is_known_by_its_port() {
    let facts = manifest(&LEAST.replace("path: '/'", "healthcheck: /health"), None).unwrap();
    assert_eq!(group(&facts).check.path.as_deref(), Some("/health"));
    let sidecar =
        "  target_container: envoy\nsidecars:\n  envoy:\n    port: 443\n    image: envoy\n";
    let facts = manifest(&format!("{LEAST}{sidecar}"), None).unwrap();
    assert_eq!(group(&facts).check.protocol, Protocol::Https);
    assert_eq!(facts.service.load_balancers[0].container, "envoy");
    assert_eq!(facts.service.load_balancers[0].port, 443);
}

#[test]
fn a_network_load_balancer_has_its_own_group_and_may_say_the_grace_period() {
    let nlb = "nlb:\n  port: 443/tls\n  healthcheck:\n    interval: 10s\n    grace_period: 120s\n";
    let facts = manifest(&format!("{LEAST}{nlb}"), None).unwrap();
    assert_eq!(facts.service.grace, Some(120));
    let balancers = facts.target_groups.iter().map(|one| (one.name.as_str(), one.balancer));
    let both = [("http", Balancer::Application), ("nlb", Balancer::Network)];
    assert_eq!(balancers.collect::<Vec<_>>(), both);
    let group = &facts.target_groups[1];
    assert_eq!(
        (group.check.protocol, group.check.interval, group.check.timeout),
        (Protocol::Tcp, 10, 10)
    );
    assert_eq!(group.check.path, None);
    assert_eq!(group.references[0].port, Some(443));
    assert_eq!(facts.service.load_balancers[1].port, 4000);

    let alone = format!("{}{nlb}", LEAST.replace("http:\n  path: '/'", "http: false"));
    let facts = manifest(&alone, None).unwrap();
    assert_eq!(facts.target_groups.len(), 1);
}

#[test]
fn additional_rules_and_listeners_have_target_groups_of_their_own() {
    let more = "  additional_rules:\n    - path: /admin\n      healthcheck: /admin/health\n";
    let facts = manifest(&format!("{LEAST}{more}"), None).unwrap();
    let names = facts.target_groups.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["http", "http.additional_rules[0]"]);
    assert_eq!(facts.target_groups[1].check.path.as_deref(), Some("/admin/health"));
}

#[test]
fn a_service_without_a_load_balancer_has_no_grace_period() {
    let facts = manifest("name: api\ntype: Backend Service\nimage:\n  port: 80\n", None).unwrap();
    assert_eq!((facts.service.grace, facts.target_groups.len()), (None, 0));
}

#[test]
fn what_is_no_service_on_ecs_is_refused() {
    for kind in ["Scheduled Job", "Request-Driven Web Service", "Static Site"] {
        let error = manifest(&format!("name: a\ntype: {kind}\n"), None).unwrap_err();
        let wanted = format!("a {kind} has no tasks that a load balancer or a rollout watches");
        assert!(error.to_string().ends_with(&wanted), "{error}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let wrong = |from: &str, to: &str| {
        assert!(WHOLE.contains(from), "{from}");
        let error = manifest(&WHOLE.replace(from, to), Some("prod")).unwrap_err();
        assert!(!error.next().is_empty());
        error.to_string()
    };
    assert_eq!(
        wrong("grace_period: 600s", "grace_period: 600"),
        "copilot/web/manifest.yml: http: healthcheck: grace_period: `600` is no duration with a \
         unit, such as 60s"
    );
    let error = wrong("memory: 2048", "memory: much");
    assert!(error.starts_with("copilot/web/manifest.yml: memory: invalid type"), "{error}");
    let error = wrong("healthy_threshold: 3", "healthy_threshold: [3]");
    assert!(error.contains("http: healthcheck: healthy_threshold: invalid type"), "{error}");
}

#[test]
fn what_has_nothing_under_it_is_empty() {
    let empty = format!("{LEAST}variables:\nsecrets:\nsidecars:\ncount:\n");
    assert_eq!(manifest(&empty, None).unwrap(), manifest(LEAST, None).unwrap());
    let named = format!("{LEAST}variables:\n  LOG_LEVEL:\n");
    let facts = manifest(&named, None).unwrap();
    assert_eq!(facts.next.containers[0].environment, ["LOG_LEVEL"]);
}

#[test]
fn what_copilot_fills_in_is_not_known() {
    let filled = LEAST.replace("path: '/'", "healthcheck:\n    interval: ${EVERY}");
    let facts = manifest(&format!("{filled}count: ${{COUNT}}\n"), None).unwrap();
    let unknown = facts.unknown.iter().map(|one| format!("{}: {}", one.what, one.why));
    let mut unknown = unknown.collect::<Vec<_>>();
    unknown.sort();
    assert_eq!(
        unknown,
        [
            "count: Copilot fills in ${COUNT} when it deploys",
            "http.healthcheck.interval: Copilot fills in ${EVERY} when it deploys",
        ]
    );
}

#[test]
fn keys_that_are_not_read_are_named() {
    let wrong = WHOLE
        .replace("    start_period: 2m", "    startperiod: 2m")
        .replace("    grace_period: 1m30s", "    grace: 1m30s")
        .replace("  deregistration_delay: 50s", "  draining: 50s");
    let facts = manifest(&format!("{wrong}nlb:\n  prot: 443\n"), Some("prod")).unwrap();
    let known = manifest(WHOLE, Some("prod")).unwrap().unknown;
    let more = facts.unknown.iter().filter(|one| !known.contains(one));
    assert_eq!(
        more.map(|one| one.what.as_str()).collect::<Vec<_>>(),
        ["http.draining", "http.healthcheck.grace", "nlb.prot", "image.healthcheck.startperiod"]
    );
}

#[test]
fn what_to_do_about_a_wrong_value_names_the_form() {
    let next = |from: &str, to: &str| manifest(&WHOLE.replace(from, to), None).unwrap_err().next();
    assert_eq!(next("memory: 2048", "memory: much"), "write a whole number there");
    let duration = "write a duration with its unit, such as 60s or 1m30s, there";
    assert_eq!(next("timeout: 10s", "timeout: 10"), duration);
}
