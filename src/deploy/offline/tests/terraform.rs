//! Plans and states of Terraform.

use serde_json::{Value, json};

use super::*;
use crate::deploy::doctor::{Diagnosis, Question, Startup};
use crate::deploy::facts::{Balancer, Breaker, CodeDeploy, Controller, Launch, Protocol, Service};
use crate::deploy::remedy::{Format, render};

const PLAN: &str = include_str!("terraform/plan.json");
const STATE: &str = include_str!("terraform/state.json");
const NEW: &str = include_str!("terraform/new.json");

fn plan(text: &str) -> Facts {
    read(&[("plan.json", text)]).unwrap()
}

#[test]
fn a_plan_knows_what_runs_and_what_is_to_run() {
    let facts = plan(PLAN);
    assert_eq!(facts.unknown, []);
    let running = facts.running.unwrap();
    assert_eq!((running.name().as_str(), running.cpu), ("web:41", Some(1024)));
    assert_eq!((facts.next.name().as_str(), facts.next.cpu), ("web", Some(256)));
    let web = facts.next.container("web").unwrap();
    assert_eq!((web.image.as_str(), web.stop_timeout), ("registry.example/shop:42", Some(60)));
    assert_eq!(
        (web.ports.as_slice(), web.environment.as_slice()),
        ([8080].as_slice(), ["PORT".to_owned()].as_slice())
    );
}

#[test]
fn the_service_and_its_target_group_come_whole() {
    let facts = plan(PLAN);
    let service = &facts.service;
    assert_eq!((service.name.as_str(), service.cluster.as_str()), ("web", "shop"));
    assert_eq!((service.desired, service.grace), (2, Some(15)));
    assert_eq!((service.minimum_percent, service.maximum_percent), (Some(50), Some(200)));
    let breaker = Breaker { rollback: true, threshold: None, resets: false };
    assert_eq!((service.breaker, &service.launch), (Some(breaker), &Launch::Ec2));
    assert_eq!(service.network.as_ref().unwrap().subnets, ["subnet-1", "subnet-2"]);
    let group = &facts.target_groups[0];
    assert_eq!(service.load_balancers[0].target_group, group.arn);
    assert!(group.arn.starts_with("arn:"), "{}", group.arn);
    let check = &group.check;
    assert_eq!((check.interval, check.timeout, check.healthy, check.unhealthy), (15, 5, 2, 3));
    assert_eq!(check.path.as_deref(), Some("/api/health-check"));
    assert_eq!((group.deregistration_delay, group.balancer), (Some(30), Balancer::Application));
    assert!(facts.knows_listeners);
    let reference = &group.references[0];
    assert_eq!(reference.port, Some(443));
    assert!(reference.rule.is_some());
}

#[test]
fn a_state_says_the_same_of_what_runs_as_the_plan_does() {
    let (state, plan) = (plan(STATE), plan(PLAN));
    assert_eq!(state.running, plan.running);
    assert_eq!(Some(&state.next), state.running.as_ref());
    assert_eq!(state.service, plan.service);
    assert_eq!(state.target_groups, plan.target_groups);
}

#[test]
fn what_is_made_anew_is_followed_through_modules() {
    let facts = plan(NEW);
    assert_eq!((facts.running, facts.next.family.as_str()), (None, "api"));
    let groups = facts.target_groups.iter().map(|one| (one.name.as_str(), one.is_alternate));
    assert_eq!(groups.collect::<Vec<_>>(), [("api-blue", false), ("api-green", true)]);
    assert_eq!(facts.service.load_balancers[0].target_group, "api-blue");
    let [blue, green] = facts.target_groups.as_slice() else { panic!() };
    assert_eq!((blue.arn.as_str(), blue.balancer), ("", Balancer::Network));
    assert_eq!((blue.check.protocol, blue.connection_termination), (Protocol::Tcp, Some(false)));
    assert_eq!(blue.references[0].port, Some(443));
    assert_eq!(green.references, [], "nobody forwards to the other one");
    assert!(facts.knows_listeners);
    let waits = CodeDeploy {
        application: Some("api".to_owned()),
        group: Some("api".to_owned()),
        wait: Some(240),
        terminate_wait: Some(300),
        keeps_old: false,
    };
    assert_eq!(facts.service.controller, Controller::CodeDeploy(waits));
    let unknown = facts.unknown.iter().map(|one| format!("{}: {}", one.what, one.why));
    assert_eq!(
        unknown.collect::<Vec<_>>(),
        ["health_check_grace_period_seconds of module.service[\"api\"].aws_ecs_service.this: it \
          is known after apply"]
    );
}

