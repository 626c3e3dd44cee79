//! `status`, in every state that a migration can be in.

use super::{all, command, every, json, project, states};
use crate::suite::held::Held;
use crate::support::counters;
use crate::support::{Database, Kind, Lockkeeper, Project, wait_until};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// On every database: what is pending and what is applied; nothing is written.
#[tokio::test]
async fn it_tells_what_is_applied_and_writes_nothing() {
    let project = project();
    for database in every().await {
        let before = database.contents().await;
        let expected = all(&[(1, "pending"), (2, "pending"), (3, "pending")]);
        assert_eq!(states(&project, &database).await, expected);
        let status = |more: &[&str]| command(&["status"], &project, &database).args(more);
        status(&["--exit-code"]).run().await.expect(1);
        assert_eq!(database.contents().await, before, "{:?}", database.kind());

        Lockkeeper::up(&project, &database).args(["--to", "2"]).run().await.expect(0);
        let before = database.contents().await;
        let report = json(&status(&["--json"]).run().await.expect(0));
        assert_eq!((&report["ready"], &report["target"]), (&false.into(), &3.into()));
        assert_eq!(report["lock"], serde_json::Value::Null);
        let first = &report["migrations"][0];
        assert_eq!((&first["name"], &first["state"]), (&"make_item".into(), &"applied".into()));
        assert!(first["applied_on"].as_str().unwrap().contains('T'), "{first}");
        assert!(first["took_seconds"].as_f64().unwrap() > 0.0, "{first}");
        status(&["--exit-code"]).run().await.expect(1);
        status(&["--exit-code", "--to", "2"]).run().await.expect(0);
        let text = status(&[]).run().await.expect(0).stdout;
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("version  name"), "{text}");
        assert!(lines[2].starts_with("2        fill") && lines[2].contains("applied"), "{text}");
        assert!(lines[3].contains("contract  pending"), "{text}");
        assert_eq!(database.contents().await, before, "{:?}", database.kind());
    }
}

/// What `up` says that a step took is what `status` says of it; and its clock is named.
#[tokio::test]
async fn it_tells_the_times_that_up_told() {
    let project = project();
    for database in every().await {
        let up = Lockkeeper::up(&project, &database).args(["--log-format", "json"]).run().await;
        let stderr = up.expect(0).stderr;
        let lines = stderr.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<serde_json::Value> = lines.collect();
        let report = json(&command(&["status", "--json"], &project, &database).run().await);
        for migration in report["migrations"].as_array().unwrap() {
            let told = |event: &str| {
                let its = |line: &&serde_json::Value| {
                    line["event"] == event && line["version"] == migration["version"]
                };
                let took = lines.iter().filter(its).map(|line| line["took_seconds"].as_f64());
                (took.sum::<Option<f64>>().unwrap() * 1e3).round()
            };
            let took = (migration["took_seconds"].as_f64().unwrap() * 1e3).round();
            let expected = (took, took);
            assert_eq!((told("step_done"), told("migration_done")), expected, "{stderr}");
        }
        let text = command(&["status"], &project, &database).run().await.expect(0).stdout;
        assert!(text.lines().next().unwrap().contains("when (UTC)"), "{text}");
    }
}

/// While a run is at it, and after it was interrupted: how far.
#[tokio::test]
async fn it_tells_what_is_running_and_how_far_it_got() {
    let mut held = Held::new().await;
    let running = held.up().start();
    held.database.wait_for("select count(*) from item where n = 1").await;
    // Of a table without statistics it is known after the first batch, and stands there with the second.
    let known = "select count(*) from lockkeeper_range where keys_total is not null";
    held.database.wait_for(known).await;
    let report = json(&command(&["status", "--json"], &held.project, &held.database).run().await);
    let second = &report["migrations"][1];
    assert_eq!(
        (&second["state"], &report["lock"]["pid"]),
        (&"running".into(), &running.pid().into())
    );
    assert!(second["checkpoint"]["rows_done"].as_u64().unwrap() > 0, "{second}");
    // How long a script took commits with it; of a backfill it isn't known yet.
    let took = |migration: usize| &report["migrations"][migration]["took_seconds"];
    assert!(took(0).as_f64().unwrap() > 0.001, "{report}");
    assert_eq!((took(1), took(2)), (&().into(), &().into()), "{report}");
    let text = command(&["status"], &held.project, &held.database).run().await.expect(0).stdout;
    let at_work = format!("(process {}) is at work since ", running.pid());
    assert!(text.contains(&at_work), "{text}");
    assert!(text.contains("running  ") && text.contains(" %, up to "), "{text}");

    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);
    let report = json(&command(&["status", "--json"], &held.project, &held.database).run().await);
    let second = &report["migrations"][1];
    assert_eq!((&second["state"], &report["lock"]), (&"pending".into(), &().into()));
    let done = held.database.query_i64("select count(*) from item where n = 1").await;
    let checkpoint = &second["checkpoint"];
    assert_eq!(
        (&checkpoint["rows_done"], &checkpoint["key"][0]),
        (&done.into(), &done.to_string().into())
    );

    // A script leaves no claim, but the steps before it tell whose it is.
    held.hurry().await;
    held.project
        .file("V3__gate.sql", "select 1;\nvacuum pace;\nselect pg_advisory_xact_lock(4242);");
    let running = held.up().start();
    let past =
        "select count(*) from lockkeeper_step where version = 3 and step = 2 and state = 'done'";
    held.database.wait_for(past).await;
    let expected = all(&[(1, "applied"), (2, "applied"), (3, "running")]);
    assert_eq!(states(&held.project, &held.database).await, expected);
    // The time of the steps behind it isn't that of the migration.
    let status = command(&["status", "--json"], &held.project, &held.database);
    let third = async || json(&status.run().await.expect(0))["migrations"][2].clone();
    let half = third().await;
    assert_eq!((&half["steps_done"], &half["took_seconds"]), (&2.into(), &().into()), "{half}");
    held.open().await;
    running.wait().await.expect(0);
    let took = third().await["took_seconds"].as_f64();
    assert!(took.is_some_and(|took| took > 0.001), "{took:?}");
    assert!(
        states(&held.project, &held.database).await.iter().all(|(_, state)| state == "applied")
    );
}

