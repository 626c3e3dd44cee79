//! A second instance while the first one works.

use super::client::Served;
use crate::suite::held::Held;

/// It says who works, how far that is, and forgets what is no longer pending; in the end there is
/// nothing left for it.
#[tokio::test]
async fn a_waiting_instance_reports_the_leaders_progress() {
    let mut held = Held::new().await;
    let index = "create index concurrently item_n on item (n);";
    held.project.file("V4__index.sql", index);
    let leader = Served::start(held.up().args(["--linger", "60s"])).await;
    leader.reaches(2, 0.01).await;
    let waiting = Served::start(held.up()).await;

    let first = waiting.reaches(2, 0.01).await;
    assert_eq!((&first["state"], &first["ready"]), (&"waiting".into(), &false.into()));
    assert_eq!(first["lock"]["state"], "waiting");
    let holder = &first["lock"]["holder"];
    let run = leader.progress().await["run"].clone();
    assert_eq!((&holder["run"], &holder["pid"]), (&run, &leader.running.pid().into()));
    assert_eq!(versions(&first), [2, 3, 4]);
    let said = waiting.get("/ready").await.expect(503).json();
    let wanted = format!("run {} on {}", run.as_str().unwrap(), holder["host"].as_str().unwrap());
    assert!(said["reason"].as_str().unwrap().starts_with(&wanted), "{said}");
    assert!(waiting.get("/metrics").await.body.contains("lockkeeper_lock_waiting 1\n"));

    let done = |progress: &serde_json::Value| progress["current"]["rows_done"].as_u64().unwrap();
    let later = waiting
        .progress_that("the leader's rows grow", |now| {
            now["current"]["rows_done"].as_u64().unwrap() > done(&first)
        })
        .await;
    assert!(later["current"]["fraction"].as_f64().unwrap() < 1.0, "{later}");

    waiting.running.line_with(" · 2 fill ").await;
    held.hurry().await;
    let gate = waiting.progress_that("the gate", |now| now["current"]["version"] == 3).await;
    assert_eq!((versions(&gate), &gate["current"]["kind"]), (vec![3, 4], &"script".into()));

    // An open transaction holds up the index, which runs outside of one: a claim in the ledger.
    let mut writer = held.database.connect().await;
    writer.execute("begin; update item set n = n where id = 1").await;
    held.open().await;
    let index = waiting.progress_that("the index", |now| now["current"]["version"] == 4).await;
    waiting.progress_that("a bare step", |now| now["current"]["kind"] == "bare").await;
    assert_eq!(index["state"], "waiting");
    writer.execute("rollback").await;

    let output = waiting.running.wait().await.expect(0);
    let output = output.expect_text("waiting for the lock: run ");
    output.expect_text("nothing pending: the schema is at version 4");
    leader.running.signal(libc::SIGTERM);
    leader.running.wait().await.expect(0);
}

fn versions(progress: &serde_json::Value) -> Vec<i64> {
    let migrations = progress["migrations"].as_array().unwrap();
    migrations.iter().map(|migration| migration["version"].as_i64().unwrap()).collect()
}

/// When the leader dies, the next one goes on where it was, and says so.
#[tokio::test]
async fn a_waiting_instance_takes_over() {
    let mut held = Held::new().await;
    let leader = Served::start(held.up()).await;
    leader.reaches(2, 0.02).await;
    let waiting = Served::start(held.up().args(["--linger", "60s"])).await;
    waiting.progress_that("it waits", |now| now["state"] == "waiting").await;
    leader.running.kill();
    let resumed = waiting.progress_that("it works", |now| now["resumed"] == true).await;
    assert_eq!(
        (&resumed["state"], &resumed["lock"]["state"]),
        (&"migrating".into(), &"held".into())
    );
    assert!(resumed["current"]["rows_done"].as_u64().unwrap() > 0, "{resumed}");
    held.hurry().await;
    held.open().await;
    waiting.progress_that("ready", |now| now["ready"] == true).await;
    assert_eq!(held.database.query_i64("select count(*) from item where n = 1").await, 4000);
    waiting.running.signal(libc::SIGTERM);
    waiting.running.wait().await.expect(0);
}
