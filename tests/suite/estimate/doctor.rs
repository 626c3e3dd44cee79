//! From a copy to the verdict: the doctor reads the report.

use serde_json::Value;

use super::report;
use crate::support::{Database, Lockkeeper, Output, Project, Server};

/// S1's service, whose task migrates at its start.
fn manifest(grace: u32) -> String {
    format!(
        "name: shop\ntype: Load Balanced Web Service\nimage:\n  build: ./Dockerfile\n  port: 4000\n\
         command: sh -c \"lockkeeper up && bin/server\"\ncpu: 256\nmemory: 512\ncount: 1\n\
         http:\n  path: '/'\n  healthcheck:\n    path: '/health'\n    grace_period: {grace}s\n"
    )
}

const ROWS: u32 = 20_000;

async fn copy_of_s1(server: &Server) -> Database {
    let database = server.database().await;
    database
        .execute(&format!(
            "create table some_table (id bigint primary key, name text);
             insert into some_table select i, 'item' from generate_series(1, {ROWS}) i;
             create table refered_table (id bigint primary key, some_id bigint unique, refered_column bigint);
             insert into refered_table select i, i, i from generate_series(1, {ROWS}) i"
        ))
        .await;
    database.execute("vacuum analyze").await;
    database
}

/// S1 on a copy; production's statistics tell of hundreds of times as many rows.
#[tokio::test]
async fn s1_outlives_one_grace_period_and_not_the_other() {
    let server = Server::postgres15();
    let production = copy_of_s1(server).await;
    let example =
        concat!(env!("CARGO_MANIFEST_DIR"), "/migrations-example/postgres/V3__fill_new_column.sql");
    let project = Project::with([("V1__fill.sql", std::fs::read_to_string(example).unwrap())]);
    // What the doctor goes by.
    let of = |report: &Value| report["total"]["p90_seconds"].as_f64().unwrap();
    // As fast as this machine is at the moment, which may change: the verdicts are of a time between the two. To be healthy
    // takes five checks after the first good answer, one every 30 s, so that the longer one bears 450 s.
    let (mut rows, mut expected) = (f64::from(ROWS), 0.0);
    for _ in 0..6 {
        let (json, _) = report(&project, &copy_of_s1(server).await, &production).await;
        expected = of(&json);
        if (75.0..440.0).contains(&expected) {
            break;
        }
        rows *= 200.0 / expected;
        let grown = "update pg_class set reltuples = {} where relname = 'some_table'";
        production.execute(&grown.replace("{}", &(rows as u64).to_string())).await;
    }
    assert!((75.0..440.0).contains(&expected), "no estimate was near 200 s: {expected}");
    for (grace, code) in [(60, 6), (600, 0)] {
        let file = project.path().join("manifest.yml");
        std::fs::write(&file, manifest(grace)).unwrap();
        let doctor = Lockkeeper::new(["ecs", "doctor", "--json", "--from"]).arg(&file);
        let output = doctor.arg("--estimate").arg(project.path().join("report.json"));
        let output = output.folder(project.path()).run().await.expect(code);
        let answer: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(answer["survives"], code == 0, "{answer:#}");
    }
}

/// What a task that migrates at its start takes beside it is added; what others wait for is over before.
#[tokio::test]
async fn the_programs_own_start_is_added() {
    let project = Project::new();
    let report = |p50: f64, p90: f64| {
        let text = format!(r#"{{"total": {{"p50_seconds": {p50}, "p90_seconds": {p90}}}}}"#);
        std::fs::write(project.path().join("report.json"), text).unwrap();
    };
    let doctor = |from: &str, more: &[&str]| {
        let command = Lockkeeper::new(["ecs", "doctor", "--json", "--from", from]).args(more);
        command.args(["--estimate", "report.json"]).folder(project.path())
    };
    std::fs::write(project.path().join("manifest.yml"), manifest(60)).unwrap();
    report(20.0, 40.0);
    let seconds = |output: Output| {
        let answer: Value = serde_json::from_str(&output.stdout).unwrap();
        answer["startup"]["seconds"].as_f64()
    };
    let alone = doctor("manifest.yml", &[]).run().await.expect(0);
    assert_eq!(seconds(alone), Some(40.0));
    let both = doctor("manifest.yml", &["--startup", "200s"]).run().await.expect(6);
    assert_eq!(seconds(both), Some(240.0));
    for (p50, p90) in [(-5.0, -1.0), (5.0, 1.0)] {
        report(p50, p90);
        let wrong = doctor("manifest.yml", &[]).run().await.expect(2);
        wrong.expect_text("this is no estimate's report");
    }
    // Ten minutes of migrations, in a sidecar that the service waits for.
    report(500.0, 600.0);
    Lockkeeper::new(["init", "sidecar"]).folder(project.path()).run().await.expect(0);
    let sidecar = doctor("copilot/shop/manifest.yml", &["--startup", "10s"]).run().await.expect(0);
    assert_eq!(seconds(sidecar), Some(10.0));
}
