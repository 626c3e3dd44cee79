//! JSON of the AWS CLI.

use super::*;
use crate::deploy::facts::{
    Balancer, Breaker, CodeDeploy, Condition, Controller, Launch, Protocol, Reference, Strategy,
    TargetState, Threshold,
};

const SERVICE: &str = include_str!("cli/service.json");
const RUNNING: &str = include_str!("cli/running.json");
const GROUPS: &str = include_str!("cli/groups.json");
const ATTRIBUTES: &str = include_str!("cli/attributes.json");
const HEALTH: &str = include_str!("cli/health.json");
const LISTENERS: &str = include_str!("cli/listeners.json");
const RULES: &str = include_str!("cli/rules.json");

const WEB: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web-8080/73e2d6bc24d8a067";

/// Service and task definition alone, with one word replaced in the service.
fn changed(from: &str, to: &str) -> Facts {
    assert!(SERVICE.contains(from), "{from}");
    read(&[("s.json", &SERVICE.replace(from, to)), ("t.json", RUNNING)]).unwrap()
}

#[test]
fn a_service_comes_whole() {
    let service = read(&[("s.json", SERVICE), ("t.json", RUNNING)]).unwrap().service;
    assert_eq!((service.name.as_str(), service.cluster.as_str()), ("web", "shop"));
    assert_eq!((service.desired, service.running, service.grace), (2, 1, Some(15)));
    assert_eq!((service.minimum_percent, service.maximum_percent), (Some(50), Some(200)));
    assert_eq!(service.strategy, Strategy::Rolling);
    assert_eq!(service.controller, Controller::Ecs);
    let breaker = Breaker { rollback: true, threshold: None, resets: false };
    assert_eq!(service.breaker, Some(breaker));
    assert_eq!(service.launch, Launch::Ec2);
    let network = service.network.unwrap();
    assert_eq!(network.subnets, ["subnet-1", "subnet-2"]);
    assert_eq!(network.security_groups, ["sg-1"]);
    assert!(!network.public_ip);
    let attachment = &service.load_balancers[0];
    assert_eq!((attachment.container.as_str(), attachment.port), ("web", 8080));
    assert_eq!(attachment.target_group, WEB);
}

#[test]
fn a_task_definition_comes_whole() {
    let facts = read(&[("s.json", SERVICE), ("t.json", RUNNING)]).unwrap();
    assert_eq!(facts.running.as_ref(), Some(&facts.next), "it runs what it is to run");
    let definition = facts.next;
    assert_eq!((definition.name().as_str(), definition.cpu_units()), ("web:41", Some(1024)));
    assert_eq!(definition.memory_mib(), Some(2048));
    assert_eq!(definition.network_mode.as_deref(), Some("awsvpc"));
    let web = definition.container("web").unwrap();
    assert!(web.essential);
    assert_eq!(web.ports, [8080]);
    assert_eq!(web.stop_timeout, Some(60));
    assert_eq!(web.environment, ["PORT", "DATABASE_URL"]);
    assert_eq!((web.cpu, web.memory), (None, Some(1024)));
    let check = web.check.as_ref().unwrap();
    assert_eq!((check.interval, check.timeout, check.retries, check.start_period), (10, 5, 3, 120));
    let log = web.log.as_ref().unwrap();
    assert_eq!((log.group.as_str(), log.prefix.as_deref()), ("/shop/web", Some("web")));
    assert_eq!(web.depends_on[0].container, "migrate");
    assert_eq!(web.depends_on[0].condition, Condition::Success);
    let migrate = definition.container("migrate").unwrap();
    assert!(!migrate.essential);
    assert_eq!(migrate.start_timeout, Some(120));
    assert_eq!(migrate.command, ["up", "--phase", "expand"]);
}

#[test]
fn target_groups_come_with_attributes_targets_and_who_refers_to_them() {
    let facts = read(&[
        ("s.json", SERVICE),
        ("t.json", RUNNING),
        ("groups.json", GROUPS),
        ("attributes-web-8080.json", ATTRIBUTES),
        ("health-web-8080.json", HEALTH),
        ("listeners.json", LISTENERS),
        ("rules.json", RULES),
    ])
    .unwrap();
    assert!(facts.knows_listeners);
    assert_eq!(facts.unknown, []);
    let [group] = facts.target_groups.as_slice() else { panic!("{:?}", facts.target_groups) };
    assert_eq!((group.name.as_str(), group.arn.as_str()), ("web-8080", WEB));
    assert_eq!(group.balancer, Balancer::Application);
    let check = &group.check;
    assert_eq!(check.protocol, Protocol::Http);
    assert_eq!(check.path.as_deref(), Some("/api/health-check"));
    assert_eq!((check.interval, check.timeout, check.healthy, check.unhealthy), (15, 5, 2, 3));
    assert_eq!(
        (check.port.as_deref(), check.success.as_deref()),
        (Some("traffic-port"), Some("200"))
    );
    assert_eq!(group.deregistration_delay, Some(30));
    assert_eq!(
        group.references,
        [Reference {
            listener: "arn:aws:elasticloadbalancing:eu-central-1:1:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2".into(),
            port: Some(443),
            rule: Some("arn:aws:elasticloadbalancing:eu-central-1:1:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee".into()),
            weight: Some(100),
        }]
    );
    let states = group.targets.iter().map(|target| (target.id.as_str(), target.state));
    let states = states.collect::<Vec<_>>();
    assert_eq!(states, [("10.0.0.5", TargetState::Unhealthy), ("10.0.0.6", TargetState::Healthy)]);
    assert_eq!(group.targets[0].reason.as_deref(), Some("Target.Timeout"));
}

