//! Health checks while the database doesn't answer.

use std::time::{Duration, Instant};

use super::client::Served;
use crate::support::{Kind, Lockkeeper, Project, Server, counters};

/// More than a load balancer's nodes ask in a second.
const CHECKS: u32 = 200;

/// No answer needs the database: with every process of the server stopped, all come as before.
#[tokio::test]
async fn they_are_answered_without_the_database() {
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    counters::fill(&database, 60_000).await;
    let project = Project::with([("V1__count.sql", counters::COUNT)]);
    let served = Served::start(Lockkeeper::up(&project, &database)).await;
    served.reaches(1, 0.01).await;

    server.freeze();
    let started = Instant::now();
    for _ in 0..CHECKS {
        served.get("/alive").await.expect(200);
        let said = served.get("/ready").await.expect(503).json();
        assert_eq!((&said["state"], &said["current"]["version"]), (&"migrating".into(), &1.into()));
    }
    let took = started.elapsed();
    // None of them waited for a statement's timeout, nor for a second look.
    assert!(took < Duration::from_secs(10), "{took:?}");
    server.thaw();
    served.running.wait().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from t where n <> 1").await, 0);
}
