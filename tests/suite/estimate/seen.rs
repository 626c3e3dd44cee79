//! What is seen of each step's work, and what isn't told of it.

use std::time::Duration;

use serde_json::Value;

use super::{alike, report, rows};
use crate::support::{Database, Kind, Options, Project, Server};

/// Nobody analyses it.
const UNREAD: &str = "alter table t set (autovacuum_enabled = off);";

/// What takes a few milliseconds there grows all the same, but for what only changes the catalog.
#[tokio::test]
async fn on_a_small_copy_only_the_catalogs_changes_are_constant() {
    // The log is the server's: what others write there counts, too.
    let server = Server::with(Options { durable: false, ..Options::new(Kind::Postgres15) });
    let (copy, production) = (server.database().await, server.database().await);
    copy.execute(&format!("{} {UNREAD}", rows(5_000))).await;
    production.execute(&rows(500_000)).await;
    production.execute("vacuum analyze").await;
    let add = "ALTER TABLE t ADD COLUMN more text DEFAULT 'so';\n";
    let project = Project::with([
        ("V1__add.sql", add),
        ("V2__scan.sql", "ALTER TABLE t ADD CHECK (n >= 0);\n"),
        ("V3__index.sql", "CREATE INDEX t_n ON t (n);\n"),
        ("V4__key.sql", "ALTER TABLE t ADD UNIQUE (id, n);\n"),
        ("V5__rewrite.sql", "ALTER TABLE t ALTER n TYPE numeric;\n"),
        ("V6__empty.sql", "TRUNCATE t;\n"),
        ("V7__last.sql", "ALTER TABLE t ADD COLUMN last text;\n"),
    ]);
    let (json, _) = report(&project, &copy, &production).await;
    for (step, grows) in
        json["steps"].as_array().unwrap().iter().zip([false, true, true, true, true, false, false])
    {
        let scale = step["scale"].as_f64().unwrap();
        let factor =
            step["p50_seconds"].as_f64().unwrap() / step["measured_seconds"].as_f64().unwrap();
        let expected = if grows { 20.0..200.0 } else { 0.9..1.1 };
        assert!(expected.contains(&scale) && expected.contains(&factor), "{step:#}");
    }
    let rewrites: Vec<_> =
        json["steps"].as_array().unwrap().iter().map(|step| &step["rewrites"]).collect();
    assert_eq!(serde_json::json!(rewrites), serde_json::json!([[], [], [], [], ["t"], [], []]));
}

/// A page counts whether or not somebody has analysed the table.
#[tokio::test]
async fn a_large_table_that_nobody_has_analysed_is_seen_to_be_read() {
    let copy = Database::of(Kind::Postgres15).await;
    copy.execute(&format!("{} {UNREAD}", rows(100_000))).await;
    let production = Database::of(Kind::Postgres18).await;
    let check = "ALTER TABLE t ADD CHECK (n >= 0);\n";
    let project = Project::with([("V1__scan.sql", check)]);
    let (json, _) = report(&project, &copy, &production).await;
    assert_eq!(json["steps"][0]["scans"], serde_json::json!(["t"]), "{json:#}");
}

#[tokio::test]
async fn a_wait_for_a_lock_on_the_copy_is_not_carried_over() {
    let server = Server::postgres15();
    let (copy, production) = alike(server, &rows(100)).await;
    let mut other = copy.connect().await;
    other.execute("begin; lock table t in share mode").await;
    let project = Project::with([("V1__add.sql", "ALTER TABLE t ADD COLUMN more text;\n")]);
    let release = async {
        let waits = "select count(*) from pg_locks where not granted and locktype = 'relation'";
        copy.wait_for(waits).await;
        // It is how long it waits that is measured.
        tokio::time::sleep(Duration::from_secs(2)).await;
        other.execute("commit").await;
    };
    let ((json, _), ()) = tokio::join!(report(&project, &copy, &production), release);
    let of = |name: &str| json["steps"][0][name].as_f64().unwrap();
    assert!(of("measured_seconds") > 1.9 && of("lock_wait_seconds") > 1.7, "{json:#}");
    assert!(of("p50_seconds") < 0.5, "{json:#}");
}

#[tokio::test]
async fn what_a_statement_quotes_is_told_nowhere() {
    let copy = Database::of(Kind::Postgres15).await;
    let production = Database::of(Kind::Postgres18).await;
    let file = "-- hunter2\nCREATE TABLE t (a text DEFAULT 'hunter2');\nSELECT $$hunter2$$;\n";
    let project = Project::with([("V1__make.sql", file)]);
    let (json, output) = report(&project, &copy, &production).await;
    assert_eq!(json["steps"][0]["statement"], "CREATE TABLE t (a text DEFAULT '…')");
    assert!(!json.to_string().contains("hunter2") && !output.stdout.contains("hunter2"));
}

#[tokio::test]
async fn partitions_count_once() {
    let copy = Database::of(Kind::Postgres15).await;
    let production = Database::of(Kind::Postgres18).await;
    copy.execute(
        "create table t (id bigint) partition by range (id);
         create table t_1 partition of t for values from (0) to (100000);
         insert into t select i from generate_series(1, 50000) i;",
    )
    .await;
    let project = Project::with([("V1__add.sql", "ALTER TABLE t ADD COLUMN more text;\n")]);
    let bytes = copy.query_i64("select pg_total_relation_size('t_1')").await;
    let (json, _) = report(&project, &copy, &production).await;
    assert_eq!(json["copy"]["bytes"], Value::from(bytes), "{json:#}");
}

/// SQLite's rows are known by their highest number, and that may be any.
#[tokio::test]
async fn the_highest_rowids_are_no_reason_to_fail() {
    let (copy, production) = (Database::sqlite(), Database::sqlite());
    for database in [&copy, &production] {
        for table in ["t", "u"] {
            database.execute(&format!("create table {table} (id integer primary key)")).await;
            database.execute(&format!("insert into {table} values (9223372036854775807)")).await;
        }
    }
    let project = Project::with([("V1__add.sql", "ALTER TABLE t ADD COLUMN more text;\n")]);
    let (json, _) = report(&project, &copy, &production).await;
    assert_eq!(json["steps"].as_array().unwrap().len(), 1, "{json:#}");
}

/// Who looks at locks is disconnected in the middle of it, and looks again.
#[tokio::test]
async fn a_look_that_fails_is_not_the_last_one() {
    let server = Server::postgres15();
    let (copy, production) = (server.database().await, server.database().await);
    for database in [&copy, &production] {
        database.execute(&rows(10)).await;
    }
    let file = "SELECT pg_sleep(1);\nLOCK TABLE t IN SHARE MODE;\nSELECT pg_sleep(1);\n";
    let project = Project::with([("V1__lock.sql", file)]);
    let disconnect = async {
        let sleeps = "select count(*) from pg_stat_activity where query = 'SELECT pg_sleep(1)' \
                      and datname = current_database()";
        copy.wait_for(sleeps).await;
        let end = "select pg_terminate_backend(pid)::text from pg_stat_activity where \
                   query like 'select l.virtualtransaction%' and pid <> pg_backend_pid() \
                   and datname = current_database()";
        assert_eq!(copy.query_column(end).await, ["true"]);
    };
    let ((json, _), ()) = tokio::join!(report(&project, &copy, &production), disconnect);
    assert_eq!(json["steps"][0]["locks"][0]["mode"], "ShareLock", "{json:#}");
}
