//! Rolling deployments.

use aws_sdk_ecs::types::DeploymentRolloutState as State;
use lockkeeper::deploy::facts::{Balancer, Breaker, Service};
use serde_json::json;

use super::{definition, front, group, service};
use crate::support::aws::{Aws, Before, Pace, Scale, Script};

/// A service that runs `web:1`, whose next revision answers after so many seconds.
fn aws(facts: impl FnOnce(Service) -> Service, next: f64) -> Aws {
    let aws = Aws::start(Scale::Virtual);
    aws.image("web:1", Script::web(2.0));
    aws.image("web:2", Script::web(next));
    let arn = aws.target_group(group("web", Balancer::Application));
    front(&aws, Balancer::Application, &[(&arn, 1)]);
    aws.define(definition("web", "web:1", &[]));
    aws.service(facts(service("web", None)), "web");
    aws.advance(120.0);
    assert!(aws.with(|world| world.services["shop/web"].is_steady));
    aws.define(definition("web", "web:2", &[]));
    aws
}

async fn update(aws: &Aws) {
    aws.ecs()
        .update_service()
        .cluster("shop")
        .service("web")
        .task_definition("web:2")
        .send()
        .await
        .unwrap();
}

async fn describe(aws: &Aws) -> aws_sdk_ecs::types::Service {
    let found = aws.ecs().describe_services().cluster("shop").services("web").send().await.unwrap();
    found.services()[0].clone()
}

#[tokio::test]
async fn a_deployment_starts_new_tasks_then_drains_and_stops_the_old_ones() {
    let aws = aws(|facts| facts, 10.0);
    let old: Vec<String> = aws.tasks_of("web").iter().map(|task| task.id.clone()).collect();
    update(&aws).await;
    aws.advance(5.0);
    let seen = describe(&aws).await;
    assert_eq!(seen.deployments().len(), 2);
    assert_eq!(seen.deployments()[0].status(), Some("PRIMARY"));
    assert_eq!(seen.deployments()[0].rollout_state(), Some(&State::InProgress));
    assert_eq!((seen.running_count(), seen.pending_count()), (2, 2));
    aws.advance(200.0);
    let seen = describe(&aws).await;
    assert_eq!(seen.deployments().len(), 1);
    assert_eq!(seen.deployments()[0].rollout_state(), Some(&State::Completed));
    assert!(seen.task_definition().unwrap().ends_with("web:2"));
    assert!(seen.events()[0].message().unwrap().contains("has reached a steady state"));
    for id in old {
        let moments = aws.task(&id).moments;
        let drained = moments.terminated.unwrap() - moments.stopping.unwrap();
        assert_eq!(drained, 30.0, "the deregistration delay comes before SIGTERM");
    }
}

#[tokio::test]
async fn a_task_that_answers_too_late_is_stopped_and_the_breaker_rolls_back() {
    let breaker = Breaker { rollback: true, threshold: None, resets: false };
    let aws = aws(|facts| Service { grace: Some(15), breaker: Some(breaker), ..facts }, 150.0);
    update(&aws).await;
    let old: Vec<String> = aws.tasks_of("web").iter().map(|task| task.id.clone()).collect();
    aws.advance(60.0);
    let failed = aws.tasks().into_iter().find(|task| task.revision == 2).unwrap();
    let moments = failed.moments;
    // Checks fall at 7.5, 22.5 and 37.5 s after the registration, which is 1 s before RUNNING.
    let since = |moment: Option<f64>| moment.unwrap() - moments.registered.unwrap();
    assert_eq!(since(moments.first_failed_check), 7.5);
    assert_eq!(since(moments.unhealthy), 37.5);
    assert_eq!(since(moments.stopping), 37.5);
    assert!(
        failed
            .stop
            .unwrap()
            .reason
            .starts_with("Task failed ELB health checks in (target-group arn:")
    );
    aws.advance(600.0);
    let seen = describe(&aws).await;
    assert!(seen.task_definition().unwrap().ends_with("web:1"));
    assert_eq!(seen.deployments().len(), 1);
    assert!(
        seen.deployments()[0]
            .rollout_state_reason()
            .unwrap()
            .contains("rolling back to deploymentId")
    );
    let events = aws.events("shop", "web").join("\n");
    assert!(events.contains("deployment failed: tasks failed to start."), "{events}");
    assert!(events.contains("(port 8080) is unhealthy in (target-group"), "{events}");
    let now: Vec<String> = aws.tasks_of("web").iter().map(|task| task.id.clone()).collect();
    assert!(old.iter().all(|id| now.contains(id) || aws.task(id).revision == 2));
    let found =
        aws.ecs().list_service_deployments().cluster("shop").service("web").send().await.unwrap();
    assert_eq!(found.service_deployments()[0].status().unwrap().as_str(), "ROLLBACK_SUCCESSFUL");
}

