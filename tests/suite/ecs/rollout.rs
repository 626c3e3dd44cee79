//! `ecs rollout`.

use std::time::Duration;

use lockkeeper::deploy::facts::{Balancer, Breaker, Service, TargetCheck, TargetGroup};
use serde_json::json;

use super::{attachment, ecs, web_definition, web_service};
use crate::support::Lockkeeper;
use crate::support::aws::{Aws, Fault, Pace, Scale, Script};

/// Nothing here is a process, so the fake may hurry.
const SECOND: Duration = Duration::from_millis(10);

/// A service behind a load balancer of this kind, whose next revision answers after so many seconds.
fn shop(kind: Balancer, next: Script, pace: Pace) -> (Aws, String) {
    let aws = Aws::at(Scale::Second(SECOND), pace);
    aws.image("web:1", Script::web(1.0));
    aws.image("web:2", next);
    let group = aws.target_group(TargetGroup {
        name: "web".to_owned(),
        balancer: kind,
        check: TargetCheck { interval: 10, healthy: 2, unhealthy: 2, ..TargetCheck::default() },
        deregistration_delay: Some(10),
        ..TargetGroup::default()
    });
    let balancer = aws.balancer("shop", kind);
    aws.listener(&balancer, 80, &[(&group, 1)]);
    for revision in ["web:1", "web:2"] {
        aws.define(web_definition(revision, 8080, &[]));
    }
    let breaker = Some(Breaker { rollback: true, threshold: None, resets: false });
    let service = Service { breaker, ..web_service(2, 8080) };
    aws.service(service, "web:1");
    (aws, group)
}

fn rollout(aws: &Aws, arguments: &[&str]) -> Lockkeeper {
    ecs(aws, &["rollout", "--service", "web"]).args(arguments)
}

#[tokio::test]
async fn it_ends_when_the_new_tasks_are_healthy_and_again_it_has_nothing_to_do() {
    let (aws, _) = shop(Balancer::Application, Script::web(3.0), Pace::immediate());
    aws.wait_for_steady("shop", "web").await;
    let next = ["--task-definition", "web:2"];
    let done = rollout(&aws, &next).run().await.expect(0);
    done.expect_text("deploying web:2").expect_text("web:2 serves");
    let new: Vec<_> = aws.tasks_of("web").into_iter().filter(|task| task.revision == 2).collect();
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|task| task.moments.healthy.is_some()));
    rollout(&aws, &next).run().await.expect(0).expect_text("is deployed already");
    assert_eq!(aws.calls("UpdateService").len(), 1);
    rollout(&aws, &["--force"]).run().await.expect(0).expect_text("web:2 serves");
    assert_eq!(aws.calls("UpdateService").len(), 2);
}

#[tokio::test]
async fn an_answer_that_lags_behind_the_update_is_not_taken_for_its_end() {
    let (aws, _) = shop(Balancer::Application, Script::web(1.0), Pace::immediate());
    aws.wait_for_steady("shop", "web").await;
    let asked = json!({ "cluster": "shop", "services": ["web"] });
    let old = aws.with(|world| world.answer("DescribeServices", &asked)).expect("an answer");
    // Two looks before the update, and one after it.
    aws.fail("DescribeServices", 3, Fault::Answered(old));
    rollout(&aws, &["--task-definition", "web:2"])
        .run()
        .await
        .expect(0)
        .expect_text("web:2 serves");
}

#[tokio::test]
async fn one_that_is_rolled_back_says_why() {
    let (aws, _) = shop(Balancer::Application, Script::mute(), Pace::immediate());
    aws.wait_for_steady("shop", "web").await;
    let failed = rollout(&aws, &["--task-definition", "web:2"]).run().await.expect(6);
    failed.expect_text("circuit breaker").expect_text("health checks failed");

    let (aws, _) = shop(Balancer::Application, Script::exits(1.0, 9), Pace::immediate());
    aws.wait_for_steady("shop", "web").await;
    let failed = rollout(&aws, &["--task-definition", "web:2"]).run().await.expect(6);
    failed.expect_text("container web ended with exit code 9");
}

