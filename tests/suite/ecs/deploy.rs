//! `ecs deploy`: what goes on, and what must not.

use lockkeeper::deploy::facts::{Balancer, Service, TargetCheck, TargetGroup};
use serde_json::json;

use super::{aws, definition, ecs, network, web_definition, web_service};
use crate::support::aws::{Aws, Fault, Program, Script, World};
use crate::support::{Database, Lockkeeper, Project};

/// A service `web` behind an ALB that runs its first revision, and a migration that is a script.
async fn shop(migrate: &str) -> Aws {
    let aws = aws();
    aws.image("shell", Program::shell());
    aws.image("web", Script::web(0.5));
    let group = aws.target_group(TargetGroup {
        name: "web".to_owned(),
        check: TargetCheck { interval: 5, healthy: 2, unhealthy: 2, ..TargetCheck::default() },
        deregistration_delay: Some(1),
        ..TargetGroup::default()
    });
    let balancer = aws.balancer("shop", Balancer::Application);
    aws.listener(&balancer, 80, &[(&group, 1)]);
    for _ in 0..2 {
        let web = web_definition("web:1", 8080, &[]);
        aws.define(web);
    }
    aws.define(definition("migrate", "migrate", "shell:1", &[migrate]));
    let service = Service { network: Some(network()), ..web_service(1, 8080) };
    aws.service(service, "web:1");
    aws.wait_for_steady("shop", "web").await;
    aws
}

fn deploy(aws: &Aws, project: &Project, script: &str) -> Lockkeeper {
    let fixed = ["deploy", "--service", "web", "--task-definition", "web:2"];
    let fixed = ecs(aws, &fixed).args(["--migrate-task-definition", "migrate"]);
    // The phase comes as the script's own arguments.
    fixed.project(project).args(["--", script])
}

/// The phases of the tasks that were started, the oldest first.
fn phases(aws: &Aws) -> Vec<String> {
    let tasks = aws.tasks();
    let commands = tasks.iter().map(|task| &task.overrides["containerOverrides"][0]["command"]);
    commands.filter_map(|command| command.as_array()?.last()?.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn it_stops_at_the_first_failure_and_goes_on_from_there() {
    let aws = shop("exit 0").await;
    let project = Project::new();
    let mended = project.path().join("mended");
    let script = format!("[ -e {} ] || {{ echo no such table; exit 1; }}", mended.display());
    let failed = deploy(&aws, &project, &script).run().await.expect(1);
    failed.expect_text("no such table");
    assert!(aws.calls("UpdateService").is_empty());
    std::fs::write(&mended, "").expect("a file");
    deploy(&aws, &project, &script).run().await.expect(0).expect_text("web:2 serves");
    assert_eq!(phases(&aws), ["expand", "expand", "contract"]);
    assert_eq!(aws.calls("UpdateService").len(), 1);
    let again = deploy(&aws, &project, &script).run().await.expect(0);
    again.expect_text("is deployed already");
    assert_eq!(aws.calls("UpdateService").len(), 1);
}

#[tokio::test]
async fn the_contract_phase_is_left_out_only_where_no_file_has_it_in_subfolders_too() {
    let aws = shop("exit 0").await;
    let plain = Project::with([("V1__a.sql", "CREATE TABLE a (id bigint PRIMARY KEY);")]);
    deploy(&aws, &plain, "exit 0").run().await.expect(0).expect_text("contract: nothing to do");
    assert_eq!(phases(&aws), ["expand"]);
    let nested = Project::with([
        ("V1__a.sql", "CREATE TABLE a (id bigint PRIMARY KEY);"),
        ("2026/V2__b.sql", "-- lockkeeper: phase=contract\nDROP TABLE a;"),
    ]);
    deploy(&aws, &nested, "exit 0").run().await.expect(0);
    assert_eq!(phases(&aws), ["expand", "expand", "contract"]);
}

#[tokio::test]
async fn where_old_code_came_back_nothing_is_contracted() {
    let aws = shop("exit 0").await;
    // The last look before "serves" is at the listeners; then somebody puts the old revision back.
    let back = |world: &mut World| {
        let old = json!({ "cluster": "shop", "service": "web", "taskDefinition": "web:1" });
        world.answer("UpdateService", &old).expect("an answer");
    };
    aws.fail("DescribeRules", 1, Fault::Then(back));
    let ended = deploy(&aws, &Project::new(), "exit 0").run().await.expect(6);
    ended.expect_text("web:2 serves").expect_text("another took its place");
    assert_eq!(phases(&aws), ["expand"]);
}

#[tokio::test]
async fn a_signal_between_two_parts_begins_no_deployment() {
    let aws = shop("exit 0").await;
    let script = "trap 'exit 0' TERM; echo begun; while :; do sleep 0.01; done";
    let running = deploy(&aws, &Project::new(), script).start();
    running.line_with("begun").await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);
    assert!(aws.calls("UpdateService").is_empty());
}

#[tokio::test]
async fn what_code_deploy_deploys_is_refused_before_anything_is_done() {
    let aws = shop("exit 0").await;
    aws.with(|world| {
        let service = world.services.get_mut("shop/web").expect("a service");
        let controller = lockkeeper::deploy::facts::CodeDeploy::default();
        service.facts.controller = lockkeeper::deploy::facts::Controller::CodeDeploy(controller);
    });
    let refused = deploy(&aws, &Project::new(), "exit 0").run().await.expect(2);
    refused.expect_text("deployed by CodeDeploy");
    assert!(aws.calls("RunTask").is_empty());
}

#[tokio::test]
async fn the_doctor_tells_what_the_database_lacks() {
    let aws = shop("exit 0").await;
    let database = Database::sqlite();
    let project = Project::with([
        ("V1__a.sql", "CREATE TABLE a (id bigint PRIMARY KEY);"),
        ("V2__b.sql", "CREATE TABLE b (id bigint PRIMARY KEY);"),
        ("V3__c.sql", "-- lockkeeper: phase=contract\nDROP TABLE a;"),
    ]);
    let doctor = ecs(&aws, &["doctor", "--service", "web", "--startup", "5s"]);
    let doctor = doctor.project(&project).database(&database);
    doctor.run().await.expect(0).expect_text("2 migrations are to be applied before");
    Lockkeeper::up(&project, &database).args(["--phase", "expand"]).run().await.expect(0);
    doctor.run().await.expect(0).expect_text("1 migration is to be applied until");
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let nothing = doctor.run().await.expect(0);
    assert!(!nothing.text().contains("migrations-pending"), "{}", nothing.text());
    let away =
        doctor.url("postgres://nobody@127.0.0.1:9/none").env("LOCKKEEPER_CONNECT_TIMEOUT", "1s");
    away.run().await.expect(0).expect_text("the pending migrations");
}
