//! The commands around `up`, by the real binary on real databases.

mod new;
mod plan;
mod probe;
mod resolve;
mod status;
mod up;
mod wait;

use crate::support::{Database, Lockkeeper, Output, Project};

/// A table, its backfill and a last step: `{text}` and `{big}` are each database's own.
const FILES: [(&str, &str); 3] = [
    (
        "V1__make_item.sql",
        "create table item (id bigint not null primary key, n bigint not null default 0);\n\
         insert into item (id) values (1), (2), (3), (4), (5);\n",
    ),
    ("V2__fill.sql", "-- lockkeeper: batch rows=2\nupdate item set n = n + 1;\n"),
    (
        "V3__contract.sql",
        "-- lockkeeper: phase=contract\ncreate table after_the_rollout (id bigint primary key);\n",
    ),
];

/// A project of three migrations: a script, a backfill, and one of the contract phase.
fn project() -> Project {
    Project::with(FILES)
}

/// `lockkeeper COMMAND` for this project and database.
fn command(command: &[&str], project: &Project, database: &Database) -> Lockkeeper {
    Lockkeeper::new(command).project(project).database(database)
}

/// Its answer as JSON.
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Every state by version, of `status --json`.
async fn states(project: &Project, database: &Database) -> Vec<(i64, String)> {
    let output = command(&["status", "--json"], project, database).run().await.expect(0);
    let report = json(&output);
    let migrations = report["migrations"].as_array().expect("a list");
    migrations
        .iter()
        .map(|one| {
            let state = one["state"].as_str().expect("a state").to_owned();
            (one["version"].as_i64().expect("a version"), state)
        })
        .collect()
}

/// What `states` is compared with.
fn all(states: &[(i64, &str)]) -> Vec<(i64, String)> {
    states.iter().map(|(version, state)| (*version, (*state).to_owned())).collect()
}

/// Every kind of database, one after the other.
async fn every() -> [Database; 4] {
    Database::every().await
}
