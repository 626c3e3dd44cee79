//! `/alive`, `/ready`, `/progress` and `/metrics` during a real run.

use super::client::Served;
use crate::suite::held::{Held, ROWS};

/// From the backfill to the end: what each place says, and that it agrees with the others.
#[tokio::test]
async fn every_place_follows_the_run() {
    let mut held = Held::new().await;
    let served = Served::start(held.up().args(["--linger", "60s"])).await;

    let before = served.reaches(2, 0.02).await;
    assert_eq!(served.get("/alive").await.expect(200).body, "ok\n");
    let unready = served.get("/ready").await.expect(503);
    let after: u64 = unready.header("retry-after").expect("a header").parse().expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
    let said = unready.json();
    assert_eq!((&said["ready"], &said["state"]), (&false.into(), &"migrating".into()));
    assert_eq!(said["reason"], "migrations are pending");
    assert_eq!((&said["target"], &said["current"]["version"]), (&3.into(), &2.into()));

    let now = served.reaches(2, before["current"]["fraction"].as_f64().unwrap() + 0.01).await;
    assert_eq!(now["state"], "migrating");
    assert_eq!(
        (&now["ready"], &now["target"], &now["resumed"]),
        (&false.into(), &3.into(), &false.into())
    );
    assert_eq!(
        (&now["lock"]["state"], &now["migrations"][0]["state"]),
        (&"held".into(), &"applied".into())
    );
    let current = &now["current"];
    assert_eq!((&current["name"], &current["kind"]), (&"fill".into(), &"backfill".into()));
    assert_eq!((&current["step"], &current["steps"]), (&1.into(), &1.into()));
    assert!(current["rows_done"].as_u64() > before["current"]["rows_done"].as_u64(), "{current}");
    let total = current["rows_total"].as_u64().unwrap();
    assert!((u64::from(ROWS) / 2..=u64::from(ROWS) * 2).contains(&total), "{total}");
    for name in ["rate", "eta", "throttle"] {
        assert!(current.get(name).is_some(), "{name} in {current}");
    }
    let metrics = served.get("/metrics").await.expect(200).body;
    for line in [
        "lockkeeper_ready 0\n",
        "lockkeeper_state{state=\"migrating\"} 1\n",
        "lockkeeper_lock_held 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    well_formed(&metrics);

    held.hurry().await;
    let gate = served.progress_that("at the gate", |now| now["current"]["version"] == 3).await;
    assert_eq!(
        (&gate["current"]["kind"], &gate["current"]["fraction"]),
        (&"script".into(), &().into())
    );
    assert_eq!(gate["rows_changed"], ROWS);
    served.get("/ready").await.expect(503);

    held.open().await;
    served.progress_that("ready", |now| now["ready"] == true).await;
    let ready = served.get("/ready").await.expect(200).json();
    assert_eq!(
        (&ready["ready"], &ready["state"], &ready["reason"]),
        (&true.into(), &"ready".into(), &().into())
    );
    assert!(served.get("/metrics").await.body.contains("lockkeeper_ready 1\n"));

    // It answers for as long as it was told to, and SIGTERM ends that: the work is done.
    served.running.signal(libc::SIGTERM);
    served.running.wait().await.expect(0).expect_text("ready: the schema is at version 3");
}

/// Only reading is allowed, nothing is kept, and there is nothing else.
#[tokio::test]
async fn only_reading_is_allowed() {
    let held = Held::new().await;
    let served = Served::start(held.up()).await;
    served.reaches(2, 0.01).await;
    for path in ["/", "/alive", "/progress", "/metrics"] {
        let head = served.ask("HEAD", path).await.expect(200);
        assert_eq!(head.body, "", "{path}");
        assert_eq!(head.header("cache-control"), Some("no-store"), "{path}");
    }
    served.ask("HEAD", "/ready").await.expect(503);
    for path in ["/", "/alive", "/ready", "/progress", "/events", "/metrics"] {
        let refused = served.ask("POST", path).await.expect(405);
        assert_eq!(refused.header("allow"), Some("GET,HEAD"), "{path}");
    }
    let nowhere = served.get("/etc/passwd").await.expect(404);
    assert!(nowhere.body.contains("/progress"), "{}", nowhere.body);
    let json = served.get("/progress").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
}

/// Somebody who changes the history holds it up: it has reached the database all the same.
#[tokio::test]
async fn the_connection_is_told_before_the_history_is_read() {
    let held = Held::new().await;
    held.up().args(["--to", "1"]).run().await.expect(0);
    let mut holder = held.database.connect().await;
    holder.execute("begin; lock table refinery_schema_history").await;
    let served = Served::start(held.up().args(["--to", "1"])).await;
    let reached = served.progress_that("connected", |now| now["database"].is_string()).await;
    assert_eq!((&reached["state"], &reached["target"]), (&"connecting".into(), &().into()));
    holder.execute("rollback").await;
    served.running.wait().await.expect(0).expect_text("nothing pending");
}

/// A failure and a signal are told apart to the last.
#[tokio::test]
async fn a_failure_is_seen_after_the_end() {
    let held = Held::new().await;
    held.project
        .file("V1__make.sql", "create table item (id bigint primary key);\nselect nonsense;");
    held.project.remove("V2__fill.sql").remove("V3__gate.sql");
    let served = Served::start(held.up().args(["--linger", "60s"])).await;
    let failed = served.progress_that("failed", |now| now["state"] == "failed").await;
    // The server's words are in the log.
    let reason = "migration 1, step 1 of 1 failed: the database refused the statement (42703)";
    assert_eq!(failed["reason"], reason);
    let unready = served.get("/ready").await.expect(503).json();
    assert_eq!(unready["reason"], reason);
    let states = (&failed["migrations"][0]["state"], &failed["current"]["eta"]["state"]);
    assert_eq!(states, (&"failed".into(), &"ended".into()));
    served.running.signal(libc::SIGTERM);
    served.running.wait().await.expect(1).expect_text("nonsense");
}

/// Names as Prometheus wants them, each with its type, and every value a number.
fn well_formed(metrics: &str) {
    let mut typed = Vec::new();
    for line in metrics.lines() {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            typed.push(comment.split(' ').next().unwrap());
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let name = series.split('{').next().unwrap();
            let summary = name.strip_suffix("_sum").or(name.strip_suffix("_count"));
            assert!(typed.contains(&summary.unwrap_or(name)), "{name} has no type");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(name.starts_with("lockkeeper_"), "{line}");
        }
    }
    assert!(typed.len() > 8, "{typed:?}");
}