fn changed(value: &str, change: impl FnOnce(&mut serde_json::Value)) -> Facts {
    let mut value = serde_json::from_str(value).unwrap();
    change(&mut value);
    plan(&value.to_string())
}

#[test]
fn a_cluster_is_known_by_its_name_its_reference_or_not_at_all() {
    assert_eq!(plan(NEW).service.cluster, "shop");
    let without = |plan: &mut serde_json::Value| {
        let service = &mut plan["planned_values"]["root_module"]["resources"][0];
        service["values"].as_object_mut().unwrap().remove("cluster");
        plan["resource_changes"][0]["change"]["after_unknown"]["cluster"] = true.into();
    };
    assert_eq!(changed(PLAN, without).service.cluster, "", "nobody says it");
    let referred = changed(PLAN, |plan| {
        without(plan);
        let root = &mut plan["planned_values"]["root_module"]["resources"];
        root.as_array_mut().unwrap().push(serde_json::json!({
            "address": "aws_ecs_cluster.main", "mode": "managed", "type": "aws_ecs_cluster",
            "values": {"name": "till"},
        }));
        plan["configuration"]["root_module"] = serde_json::json!({"resources": [{
            "address": "aws_ecs_service.web",
            "expressions": {"cluster": {"references": ["aws_ecs_cluster.main.id", "aws_ecs_cluster.main"]}},
        }]});
    });
    assert_eq!(referred.service.cluster, "till");
}

#[test]
fn changes_are_printed_with_the_labels_of_the_plan() {
    let changes = |facts: &Facts| {
        let question = Question { startup: Some(Startup::told(150.0)), ..Question::default() };
        let found = Diagnosis::of(facts, &question);
        let mut changes = found.changes;
        changes.extend(found.findings.into_iter().flat_map(|finding| finding.alternatives));
        changes
    };
    let relabelled = PLAN
        .replace("aws_ecs_service.web", "aws_ecs_service.app")
        .replace("aws_lb_target_group.web", "aws_lb_target_group.main[0]");
    let facts = plan(&relabelled);
    let printed = render(&facts, &changes(&facts), Format::Terraform);
    assert!(printed.contains("resource \"aws_ecs_service\" \"app\" {"), "{printed}");
    assert!(printed.contains("resource \"aws_lb_target_group\" \"main\" {"), "{printed}");
    assert!(!printed.contains("Rename") && !printed.contains("source folder"), "{printed}");

    let facts = plan(NEW);
    let printed = render(&facts, &changes(&facts), Format::Terraform);
    assert!(printed.contains("source folder of module.service[\"api\"]"), "{printed}");
    assert!(printed.contains("resource \"aws_ecs_service\" \"this\" {"), "{printed}");

    let unnamed = Facts { service: Service { cluster: String::new(), ..facts.service }, ..facts };
    let printed = render(&unnamed, &changes(&unnamed), Format::Cli);
    assert!(printed.starts_with("# Put your cluster's name"), "{printed}");
    assert!(printed.contains("update-service --cluster CLUSTER --service api"), "{printed}");
}

#[test]
fn containers_that_are_known_after_apply_are_taken_from_what_runs() {
    let mut later: serde_json::Value = serde_json::from_str(PLAN).unwrap();
    later["resource_changes"][1]["change"]["after_unknown"]["container_definitions"] = true.into();
    let planned = &mut later["planned_values"]["root_module"]["resources"][1]["values"];
    planned.as_object_mut().unwrap().remove("container_definitions");
    let facts = plan(&later.to_string());
    assert_eq!(facts.next.containers, facts.running.unwrap().containers);
    assert_eq!(facts.unknown[0].what, "the containers of aws_ecs_task_definition.web");
}

