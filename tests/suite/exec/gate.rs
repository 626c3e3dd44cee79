//! `gate --migrate-with`: another tool brings the schema there, and once for all replicas.

use std::time::Duration;

use super::alembic;
use super::scene::{Scene, UPDATE, busy};
use crate::suite::faces::client::Served;
use crate::support::{Lockkeeper, process, wait_until};

const SOON: Duration = Duration::from_secs(60);

/// A gate with this tool before a program that ends when it is told to.
fn gate(scene: &Scene, options: &[&str], tool: &[&str]) -> Lockkeeper {
    Lockkeeper::new(["gate", "--listen", "127.0.0.1:0", "--notice", "0s", "--migrate-with"])
        .arg(shell_words::join(tool))
        .args(options)
        .args(["--", "sh", "-c", "echo program; exec sleep 1000"])
        .project(&scene.project)
        .database(&scene.database)
}

/// Enters that it ran, and takes its time.
fn psql(scene: &Scene) -> Vec<String> {
    let url = &scene.database.url;
    let entry = "insert into ran select count(*) from ran";
    ["psql", "-X", "-q", "-d", url, "-c", entry, "-c", UPDATE].map(str::to_owned).into()
}

async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.database.execute("create table ran (n bigint primary key)").await;
    scene
}

async fn stop(served: Served) {
    served.running.signal(libc::SIGTERM);
    served.running.wait().await.expect(143);
}

/// One runs it, nine show what it is at, all open; and who comes later finds it done, but for another
/// release.
#[tokio::test]
async fn one_of_ten_runs_it_for_a_release() {
    let mut scene = scene().await;
    let tool = psql(&scene);
    let tool: Vec<_> = tool.iter().map(String::as_str).collect();
    let mut replicas = Vec::new();
    for _ in 0..10 {
        replicas.push(Served::start_as_told(gate(&scene, &["--release", "v1"], &tool)).await);
    }
    let mut leaders = 0;
    for replica in &replicas {
        let seen = replica.progress_that("what it is at", |now| busy(now).is_some()).await;
        let is_leader = seen["foreign"]["command"] == "psql";
        leaders += u32::from(is_leader);
        let state = if is_leader { "held" } else { "waiting" };
        assert_eq!(seen["lock"]["state"], state, "{seen}");
        replica.get("/ready").await.expect(503);
        assert!(!replica.running.stdout().contains("program"));
    }
    assert_eq!(leaders, 1);
    scene.hurry_update().await;
    for replica in replicas {
        replica.progress_that("it is open", |now| now["ready"] == true).await;
        replica.running.line_with("program").await;
        stop(replica).await;
    }
    assert_eq!(scene.database.query_i64("select count(*) from ran").await, 1);

    let late = Served::start_as_told(gate(&scene, &["--release", "v1"], &tool)).await;
    late.running.line_with("ready: psql has been run for this release").await;
    late.running.line_with("program").await;
    stop(late).await;
    assert_eq!(scene.database.query_i64("select count(*) from ran").await, 1);

    let next = Served::start_as_told(gate(&scene, &["--release", "v2"], &tool)).await;
    next.running.line_with("program").await;
    stop(next).await;
    assert_eq!(scene.database.query_i64("select count(*) from ran").await, 2);
}

/// The one at work is killed: another takes over.
#[tokio::test]
async fn another_takes_over() {
    let mut scene = scene().await;
    let tool = psql(&scene);
    let tool: Vec<_> = tool.iter().map(String::as_str).collect();
    let first = Served::start_as_told(gate(&scene, &["--release", "v1"], &tool)).await;
    first.progress_that("it is at work", |now| now["foreign"]["command"] == "psql").await;
    let second = Served::start_as_told(gate(&scene, &["--release", "v1"], &tool)).await;
    second.progress_that("it waits", |now| now["lock"]["state"] == "waiting").await;
    let tree = process::tree(first.running.pid());
    first.running.kill();
    second.progress_that("it is at work", |now| now["foreign"]["command"] == "psql").await;
    let gone = async || !tree.iter().any(|pid| process::runs(*pid));
    wait_until("the first is gone", SOON, gone).await;
    scene.hurry_update().await;
    second.running.line_with("program").await;
    stop(second).await;
    // The first one's rows were entered by a statement of their own.
    assert_eq!(scene.database.query_i64("select count(*) from item where n = 1").await, 6_000);
}

/// Without a release's name, its own history says that there is nothing to do.
#[tokio::test]
async fn without_a_release_it_runs_again() {
    let scene = Scene::new().await;
    alembic::project(&scene, &["create table made (id int)"]);
    let command = alembic::command();
    for _ in 0..2 {
        let served =
            Served::start_as_told(gate(&scene, &[], &command.each_ref().map(String::as_str))).await;
        served.running.line_with("ready: alembic ended with exit code 0").await;
        served.running.line_with("program").await;
        stop(served).await;
    }
}

#[tokio::test]
async fn a_tool_that_fails_ends_the_gate() {
    let scene = Scene::new().await;
    for _ in 0..2 {
        let gate = gate(&scene, &["--release", "v1"], &["sh", "-c", "exit 9"]);
        let output = gate.run().await.expect(9);
        let output = output.expect_text("sh ended with exit code 9, so that nothing was started");
        assert!(!output.stdout.contains("program"));
    }
    let both = gate(&scene, &["--migrate"], &["true"]).run().await.expect(2);
    both.expect_text("--migrate-with");
}

/// A tool that calls its orderly stop a success hasn't done the release's work.
#[tokio::test]
async fn a_tool_that_was_stopped_is_run_again() {
    let scene = Scene::new().await;
    let script = "trap 'exit 0' TERM; echo began; while :; do sleep 0.05; done";
    for _ in 0..2 {
        let gate = gate(&scene, &["--release", "v1"], &["sh", "-c", script]);
        let served = Served::start_as_told(gate).await;
        served.running.line_with("began").await;
        served.running.signal(libc::SIGTERM);
        let output = served.running.wait().await.expect(4);
        assert!(!output.stdout.contains("program"));
    }
    assert_eq!(scene.database.query_i64("select count(*) from lockkeeper_mark").await, 0);
}

/// A stop before it is open: the tool is told, and nothing of it stays at work.
#[tokio::test]
async fn a_stop_is_passed_on() {
    let scene = scene().await;
    let tool = psql(&scene);
    let tool: Vec<_> = tool.iter().map(String::as_str).collect();
    let served = Served::start_as_told(gate(&scene, &[], &tool)).await;
    scene.wait_for_work().await;
    served.running.signal(libc::SIGTERM);
    let output = served.running.wait().await.expect(4);
    scene.wait_for_rest(Duration::from_millis(1)).await;
    assert!(!output.stdout.contains("program"));
}
