//! Blue/green deployments with PAUSE hooks.

use aws_sdk_ecs::types::{DeploymentLifecycleHookAction as Action, ServiceDeployment};
use lockkeeper::deploy::facts::{Balancer, Breaker, Hook, Service, Strategy};

use super::{definition, front, group, service};
use crate::support::aws::{Aws, Scale, Script};

/// A service that pauses at PRE_SCALE_UP, with the ARNs of its target groups and of its listener.
fn aws(kind: Balancer, weights: [Option<u32>; 2]) -> (Aws, [String; 2]) {
    paused_at("PRE_SCALE_UP", kind, weights)
}

fn paused_at(stage: &str, kind: Balancer, weights: [Option<u32>; 2]) -> (Aws, [String; 2]) {
    let aws = Aws::start(Scale::Virtual);
    aws.image("web:1", Script::web(2.0));
    aws.image("web:2", Script::web(10.0));
    let groups = ["blue", "green"].map(|name| aws.target_group(group(name, kind)));
    let forward: Vec<(&str, u32)> = groups
        .iter()
        .zip(weights)
        .filter_map(|(arn, weight)| Some((arn.as_str(), weight?)))
        .collect();
    front(&aws, kind, &forward);
    aws.define(definition("web", "web:1", &[]));
    let pause = Hook { function: None, stages: vec![stage.to_owned()] };
    let facts = Service {
        strategy: Strategy::BlueGreen,
        bake: Some(120),
        hooks: vec![pause],
        ..service("blue", Some("green"))
    };
    aws.service(facts, "web");
    aws.advance(200.0);
    assert!(aws.with(|world| world.services["shop/web"].is_steady));
    aws.define(definition("web", "web:2", &[]));
    (aws, groups)
}

async fn begin(aws: &Aws) -> ServiceDeployment {
    aws.ecs()
        .update_service()
        .cluster("shop")
        .service("web")
        .task_definition("web:2")
        .send()
        .await
        .unwrap();
    aws.advance(30.0);
    current(aws).await
}

async fn current(aws: &Aws) -> ServiceDeployment {
    let listed =
        aws.ecs().list_service_deployments().cluster("shop").service("web").send().await.unwrap();
    let arn = listed.service_deployments()[0].service_deployment_arn().unwrap();
    let found =
        aws.ecs().describe_service_deployments().service_deployment_arns(arn).send().await.unwrap();
    found.service_deployments()[0].clone()
}

async fn answer(aws: &Aws, rollout: &ServiceDeployment, action: Action) {
    let hook = rollout.lifecycle_hook_details()[0].hook_id().unwrap();
    let arn = rollout.service_deployment_arn().unwrap();
    let call = aws.ecs().continue_service_deployment().service_deployment_arn(arn).hook_id(hook);
    call.action(action).send().await.unwrap();
}

/// The group that the listener sends its traffic to.
async fn live(aws: &Aws) -> String {
    let found = aws
        .elb()
        .describe_listeners()
        .load_balancer_arn(aws.with(|world| world.balancers.all.keys().next().unwrap().clone()));
    let found = found.send().await.unwrap();
    let forward = found.listeners()[0].default_actions()[0]
        .forward_config()
        .unwrap()
        .target_groups()
        .to_vec();
    let live = forward.iter().find(|one| one.weight().unwrap() > 0).unwrap();
    live.target_group_arn().unwrap().to_owned()
}

#[tokio::test]
async fn a_paused_deployment_starts_no_task_until_it_is_continued() {
    let (aws, [blue, green]) = aws(Balancer::Application, [Some(1), Some(0)]);
    let rollout = begin(&aws).await;
    assert_eq!(rollout.lifecycle_stage().unwrap().as_str(), "PRE_SCALE_UP");
    let hook = &rollout.lifecycle_hook_details()[0];
    assert_eq!(hook.status().unwrap().as_str(), "AWAITING_ACTION");
    assert_eq!(hook.target_type().unwrap().as_str(), "PAUSE");
    assert!(hook.expires_at().is_some());
    aws.advance(3600.0);
    assert!(aws.tasks().iter().all(|task| task.revision == 1));

    answer(&aws, &rollout, Action::Continue).await;
    aws.advance(15.0);
    assert_eq!(aws.tasks_of("web").len(), 4);
    assert_eq!(live(&aws).await, blue);
    aws.advance(60.0);
    assert_eq!(live(&aws).await, green);
    assert_eq!(current(&aws).await.lifecycle_stage().unwrap().as_str(), "BAKE_TIME");
    assert_eq!(aws.tasks_of("web").len(), 4);
    aws.advance(300.0);
    assert_eq!(current(&aws).await.status().unwrap().as_str(), "SUCCESSFUL");
    assert!(aws.tasks_of("web").iter().all(|task| task.revision == 2));
}

#[tokio::test]
async fn a_paused_deployment_that_is_rolled_back_leaves_all_as_it_was() {
    let (aws, [blue, _]) = aws(Balancer::Application, [Some(1), Some(0)]);
    let rollout = begin(&aws).await;
    answer(&aws, &rollout, Action::Rollback).await;
    aws.advance(60.0);
    let rollout = current(&aws).await;
    assert_eq!(rollout.status().unwrap().as_str(), "ROLLBACK_SUCCESSFUL");
    assert!(rollout.rollback().unwrap().reason().unwrap().contains("PRE_SCALE_UP"));
    assert!(aws.tasks().iter().all(|task| task.revision == 1));
    assert_eq!(live(&aws).await, blue);
    let found = aws.ecs().describe_services().cluster("shop").services("web").send().await.unwrap();
    assert!(found.services()[0].task_definition().unwrap().ends_with("web:1"));
}

