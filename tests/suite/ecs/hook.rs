//! `ecs hook`: blue/green deployments that pause until the schema is ready.

use lockkeeper::deploy::facts::{
    Attachment, Balancer, Hook, Service, Strategy, TargetCheck, TargetGroup,
};
use serde_json::json;

use super::{aws, definition, ecs, network};
use crate::support::aws::{Aws, Fault, Program, Script};
use crate::support::{Database, Lockkeeper, Project};

/// A blue/green service that pauses before it scales up; its second revision is to be deployed.
pub async fn paused(migrate: &str) -> Aws {
    let aws = aws();
    aws.image("shell", Program::shell());
    aws.image("web", Script::web(0.5));
    let [blue, green] = ["blue", "green"].map(|name| {
        aws.target_group(TargetGroup {
            name: name.to_owned(),
            balancer: Balancer::Application,
            check: TargetCheck { interval: 5, healthy: 2, unhealthy: 2, ..TargetCheck::default() },
            deregistration_delay: Some(1),
            ..TargetGroup::default()
        })
    });
    let balancer = aws.balancer("shop", Balancer::Application);
    aws.listener(&balancer, 80, &[(&blue, 1), (&green, 0)]);
    for _ in 0..2 {
        let mut web = definition("web", "web", "web:1", &[]);
        web["containerDefinitions"][0]["portMappings"] = json!([{ "containerPort": 8080 }]);
        aws.define(web);
    }
    aws.define(definition("migrate", "migrate", "shell:1", &[migrate]));
    let service = Service {
        name: "web".to_owned(),
        cluster: "shop".to_owned(),
        desired: 1,
        strategy: Strategy::BlueGreen,
        bake: Some(1),
        network: Some(network()),
        hooks: vec![Hook { function: None, stages: vec!["PRE_SCALE_UP".to_owned()] }],
        load_balancers: vec![Attachment {
            target_group: "blue".to_owned(),
            alternate: Some("green".to_owned()),
            container: "web".to_owned(),
            port: 8080,
        }],
        ..Service::default()
    };
    aws.service(service, "web:1");
    aws.wait_for_steady("shop", "web").await;
    let deploy = aws.ecs().update_service().cluster("shop").service("web").task_definition("web:2");
    deploy.send().await.expect("an answer");
    aws
}

fn hook(aws: &Aws, arguments: &[&str]) -> Lockkeeper {
    ecs(aws, &["hook", "--service", "web"]).args(arguments)
}

/// Revisions of the service's tasks that were ever started.
fn revisions(aws: &Aws) -> Vec<u32> {
    aws.tasks().iter().filter(|task| task.family == "web").map(|task| task.revision).collect()
}

#[tokio::test]
async fn a_paused_deployment_goes_on_when_the_migration_is_done() {
    let aws = paused("exit 0").await;
    assert_eq!(revisions(&aws), [1], "it pauses before there is a new task");
    let task = ["--migrate-task-definition", "migrate", "--", "echo migrating"];
    aws.fail("ContinueServiceDeployment", 1, Fault::Lost);
    let done = hook(&aws, &task).run().await.expect(0);
    done.expect_text("waits at PRE_SCALE_UP").expect_text("migrating").expect_text("CONTINUE");
    aws.wait_for("the new task", |world| {
        world.tasks.values().any(|one| one.revision == 2 && one.moments.healthy.is_some())
    })
    .await;
}

#[tokio::test]
async fn a_failed_migration_rolls_back_and_an_interrupted_one_leaves_the_hook_waiting() {
    let aws = paused("exit 0").await;
    let interrupted = ["--migrate-task-definition", "migrate", "--", "exit 4"];
    let waits = hook(&aws, &interrupted).run().await.expect(4);
    waits.expect_text("the hook is not answered");
    assert!(aws.calls("ContinueServiceDeployment").is_empty());
    let failing = ["--migrate-task-definition", "migrate", "--", "echo no such column; exit 1"];
    let failed = hook(&aws, &failing).run().await.expect(1);
    failed.expect_text("no such column").expect_text("the deployment is rolled back");
    aws.wait_for_steady("shop", "web").await;
    assert_eq!(revisions(&aws), [1]);
    assert_eq!(aws.calls("ContinueServiceDeployment")[0]["action"], "ROLLBACK");
}

#[tokio::test]
async fn it_may_migrate_in_its_own_process() {
    let aws = paused("exit 0").await;
    let database = Database::sqlite();
    let project = Project::with([("V1__t.sql", "CREATE TABLE t (id bigint PRIMARY KEY);")]);
    let here = ["--here", "--", "up", "--phase", "expand"];
    let done = hook(&aws, &here).project(&project).database(&database).run().await.expect(0);
    done.expect_text("the schema is at version 1").expect_text("CONTINUE");
    assert!(aws.calls("RunTask").is_empty());
    let wrong = hook(&aws, &["--here", "--", "sh"]).project(&project).database(&database);
    wrong.run().await.expect(2).expect_text("can't be run here");
}

#[tokio::test]
async fn without_a_deployment_it_says_what_it_saw_last() {
    let aws = paused("exit 0").await;
    let other = ["--stage", "POST_SCALE_UP", "--hook-timeout", "300ms"];
    hook(&aws, &other).run().await.expect(6).expect_text("it waits at PRE_SCALE_UP");
}
