//! Facts from files are those that AWS tells, and so are the findings.

use std::path::PathBuf;

use lockkeeper::deploy::doctor::{Diagnosis, Question, Startup};
use lockkeeper::deploy::facts::{
    Attachment, Balancer, Breaker, Capacity, CodeDeploy, Controller, Facts, Hook, Launch, Protocol,
    Service, Strategy, TargetCheck, TargetGroup, Threshold,
};
use lockkeeper::deploy::offline::{Document, Offline};
use serde_json::{Value, json};

use super::{asked, definition, service};
use crate::support::aws::{Aws, Pace, Scale, Script, World};

/// What the AWS CLI prints of the service, of these task definitions, and of all load balancers.
pub fn documents(aws: &Aws, definitions: &[&str]) -> Vec<Document> {
    let document = |name: &str, json: Value| Document {
        path: PathBuf::from(format!("{name}.json")),
        text: serde_json::to_string_pretty(&json).expect("JSON"),
    };
    aws.with(|world| {
        let asked = json!({ "cluster": "shop", "services": ["web"] });
        let mut all = vec![document("service", ecs(world, "DescribeServices", &asked))];
        for name in definitions {
            let reply = ecs(world, "DescribeTaskDefinition", &json!({ "taskDefinition": name }));
            all.push(document(&name.replace(':', "-"), reply));
        }
        if let Some(group) = world.deployment_group_of("shop/web") {
            all.push(document("deployment-group", ecs(world, "GetDeploymentGroup", &group)));
        }
        all.push(document("groups", elb(world, "DescribeTargetGroups", json!({}))));
        let groups: Vec<TargetGroup> =
            world.balancers.groups.values().map(|group| group.facts.clone()).collect();
        for group in groups {
            let of = json!({ "TargetGroupArn": group.arn });
            let attributes = elb(world, "DescribeTargetGroupAttributes", of.clone());
            all.push(document(&format!("attributes-{}", group.name), attributes));
            let health = elb(world, "DescribeTargetHealth", of);
            all.push(document(&format!("health-{}", group.name), health));
        }
        let balancers: Vec<String> = world.balancers.all.keys().cloned().collect();
        for (at, balancer) in balancers.iter().enumerate() {
            let listeners = elb(world, "DescribeListeners", json!({ "LoadBalancerArn": balancer }));
            all.push(document(&format!("listeners-{at}"), listeners));
        }
        let listeners: Vec<String> =
            world.balancers.listeners.iter().map(|one| one.arn.clone()).collect();
        for (at, listener) in listeners.iter().enumerate() {
            let rules = elb(world, "DescribeRules", json!({ "ListenerArn": listener }));
            all.push(document(&format!("rules-{at}"), rules));
        }
        all
    })
}