#[tokio::test]
async fn a_pause_that_nobody_ends_is_rolled_back_after_a_day() {
    let (aws, _) = aws(Balancer::Application, [Some(1), Some(0)]);
    begin(&aws).await;
    aws.advance(86_400.0);
    let rollout = current(&aws).await;
    assert_eq!(rollout.lifecycle_hook_details()[0].status().unwrap().as_str(), "TIMED_OUT");
    assert_eq!(rollout.status().unwrap().as_str(), "ROLLBACK_SUCCESSFUL");
}

#[tokio::test]
async fn an_orphaned_group_of_an_nlb_serves_nobody_for_a_while_after_the_switch() {
    let (aws, [_, green]) = aws(Balancer::Network, [Some(1), None]);
    let rollout = begin(&aws).await;
    answer(&aws, &rollout, Action::Continue).await;
    aws.advance(30.0);
    assert_eq!(live(&aws).await, green);
    let healthy = async || {
        let found =
            aws.elb().describe_target_health().target_group_arn(&green).send().await.unwrap();
        let states = found
            .target_health_descriptions()
            .iter()
            .map(|one| one.target_health().unwrap().state().unwrap());
        states.filter(|state| state.as_str() == "healthy").count()
    };
    assert_eq!(healthy().await, 0, "the traffic goes to targets that aren't there yet");
    aws.advance(90.0);
    assert_eq!(healthy().await, 2);
}

#[tokio::test]
async fn a_rollback_after_the_switch_turns_the_traffic_back() {
    let at = "POST_PRODUCTION_TRAFFIC_SHIFT";
    let (aws, [blue, green]) = paused_at(at, Balancer::Application, [Some(1), Some(0)]);
    begin(&aws).await;
    aws.advance(60.0);
    assert_eq!(live(&aws).await, green);
    answer(&aws, &current(&aws).await, Action::Rollback).await;
    assert_eq!(live(&aws).await, blue);
    aws.advance(120.0);
    assert_eq!(current(&aws).await.status().unwrap().as_str(), "ROLLBACK_SUCCESSFUL");
    assert!(aws.tasks_of("web").iter().all(|task| task.revision == 1));
    assert_eq!(aws.tasks_of("web").len(), 2);
}

#[tokio::test]
async fn a_rolling_deployment_pauses_too_and_a_function_is_waited_for() {
    let aws = Aws::start(Scale::Virtual);
    aws.image("web", Script::web(2.0));
    let arn = aws.target_group(group("blue", Balancer::Application));
    front(&aws, Balancer::Application, &[(&arn, 1)]);
    aws.define(definition("web", "web", &[]));
    let function = Some("arn:aws:lambda:eu-central-1:123456789012:function:migrate".to_owned());
    let hooks = vec![Hook { function, stages: vec!["PRE_SCALE_UP".to_owned()] }];
    aws.service(Service { hooks, ..service("blue", None) }, "web");
    aws.advance(200.0);
    aws.define(definition("web", "web:2", &[]));
    let rollout = begin(&aws).await;
    let hook = &rollout.lifecycle_hook_details()[0];
    assert_eq!(hook.status().unwrap().as_str(), "IN_PROGRESS");
    assert!(hook.target_arn().unwrap().ends_with(":function:migrate"));
    let id = hook.hook_id().unwrap();
    let call = aws.ecs().continue_service_deployment().hook_id(id).action(Action::Continue);
    let call = call.service_deployment_arn(rollout.service_deployment_arn().unwrap());
    assert!(call.send().await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    assert!(aws.with(|world| world.resolve_hook("shop/web", id, true)));
    aws.advance(300.0);
    assert_eq!(current(&aws).await.status().unwrap().as_str(), "SUCCESSFUL");
    let revision = current(&aws).await.target_service_revision().unwrap().arn().unwrap().to_owned();
    let found = aws
        .ecs()
        .describe_service_revisions()
        .service_revision_arns(revision)
        .send()
        .await
        .unwrap();
    assert!(found.service_revisions()[0].task_definition().unwrap().ends_with("web:2"));
}

#[tokio::test]
async fn new_tasks_that_never_get_healthy_never_get_the_traffic() {
    let (aws, [blue, _]) = aws(Balancer::Application, [Some(1), Some(0)]);
    aws.image("web:2", Script::mute());
    let breaker = Breaker { rollback: true, threshold: None, resets: true };
    aws.with(|world| world.services.get_mut("shop/web").unwrap().facts.breaker = Some(breaker));
    let rollout = begin(&aws).await;
    answer(&aws, &rollout, Action::Continue).await;
    for _ in 0..60 {
        aws.advance(10.0);
        assert_eq!(live(&aws).await, blue);
        assert_eq!(aws.tasks_of("web").iter().filter(|task| task.revision == 1).count(), 2);
    }
    let rollout = current(&aws).await;
    assert_eq!(rollout.status().unwrap().as_str(), "ROLLBACK_SUCCESSFUL");
    assert_eq!(rollout.deployment_circuit_breaker().unwrap().failure_count(), 3);
    assert!(aws.tasks_of("web").iter().all(|task| task.revision == 1));
}