#[test]
fn replies_merged_into_one_file_are_as_good() {
    let part = |text: &str| text.trim().trim_start_matches('{').trim_end_matches('}').to_owned();
    let merged = format!("{{{}, {}, {}}}", part(SERVICE), part(LISTENERS), part(RULES));
    let apart =
        read(&[("s.json", SERVICE), ("l.json", LISTENERS), ("r.json", RULES), ("t.json", RUNNING)]);
    let merged = read(&[("all.json", &merged), ("t.json", RUNNING)]);
    assert_eq!(merged.unwrap(), apart.unwrap());
}

#[test]
fn what_was_not_given_is_said_to_be_unknown() {
    let facts = read(&[("s.json", SERVICE), ("t.json", RUNNING)]).unwrap();
    let what = facts.unknown.iter().map(|unknown| unknown.what.as_str()).collect::<Vec<_>>();
    assert_eq!(what, ["target group web-8080"]);
    assert!(!facts.knows_listeners);

    let facts = read(&[
        ("s.json", SERVICE),
        ("t.json", RUNNING),
        ("g.json", GROUPS),
        ("l.json", LISTENERS),
    ]);
    let facts = facts.unwrap();
    let why = facts.unknown.iter().map(|one| format!("{}: {}", one.what, one.why));
    assert_eq!(
        why.collect::<Vec<_>>(),
        [
            "the deregistration delay of target group web-8080: nothing given says it, as `aws \
             elbv2 describe-target-group-attributes` would",
            "who forwards to the target groups: nothing given says it, as `aws elbv2 \
             describe-rules` would",
        ]
    );
}

#[test]
fn the_next_task_definition_is_the_one_that_does_not_run_yet() {
    let next = r#"{"family": "web", "cpu": ".25 vCPU", "memory": "0.5 GB",
                   "containerDefinitions": [{"name": "web", "image": "web:42"}]}"#;
    for order in [[("t.json", RUNNING), ("n.json", next)], [("n.json", next), ("t.json", RUNNING)]]
    {
        let facts = read(&[("s.json", SERVICE), order[0], order[1]]).unwrap();
        assert_eq!(facts.running.unwrap().name(), "web:41");
        assert_eq!(facts.next.name(), "web");
        assert_eq!((facts.next.cpu, facts.next.memory), (Some(256), Some(512)));
    }
    let facts = read(&[("s.json", SERVICE), ("n.json", next)]).unwrap();
    assert_eq!((facts.running, facts.next.name().as_str()), (None, "web"));
}

#[test]
fn what_it_is_to_run_must_be_clear() {
    assert_eq!(
        refused(&[("s.json", SERVICE)]),
        "s.json: there is no task definition of service web"
    );
    let other = |family: &str| format!(r#"{{"family": "{family}", "containerDefinitions": []}}"#);
    assert_eq!(
        refused(&[("s.json", SERVICE), ("a.json", &other("a")), ("b.json", &other("b"))]),
        "it isn't clear what the service is to run: a, b"
    );
}

#[test]
fn which_service_is_meant_must_be_clear() {
    let two = r#"{"services": [{"serviceName": "web"}, {"serviceName": "api"},
                               {"serviceName": "old", "status": "INACTIVE"}]}"#;
    assert_eq!(refused(&[("s.json", two)]), "s.json: there are several services in it: web, api");
    assert_eq!(refused(&[("t.json", RUNNING)]), "t.json: there is no service in it");
    let named = |name: &str| {
        let documents = vec![document("s.json", two), document("t.json", RUNNING)];
        Offline { documents, service: Some(name.to_owned()), environment: None }.facts()
    };
    assert_eq!(named("api").unwrap().service.name, "api");
    let error = named("old").unwrap_err().to_string();
    assert_eq!(error, "s.json: there is no service old in it, but web, api");
}