#[tokio::test]
async fn behind_an_nlb_it_waits_until_the_targets_really_serve() {
    let (aws, group) = shop(Balancer::Network, Script::web(1.0), Pace::immediate());
    aws.wait_for_steady("shop", "web").await;
    let done = rollout(&aws, &["--task-definition", "web:2", "--log-format", "text"]).run().await;
    done.expect(0).expect_text("initial (Elb.InitialHealthChecking)").expect_text("web:2 serves");
    let healthy = aws.elb().describe_target_health().target_group_arn(&group).send().await;
    let healthy = healthy.expect("an answer");
    let new: Vec<_> = aws.tasks_of("web").into_iter().map(|task| task.address).collect();
    for target in healthy.target_health_descriptions() {
        let id = target.target().and_then(|target| target.id()).unwrap_or_default();
        if new.iter().any(|address| address == id) {
            assert_eq!(target.target_health().and_then(|one| one.state()), Some(&"healthy".into()));
        }
    }
}

#[tokio::test]
async fn targets_that_nobody_refers_to_do_not_serve() {
    let aws = Aws::at(Scale::Second(SECOND), Pace::immediate());
    aws.image("web:1", Script::web(1.0));
    aws.target_group(TargetGroup {
        name: "orphan".to_owned(),
        balancer: Balancer::Network,
        ..TargetGroup::default()
    });
    aws.define(web_definition("web:1", 8080, &[]));
    let load_balancers = vec![attachment("orphan", "web", 8080)];
    let service = Service { load_balancers, ..web_service(1, 8080) };
    aws.service(service, "web:1");
    aws.wait_for("a task", |world| world.tasks.values().any(|task| task.started.is_some())).await;
    let waited = rollout(&aws, &["--settle", "500ms", "--rollout-timeout", "20s"]).run().await;
    waited.expect(6).expect_text("no listener forwards traffic to target group orphan");
}

#[tokio::test]
async fn its_time_may_run_out_and_who_watches_may_leave() {
    let (aws, _) = shop(Balancer::Application, Script::web(1e6), Pace::immediate());
    aws.with(|world| {
        let service = world.services.get_mut("shop/web").expect("a service");
        service.facts.grace = Some(1_000_000);
    });
    aws.wait_for_steady("shop", "web").await;
    let next = ["--task-definition", "web:2", "--rollout-timeout", "1s"];
    rollout(&aws, &next).run().await.expect(6).expect_text("not settled after 1s");
    let watching = rollout(&aws, &["--task-definition", "web:2"]).start();
    watching.line_with("is deployed already").await;
    watching.signal(libc::SIGTERM);
    watching.wait().await.expect(4).expect_text("the deployment goes on in ECS");
}

#[tokio::test]
async fn another_deployment_that_takes_its_place_is_a_failure_and_not_a_success() {
    let (aws, _) = shop(Balancer::Application, Script::web(1e6), Pace::immediate());
    aws.with(|world| {
        let service = world.services.get_mut("shop/web").expect("a service");
        service.facts.grace = Some(1_000_000);
    });
    aws.wait_for_steady("shop", "web").await;
    let watching = rollout(&aws, &["--task-definition", "web:2"]).start();
    watching.line_with("deploying web:2").await;
    let other = aws.ecs().update_service().cluster("shop").service("web").task_definition("web:1");
    other.send().await.expect("an answer");
    watching.wait().await.expect(6).expect_text("another deployment took its place");
}

#[tokio::test]
async fn throttling_is_waited_out_and_what_is_not_allowed_is_named() {
    let (aws, _) = shop(Balancer::Application, Script::web(1.0), Pace::immediate());
    aws.wait_for_steady("shop", "web").await;
    aws.fail("DescribeTargetHealth", 2, Fault::Throttled);
    aws.fail("ListTasks", 2, Fault::Reset);
    let next = ["--task-definition", "web:2"];
    rollout(&aws, &next).run().await.expect(0).expect_text("trying again");
    aws.fail("UpdateService", 1, Fault::Denied);
    let denied = rollout(&aws, &["--force"]).run().await.expect(2);
    denied.expect_text("not allowed: ecs:UpdateService").expect_text("allow ecs:UpdateService");
}
