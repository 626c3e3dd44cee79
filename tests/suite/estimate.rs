//! `estimate`: what it refuses, what it leaves alone, and what it says.

#[cfg(feature = "ecs")]
mod doctor;
mod failed;
mod history;
mod origin;
mod own_copy;
mod report;
mod sample;
mod seen;

use serde_json::Value;

use crate::support::{Database, Lockkeeper, Output, Project, Server};

/// A release: a column, its fill, and what follows from it.
const RELEASE: &str = "ALTER TABLE t ADD COLUMN slug text;\n\
    -- lockkeeper: batch\nUPDATE t SET slug = 'item ' || id;\n\
    ALTER TABLE t ALTER COLUMN slug SET NOT NULL;\n\
    ALTER TABLE t ALTER COLUMN n TYPE numeric;\n\
    CREATE INDEX CONCURRENTLY t_slug ON t (slug);\n";

/// So many rows, on PostgreSQL.
fn rows(count: u64) -> String {
    format!(
        "create table t (id bigint primary key, n bigint not null);
         insert into t select i, 0 from generate_series(1, {count}) i;"
    )
}

/// A copy and its production, with this in both, and known to the statistics.
async fn alike(server: &Server, setup: &str) -> (Database, Database) {
    let both = (server.database().await, server.database().await);
    for database in [&both.0, &both.1] {
        database.execute(setup).await;
        database.execute("vacuum analyze").await;
    }
    both
}

/// `lockkeeper estimate` of a copy by its URL.
fn estimate(project: &Project, copy: &str) -> Lockkeeper {
    Lockkeeper::new(["estimate"]).project(project).env("LOCKKEEPER_COPY_URL", copy)
}

/// The same for a production database, and the report.
async fn report(project: &Project, copy: &Database, production: &Database) -> (Value, Output) {
    let json = project.path().join("report.json");
    let all = estimate(project, &copy.url).database(production).arg("--json").arg(&json);
    let output = all.run().await.expect(0);
    let report = std::fs::read_to_string(json).unwrap();
    (serde_json::from_str(&report).unwrap(), output)
}