#[test]
fn listeners_of_another_configuration_are_not_known() {
    let mut elsewhere: serde_json::Value = serde_json::from_str(PLAN).unwrap();
    let resources = &mut elsewhere["planned_values"]["root_module"]["resources"];
    resources.as_array_mut().unwrap().retain(|one| {
        !["aws_lb", "aws_lb_listener", "aws_lb_listener_rule"]
            .map(Some)
            .contains(&one["type"].as_str())
    });
    // It is only looked up.
    elsewhere["prior_state"]["values"]["root_module"]["resources"] = serde_json::json!([
        {"address": "data.aws_lb.shop", "mode": "data", "type": "aws_lb", "values": {"name": "shop"}}
    ]);
    let facts = plan(&elsewhere.to_string());
    assert!(!facts.knows_listeners);
    assert_eq!(facts.unknown[0].what, "who forwards to the target groups");
}

#[test]
fn a_target_group_that_is_looked_up_counts() {
    let mut looked_up: serde_json::Value = serde_json::from_str(PLAN).unwrap();
    let resources = looked_up["planned_values"]["root_module"]["resources"].as_array_mut().unwrap();
    let mut group = resources.remove(3);
    group["mode"] = "data".into();
    group["address"] = "data.aws_lb_target_group.web".into();
    looked_up["prior_state"]["values"]["root_module"]["resources"] = vec![group].into();
    assert_eq!(plan(&looked_up.to_string()).target_groups, plan(PLAN).target_groups);
}

