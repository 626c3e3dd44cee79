//! sqlx-cli under the lock.

use crate::suite::docs::json::fits;

use super::scene::{INDEX, Scene, UPDATE, tool, watch_index, watch_update};

fn files(scene: &Scene, first: &str, second: &str) {
    let folder = scene.project.path().join("sqlx");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("1_fill.sql"), first).unwrap();
    std::fs::write(folder.join("2_index.sql"), second).unwrap();
}

fn command() -> [String; 5] {
    [&tool("sqlx-cli/bin/sqlx"), "migrate", "run", "--source", "sqlx"].map(str::to_owned)
}

#[tokio::test]
async fn it_is_seen_at_work() {
    let mut scene = Scene::new().await;
    files(&scene, UPDATE, INDEX);
    let blocker = scene.blocker().await;
    let command = command();
    let command = command.each_ref().map(String::as_str);
    let served = scene.serve(&["--linger", "60s"], &command).await;
    let blocked = watch_update(&mut scene, &served, blocker).await;
    let index = watch_index(&mut scene, &served).await;
    let ready = served.progress_that("the end", |now| now["ready"] == true).await;
    assert_eq!((&ready["foreign"]["exit"], &ready["state"]), (&0.into(), &"ready".into()));
    fits("foreign", &[blocked, index, ready].map(|mut progress| progress["foreign"].take()));
    served.get("/ready").await.expect(200);
    served.running.line_with("ready: sqlx ended with exit code 0 after ").await;
    served.running.signal(libc::SIGTERM);
    served.running.wait().await.expect(0);
    assert_eq!(scene.database.query_i64("select count(*) from _sqlx_migrations").await, 2);
    // Once more, and it finds nothing to do.
    scene.exec(&[], &command).run().await.expect(0);
}

#[tokio::test]
async fn its_exit_code_is_passed_on() {
    let scene = Scene::new().await;
    files(&scene, "select 1", "select nothing");
    let command = command();
    let command = command.each_ref().map(String::as_str);
    let output = scene.exec(&[], &command).run().await.expect(1);
    output.expect_text("sqlx ended with exit code 1 after ");
}
