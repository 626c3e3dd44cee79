//! What the report has.

use serde_json::Value;

use super::{RELEASE, alike, estimate, report, rows};
use crate::support::{Database, Kind, Options, Project, Server};

fn step(report: &Value, number: u64) -> &Value {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == number).unwrap()
}

#[tokio::test]
async fn steps_have_times_locks_log_and_what_they_rewrite() {
    let server = Server::postgres15();
    let (copy, production) = alike(server, &rows(100_000)).await;
    let before = production.contents().await;
    let project = Project::with([("V1__release.sql", RELEASE)]);
    let (json, output) = report(&project, &copy, &production).await;
    assert_eq!(production.contents().await, before, "production was changed");
    let kinds: Vec<_> =
        json["steps"].as_array().unwrap().iter().map(|step| &step["kind"]).collect();
    assert_eq!(kinds, ["script", "backfill", "script", "bare"], "{json:#}");
    let fill = step(&json, 2);
    assert_eq!((&fill["rows"], &fill["how"]), (&100_000.into(), &"rehearsed".into()), "{fill:#}");
    assert!(fill["wal_bytes"].as_u64().unwrap() > 5_000_000, "{fill:#}");
    assert!(fill["size_bytes"].as_i64().unwrap() > 1_000_000, "{fill:#}");
    let alter = step(&json, 3);
    assert_eq!(alter["rewrites"], serde_json::json!(["t"]), "{alter:#}");
    let (mut from, mut to) = (0.0, 0.0);
    for step in json["steps"].as_array().unwrap() {
        let [low, median, high] =
            ["p10_seconds", "p50_seconds", "p90_seconds"].map(|name| step[name].as_f64().unwrap());
        assert!(low <= median && median <= high, "{step:#}");
        (from, to) = (from + low, to + high);
    }
    assert!((json["total"]["p10_seconds"].as_f64().unwrap() - from).abs() < 1e-6);
    assert!((json["total"]["p90_seconds"].as_f64().unwrap() - to).abs() < 1e-6);
    assert_eq!(json["risks"][0]["code"], "rewrite", "{json:#}");
    for text in ["1 release/2", "backfill: UPDATE t SET slug", "writes t anew", "grace period"] {
        assert!(output.stdout.contains(text), "{text} isn't in\n{}", output.stdout);
    }
}

/// A lock that nobody could miss, and the one who waits for it.
#[tokio::test]
async fn the_longest_lock_is_seen_with_its_mode() {
    let server = Server::postgres15();
    let (copy, production) = (server.database().await, server.database().await);
    for database in [&copy, &production] {
        database.execute(&rows(10)).await;
    }
    let lock = "LOCK TABLE t IN SHARE MODE;\nSELECT pg_sleep(1.5);\n";
    let (json, _) = report(&Project::with([("V1__lock.sql", lock)]), &copy, &production).await;
    let held = &step(&json, 1)["locks"][0];
    assert_eq!((&held["table"], &held["mode"]), (&"t".into(), &"ShareLock".into()), "{json:#}");
    assert!((1.3..3.0).contains(&held["seconds"].as_f64().unwrap()), "{held}");
    assert_eq!(json["risks"][0]["code"], "long-lock", "{json:#}");
}

/// What was measured on a tenth of the rows is ten times as much.
#[tokio::test]
async fn a_smaller_copy_is_scaled_by_its_tables() {
    let server = Server::postgres15();
    let (copy, production) = (server.database().await, server.database().await);
    copy.execute(&rows(20_000)).await;
    production.execute(&rows(200_000)).await;
    for database in [&copy, &production] {
        database.execute("vacuum analyze").await;
    }
    let project = Project::with([("V1__release.sql", RELEASE)]);
    let (json, output) = report(&project, &copy, &production).await;
    let fill = step(&json, 2);
    assert!((9.0..11.0).contains(&fill["scale"].as_f64().unwrap()), "{fill:#}");
    let ratio = fill["p50_seconds"].as_f64().unwrap() / fill["measured_seconds"].as_f64().unwrap();
    // Of so short a fill up to half is its begin, which doesn't grow.
    assert!((5.0..11.0).contains(&ratio), "{fill:#}");
    assert!(output.stdout.contains("t is 10 × as large in production"), "{}", output.stdout);
}