#[tokio::test]
async fn the_grace_period_makes_ecs_ignore_the_verdict_until_it_ends() {
    let aws = aws(|facts| Service { grace: Some(100), ..facts }, 400.0);
    update(&aws).await;
    aws.advance(150.0);
    let moments = aws.tasks().into_iter().find(|task| task.revision == 2).unwrap().moments;
    assert_eq!(moments.stopping.unwrap() - moments.running.unwrap(), 100.0);
    assert!(moments.unhealthy.unwrap() < moments.stopping.unwrap());
}

#[tokio::test]
async fn without_a_breaker_it_goes_on_for_ever() {
    let aws = aws(|facts| Service { grace: Some(15), ..facts }, 150.0);
    update(&aws).await;
    aws.advance(2000.0);
    let seen = describe(&aws).await;
    assert_eq!(seen.deployments()[0].rollout_state(), Some(&State::InProgress));
    assert!(seen.deployments()[0].failed_tasks() > 20);
    assert_eq!(aws.tasks_of("web").iter().filter(|task| task.revision == 1).count(), 2);
}

#[tokio::test]
async fn percentages_that_leave_no_room_are_told() {
    let stuck = |facts| Service { minimum_percent: Some(100), maximum_percent: Some(100), ..facts };
    let aws = aws(stuck, 5.0);
    update(&aws).await;
    aws.advance(600.0);
    let events = aws.events("shop", "web").join("\n");
    assert!(events.contains("was unable to stop or start tasks during a deployment"), "{events}");
    assert_eq!(aws.tasks_of("web").iter().filter(|task| task.revision == 2).count(), 0);
}

#[tokio::test]
async fn where_there_is_room_below_only_old_tasks_go_first() {
    let below = |facts| Service { minimum_percent: Some(50), maximum_percent: Some(100), ..facts };
    let aws = aws(below, 5.0);
    update(&aws).await;
    aws.advance(20.0);
    assert_eq!(aws.tasks_of("web").len(), 2);
    aws.advance(400.0);
    assert!(aws.tasks_of("web").iter().all(|task| task.revision == 2));
}

#[tokio::test]
async fn a_desired_count_alone_starts_no_deployment() {
    let aws = aws(|facts| facts, 5.0);
    let count =
        |count| aws.ecs().update_service().cluster("shop").service("web").desired_count(count);
    for desired in [4, 1] {
        count(desired).send().await.unwrap();
        aws.advance(120.0);
        assert_eq!(aws.tasks_of("web").len(), desired as usize);
    }
    assert_eq!(aws.with(|world| world.services["shop/web"].rollouts.len()), 1);
}

#[tokio::test]
async fn a_check_that_hangs_counts_when_its_time_is_over() {
    let aws = Aws::at(Scale::Virtual, Pace::immediate());
    aws.image("web", Script { before: Before::Hangs, ..Script::web(600.0) });
    let arn = aws.target_group(group("web", Balancer::Application));
    front(&aws, Balancer::Application, &[(&arn, 1)]);
    aws.define(definition("web", "web", &[]));
    aws.service(Service { desired: 1, grace: Some(300), ..service("web", None) }, "web");
    aws.advance(100.0);
    let moments = aws.tasks()[0].moments;
    assert_eq!(moments.first_failed_check, Some(7.5 + 5.0));
    assert_eq!(moments.unhealthy, Some(7.5 + 15.0 * 2.0 + 5.0));
    let found = aws.elb().describe_target_health().target_group_arn(&arn).send().await.unwrap();
    let health = found.target_health_descriptions()[0].target_health().unwrap();
    assert_eq!(json!(health.reason().unwrap().as_str()), "Target.Timeout");
}
