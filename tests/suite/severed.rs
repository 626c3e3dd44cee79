//! An administrator, or a server short of memory, ends the session that works, while the one that
//! holds the lock lives on.

use std::time::{Duration, Instant};

use crate::support::counters::{self, COUNT};
use crate::support::{Database, Kind, Lockkeeper, Project, Running, wait_until};

const ROWS: u64 = 400_000;
/// Nothing here takes longer, but on a machine that is much too busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// A script of some rows, which then takes as long as the table says.
const SLOW: &str = "insert into done select 1;\nselect pg_sleep(seconds) from pace;\n";

/// Ends the session that works. Whether there was one.
async fn sever(database: &Database) -> bool {
    let sever = match database.kind() {
        Kind::MariaDb => {
            let workers = "select id from information_schema.processlist where db = database() \
                           and (info like 'update%' or state = 'User sleep')";
            let workers = database.query_column(workers).await;
            for worker in &workers {
                database.try_execute(&format!("kill {worker}")).await.ok();
            }
            return !workers.is_empty();
        }
        _ => {
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where \
             application_name like 'lockkeeper work%' and datname = current_database()"
        }
    };
    database.query_i64(sever).await > 0
}

/// A script that has begun to sleep for an hour.
async fn asleep(kind: Kind, text: &str) -> (Project, Database, Running) {
    let database = Database::of(kind).await;
    let scene = "create table pace (seconds int); insert into pace values (3600); \
                 create table done (n int);";
    database.execute(scene).await;
    let project = Project::with([("V1__slow.sql", text)]);
    let running = Lockkeeper::up(&project, &database).start();
    let asleep = match kind {
        Kind::MariaDb => {
            "select count(*) from information_schema.processlist where db = database() \
             and state = 'User sleep'"
        }
        _ => {
            "select count(*) from pg_stat_activity where wait_event = 'PgSleep' \
             and datname = current_database()"
        }
    };
    database.wait_for(asleep).await;
    (project, database, running)
}

/// What is committed is in the ledger, and the run goes on from there by itself.
async fn a_backfill_goes_on(kind: Kind) {
    let database = Database::of(kind).await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__count.sql", COUNT)]);
    let running = Lockkeeper::up(&project, &database).start();
    for part in 1..=3 {
        counters::passed(&database, part * ROWS / 50).await;
        wait_until("a session at work", PATIENCE, async || sever(&database).await).await;
    }
    running.wait().await.expect(0).expect_text("ready: the schema is at version 1");
    counters::assert_once(&database, ROWS).await;
}

#[tokio::test]
async fn a_backfill_goes_on_on_postgres() {
    a_backfill_goes_on(Kind::Postgres15).await;
}

#[tokio::test]
async fn a_backfill_goes_on_on_mariadb() {
    a_backfill_goes_on(Kind::MariaDb).await;
}

/// A pause that outlasts the sessions ends as any other.
#[tokio::test]
async fn a_paused_backfill_goes_on_with_other_sessions() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__count.sql", counters::count(3))]);
    let running = Lockkeeper::up(&project, &database).start();
    counters::passed(&database, ROWS / 50).await;
    let ask = async |words: &[&str]| {
        Lockkeeper::new(words).database(&database).run().await.expect(0);
    };
    ask(&["pause"]).await;
    let met = "select count(*) from lockkeeper_request where met_epoch is not null";
    database.wait_for(met).await;
    assert!(sever(&database).await);
    let passed = database.query_i64(counters::PASSED).await;
    assert!((passed as u64) < ROWS);
    ask(&["resume"]).await;
    running.wait().await.expect(0).expect_text("ready: the schema is at version 1");
    counters::assert_once(&database, ROWS).await;
}

/// An hour's script isn't begun again unasked; it is rolled back, and the next run's to do.
async fn a_script_is_interrupted(kind: Kind) {
    let sleep = if kind == Kind::MariaDb { "sleep" } else { "pg_sleep" };
    let (project, database, running) = asleep(kind, &SLOW.replace("pg_sleep", sleep)).await;
    let severed = Instant::now();
    assert!(sever(&database).await);
    let output = running.wait().await.expect(4);
    assert!(severed.elapsed() < PATIENCE, "{:?}", severed.elapsed());
    let output = output.expect_text("migration 1, step 1 of 1 failed: ");
    let output = output.expect_text("rolled back: step 1 as a whole");
    output.expect_text("run the same command again to go on from there");
    assert_eq!(database.query_i64("select count(*) from done").await, 0);

    database.execute("update pace set seconds = 0").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from done").await, 1);
}

#[tokio::test]
async fn a_script_is_interrupted_on_postgres() {
    a_script_is_interrupted(Kind::Postgres15).await;
}

#[tokio::test]
async fn a_script_is_interrupted_on_mariadb() {
    a_script_is_interrupted(Kind::MariaDb).await;
}

/// Nobody can know whether a statement outside a transaction did its work.
#[tokio::test]
async fn a_bare_statement_asks_for_a_human() {
    let text = "create procedure doze() language plpgsql as $$ begin insert into done values (1); \
                commit; perform pg_sleep(seconds) from pace; end $$;\n\
                -- lockkeeper: no-transaction\ncall doze();\n";
    let (project, database, running) = asleep(Kind::Postgres15, text).await;
    assert!(sever(&database).await);
    let output = running.wait().await.expect(4);
    output.expect_text("run the same command again").expect_text("asks for a verdict on it");
    database.execute("update pace set seconds = 0").await;
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(5).expect_text("`lockkeeper resolve 1 --applied`");
    assert_eq!(database.query_i64("select count(*) from done").await, 1);
}
