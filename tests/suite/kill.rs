//! The real binary, killed: whatever the moment, the next run goes on, and no row is missed or
//! counted twice.

use std::time::{Duration, Instant};

use crate::support::counters::{self, PASSED, count};
use crate::support::{self, Connection, Database, Kind, Lockkeeper, Project, Running, Server};

/// Kills and rows of the short form and of the long one.
fn extent(kind: Kind) -> (usize, u64) {
    match (support::long(), kind) {
        (true, Kind::Postgres15 | Kind::Postgres18) => (50, 1_500_000),
        (true, Kind::MariaDb) => (20, 800_000),
        (true, Kind::Sqlite) => (20, 3_000_000),
        (false, Kind::Postgres15 | Kind::Postgres18) => (8, 100_000),
        (false, Kind::MariaDb) => (4, 100_000),
        (false, Kind::Sqlite) => (4, 400_000),
    }
}

/// Waits until more than `keys` are passed, or the process has ended.
pub async fn passes(running: &Running, outside: &mut Connection, keys: u64) {
    support::wait_until("the backfill goes on", Duration::from_secs(60), async || {
        let passed = outside.try_query_rows(PASSED).await.unwrap_or_default();
        let passed = passed.first().and_then(|row| row[0].as_deref()?.parse().ok());
        passed.is_some_and(|passed: u64| passed > keys) || !running.runs()
    })
    .await;
}

/// Kills `up` until the last of so many kills has hit, each at a random key of `keys` and a random
/// moment after it, or at a random moment of the start. Then lets one run to its end.
pub async fn kill_at_random(
    project: &Project,
    database: &Database,
    url: &str,
    kills: usize,
    keys: u64,
) {
    let mut random = support::random();
    let mut outside = database.connect().await;
    // The last one comes early enough for the process to be there still.
    let mut places: Vec<_> = (0..kills).map(|_| random.u64(0..keys * 8 / 10)).collect();
    places.sort_unstable();
    let (mut lives, mut hits) = (0, 0);
    for place in places {
        lives += 1;
        let running = Lockkeeper::up(project, database).url(url).start();
        if random.u8(..4) > 0 {
            passes(&running, &mut outside, place).await;
            tokio::time::sleep(Duration::from_micros(random.u64(..30_000))).await;
        } else {
            tokio::time::sleep(Duration::from_micros(random.u64(..200_000))).await;
        }
        running.kill();
        let output = running.wait().await;
        if url != database.url {
            // Nobody waits for the end of a dead run's lease here.
            database.try_execute("delete from lockkeeper_lease").await.ok();
        }
        hits += usize::from(output.killed_by() == Some(libc::SIGKILL));
        // What wasn't killed had nothing left to do.
        assert!(output.killed_by().is_some() || output.code() == Some(0), "{}", output.text());
    }
    println!("{:?}: {hits} of {lives} were killed", database.kind());
    assert_eq!(hits, kills, "the backfill was too short for so many kills");
    let last = Lockkeeper::up(project, database).url(url).run().await.expect(0);
    println!("the last run: {:?}", last.took);
    let status = Lockkeeper::new(["status", "--exit-code", "--json"]);
    let status = status.project(project).database(database).run().await.expect(0);
    assert!(status.stdout.contains("\"ready\": true"), "{}", status.stdout);
}

async fn every_row_is_counted_once(kind: Kind, workers: u32) {
    let (kills, rows) = extent(kind);
    let database = Database::of(kind).await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", count(workers))]);
    kill_at_random(&project, &database, &database.url, kills, rows).await;
    counters::assert_once(&database, rows).await;
    let entries = "select count(*) from refinery_schema_history";
    assert_eq!(database.query_i64(entries).await, 1);
}

#[tokio::test]
async fn on_postgres_every_row_is_counted_once() {
    every_row_is_counted_once(Kind::Postgres15, 1).await;
}

#[tokio::test]
async fn on_mariadb_every_row_is_counted_once() {
    every_row_is_counted_once(Kind::MariaDb, 1).await;
}

#[tokio::test]
async fn on_sqlite_every_row_is_counted_once() {
    every_row_is_counted_once(Kind::Sqlite, 1).await;
}

#[tokio::test]
async fn four_workers_on_postgres_count_every_row_once() {
    every_row_is_counted_once(Kind::Postgres18, 4).await;
}

#[tokio::test]
async fn eight_workers_on_postgres_count_every_row_once() {
    every_row_is_counted_once(Kind::Postgres15, 8).await;
}

#[tokio::test]
async fn four_workers_on_mariadb_count_every_row_once() {
    every_row_is_counted_once(Kind::MariaDb, 4).await;
}

