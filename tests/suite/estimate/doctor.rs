//! From a copy to the verdict: the doctor reads the report.

use serde_json::Value;

use super::report;
use crate::support::{Lockkeeper, Project, Server};

/// S1's service, whose task migrates at its start.
fn manifest(grace: u32) -> String {
    format!(
        "name: shop\ntype: Load Balanced Web Service\nimage:\n  build: ./Dockerfile\n  port: 4000\n\
         command: sh -c \"lockkeeper up && bin/server\"\ncpu: 256\nmemory: 512\ncount: 1\n\
         http:\n  path: '/'\n  healthcheck:\n    path: '/health'\n    grace_period: {grace}s\n"
    )
}

/// S1 on a copy; production's statistics tell of 700 times as many rows.
#[tokio::test]
async fn s1_outlives_one_grace_period_and_not_the_other() {
    let server = Server::postgres15();
    let (copy, production) = (server.database().await, server.database().await);
    for database in [&copy, &production] {
        database
            .execute(
                "create table some_table (id bigint primary key, name text);
                 insert into some_table select i, 'item' from generate_series(1, 20000) i;
                 create table refered_table (id bigint primary key, some_id bigint unique, refered_column bigint);
                 insert into refered_table select i, i, i from generate_series(1, 20000) i",
            )
            .await;
        database.execute("vacuum analyze").await;
    }
    let grown = "update pg_class set reltuples = 14000000 where relname = 'some_table'";
    production.execute(grown).await;
    let example =
        concat!(env!("CARGO_MANIFEST_DIR"), "/migrations-example/postgres/V3__fill_new_column.sql");
    let project = Project::with([("V1__fill.sql", std::fs::read_to_string(example).unwrap())]);
    let (json, _) = report(&project, &copy, &production).await;
    let expected = json["total"]["p90_seconds"].as_f64().unwrap();
    assert!((70.0..540.0).contains(&expected), "{json:#}");
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
