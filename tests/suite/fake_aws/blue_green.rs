//! Blue/green deployments with PAUSE hooks.

use aws_sdk_ecs::types::{DeploymentLifecycleHookAction as Action, ServiceDeployment};
use lockkeeper::deploy::facts::{Balancer, Hook, Service, Strategy};

use super::{definition, front, group, service};
use crate::support::aws::{Aws, Scale, Script};

/// A service that pauses at PRE_SCALE_UP, with the ARNs of its target groups and of its listener.
fn aws(kind: Balancer, weights: [Option<u32>; 2]) -> (Aws, [String; 2]) {
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
    let pause = Hook { function: None, stages: vec!["PRE_SCALE_UP".to_owned()] };
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