fn ecs(world: &mut World, operation: &str, asked: &Value) -> Value {
    world.answer(operation, asked).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn elb(world: &mut World, action: &str, mut asked: Value) -> Value {
    asked["Action"] = action.into();
    world.answer_query(&asked).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// The facts in such files.
pub fn read(aws: &Aws, definitions: &[&str]) -> Facts {
    let documents = documents(aws, definitions);
    let service = Some("web".to_owned());
    Offline { documents, service, environment: None }.facts().expect("the facts")
}

fn group(name: &str, balancer: Balancer) -> TargetGroup {
    let check = TargetCheck { interval: 10, unhealthy: 3, healthy: 2, ..TargetCheck::default() };
    TargetGroup { name: name.to_owned(), balancer, check, ..TargetGroup::default() }
}

/// An account with such target groups, of which a listener forwards to the first, and the service
/// with two revisions.
fn account(service: Service, groups: Vec<TargetGroup>, first: Value, second: Value) -> Aws {
    let aws = Aws::at(Scale::Virtual, Pace::immediate());
    aws.image("web", Script::web(3.0));
    aws.image("migrate", Script::exits(1.0, 0));
    let kind = groups.first().map(|group| group.balancer);
    let arns: Vec<String> = groups.into_iter().map(|group| aws.target_group(group)).collect();
    if let (Some(kind), Some(arn)) = (kind, arns.first()) {
        let balancer = aws.balancer("shop", kind);
        let listener = aws.listener(&balancer, 80, &[(arn, 1)]);
        if kind == Balancer::Application {
            aws.rule(&listener, 10, "/api/*", &[(arn, 1)]);
        }
    }
    aws.define(first);
    aws.service(service, "web:1");
    aws.advance(400.0);
    aws.define(second);
    aws
}

fn rolling() -> Aws {
    let breaker = Breaker { rollback: true, threshold: None, resets: false };
    let service = Service {
        grace: Some(15),
        minimum_percent: Some(50),
        maximum_percent: Some(200),
        breaker: Some(breaker),
        network: Some(super::super::network()),
        platform_version: Some("1.4.0".to_owned()),
        ..service("web", None)
    };
    let mut second = definition("web");
    second["cpu"] = "1024".into();
    second["containerDefinitions"][0]["stopTimeout"] = 60.into();
    let group =
        TargetGroup { deregistration_delay: Some(30), ..group("web", Balancer::Application) };
    account(service, vec![group], definition("web"), second)
}

fn network() -> Aws {
    let threshold = Some(Threshold::BoundedPercent(25));
    let breaker = Breaker { rollback: false, threshold, resets: true };
    let service = Service { grace: Some(60), breaker: Some(breaker), ..service("web", None) };
    let mut group = group("web", Balancer::Network);
    group.check.port = Some("9002".to_owned());
    group.check.path = Some("/ready".to_owned());
    group.connection_termination = Some(true);
    account(service, vec![group], definition("web"), definition("web"))
}

fn blue_green() -> Aws {
    let pause = Hook { function: None, stages: vec!["PRE_SCALE_UP".to_owned()] };
    let function = Some("arn:aws:lambda:eu-central-1:123456789012:function:migrate".to_owned());
    let lambda = Hook { function, stages: vec!["POST_SCALE_UP".to_owned()] };
    let service = Service {
        strategy: Strategy::BlueGreen,
        bake: Some(300),
        hooks: vec![pause, lambda],
        ..service("blue", Some("green"))
    };
    let mut blue = group("blue", Balancer::Network);
    blue.check = TargetCheck { protocol: Protocol::Tcp, path: None, timeout: 10, ..blue.check };
    let green = TargetGroup { name: "green".to_owned(), ..blue.clone() };
    account(service, vec![blue, green], definition("web"), definition("web"))
}

fn sidecars() -> Aws {
    let mut json = definition("web");
    json["containerDefinitions"][0]["dependsOn"] =
        json!([{ "containerName": "migrate", "condition": "SUCCESS" }]);
    json["containerDefinitions"][0]["healthCheck"] = json!({ "command": ["CMD", "lockkeeper", "probe", "http://localhost:8080/"], "interval": 5 });
    json["containerDefinitions"].as_array_mut().expect("containers").push(json!({
        "name": "migrate",
        "image": "migrate",
        "essential": false,
        "entryPoint": ["/lockkeeper"],
        "command": ["up"],
        "startTimeout": 100,
        "environment": [{ "name": "DATABASE_URL", "value": "postgres://shop:secret@db/shop" }],
    }));
    let service = Service { grace: Some(30), ..service("web", None) };
    account(service, vec![group("web", Balancer::Application)], json.clone(), json)
}

fn providers() -> Aws {
    let provider =
        |provider: &str, weight, base| Capacity { provider: provider.to_owned(), weight, base };
    let providers = vec![provider("FARGATE", 1, 1), provider("FARGATE_SPOT", 3, 0)];
    let service = Service {
        launch: Launch::Providers(providers),
        load_balancers: Vec::<Attachment>::new(),
        desired: 1,
        minimum_percent: Some(100),
        maximum_percent: Some(150),
        ..service("web", None)
    };
    account(service, Vec::new(), definition("web"), definition("web"))
}

/// One that CodeDeploy hasn't deployed yet, so that nobody knows of its deployment group.
fn code_deploy_to_come() -> Aws {
    let controller = Controller::CodeDeploy(CodeDeploy::default());
    let service = Service { controller, ..service("web", None) };
    account(service, vec![group("web", Balancer::Network)], definition("web"), definition("web"))
}

fn code_deploy() -> Aws {
    let controller = Controller::CodeDeploy(CodeDeploy {
        application: Some("shop".to_owned()),
        group: Some("shop-web".to_owned()),
        wait: Some(120),
        terminate_wait: Some(300),
        keeps_old: false,
    });
    let network = Some(super::super::network());
    let service =
        Service { controller, network, launch: Launch::Fargate, ..service("blue", Some("green")) };
    let mut blue = group("blue", Balancer::Network);
    blue.check = TargetCheck { protocol: Protocol::Tcp, path: None, timeout: 10, ..blue.check };
    let green = TargetGroup { name: "green".to_owned(), ..blue.clone() };
    account(service, vec![blue, green], definition("web"), definition("web"))
}

#[tokio::test]
async fn facts_and_findings_from_files_are_those_that_aws_tells() {
    let cases = [
        ("rolling", rolling()),
        ("network", network()),
        ("blue/green", blue_green()),
        ("sidecars", sidecars()),
        ("providers", providers()),
        ("CodeDeploy to come", code_deploy_to_come()),
        ("CodeDeploy", code_deploy()),
    ];
    for (name, aws) in cases {
        for (next, definitions) in [(None, vec!["web:1"]), (Some("web:2"), vec!["web:1", "web:2"])]
        {
            let told = asked(&aws, next).await;
            let read = read(&aws, &definitions);
            // When tasks have started stands in their descriptions, which nobody saves.
            assert_eq!(read.observed_startup, None, "{name}");
            let told = Facts { observed_startup: None, ..told };
            assert_eq!(read, told, "{name}");
            for startup in [5.0, 42.0, 300.0] {
                let question =
                    Question { startup: Some(Startup::told(startup)), ..Question::default() };
                let (of_files, of_aws) =
                    (Diagnosis::of(&read, &question), Diagnosis::of(&told, &question));
                assert_eq!(of_files, of_aws, "{name} {startup}");
            }
        }
    }
}

/// Codes of what the doctor finds at a first good answer after 100 s.
async fn codes(aws: &Aws) -> Vec<&'static str> {
    let question = Question { startup: Some(Startup::told(100.0)), ..Question::default() };
    let findings = Diagnosis::of(&asked(aws, Some("web:2")).await, &question).findings;
    findings.iter().map(|finding| finding.code).collect()
}

#[tokio::test]
async fn each_of_these_services_has_what_it_was_made_for_and_nothing_else() {
    let breaker = "circuit-breaker-gives-up-first";
    assert_eq!(codes(&rolling()).await, ["grace-too-short", breaker, "size-changed"]);
    // Without a management port of its own, an NLB's checks would flood the service.
    assert_eq!(codes(&network()).await, ["grace-too-short", breaker]);
    assert_eq!(codes(&blue_green()).await, ["grace-too-short", "orphaned-target-group"]);
    let sidecars = codes(&sidecars()).await;
    assert_eq!(
        sidecars,
        ["grace-too-short", "start-period-too-short", "start-timeout-kills-migration"]
    );
    assert_eq!(codes(&providers()).await, ["percentages-cannot-move", "nothing-checks"]);
    let to_come = codes(&code_deploy_to_come()).await;
    assert_eq!(to_come, ["grace-too-short", "nlb-check-flood", "facts-missing"]);
    let code_deploy = codes(&code_deploy()).await;
    let orphaned = "orphaned-target-group";
    assert_eq!(code_deploy, ["grace-too-short", orphaned, "codedeploy-wait-too-short"]);
}