#[test]
fn a_task_definition_that_a_pipeline_makes_may_be_given_beside_the_plan() {
    let mut without: serde_json::Value = serde_json::from_str(STATE).unwrap();
    without["values"]["root_module"]["resources"].as_array_mut().unwrap().remove(1);
    let without = without.to_string();
    assert_eq!(
        refused(&[("plan.json", &without)]),
        "plan.json: there is no task definition of service web"
    );
    let next = r#"{"family": "web", "cpu": "256", "containerDefinitions": [{"name": "web"}]}"#;
    let facts = read(&[("taskdef.json", next), ("plan.json", &without)]).unwrap();
    assert_eq!(
        (facts.service.name.as_str(), facts.next.cpu, facts.running),
        ("web", Some(256), None)
    );
    assert_eq!(
        refused(&[("plan.json", &without), ("s.json", r#"{"services": []}"#)]),
        "plan.json and s.json can't be read together"
    );
}

#[test]
fn every_value_that_is_read_and_known_after_apply_is_named() {
    let mut later: Value = serde_json::from_str(PLAN).unwrap();
    let service = &mut later["resource_changes"][0]["change"]["after_unknown"];
    service["deployment_minimum_healthy_percent"] = true.into();
    service["deployment_circuit_breaker"] = json!([{ "enable": true }]);
    service["launch_type"] = true.into();
    service["load_balancer"] = true.into();
    let check = json!([{ "interval": true, "unhealthy_threshold": true, "timeout": true }]);
    let unknown = json!({ "health_check": check, "arn": true });
    let change = json!({ "before": null, "after_unknown": unknown });
    let group = json!({ "address": "aws_lb_target_group.web", "change": change });
    later["resource_changes"].as_array_mut().unwrap().push(group);
    let resources = later["configuration"]["root_module"]["resources"].as_array_mut().unwrap();
    let given = json!({ "references": ["var.given"] });
    resources[0]["expressions"]["deployment_minimum_healthy_percent"] = given.clone();
    // A dynamic block isn't in the configuration.
    resources[0]["expressions"].as_object_mut().unwrap().remove("load_balancer");
    resources[0]["expressions"]["deployment_circuit_breaker"] = json!([{ "enable": given }]);
    // The timeout is left out, and so is the launch type: what the provider then takes is known.
    let check = json!([{ "interval": given, "unhealthy_threshold": given }]);
    let expressions = json!({ "health_check": check });
    resources.push(json!({ "address": "aws_lb_target_group.web", "expressions": expressions }));
    let unknown = plan(&later.to_string()).unknown;
    let unknown = unknown.iter().map(|one| one.what.as_str()).collect::<Vec<_>>();
    assert_eq!(
        unknown,
        [
            "deployment_minimum_healthy_percent of aws_ecs_service.web",
            "deployment_circuit_breaker.enable of aws_ecs_service.web",
            "load_balancer of aws_ecs_service.web",
            "health_check.interval of aws_lb_target_group.web",
            "health_check.unhealthy_threshold of aws_lb_target_group.web",
        ]
    );
}

#[test]
fn a_task_definition_for_fargate_says_where_tasks_run_if_the_service_does_not() {
    let silent = PLAN.replace(r#""launch_type": "EC2","#, "");
    assert_eq!(plan(&silent).service.launch, Launch::Ec2);
    let fargate = silent.replace(r#""EC2""#, r#""FARGATE""#);
    assert_eq!(plan(&fargate).service.launch, Launch::Fargate);
}

/// A plan with two services, each with a task definition and a target group of its own key.
fn by_key(expression: Value, group: Value) -> String {
    let mut planned = Vec::new();
    for key in ["api", "web"] {
        let mut add = |kind: &str, values: Value| {
            let address = format!("{kind}.this[\"{key}\"]");
            planned.push(json!({ "address": address, "type": kind, "values": values }));
        };
        let attached = json!([{ "container_name": key, "container_port": 80 }]);
        add("aws_ecs_service", json!({ "name": key, "load_balancer": attached }));
        let containers = format!(r#"[{{"name": "{key}"}}]"#);
        let definition = json!({ "family": key, "container_definitions": containers });
        add("aws_ecs_task_definition", definition);
        add("aws_lb_target_group", json!({ "name": key }));
    }
    let balancer = json!([{ "target_group_arn": group }]);
    let service = json!({
        "address": "aws_ecs_service.this",
        "for_each_expression": { "references": ["aws_ecs_task_definition.this"] },
        "expressions": { "task_definition": expression, "load_balancer": balancer },
    });
    json!({
        "format_version": "1.2",
        "planned_values": { "root_module": { "resources": planned } },
        "configuration": { "root_module": { "resources": [service] } },
    })
    .to_string()
}

#[test]
fn of_several_instances_the_one_of_the_same_key_is_meant() {
    let group = json!({ "references": ["aws_lb_target_group.this", "each.key"] });
    let of_key = json!({ "references": ["aws_ecs_task_definition.this", "each.key"] });
    let of_value = json!({ "references": ["each.value.arn", "each.value"] });
    for expression in [of_key, of_value] {
        for key in ["api", "web"] {
            let text = by_key(expression.clone(), group.clone());
            let documents = vec![document("plan.json", &text)];
            let service = Some(key.to_owned());
            let facts = Offline { documents, service, environment: None }.facts().unwrap();
            assert_eq!((facts.service.name.as_str(), facts.next.family.as_str()), (key, key));
            assert_eq!(facts.target_groups[0].name, key);
        }
    }
}

#[test]
fn a_daemon_is_said_not_to_be_judged() {
    let facts = plan(&PLAN.replace(r#""REPLICA""#, r#""DAEMON""#));
    assert_eq!(facts.unknown[0].what, "how ECS replaces the tasks of web");
}

#[test]
fn wrong_values_are_named_with_the_resource() {
    let wrong = PLAN
        .replace(r#""deployment_maximum_percent": 200"#, r#""deployment_maximum_percent": "all""#);
    assert_eq!(
        refused(&[("plan.json", &wrong)]),
        "plan.json: aws_ecs_service.web.deployment_maximum_percent: `all` is no whole number"
    );
    let wrong = PLAN.replace(r#"\"essential\": true"#, r#"\"essential\": 1"#);
    let error = refused(&[("plan.json", &wrong)]);
    let at = "plan.json: aws_ecs_task_definition.web.container_definitions[0].essential: ";
    assert!(error.starts_with(at), "{error}");
}

#[test]
fn a_plan_without_a_service_is_no_plan_of_one() {
    let empty = r#"{"format_version": "1.2", "planned_values": {"root_module": {}}}"#;
    assert_eq!(refused(&[("plan.json", empty)]), "plan.json: there is no service in it");
}