/// Its log shows every statement that production gets.
#[tokio::test]
async fn production_is_only_read() {
    let settings = vec!["log_statement=all".to_owned(), "log_line_prefix=%d|".to_owned()];
    let options = Options { durable: false, settings, ..Options::new(Kind::Postgres15) };
    let server = Server::with(options);
    let (copy, production) = (Database::of(Kind::Postgres18).await, server.database().await);
    for database in [&copy, &production] {
        database.execute(&rows(20_000)).await;
        database.execute("analyze").await;
    }
    let project = Project::with([("V1__release.sql", RELEASE)]);
    let logged = server.log().len();
    report(&project, &copy, &production).await;
    // A statement's further lines are indented.
    let log = server.log().split_off(logged).replace("\n\t", " ");
    let of_production = format!("{}|LOG:  ", production.name());
    let said = log.lines().filter_map(|line| line.strip_prefix(&of_production));
    let is_one = |line: &&str| line.starts_with("statement: ") || line.starts_with("execute ");
    let statements: Vec<_> = said.filter(is_one).filter_map(|line| line.split_once(": ")).collect();
    assert!(statements.len() > 10, "{log}");
    for (_, statement) in statements {
        let statement = statement.trim().to_lowercase();
        let first = statement.split_whitespace().next().unwrap_or_default();
        assert!(["select", "show", "set", "begin", "rollback"].contains(&first), "{statement:?}");
        // The one that writes into the log, and no data, is the probe's.
        let writes =
            [" into ", "for update", "for share", "nextval('", "setval(", "terminate", "dblink"];
        assert!(!writes.iter().any(|word| statement.contains(word)), "{statement}");
    }
}

#[tokio::test]
async fn what_differs_is_told_and_widens_the_interval() {
    let (copy, production) =
        (Database::of(Kind::Postgres18).await, Database::of(Kind::Postgres15).await);
    copy.execute(&rows(1000)).await;
    production.execute(&format!("{} create index on t (n);", rows(1000))).await;
    for database in [&copy, &production] {
        database.execute("analyze").await;
    }
    let project = Project::with([("V1__release.sql", RELEASE)]);
    let (json, output) = report(&project, &copy, &production).await;
    for text in [
        "the copy's server is of version 18, and production's of version 15",
        "t has other columns or indexes in production than on the copy",
    ] {
        assert!(output.stdout.contains(text), "{text} isn't in\n{}", output.stdout);
    }
    let fill = step(&json, 2);
    let width = fill["p90_seconds"].as_f64().unwrap() / fill["p50_seconds"].as_f64().unwrap();
    assert!(width > 1.4, "{fill:#}");
}

#[tokio::test]
async fn a_release_that_fails_on_the_copy_has_no_estimate() {
    let copy = Database::of(Kind::Postgres15).await;
    let project = Project::with([("V1__mistake.sql", "SELECT nothing FROM nowhere;\n")]);
    let output = estimate(&project, &copy.url).run().await.expect(1);
    output
        .expect_text("migration 1, step 1 of 1 failed")
        .expect_text("migrations/V1__mistake.sql:1");
}

/// An empty file is a copy of what is to be made.
#[tokio::test]
async fn an_empty_file_grows_from_nothing() {
    let project =
        Project::with([("V1__make.sql", "CREATE TABLE t AS SELECT zeroblob(1000000);\n")]);
    let json = project.path().join("report.json");
    std::fs::write(project.path().join("new.db"), "").unwrap();
    estimate(&project, "sqlite:new.db").arg("--json").arg(&json).run().await.expect(0);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert!(step(&report, 1)["size_bytes"].as_i64().unwrap() >= 1_000_000, "{report:#}");
}

#[tokio::test]
async fn markdown_and_a_page_are_written_too() {
    let copy = Database::sqlite();
    let file = "CREATE TABLE \"a<b>|c\" (id INTEGER PRIMARY KEY);\n";
    let project = Project::with([("V1__make.sql", file)]);
    let paths = ["report.md", "report.html"].map(|name| project.path().join(name));
    let command = estimate(&project, &copy.url);
    command.arg("--markdown").arg(&paths[0]).arg("--html").arg(&paths[1]).run().await.expect(0);
    let [markdown, html] = paths.map(|path| std::fs::read_to_string(path).unwrap());
    assert!(markdown.contains(r"| 1 make/1 | script: CREATE TABLE "), "{markdown}");
    assert!(markdown.contains(r"a&lt;b&gt;\|c"), "{markdown}");
    assert!(html.contains("a&lt;b&gt;|c") && !html.contains("a<b>"), "{html}");
    assert!(html.contains("<rect class=\"range\""), "{html}");
}

/// What nobody can measure is no matter of milliseconds.
#[tokio::test]
async fn an_empty_copy_is_told() {
    let server = Server::postgres15();
    let (copy, production) = (server.database().await, server.database().await);
    copy.execute(&rows(0)).await;
    production.execute(&rows(300_000)).await;
    production.execute("analyze").await;
    let project = Project::with([("V1__release.sql", RELEASE)]);
    let (json, output) = report(&project, &copy, &production).await;
    let fill = step(&json, 2);
    assert_eq!((&fill["guessed"], &fill["wal_bytes"]), (&true.into(), &Value::Null), "{fill:#}");
    assert!((1.0..10.0).contains(&fill["p50_seconds"].as_f64().unwrap()), "{fill:#}");
    assert!(fill["p90_seconds"].as_f64().unwrap() > 6.0, "{fill:#}");
    assert_eq!(json["risks"][0]["code"], "unmeasured", "{json:#}");
    output
        .expect_text("of which a part is only guessed")
        .expect_text("t is empty on the copy, and has 300000 rows in production");
}

