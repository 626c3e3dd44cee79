//! Ten replicas at once, each a gate that migrates: one of them does, and when it dies, another.

use std::time::Duration;

use crate::suite::faces::client::Served;
use crate::support::counters::{self, COUNT};
use crate::support::{Database, Kind, Lockkeeper, Project, Server, port, wait_until};

const REPLICAS: usize = 10;
const ROWS: u64 = 200_000;
const PATIENCE: Duration = Duration::from_secs(60);

async fn replica(project: &Project, database: &Database) -> Served {
    let address = format!("127.0.0.1:{}", port::free());
    let gate = Lockkeeper::new(["gate", "--migrate", "--notice", "0s", "--listen", &address])
        .args(["--child-ready", "line:serving"])
        .args(["--", "sh", "-c", "echo serving; exec sleep 1000"])
        .project(project)
        .database(database);
    let running = gate.start();
    running.line_with("listening on ").await;
    Served { running, address }
}

/// Who has the lock.
async fn leader(replicas: &[Served]) -> usize {
    let mut found = None;
    wait_until("one migrates", PATIENCE, async || {
        for (at, replica) in replicas.iter().enumerate() {
            if replica.progress().await["lock"]["state"] == "held" {
                found = Some(at);
            }
        }
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// Every one of these shows that so many of the leader's rows are done, and isn't ready.
async fn follow(replicas: &[Served], rows: u64) {
    for replica in replicas {
        let seen = replica
            .progress_that("the leader's rows", |now| {
                now["state"] == "waiting" && now["current"]["rows_done"].as_u64() >= Some(rows)
            })
            .await;
        assert_eq!((&seen["lock"]["state"], &seen["ready"]), (&"waiting".into(), &false.into()));
        let ready = replica.get("/ready").await.expect(503).json();
        assert_eq!(ready["phase"], "schema");
        assert!(!replica.running.stdout().contains("serving"));
    }
}

#[tokio::test]
async fn one_of_ten_migrates_and_another_goes_on_when_it_dies() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, ROWS).await;
    // A run has gone before, so that there is a place to ask for a pace.
    let project = Project::with([("V0__begin.sql", "select 1;\n")]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let rate = async |rows| {
        Lockkeeper::new(["rate", rows]).database(&database).run().await.expect(0);
    };
    rate("15000").await;
    project.file("V1__count.sql", COUNT);
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(replica(&project, &database).await);
    }
    let first = replicas.remove(leader(&replicas).await);
    follow(&replicas, 1_000).await;
    first.running.kill();
    assert_eq!(first.running.wait().await.killed_by(), Some(libc::SIGKILL));
    let done = database.query_i64("select sum(keys_done) from lockkeeper_range").await;

    let second = replicas.remove(leader(&replicas).await);
    follow(&replicas, done.unsigned_abs() + 200).await;
    assert_eq!(second.progress().await["resumed"], true);
    replicas.push(second);
    rate("off").await;
    for replica in &replicas {
        let open = async || replica.get("/ready").await.status() == 200;
        wait_until("it is open", PATIENCE, open).await;
    }
    assert_eq!(database.query_i64("select count(*) from t where n <> 1").await, 0);
    assert_eq!(database.query_i64("select count(*) from lockkeeper_run").await, 3);
    for replica in replicas {
        replica.running.signal(libc::SIGTERM);
        replica.running.wait().await.expect(143);
    }
}

/// They have nothing at stake, and go on waiting, or take over from the one that did.
#[tokio::test]
async fn those_who_wait_outlive_a_restart_of_the_server() {
    let server = Server::own(Kind::Postgres18);
    let database = server.database().await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V0__begin.sql", "select 1;\n")]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    Lockkeeper::new(["rate", "15000"]).database(&database).run().await.expect(0);
    project.file("V1__count.sql", COUNT);
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(replica(&project, &database).await);
    }
    let _first = replicas.remove(leader(&replicas).await);
    follow(&replicas, 1_000).await;
    server.restart();
    Lockkeeper::new(["rate", "off"]).database(&database).run().await.expect(0);
    for replica in &replicas {
        replica.running.line_with("gate: open").await;
    }
    assert_eq!(database.query_i64("select count(*) from t where n <> 1").await, 0);
}
