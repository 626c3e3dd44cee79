//! A run inside a task: its name, its protection, and the wish that the task stop.

use serde_json::Value;

use super::{aws, definition, fill, migrations, network, postgres};
use crate::support::Lockkeeper;
use crate::support::aws::{Aws, Status};

/// A service of one task that migrates at a rate at which it takes a while.
async fn migrating(aws: &Aws) -> (crate::support::Database, crate::support::Project) {
    let (database, project) = (postgres().await, fill(60_000));
    aws.image("migrate", migrations(&project, &database).env("LOCKKEEPER_LOG_FORMAT", "json"));
    aws.define(definition("migrate", "migrate", "migrate:1", &["up"]));
    Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
    Lockkeeper::new(["rate", "10000"]).project(&project).database(&database).run().await.expect(0);
    (database, project)
}

fn lines(aws: &Aws, task: &str) -> Vec<Value> {
    let log = aws.log("/shop", &format!("ecs/migrate/{task}")).unwrap_or_default();
    log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn in_a_service_it_is_protected_while_it_migrates_and_no_longer() {
    let aws = aws();
    let (database, project) = migrating(&aws).await;
    let service = lockkeeper::deploy::facts::Service {
        name: "worker".to_owned(),
        cluster: "shop".to_owned(),
        desired: 1,
        network: Some(network()),
        ..Default::default()
    };
    aws.service(service, "migrate");
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
