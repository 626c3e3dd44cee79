//! The wrapper killed: no statement of the tool's stays at work in the server.

use std::time::Duration;

use super::alembic;
use super::scene::{INDEX, Scene, UPDATE, busy, tool};
use crate::support::{process, wait_until};

/// What a sentinel needs: it acts at once.
const SOON: Duration = Duration::from_secs(30);

/// Kills the wrapper alone while the tool's statement runs.
async fn leaves_nothing(scene: &Scene, command: &[&str]) {
    // Not the server: it would notice within a second.
    let deaf = "-c client_connection_check_interval=0";
    let running = scene.exec(&[], command).env("PGOPTIONS", deaf).start();
    scene.wait_for_work().await;
    let tree = process::tree(running.pid());
    assert!(tree.len() >= 3, "the wrapper, its sentinel, the tool: {tree:?}");
    running.kill();
    let took = scene.wait_for_rest(SOON).await;
    println!("{}: at rest after {took:?}", command[0]);
    let output = running.wait().await;
    assert_eq!(output.killed_by(), Some(libc::SIGKILL), "{}", output.text());
    let gone = async || !tree.iter().any(|pid| process::runs(*pid));
    wait_until("sentinel and tool are gone", SOON, gone).await;
}

#[tokio::test]
async fn sqlx_leaves_nothing() {
    let scene = Scene::new().await;
    let folder = scene.project.path().join("sqlx");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("1_fill.sql"), UPDATE).unwrap();
    let sqlx = tool("sqlx-cli/bin/sqlx");
    leaves_nothing(&scene, &[&sqlx, "migrate", "run", "--source", "sqlx"]).await;
    assert_eq!(scene.database.query_i64("select count(*) from item where n > 0").await, 0);
}

#[tokio::test]
async fn alembic_leaves_nothing() {
    let scene = Scene::new().await;
    alembic::project(&scene, &[INDEX]);
    leaves_nothing(&scene, &alembic::command().each_ref().map(String::as_str)).await;
}

/// A tool that calls its sessions by a name of its own is known by its connections, also one that was
/// opened so lately that nobody has told the sentinel of it.
#[tokio::test]
async fn a_tool_with_a_name_of_its_own_leaves_nothing() {
    let scene = Scene::new().await;
    let psql = scene.psql("mine", UPDATE);
    // A shell in between, which isn't told of the end.
    let script = format!("'{}' & wait", psql.join("' '").replace("'hunter2'", "'\\''hunter2'\\''"));
    leaves_nothing(&scene, &["sh", "-c", &script]).await;
}

/// With the sentinel killed at the same moment, the server itself looks whether its client lives.
#[tokio::test]
async fn the_server_notices_by_itself() {
    let scene = Scene::new().await;
    let psql = scene.psql("mine", UPDATE);
    let running = scene.exec(&[], &psql.iter().map(String::as_str).collect::<Vec<_>>()).start();
    scene.wait_for_work().await;
    process::kill_tree(running.pid());
    let took = scene.wait_for_rest(SOON).await;
    println!("at rest after {took:?}");
    running.wait().await;
}

/// Where it doesn't, since the tool has forbidden it, the next run ends what it finds.
#[tokio::test]
async fn the_next_run_ends_what_it_finds() {
    let scene = Scene::new().await;
    let forbidden = "-c client_connection_check_interval=0";
    let psql = ["psql", "-X", "-d", &scene.database.url, "-c", UPDATE];
    let running = scene.exec(&[], &psql).env("PGOPTIONS", forbidden).start();
    scene.wait_for_work().await;
    process::kill_tree(running.pid());
    running.wait().await;
    scene.wait_for_work().await;
    scene.exec(&[], &["true"]).run().await.expect(0);
    scene.wait_for_rest(Duration::from_millis(1)).await;
}

/// What a waiting run sees of the other one's tool, it takes over when that is killed.
#[tokio::test]
async fn who_waits_is_next() {
    let scene = Scene::new().await;
    let psql = ["psql", "-X", "-d", &scene.database.url, "-c", UPDATE];
    let running = scene.exec(&[], &psql).start();
    scene.wait_for_work().await;
    let waiting = scene.serve(&[], &["echo", "done"]).await;
    let seen = waiting.progress_that("their statement", |now| busy(now).is_some()).await;
    assert_eq!((&seen["state"], &seen["foreign"]["command"]), (&"waiting".into(), &().into()));
    running.kill();
    let output = waiting.running.wait().await.expect(0);
    assert_eq!(output.stdout, "done\n");
    scene.wait_for_rest(Duration::from_millis(1)).await;
}
