//! Batches that would hold their locks for longer than they should: the server ends them, and smaller ones
//! follow.

use crate::support::counters;
use crate::support::{Database, Kind, Lockkeeper, Options, PgBouncer, Project, Proxy, Server};

/// A hundred rows in the middle take milliseconds each, all others microseconds.
async fn fill(database: &Database) {
    database
        .execute(
            "create table items (id bigint primary key, n int not null, width int not null);
             insert into items select i, 0, case when i between 10000 and 10099 then 5000000 else 1 end
             from generate_series(1, 20000) i; analyze items",
        )
        .await;
}

const COUNT: &str = "-- lockkeeper: batch target=60ms\n\
    UPDATE items SET n = n + 1 + 0 * length(repeat('x', width));\n";

/// Ended batches leave nothing behind, cost no pause, and are nothing that one should be told.
#[tokio::test]
async fn a_batch_of_dear_rows_is_ended_and_tried_again_smaller() {
    for kind in [Kind::Postgres15, Kind::Postgres18] {
        let server = Server::with(Options::new(kind));
        let database = server.database().await;
        fill(&database).await;
        let project = Project::with([("V1__count.sql", COUNT)]);
        let up = Lockkeeper::up(&project, &database).run().await.expect(0);
        let once = "select count(*) from items where n = 1";
        assert_eq!(database.query_i64(once).await, 20_000);
        assert!(server.log().contains("canceling statement due to statement timeout"), "{kind:?}");
        assert!(!up.text().contains("cancelled"), "{}", up.text());
    }
}

/// A query that ends as one does at which a limit strikes: with its error, and the transaction aborted.
fn struck() -> Vec<u8> {
    let sql = b"do $$ begin raise query_canceled; end $$\0";
    let length = u32::try_from(sql.len() + 4).expect("a length").to_be_bytes();
    [&b"Q"[..], &length, sql].concat()
}

/// As many as take longer than it takes to set a trap.
const ROWS: u64 = 200_000;

/// It may strike before a commit has begun: the batch is taken back, and the session is as good as before.
#[tokio::test]
async fn a_limit_that_strikes_on_the_way_to_the_commit_loses_nothing() {
    let server = Server::postgres15();
    let bouncer = PgBouncer::with(server, "pool_mode = transaction");
    let project = Project::with([("V1__count.sql", counters::COUNT)]);
    for port in [None, Some(bouncer.port())] {
        let database = server.database().await;
        counters::fill(&database, ROWS).await;
        let proxy = Proxy::before(port.unwrap_or_else(|| database.port()));
        let running = Lockkeeper::new(["up"]).project(&project).url(&proxy.url(&database)).start();
        running.line_with(" backfill t by id begins").await;
        proxy.replace_nth("commit", 3, struck());
        running.wait().await.expect(0);
        assert_eq!(proxy.sprung(), 1);
        counters::assert_once(&database, ROWS).await;
    }
}
