//! A run inside a task: its name, its protection, and the wish that the task stop.

use lockkeeper::deploy::facts::{Balancer, Service, TargetGroup};
use serde_json::{Value, json};

use super::{attachment, aws, definition, fill, migrations, network, postgres};
use crate::support::Lockkeeper;
use crate::support::aws::{Aws, Fault, Status, World};

/// A service of one task that migrates at a rate at which it takes a while.
async fn migrating(aws: &Aws) -> (crate::support::Database, crate::support::Project) {
    let (database, project) = (postgres().await, fill(60_000));
    aws.image("migrate", migrations(&project, &database).env("LOCKKEEPER_LOG_FORMAT", "json"));
    aws.define(definition("migrate", "migrate", "migrate:1", &["up"]));
    Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
    Lockkeeper::new(["rate", "10000"]).project(&project).database(&database).run().await.expect(0);
    (database, project)
}

/// The service of that task.
fn worker() -> Service {
    Service {
        name: "worker".to_owned(),
        cluster: "shop".to_owned(),
        desired: 1,
        network: Some(network()),
        ..Service::default()
    }
}

fn lines(aws: &Aws, task: &str) -> Vec<Value> {
    let log = aws.log("/shop", &format!("ecs/migrate/{task}")).unwrap_or_default();
    log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn in_a_service_it_is_protected_while_it_migrates_and_no_longer() {
    let aws = aws();
    let (database, project) = migrating(&aws).await;
    aws.service(worker(), "migrate");
    aws.wait_for("protection", |world| {
        world.tasks.values().any(|task| task.protected_until.is_some())
    })
    .await;
    let task = aws.tasks()[0].id.clone();
    let status = Lockkeeper::new(["status"]).project(&project).database(&database);
    status.run().await.expect(0).expect_text(&format!("ECS task {task}"));
    Lockkeeper::new(["rate", "off"]).project(&project).database(&database).run().await.expect(0);
    aws.wait_for_status(&task, Status::Stopped).await;
    assert!(aws.task(&task).protected_until.is_none(), "it outlives the run");
    let opening = &lines(&aws, &task)[0];
    assert_eq!((&opening["event"], &opening["task"]), (&"opening".into(), &task.as_str().into()));
    assert_eq!((&opening["cluster"], &opening["service"]), (&"shop".into(), &"worker".into()));
    assert_eq!(opening["task_definition"], "migrate:1");
}

#[tokio::test]
async fn a_one_off_task_needs_no_protection_and_says_nothing_of_it() {
    let aws = aws();
    aws.cluster("shop");
    let (database, project) = migrating(&aws).await;
    Lockkeeper::new(["rate", "off"]).project(&project).database(&database).run().await.expect(0);
    let answer = aws.ecs().run_task().cluster("shop").task_definition("migrate").send().await;
    let task = answer.expect("a task").tasks()[0].task_arn().expect("an ARN").to_owned();
    aws.wait_for_status(&task, Status::Stopped).await;
    let id = task.rsplit('/').next().expect("an id");
    let seen = lines(&aws, id);
    assert!(seen.iter().any(|line| line["event"] == "ready"), "{seen:?}");
    assert!(!seen.iter().any(|line| line["event"] == "warning"), "{seen:?}");
}

#[tokio::test]
async fn a_right_that_is_missing_is_warned_of_once_and_the_run_goes_on() {
    let aws = aws();
    let (database, project) = migrating(&aws).await;
    aws.fail("UpdateTaskProtection", 100, Fault::Denied);
    aws.service(worker(), "migrate");
    aws.wait_for("a task", |world| world.tasks.values().any(|task| task.started.is_some())).await;
    let task = aws.tasks()[0].id.clone();
    let warned = |world: &World| {
        let stream = world.logs.stream("/shop", &format!("ecs/migrate/{task}"));
        stream.is_some_and(|lines| {
            lines.iter().any(|line| line.message.contains("no task protection"))
        })
    };
    aws.wait_for("the warning", warned).await;
    Lockkeeper::new(["rate", "off"]).project(&project).database(&database).run().await.expect(0);
    aws.wait_for_status(&task, Status::Stopped).await;
    let seen = lines(&aws, &task);
    assert!(seen.iter().any(|line| line["event"] == "ready"), "{seen:?}");
    assert_eq!(seen.iter().filter(|line| line["event"] == "warning").count(), 1, "{seen:?}");
}

#[tokio::test]
async fn that_the_task_is_to_stop_is_heeded_before_sigterm() {
    let aws = aws();
    let (database, project) = migrating(&aws).await;
    let mut served = definition("migrate", "migrate", "migrate:1", &["up"]);
    served["containerDefinitions"][0]["portMappings"] = json!([{ "containerPort": 8080 }]);
    aws.define(served);
    // Its target drains for a hundred real seconds before SIGTERM.
    let group = TargetGroup {
        name: "web".to_owned(),
        deregistration_delay: Some(1000),
        ..TargetGroup::default()
    };
    let group = aws.target_group(group);
    let balancer = aws.balancer("shop", Balancer::Application);
    aws.listener(&balancer, 80, &[(&group, 1)]);
    let attachment = attachment("web", "migrate", 8080);
    let service = Service { grace: Some(100_000), load_balancers: vec![attachment], ..worker() };
    aws.service(service, "migrate:2");
    aws.wait_for("protection, and so work", |world| {
        world.tasks.values().any(|task| task.protected_until.is_some())
    })
    .await;
    let id = aws.tasks()[0].id.clone();
    aws.ecs().stop_task().cluster("shop").task(&id).send().await.expect("an answer");
    aws.wait_for("the container's end", |world| {
        world.tasks[&id].container("migrate").is_some_and(|one| one.exit.is_some())
    })
    .await;
    assert_eq!(aws.task(&id).container("migrate").and_then(|one| one.exit), Some(4));
    let seen = lines(&aws, &id);
    let stopping = seen.iter().find(|line| line["event"] == "stopping").expect("it stops");
    assert!(stopping["reason"].as_str().is_some_and(|text| text.contains("ECS")), "{stopping}");
    Lockkeeper::new(["rate", "off"]).project(&project).database(&database).run().await.expect(0);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let mut connection = database.connect().await;
    assert_eq!(connection.query_i64("SELECT count(*) FROM t WHERE n = 1").await, 60_000);
}
