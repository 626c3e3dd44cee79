//! SIGTERM, and the loss of the lock.

use std::time::Duration;

use super::scene::{Scene, UPDATE};
use crate::support::{Kind, Server, process, wait_until};

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

/// Many a tool calls its orderly stop a success; what it was at isn't done by that.
#[tokio::test]
async fn an_orderly_stop_is_not_the_end_of_the_work() {
    let scene = Scene::new().await;
    let psql = shell_words::join(scene.psql("mine", UPDATE));
    let script = format!("trap 'exit 0' TERM; {psql} & wait");
    let running = scene
        .exec(&[], &["sh", "-c", &script])
        .env("PGOPTIONS", "-c client_connection_check_interval=0")
        .start();
    running.line_with("sh: update item").await;
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(4);
    scene.wait_for_rest(Duration::from_millis(1)).await;
    output.expect_text("run the same command again");
    let entered = "select count(*) from lockkeeper_run where outcome = 'interrupted'";
    assert_eq!(scene.database.query_i64(entered).await, 1);
}

/// A server that has stopped to answer keeps nobody from ending.
#[tokio::test]
async fn it_ends_beside_a_server_that_gives_no_answer() {
    let server = Server::own(Kind::Postgres15);
    let scene = Scene::on(&server).await;
    let script = "echo began; until [ -e end ]; do sleep 0.05; done; exit 7";
    let running = scene.exec(&[], &["sh", "-c", script]).start();
    running.line_with("began").await;
    server.freeze();
    scene.project.file("end", "");
    let output = tokio::time::timeout(Duration::from_secs(60), running.wait()).await;
    server.thaw();
    let output = output.expect("it has ended");
    assert!([Some(4), Some(7)].contains(&output.code()), "{}", output.text());
    output.expect_text("what sh has left in the server can't be ended");
}

/// In a session of its own, where no signal to the group reaches it, and in the group itself.
const DEAF: &str = "setsid sh -c 'trap \"\" TERM INT; echo began; while :; do sleep 0.05; done' & \
                    trap '' TERM INT; while :; do sleep 0.05; done";

#[tokio::test]
async fn what_does_not_stop_in_time_is_killed() {
    let scene = Scene::new().await;
    let running = scene.exec(&["--stop-timeout", "10s"], &["sh", "-c", DEAF]).start();
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
    let running = scene.exec(&[], &["sh", "-c", DEAF]).start();
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