#[tokio::test]
async fn triggers_that_the_copy_lacks_are_told() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let server = Server::shared(kind);
        let (copy, production) = (server.database().await, server.database().await);
        for database in [&copy, &production] {
            database.execute("create table t (id bigint primary key, n bigint)").await;
            database.execute("insert into t values (1, 1)").await;
        }
        let body = match kind {
            Kind::MariaDb => "set new.n = new.n + 1",
            _ => "execute function suppress_redundant_updates_trigger()",
        };
        let trigger = format!("create trigger kept before update on t for each row {body}");
        production.execute(&trigger).await;
        let fill = "-- lockkeeper: batch\nUPDATE t SET n = n + 1;\n";
        let (_, output) =
            report(&Project::with([("V1__fill.sql", fill)]), &copy, &production).await;
        output.expect_text("t has other triggers or foreign keys in production than on the copy");
    }
}

/// As a whole it isn't long, and locks so many rows.
#[tokio::test]
async fn a_statement_of_many_rows_is_told() {
    let server = Server::postgres15();
    // What cleans up beside it takes dead rows away.
    let setup = format!("{} alter table t set (autovacuum_enabled = off);", rows(150_000));
    let (copy, production) = alike(server, &setup).await;
    let file = "ALTER TABLE t ADD COLUMN slug text;\nUPDATE t SET slug = 'item';\n";
    let (json, output) = report(&Project::with([("V1__fill.sql", file)]), &copy, &production).await;
    let codes: Vec<_> = json["risks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|risk| risk["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"unbatched") && !codes.contains(&"replica-lag"), "{json:#}");
    output
        .expect_text("rows in one transaction")
        .expect_text("ALTER TABLE t ADD COLUMN slug text and 1 more");
    assert_eq!(step(&json, 1)["statements"], 2, "{json:#}");
}

/// A backfill would wait for it.
#[tokio::test]
async fn a_replica_that_is_behind_now_is_counted() {
    let server = Server::own(Kind::Postgres15);
    let standby = server.standby("late");
    let production = server.database().await;
    let setup = format!("{} create table tick (at timestamptz);", rows(1000));
    production.execute(&setup).await;
    let reader = standby.copy_of(&production);
    reader.wait_for("select (to_regclass('tick') is not null)::int").await;
    for setting in ["recovery_min_apply_delay = '7s'", "wal_receiver_status_interval = '1s'"] {
        reader.execute(&format!("alter system set {setting}")).await;
    }
    reader.execute("select pg_reload_conf()").await;
    let tick = "insert into tick values (now()) returning coalesce((select (max(replay_lag) > '6 s')::int \
                from pg_stat_replication), 0)";
    production.wait_for(tick).await;
    let copy = Database::of(Kind::Postgres15).await;
    copy.execute(&rows(1000)).await;
    let project = Project::with([("V1__release.sql", RELEASE)]);
    let (json, output) = report(&project, &copy, &production).await;
    let lag = json["production"]["load"]["lag_seconds"].as_f64().unwrap();
    let waits = step(&json, 2)["waits_seconds"].as_f64().unwrap();
    assert!(lag > 6.0 && (waits - (lag - 5.0)).abs() < 1e-6, "{json:#}");
    assert!(json["total"]["p50_seconds"].as_f64().unwrap() > waits, "{json:#}");
    output.expect_text("of waiting for it are counted").expect_text("it would wait now");
}

#[tokio::test]
async fn it_is_printed_in_place_of_the_table() {
    let copy = Database::sqlite();
    let file = "CREATE TABLE t (id INTEGER PRIMARY KEY);\n";
    let project = Project::with([("V1__make.sql", file)]);
    let both = estimate(&project, &copy.url).args(["--json", "-", "--html", "-"]);
    both.run().await.expect(2).expect_text("two forms of the report are to be printed");
    let output = estimate(&project, &copy.url).args(["--json", "-"]).run().await.expect(0);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(step(&report, 1)["phase"], "expand", "{report:#}");
    assert!(!project.path().join("-").exists());
    let output = estimate(&project, &copy.url).database(&Database::sqlite()).run().await.expect(2);
    output.expect_text("pending in production, and not on the copy");
    let output = estimate(&project, &copy.url).run().await.expect(0);
    output.expect_text("nothing is pending on the copy");
}