/// Drift, a missing file, and a step of which nobody knows what became.
#[tokio::test]
async fn it_tells_what_needs_a_human() {
    for database in every().await {
        let project = project();
        Lockkeeper::up(&project, &database).args(["--to", "2"]).run().await.expect(0);
        let claim = "insert into lockkeeper_step \
                     (version, step, kind, checksum, state, run, began_at) values \
                     (3, 1, 'bare', 'x', 'running', 'dead', '2026-11-20T09:14:02Z')";
        database.execute(claim).await;
        project.file("V1__make_item.sql", "create table other (id bigint primary key);");
        project.remove("V2__fill.sql");
        let expected = all(&[(1, "drift"), (2, "missing"), (3, "dirty")]);
        assert_eq!(states(&project, &database).await, expected, "{:?}", database.kind());
        let status = command(&["status", "--exit-code"], &project, &database);
        let text = status.run().await.expect(5).stdout;
        for part in ["drift: the file has changed since", "missing: applied, but without a file"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}

/// Where `up` would refuse, the answer isn't 0, whatever else is applied.
#[tokio::test]
async fn it_agrees_with_up() {
    let database = Database::sqlite();
    let project = project();
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let status =
        |more: &[&str]| command(&["status", "--exit-code"], &project, &database).args(more);
    status(&[]).run().await.expect(0);
    status(&["--to", "99"]).run().await.expect(2).expect_text("no migration 99");

    let agree = async |code: i32, text: &str| {
        Lockkeeper::up(&project, &database).run().await.expect(code).expect_text(text);
        // Also when it is asked for something else: `up` looks at all of them.
        for more in [&[][..], &["--to", "1"], &["--phase", "contract"]] {
            let output = status(more).run().await;
            if output.code() != Some(code) {
                assert!(!more.is_empty() && output.code() == Some(0), "{}", output.text());
                let up = Lockkeeper::up(&project, &database).args(more);
                up.run().await.expect(0);
            }
        }
        let report = json(&status(&["--json"]).run().await.expect(code));
        assert_eq!(report["ready"], code == 0);
        let refusal = report["refusal"].as_str().unwrap_or_default();
        assert!(code == 0 || refusal.contains(text), "{report}");
    };
    let first = crate::suite::commands::FILES[0].1;
    project.file("V1__make_item.sql", "create table other (id bigint primary key);");
    agree(5, "has changed since").await;
    project.file("V1__make_item.sql", first).remove("V2__fill.sql");
    agree(5, "has no file for it").await;
    project.file("V2__fill.sql", crate::suite::commands::FILES[1].1);
    agree(0, "nothing pending").await;
    project.file("V0__late.sql", "create table late (id bigint primary key);");
    agree(5, "is applied already").await;
}

/// A full disk is no mistake of the command line.
#[tokio::test]
async fn it_fails_when_the_answer_can_not_be_written() {
    let project = project();
    let lockkeeper = env!("CARGO_BIN_EXE_lockkeeper");
    let status = Lockkeeper::program("sh", ["-c", "exec \"$0\" status >/dev/full", lockkeeper]);
    let output = status.project(&project).database(&Database::sqlite()).run().await.expect(1);
    output.expect_text("can't write the answer: No space left").expect_text("next: ");
}

/// What can't be read is an error, not an empty list.
#[tokio::test]
async fn it_fails_where_there_is_nothing_to_tell() {
    let project = project();
    let database = Database::sqlite();
    let status = command(&["status"], &project, &database);
    status.clone().args(["--dir", "nowhere"]).run().await.expect(2).expect_text("nowhere");
    database.execute("create table refinery_schema_history (oops int)").await;
    status.run().await.expect(5).expect_text("refinery_schema_history");
}

/// A run that ended in order has entered its time, and one that was killed hasn't: then the pace isn't told,
/// also where another one had entered some.
#[tokio::test]
async fn the_pace_is_told_as_long_as_the_time_is_known() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, 100_000).await;
    let project = Project::with([("V1__count.sql", counters::COUNT)]);
    let up = || Lockkeeper::up(&project, &database).start();
    let rate = async || {
        let status = command(&["status", "--json"], &project, &database).run().await.expect(0);
        json(&status)["migrations"][0]["checkpoint"]["rate"].clone()
    };
    let running = up();
    counters::passed(&database, 1_000).await;
    Lockkeeper::new(["rate", "1000"]).database(&database).run().await.expect(0);
    wait_until("a pace", PATIENCE, async || rate().await.is_number()).await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);
    for is_known in [true, false] {
        let passed = database.query_i64(counters::PASSED).await as u64;
        let running = up();
        counters::passed(&database, passed + 1_500).await;
        assert_eq!(rate().await.is_number(), is_known);
        running.kill();
        running.wait().await;
    }
}