#[test]
fn a_wrong_type_is_named_with_line_and_place() {
    let wrong = SERVICE.replace(r#""desiredCount": 2"#, r#""desiredCount": "two""#);
    let error = refused(&[("s.json", &wrong), ("t.json", RUNNING)]);
    assert!(error.starts_with("s.json:"), "{error}");
    assert!(error.ends_with(": services[0].desiredCount: `two` is no whole number"), "{error}");
    let wrong = RUNNING.replace(r#""essential": true"#, r#""essential": "yes""#);
    let error = refused(&[("s.json", SERVICE), ("t.json", &wrong)]);
    assert!(
        error.contains("taskDefinition.containerDefinitions[0].essential: invalid type"),
        "{error}"
    );
}

#[test]
fn replies_that_do_not_name_their_target_group_need_a_file_name_that_does() {
    let all =
        [("s.json", SERVICE), ("t.json", RUNNING), ("g.json", GROUPS), ("x.json", ATTRIBUTES)];
    assert_eq!(refused(&all), "x.json: it doesn't say of which target group it is");
    let error = read(&all).unwrap_err().next();
    assert!(error.contains("one of web-8080, web-green"), "{error}");
}

#[test]
fn blue_green_of_ecs_has_its_alternate_its_hooks_and_its_bake_time() {
    let text = SERVICE
        .replace(r#""containerPort": 8080"#, r#""containerPort": 8080, "advancedConfiguration": {
            "alternateTargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web-green/83e2d6bc24d8a068",
            "productionListenerRule": "arn:rule", "roleArn": "arn:role"}"#)
        .replace(r#""strategy": "ROLLING""#, r#""strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, "lifecycleHooks": [
            {"targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"]},
            {"hookTargetArn": "arn:function", "roleArn": "r", "lifecycleStages": ["POST_SCALE_UP"]}]"#);
    let facts = read(&[("s.json", &text), ("t.json", RUNNING), ("g.json", GROUPS)]).unwrap();
    assert_eq!((facts.service.strategy, facts.service.bake), (Strategy::BlueGreen, Some(300)));
    let functions = facts.service.hooks.iter().map(|hook| hook.function.as_deref());
    assert_eq!(functions.collect::<Vec<_>>(), [None, Some("arn:function")]);
    assert_eq!(facts.service.hooks[0].stages, ["PRE_SCALE_UP"]);
    let groups = facts.target_groups.iter().map(|one| (one.name.as_str(), one.is_alternate));
    assert_eq!(groups.collect::<Vec<_>>(), [("web-8080", false), ("web-green", true)]);
    assert_eq!(facts.target_groups[1].balancer, Balancer::Network);
    assert_eq!(facts.target_groups[1].check.protocol, Protocol::Tcp);
    assert_eq!(facts.target_groups[1].check.path, None);
}

#[test]
fn codedeploy_says_how_long_it_waits_and_which_the_other_target_group_is() {
    let controlled = SERVICE.replace(r#""type": "ECS""#, r#""type": "CODE_DEPLOY""#);
    let group = r#"{"deploymentGroupInfo": {
        "applicationName": "shop", "deploymentGroupName": "web",
        "ecsServices": [{"serviceName": "web", "clusterName": "shop"}],
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
            "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 4}},
        "loadBalancerInfo": {"targetGroupPairInfoList": [{"targetGroups": [{"name": "web-8080"}, {"name": "web-green"}]}]}}}"#;
    let base = [("s.json", controlled.as_str()), ("t.json", RUNNING), ("g.json", GROUPS)];
    let facts = read(&[base[0], base[1], base[2], ("d.json", group)]).unwrap();
    let expected = CodeDeploy {
        application: Some("shop".to_owned()),
        group: Some("web".to_owned()),
        wait: Some(240),
        terminate_wait: Some(300),
        keeps_old: false,
    };
    assert_eq!(facts.service.controller, Controller::CodeDeploy(expected));
    let groups = facts.target_groups.iter().map(|one| (one.name.as_str(), one.is_alternate));
    assert_eq!(groups.collect::<Vec<_>>(), [("web-8080", false), ("web-green", true)]);

    let at_once = group.replace("STOP_DEPLOYMENT", "CONTINUE_DEPLOYMENT");
    let facts = read(&[base[0], base[1], base[2], ("d.json", &at_once)]).unwrap();
    let Controller::CodeDeploy(waits) = facts.service.controller else { panic!() };
    assert_eq!(waits.wait, Some(0));

    let kept = group.replace(r#""TERMINATE""#, r#""KEEP_ALIVE""#);
    let facts = read(&[base[0], base[1], base[2], ("d.json", &kept)]).unwrap();
    let Controller::CodeDeploy(waits) = facts.service.controller else { panic!() };
    assert_eq!((waits.keeps_old, waits.terminate_wait), (true, None));

    let facts = read(&base).unwrap();
    assert!(facts.unknown.iter().any(|one| one.what == "CodeDeploy's deployment group"));
}

#[test]
fn a_daemon_has_defaults_of_its_own_and_is_said_not_to_be_judged() {
    let replica = read(&[("s.json", SERVICE), ("t.json", RUNNING)]).unwrap();
    let whole = changed(r#""REPLICA""#, r#""DAEMON""#);
    let both = |facts: &Facts| (facts.service.minimum_percent, facts.service.maximum_percent);
    assert_eq!(both(&whole), (Some(50), Some(200)), "what is said counts");
    let daemon = "how ECS replaces the tasks of web";
    let says = |facts: &Facts| facts.unknown.iter().any(|one| one.what == daemon);
    assert!(says(&whole) && !says(&replica));
    let input =
        r#"{"serviceName": "web", "taskDefinition": "web:41", "schedulingStrategy": "DAEMON"}"#;
    let facts = read(&[("s.json", input), ("t.json", RUNNING)]).unwrap();
    assert_eq!(both(&facts), (Some(0), Some(100)));
}

#[test]
fn what_two_files_show_is_there_once() {
    let once = [
        ("s.json", SERVICE),
        ("t.json", RUNNING),
        ("groups.json", GROUPS),
        ("attributes-web-8080.json", ATTRIBUTES),
        ("listeners.json", LISTENERS),
        ("rules.json", RULES),
    ];
    let twice = [("again.json", GROUPS), ("more.json", LISTENERS), ("others.json", RULES)];
    assert_eq!(read(&[once.as_slice(), &twice].concat()).unwrap(), read(&once).unwrap());
    // A group that is there twice is still the only one that a nameless reply can be of.
    let first: serde_json::Value = serde_json::from_str(GROUPS).unwrap();
    let only = serde_json::json!({ "TargetGroups": [first["TargetGroups"][0]] }).to_string();
    let facts = read(&[
        ("s.json", SERVICE),
        ("t.json", RUNNING),
        ("a.json", &only),
        ("b.json", &only),
        ("attributes.json", ATTRIBUTES),
    ]);
    assert_eq!(facts.unwrap().target_groups[0].deregistration_delay, Some(30));
}

#[test]
fn capacity_providers_and_thresholds_are_read() {
    let facts = changed(
        r#""launchType": "EC2""#,
        r#""capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 0}, {"capacityProvider": "FARGATE", "weight": 1, "base": 2}]"#,
    );
    assert!(facts.service.launch.may_be_spot());
    assert!(facts.service.launch.is_fargate());
    for (kind, failures) in [("COUNT", 7), ("BOUNDED_PERCENT", 3), ("UNBOUNDED_PERCENT", 1)] {
        let threshold = format!(
            r#""rollback": true, "resetOnHealthyTask": true, "thresholdConfiguration": {{"type": "{kind}", "value": 7}}"#
        );
        let breaker = changed(r#""rollback": true"#, &threshold).service.breaker.unwrap();
        assert_eq!((breaker.failures(2), breaker.resets), (failures, true), "{kind}");
    }
    let count = changed(
        r#""rollback": true"#,
        r#""rollback": true, "thresholdConfiguration": {"type": "COUNT", "value": 7}"#,
    );
    assert_eq!(count.service.breaker.unwrap().threshold, Some(Threshold::Count(7)));
    assert_eq!(changed(r#""enable": true"#, r#""enable": false"#).service.breaker, None);
}

#[test]
fn the_input_of_create_service_is_a_service_too() {
    let input = r#"{"cluster": "arn:aws:ecs:eu-central-1:1:cluster/shop", "serviceName": "web",
        "taskDefinition": "web:41", "desiredCount": 3, "launchType": "FARGATE"}"#;
    let facts = read(&[("s.json", input), ("t.json", RUNNING)]).unwrap();
    assert_eq!((facts.service.cluster.as_str(), facts.service.desired), ("shop", 3));
    assert_eq!(facts.running.unwrap().name(), "web:41");
}

#[test]
fn yaml_of_the_aws_cli_is_as_good() {
    let yaml = "services:\n- serviceName: web\n  taskDefinition: web:41\n  desiredCount: 3\n";
    let facts = read(&[("s.yml", yaml), ("t.json", RUNNING)]).unwrap();
    assert_eq!((facts.service.name.as_str(), facts.service.desired), ("web", 3));
    let wrong = yaml.replace('3', "three");
    assert_eq!(
        refused(&[("s.yml", &wrong), ("t.json", RUNNING)]),
        "s.yml: services[0].desiredCount: `three` is no whole number"
    );
}
