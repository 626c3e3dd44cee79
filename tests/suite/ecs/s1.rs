//! Scenario S1, whole: a migration that takes longer than the grace period, first in the old way, at
//! the start of the web container, then ahead of the rollout.

use std::time::Duration;

use lockkeeper::deploy::facts::{Balancer, Breaker, Service, TargetCheck, TargetGroup};
use serde_json::{Value, json};

use super::{definition, ecs, migrations, network, postgres, web_service};
use crate::support::aws::{Aws, Pace, Program, Scale};
use crate::support::{Database, Project, postgres::debian};

const FILL: &str = include_str!("../../../migrations-example/postgres/V3__fill_new_column.sql");
const REQUIRE: &str =
    include_str!("../../../migrations-example/postgres/V4__require_new_column.sql");

/// The grace period of 60 s is 1.2 s here, and the migration takes several.
const SECOND: Duration = Duration::from_millis(20);
const ROWS: u32 = 1_500_000;

/// The two tables of the story, as they had grown.
async fn grown() -> Database {
    let database = postgres().await;
    database
        .execute(&format!(
            "create table some_table (id bigint primary key, name varchar(100) not null); \
             create table refered_table (id bigint primary key, some_id bigint not null unique, \
               refered_column bigint not null); \
             insert into some_table select i, 'an item' from generate_series(1, {ROWS}) i; \
             insert into refered_table select id, id, 7 * id from some_table; analyze"
        ))
        .await;
    database
}

/// What starts the web server: lockkeeper itself, which says at `/ready` when it is ready.
fn web(folder: &Project) -> String {
    format!(
        "exec {} up --dir {}/migrations --database-url sqlite:{}/$FAKE_TASK_ADDRESS.db \
         --listen $FAKE_TASK_ADDRESS:4000 --linger 1h",
        env!("CARGO_BIN_EXE_lockkeeper"),
        folder.path().display(),
        folder.path().display()
    )
}

fn served(revision: &str, command: &str) -> Value {
    let mut definition = definition("web", "web", revision, &[command]);
    definition["containerDefinitions"][0]["portMappings"] = json!([{ "containerPort": 4000 }]);
    definition
}

/// A Copilot service as in the story, with its first release at work.
async fn shop(folder: &Project) -> Aws {
    let aws = Aws::at(Scale::Second(SECOND), Pace::immediate());
    aws.image("shell", Program::shell());
    let group = aws.target_group(TargetGroup {
        name: "web".to_owned(),
        balancer: Balancer::Application,
        check: TargetCheck {
            path: Some("/ready".to_owned()),
            interval: 10,
            timeout: 5,
            healthy: 2,
            unhealthy: 2,
            ..TargetCheck::default()
        },
        deregistration_delay: Some(30),
        ..TargetGroup::default()
    });
    let balancer = aws.balancer("shop", Balancer::Application);
    aws.listener(&balancer, 80, &[(&group, 1)]);
    aws.define(served("shell:1", &web(folder)));
    let service = Service {
        grace: Some(60),
        breaker: Some(Breaker { rollback: true, threshold: None, resets: false }),
        network: Some(network()),
        ..web_service(1, 4000)
    };
    aws.service(service, "web:1");
    aws.wait_for_steady("shop", "web").await;
    aws
}

#[tokio::test]
async fn the_old_way_never_gets_healthy_and_ahead_of_the_rollout_it_is_ready_at_once() {
    let database = grown().await;
    let folder = Project::with([("V1__web.sql", "CREATE TABLE web (id bigint PRIMARY KEY);")]);
    let project =
        Project::with([("V3__fill_new_column.sql", FILL), ("V4__require_new_column.sql", REQUIRE)]);
    let aws = shop(&folder).await;

    // The old way: one transaction at the container's start, then the web server.
    let psql = debian().join("psql");
    let file = project.migrations().join("V3__fill_new_column.sql");
    let (psql, file) = (psql.display(), file.display());
    let old =
        format!("{psql} -1 -v ON_ERROR_STOP=1 -f {file} '{}' && {}", database.url, web(&folder));
    aws.define(served("shell:2", &old));
    let rollout = ecs(&aws, &["rollout", "--service", "web", "--task-definition", "web:2"]);
    let failed = rollout.run().await.expect(6);
    failed.expect_text("health checks failed").expect_text("circuit breaker");
    let late: Vec<_> = aws.tasks().into_iter().filter(|task| task.revision == 2).collect();
    assert!(late.len() >= 3, "{}", late.len());
    assert!(late.iter().all(|task| task.moments.healthy.is_none()), "one became healthy");
    database
        .wait_for(
            "select (count(*) = 0)::int from pg_stat_activity where query like '%new_column%' \
                   and pid <> pg_backend_pid() and datname = current_database()",
        )
        .await;
    let undone = "select count(*) from information_schema.columns where column_name = 'new_column'";
    assert_eq!(database.query_i64(undone).await, 0, "all of that work was for nothing");
    aws.wait_for_steady("shop", "web").await;

    // Ahead of the rollout.
    let listen = ("LOCKKEEPER_LISTEN", "{address}:9002");
    aws.image("migrate", migrations(&project, &database).env(listen.0, listen.1));
    aws.define(definition("migrate", "migrate", "migrate:1", &["up"]));
    aws.define(served("shell:3", &web(&folder)));
    let deploy = ["deploy", "--service", "web", "--task-definition", "web:3"];
    let deploy = ecs(&aws, &deploy).args(["--migrate-task-definition", "migrate"]);
    let running = deploy.args(["--log-format", "text"]).start();
    running.line_with("3 fill_new_column 2/2").await;
    let migration = aws.tasks().into_iter().find(|task| task.family == "migrate").expect("a task");
    let [progress, page] = ["progress", ""].map(|path| {
        let url = format!("http://{}:9002/{path}", migration.address);
        ureq::get(url).call().expect("an answer").body_mut().read_to_string().expect("a text")
    });
    let progress: Value = serde_json::from_str(&progress).expect("JSON");
    assert_eq!(progress["current"]["version"], 3, "{progress}");
    assert!(progress["current"]["fraction"].as_f64().is_some_and(|part| part < 1.0), "{progress}");
    assert_eq!(progress["task"]["id"], migration.id.as_str());
    assert!(page.contains("<html"), "{page}");
    let done = running.wait().await.expect(0);
    let told = [
        "── expand",
        "%",
        "3 fill_new_column applied",
        "── rollout",
        "web:3 serves",
        "── contract",
    ];
    told.into_iter().fold(done, |done, text| done.expect_text(text));

    let new: Vec<_> = aws.tasks().into_iter().filter(|task| task.revision == 3).collect();
    let [new] = &new[..] else { panic!("{} tasks for one", new.len()) };
    let moments = new.moments;
    let took = moments.healthy.expect("healthy") - moments.running.expect("running");
    println!("healthy {took:.1} fake seconds after its start");
    assert!(took < 60.0, "{took}");
    let right = "select count(*) from some_table where new_column = 7 * id";
    assert_eq!(database.query_i64(right).await, i64::from(ROWS));
    let required = "select is_nullable from information_schema.columns \
                    where table_name = 'some_table' and column_name = 'new_column'";
    assert_eq!(database.query_text(required).await, "NO");
    // The contract migration came when no old task was left.
    let all = aws.tasks();
    let contract = all.iter().rfind(|task| task.family == "migrate").expect("a task");
    let old = all.iter().filter(|task| task.revision == 1 && task.family == "web");
    let gone = old.filter_map(|task| task.stopped).max().expect("old tasks have stopped");
    assert!(contract.created >= gone, "{} before {gone}", contract.created);
}
