//! The gate in front of a web process.

mod held_page;
mod holding;
mod pid1;
mod replicas;
mod s3;

use std::time::{Duration, Instant};

use crate::support::{Database, Lockkeeper, Project, port};

const FILES: [(&str, &str); 1] = [("V1__make_item.sql", "create table item (id int);\n")];

/// `gate` with these options, before a shell script.
fn gate(project: &Project, database: &Database, options: &[&str], script: &str) -> Lockkeeper {
    let listen = format!("127.0.0.1:{}", port::free());
    Lockkeeper::new(["gate", "--listen", &listen])
        .args(options)
        .args(["--", "sh", "-c", script])
        .project(project)
        .database(database)
}

/// Whatever the program ends with, the gate ends with.
#[tokio::test]
async fn it_ends_as_its_program_does() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    for (script, code) in [("exit 0", 0), ("exit 33", 33), ("kill -KILL $$", 137)] {
        gate(&project, &database, &["--migrate"], script).run().await.expect(code);
    }
}

/// The program sees the schema that it needs, and traffic comes when it says so.
#[tokio::test]
async fn the_program_starts_when_the_schema_is_ready() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    let script = "echo started; sleep 0.3; echo is up; exec sleep 1000";
    let options = ["--child-ready", "line:is up", "--notice", "0s"];
    let running = gate(&project, &database, &options, script).start();
    running.line_with("waiting: migrations are pending, and no run is at work").await;
    assert!(!running.stdout().contains("started"));
    Lockkeeper::up(&project, &database).run().await.expect(0);
    running.line_with("gate: open, after a line with \"is up\"").await;
    assert!(running.stdout().contains("is up"));
    running.signal(libc::SIGTERM);
    running.wait().await.expect(143).expect_text("gate: closed: the child was ended by SIGTERM");
}

/// Each phase of the start that runs out has an exit code of its own.
#[tokio::test]
async fn a_phase_that_runs_out_is_named() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    gate(&project, &database, &["--schema-timeout", "300ms"], "exit 0")
        .run()
        .await
        .expect(11)
        .expect_text("the schema wasn't ready within 300ms");
    let check = format!("tcp:{}", port::free());
    let late = ["--migrate", "--child-timeout", "300ms", "--child-ready", &check];
    gate(&project, &database, &late, "exec sleep 1000")
        .run()
        .await
        .expect(12)
        .expect_text("the child wasn't ready within 300ms");
    let nowhere = format!("postgres://nobody@127.0.0.1:{}/none", port::free());
    gate(&project, &database, &["--connect-timeout", "300ms"], "exit 0")
        .url(&nowhere)
        .run()
        .await
        .expect(10)
        .expect_text("the database wasn't reached within 300ms");
}

/// The container would be killed in the middle.
#[tokio::test]
async fn a_stop_that_takes_too_long_is_refused_at_the_start() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    let options = ["--notice", "15s", "--child-stop", "20s", "--stop-timeout", "30s"];
    gate(&project, &database, &options, "exit 0")
        .run()
        .await
        .expect(2)
        .expect_text("the phases of a stop take 37s, but the container is killed after 30s")
        .expect_text("shorten --child-stop to 13s");
}

/// A call that is never answered doesn't make the stop longer than it may be.
#[tokio::test]
async fn a_call_that_hangs_is_part_of_the_childs_time() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let call = format!("http://{}/stop", deaf.local_addr().unwrap());
    let options = ["--migrate", "--notice", "0s", "--child-stop", "2s", "--on-stop", &call];
    let script = "trap '' TERM; echo deaf; while :; do sleep 1; done";
    let running = gate(&project, &database, &options, script).start();
    running.line_with("deaf").await;
    running.line_with("gate: open").await;
    let told = Instant::now();
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(137).expect_text("the child can't be told by POST");
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}\n{}", told.elapsed(), output.stderr);
}

/// The password and the token are lockkeeper's own.
#[tokio::test]
async fn the_program_gets_none_of_its_secrets() {
    let (project, database) = (Project::with(FILES), Database::sqlite());
    let script = "env | grep -E 'LOCKKEEPER_DB_PASSWORD|LOCKKEEPER_DATABASE_URL|^TOKEN=|^OWN='";
    let output = gate(&project, &database, &["--migrate", "--http-token-env", "TOKEN"], script)
        .env("LOCKKEEPER_DB_PASSWORD", "hidden-1")
        .env("LOCKKEEPER_DATABASE_URL", &database.url)
        .env("TOKEN", "0123456789abcdef0123")
        .env("OWN", "kept")
        .run()
        .await
        .expect(0);
    assert_eq!(output.stdout, "OWN=kept\n", "{}", output.stderr);
}
