//! SIGTERM, and the loss of the lock.

use std::time::Duration;

use super::scene::{Scene, UPDATE};
use crate::support::{process, wait_until};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_signal_is_passed_on() {
    let scene = Scene::new().await;
    for (signal, code) in [(libc::SIGTERM, 7), (libc::SIGINT, 8)] {
        let script =
            "trap 'exit 7' TERM; trap 'exit 8' INT; echo began; while :; do sleep 0.05; done";
        let running = scene.exec(&[], &["sh", "-c", script]).start();
        running.line_with("began").await;
        running.signal(signal);
        let output = running.wait().await.expect(code);
        output.expect_text(&format!("sh ended with exit code {code}"));
    }
}

/// Its statement ends with it, and its transaction is rolled back.
#[tokio::test]
async fn what_it_leaves_in_the_server_is_ended() {
    let scene = Scene::new().await;
    let psql = scene.psql("mine", UPDATE);
    // psql asks the server to cancel at SIGINT; of SIGTERM it dies, and its statement goes on.
    let running = scene
        .exec(&[], &psql.iter().map(String::as_str).collect::<Vec<_>>())
        .env("PGOPTIONS", "-c client_connection_check_interval=0")
        .start();
    running.line_with("psql: update item").await;
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(128 + libc::SIGTERM);
    scene.wait_for_rest(Duration::from_millis(1)).await;
    output.expect_text("stopping (SIGTERM): psql is told to");
}

#[tokio::test]
async fn what_does_not_stop_in_time_is_killed() {
    let scene = Scene::new().await;
    let script = "trap '' TERM; echo began; while :; do sleep 0.05; done";
    let running = scene.exec(&["--stop-timeout", "10s"], &["sh", "-c", script]).start();
    running.line_with("began").await;
    let tree = process::tree(running.pid());
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(128 + libc::SIGKILL);
    assert!(output.took < SOON, "{:?}", output.took);
    let gone = async || !tree.iter().any(|pid| process::runs(*pid));
    wait_until("sentinel and tool are gone", SOON, gone).await;
}

/// A second signal ends the wrapper, and its sentinel does the rest.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let scene = Scene::new().await;
    let script = "trap '' TERM INT; echo began; while :; do sleep 0.05; done";
    let running = scene.exec(&[], &["sh", "-c", script]).start();
    running.line_with("began").await;
    let tree = process::tree(running.pid());
    running.signal(libc::SIGTERM);
    running.line_with("stopping (SIGTERM)").await;
    running.signal(libc::SIGINT);
    running.wait().await.expect(4);
    let gone = async || !tree.iter().any(|pid| process::runs(*pid));
    wait_until("sentinel and tool are gone", SOON, gone).await;
}

#[tokio::test]
async fn the_loss_of_the_lock_stops_it() {
    let scene = Scene::new().await;
    let script = "trap 'echo told; exit 7' TERM; echo began; while :; do sleep 0.05; done";
    let running = scene.exec(&[], &["sh", "-c", script]).start();
    running.line_with("began").await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity \
               where application_name = 'lockkeeper lock' and datname = current_database()";
    scene.database.execute(cut).await;
    let output = running.wait().await.expect(4);
    let output = output.expect_text("warning: the run lock is lost while sh is at work");
    output.expect_text("told").expect_text("sh was stopped, and ended with 7");
}