/// A trigger logs each row that goes, so that the log shows what was deleted twice or never.
#[tokio::test]
async fn every_row_is_deleted_and_logged_once() {
    let (kills, rows) = extent(Kind::Postgres15);
    let database = Database::of(Kind::Postgres18).await;
    counters::fill(&database, rows).await;
    database
        .execute(
            "create table gone (id bigint not null); \
             create function log() returns trigger language plpgsql as \
               'begin insert into gone values (old.id); return old; end'; \
             create trigger log after delete on t for each row execute function log();",
        )
        .await;
    let delete = "-- lockkeeper: batch rows=200 target=50ms trust-triggers\nDELETE FROM t WHERE id % 3 = 0;\n";
    let project = Project::with([("V1__delete.sql", delete)]);
    kill_at_random(&project, &database, &database.url, kills, rows).await;
    let third = (rows / 3) as i64;
    assert_eq!(database.query_i64("select count(*) from gone").await, third);
    assert_eq!(database.query_i64("select count(distinct id) from gone").await, third);
    assert_eq!(database.query_i64("select count(*) from t where id % 3 = 0").await, 0);
    assert_eq!(database.query_i64("select count(*) from t").await, rows as i64 - third);
}

/// The server dies in the middle and comes back: what it said was committed is there.
async fn the_server_dies(kind: Kind, workers: u32) {
    let (deaths, rows) = if support::long() { (8, 800_000) } else { (2, 150_000) };
    let server = Server::own(kind);
    let database = server.database().await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", count(workers))]);
    let mut random = support::random();
    let mut places: Vec<_> = (0..deaths).map(|_| random.u64(0..rows * 8 / 10)).collect();
    places.sort_unstable();
    let mut interrupted = 0;
    for place in places {
        let up = Lockkeeper::up(&project, &database).args(["--reconnect-timeout", "0s"]);
        let running = up.start();
        passes(&running, &mut database.connect().await, place).await;
        tokio::time::sleep(Duration::from_micros(random.u64(..30_000))).await;
        let died = Instant::now();
        server.restart();
        let restarted = died.elapsed();
        let output = running.wait().await;
        println!(
            "{kind:?} after key {place}: {}, {:?} after the server died, whose restart took \
             {restarted:?}",
            output.status,
            died.elapsed()
        );
        assert!(matches!(output.code(), Some(0 | 4)), "{}", output.text());
        interrupted += u32::from(output.code() == Some(4));
        let passed = database.query_column(PASSED).await;
        let passed = passed.first().map_or(rows, |passed| passed.parse().unwrap());
        let counted = database.query_i64("select count(*) from t where n = 1").await as u64;
        // How many keys one half of a block has is an estimate until the other one is done; two blocks of a
        // range may be half done, and each of their batches adds to it.
        let halves = "select count(*) from lockkeeper_range where cursor_key like '{%'";
        let halves = database.query_i64(halves).await as u64;
        assert!(
            counted.abs_diff(passed) <= 20 * halves,
            "{counted} rows, {passed} in the checkpoint with {halves} halves"
        );
    }
    assert!(interrupted > 0, "the backfill was too short");
    Lockkeeper::up(&project, &database).run().await.expect(0);
    counters::assert_once(&database, rows).await;
}

#[tokio::test]
async fn postgres_stops_at_once_in_the_middle() {
    the_server_dies(Kind::Postgres15, 1).await;
}

#[tokio::test]
async fn postgres_stops_at_once_under_four_workers() {
    the_server_dies(Kind::Postgres18, 4).await;
}

#[tokio::test]
async fn mariadb_is_killed_in_the_middle() {
    the_server_dies(Kind::MariaDb, 1).await;
}

/// The server dies again and again, and the same run goes on each time.
async fn a_run_outlives_its_server(kind: Kind, workers: u32) {
    let (deaths, rows) = if support::long() { (10, 1_500_000) } else { (2, 300_000) };
    let server = Server::own(kind);
    let database = server.database().await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", count(workers))]);
    let running = Lockkeeper::up(&project, &database).start();
    for death in 1..=deaths {
        passes(&running, &mut database.connect().await, death * rows / (deaths + 2)).await;
        assert!(running.runs(), "the backfill was too short");
        server.restart();
        let back = Instant::now();
        let mut outside = database.connect().await;
        // A crash takes back the last commits, so that it may have farther to go than it seems.
        let before = outside.query_column(PASSED).await;
        let before = before.first().and_then(|keys| keys.parse().ok()).unwrap_or(0);
        passes(&running, &mut outside, before).await;
        println!("{kind:?}, {workers} workers: back at work after {:?}", back.elapsed());
        // A machine that is much too busy with other tests has its own time.
        let limit = Duration::from_secs(if support::long() { 5 } else { 20 });
        assert!(back.elapsed() < limit, "{:?}", back.elapsed());
    }
    running.wait().await.expect(0);
    counters::assert_once(&database, rows).await;
}

#[tokio::test]
async fn a_run_outlives_its_server_on_postgres() {
    a_run_outlives_its_server(Kind::Postgres15, 1).await;
}

#[tokio::test]
async fn several_workers_outlive_their_server_on_postgres() {
    for workers in if support::long() { &[4, 8][..] } else { &[4] } {
        a_run_outlives_its_server(Kind::Postgres18, *workers).await;
    }
}

#[tokio::test]
async fn a_run_outlives_its_server_on_mariadb() {
    a_run_outlives_its_server(Kind::MariaDb, 2).await;
}
