//! SIGTERM: the run says where it stands, ends with 4 in time, and the next one goes on from there.

use std::time::{Duration, Instant};

use crate::support::counters::{self, COUNT};
use crate::support::{Database, Kind, Lockkeeper, Project, Running, port, wait_until};

/// What a busy machine may add to any time here.
const SLACK: Duration = Duration::from_millis(1500);

/// In a script's only statement, which nothing but a signal ends in time.
const LONG: &str = "SELECT pg_sleep(60);\n";
const LONG_RUNS: &str = "select count(*) from pg_stat_activity where state = 'active' \
                         and query like 'SELECT pg_sleep%' and datname = current_database()";

async fn sleeper() -> (Project, Database) {
    let database = Database::of(Kind::Postgres15).await;
    (Project::with([("V1__sleep.sql", LONG)]), database)
}

/// Waits until it is at the long statement.
async fn sleeps(database: &Database) {
    database.wait_for(LONG_RUNS).await;
}

async fn a_stop_is_resumed(kind: Kind) {
    let rows = 200_000;
    let database = Database::of(kind).await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", COUNT)]);
    let up = Lockkeeper::up(&project, &database);
    let running = up.clone().args(["--stop-timeout", "10s"]).start();
    counters::passed(&database, 1_000).await;
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(4);
    println!("{kind:?}: stopped in {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());

    // It says how far it is, the ledger says the same, and so do the rows.
    let passed = database.query_i64(counters::PASSED).await as u64;
    let cursor = "select cursor_key from lockkeeper_range";
    assert_eq!(database.query_text(cursor).await, format!("[\"{passed}\"]"));
    assert_eq!(database.query_i64("select count(*) from t where n = 1").await as u64, passed);
    assert!(1_000 <= passed && passed < rows, "{passed}");
    let output = output.expect_text("stopped by SIGTERM");
    let output = output.expect_text(&format!("all up to id {passed} is committed"));
    output.expect_text("run the same command again");
    let outcome = "select outcome from lockkeeper_run";
    assert_eq!(database.query_text(outcome).await, "interrupted");

    // The next one does the rest, and no more.
    let address = format!("127.0.0.1:{}", port::free());
    let next = up.args(["--log-format", "json", "--listen", &address]).start();
    wait_until("it says that it resumed", Duration::from_secs(30), async || {
        resumed(&address) || !next.runs()
    })
    .await;
    assert!(next.runs() || resumed(&address), "{}", next.stderr());
    let output = next.wait().await.expect(0);
    output.expect_text(&format!("\"rows_changed\":{}", rows - passed));
    counters::assert_once(&database, rows).await;
}

fn resumed(address: &str) -> bool {
    let answer = ureq::get(&format!("http://{address}/progress")).call();
    let body = answer.ok().and_then(|mut answer| answer.body_mut().read_to_string().ok());
    let progress = body.and_then(|body| serde_json::from_str::<serde_json::Value>(&body).ok());
    progress.is_some_and(|progress| progress["resumed"] == true)
}

#[tokio::test]
async fn a_stop_is_resumed_on_postgres() {
    a_stop_is_resumed(Kind::Postgres18).await;
}

#[tokio::test]
async fn a_stop_is_resumed_on_mariadb() {
    a_stop_is_resumed(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_stop_is_resumed_on_sqlite() {
    a_stop_is_resumed(Kind::Sqlite).await;
}

/// What doesn't end by itself is cancelled in the server before the time is over.
#[tokio::test]
async fn a_long_statement_is_cancelled() {
    let (project, database) = sleeper().await;
    let running = Lockkeeper::up(&project, &database).args(["--stop-timeout", "2s"]).start();
    sleeps(&database).await;
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(4).expect_text("stopped by SIGTERM");
    let took = asked.elapsed();
    println!("cancelled after {took:?}");
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(2) + SLACK, "{took:?}");
    output.expect_text("in migration 1, step 1 of 1");
    assert_eq!(database.query_i64(LONG_RUNS).await, 0);
    let steps = "select count(*) from lockkeeper_step";
    assert_eq!(database.query_i64(steps).await, 0, "it was rolled back");
}

/// A bare statement that was cancelled has not happened, so nobody needs to look.
#[tokio::test]
async fn a_cancelled_bare_statement_is_not_dirty() {
    let database = Database::of(Kind::Postgres15).await;
    let text = format!("-- lockkeeper: no-transaction\n{LONG}");
    let project = Project::with([("V1__sleep.sql", text)]);
    let running = Lockkeeper::up(&project, &database).args(["--stop-timeout", "1s"]).start();
    sleeps(&database).await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);
    project.file("V1__sleep.sql", "-- lockkeeper: no-transaction\nSELECT 1;\n");
    Lockkeeper::up(&project, &database).run().await.expect(0);
}

/// The second signal doesn't wait for anything.
#[tokio::test]
async fn two_signals_end_at_once() {
    let (project, database) = sleeper().await;
    let running = Lockkeeper::up(&project, &database).args(["--stop-timeout", "60s"]).start();
    sleeps(&database).await;
    running.signal(libc::SIGTERM);
    running.line_with("stopping (SIGTERM)").await;
    assert!(running.runs());
    let asked = Instant::now();
    running.signal(libc::SIGINT);
    let output = running.wait().await.expect(4);
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    let said = "stopped by a second signal (SIGINT): in migration 1, step 1 of 1";
    output.expect_text(said).expect_text("run the same command again");
}

/// Neither does the same signal again, once it can't be the echo of the first any more.
#[tokio::test]
async fn the_same_signal_again_ends_at_once() {
    let (project, database) = sleeper().await;
    let up = Lockkeeper::up(&project, &database).args(["--log-format", "json"]);
    let running = up.args(["--stop-timeout", "60s"]).start();
    sleeps(&database).await;
    wait_until("it ends", Duration::from_secs(5), async || {
        running.signal(libc::SIGTERM);
        !running.runs()
    })
    .await;
    let output = running.wait().await.expect(4);
    output.expect_text("\"reason\":\"a second signal (SIGTERM)\"");
}

/// A parent such as GNU `timeout` signals the process and then its group: that is one wish, and the
/// open step may end. What is told then is how far the run is, not which step was the last.
#[tokio::test]
async fn a_signal_and_its_echo_are_one() {
    let database = Database::of(Kind::Postgres15).await;
    let mut holder = database.connect().await;
    holder.execute("select pg_advisory_lock(1)").await;
    let wait = "SELECT pg_advisory_lock_shared(1);\n";
    let project = Project::with([("V1__wait.sql", wait), ("V2__next.sql", "SELECT 2;\n")]);
    let running = Lockkeeper::up(&project, &database).args(["--stop-timeout", "60s"]).start();
    database
        .wait_for("select count(*) from pg_locks where locktype = 'advisory' and not granted")
        .await;
    // Of two the kernel may make one; not of thousands in as many microseconds.
    let first = Instant::now();
    while first.elapsed() < Duration::from_millis(20) {
        running.signal(libc::SIGTERM);
    }
    running.line_with("stopping (SIGTERM)").await;
    holder.execute("select pg_advisory_unlock(1)").await;
    let output = running.wait().await.expect(4).expect_text("stopped by SIGTERM");
    output.expect_text(": migration 1 is done, migration 2 not begun");
}

/// What can't be cancelled either is given up when the time is over, and that is said.
#[tokio::test]
async fn the_end_of_the_stop_timeout_is_told() {
    let database = Database::of(Kind::Postgres15).await;
    let deaf = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN \
                NULL; END; END LOOP; END $$;\n";
    let project = Project::with([("V1__deaf.sql", deaf)]);
    let running = Lockkeeper::up(&project, &database).args(["--stop-timeout", "1s"]).start();
    let deaf = "select count(*) from pg_stat_activity where state = 'active' \
                and query like 'DO $$%' and datname = current_database()";
    database.wait_for(deaf).await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4).expect_text("stopped by the end of the stop timeout: in migr");
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
               where query like 'DO $$%' and datname = current_database()";
    database.query_i64(end).await;
}

/// One that waits for the lock has nothing to finish.
#[tokio::test]
async fn a_waiter_is_stopped_at_once() {
    let (project, database) = sleeper().await;
    let up = Lockkeeper::up(&project, &database);
    let leader = up.start();
    sleeps(&database).await;
    let waiter: Running = up.start();
    waiter.line_with("waiting for the lock").await;
    let asked = Instant::now();
    waiter.signal(libc::SIGTERM);
    waiter.wait().await.expect(4).expect_text("stopped by SIGTERM");
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    assert!(leader.runs());
    assert_eq!(database.query_i64(LONG_RUNS).await, 1, "the leader's work goes on");
}

const WAITS: &str = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                     and application_name like 'lockkeeper%' and datname = current_database()";

/// A table with statistics, and a backfill behind a script that the test can hold.
async fn behind_a_gate() -> (Project, Database) {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create table t (id int primary key, n int not null); insert into t values (1, 0);
             create table gate (id int); analyze t;",
        )
        .await;
    let fill = "-- lockkeeper: batch\nUPDATE t SET n = n + 1;\n";
    (Project::with([("V2__fill.sql", fill)]), database)
}

/// Somebody has locked the table before anything is decided.
#[tokio::test]
async fn a_stop_while_the_proof_waits_for_a_table() {
    let (project, database) = behind_a_gate().await;
    let mut holder = database.connect().await;
    holder.execute("begin; lock table t").await;
    let running = Lockkeeper::up(&project, &database).start();
    database.wait_for(WAITS).await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4).expect_text("stopped by SIGTERM");
    holder.execute("rollback").await;
}

/// Somebody has locked it when its backfill is about to begin: nothing has failed then either.
#[tokio::test]
async fn a_stop_while_a_backfill_waits_for_its_table() {
    let (project, database) = behind_a_gate().await;
    project.file("V1__gate.sql", "INSERT INTO gate VALUES (1);\n");
    let mut gate = database.connect().await;
    gate.execute("begin; lock table gate").await;
    let running = Lockkeeper::up(&project, &database).start();
    database.wait_for(WAITS).await;
    let mut holder = database.connect().await;
    holder.execute("begin; lock table t").await;
    gate.execute("commit").await;
    database.wait_for("select count(*) from lockkeeper_step where version = 1").await;
    database.wait_for(WAITS).await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4).expect_text("stopped by SIGTERM");
    holder.execute("rollback").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from t where n = 1").await, 1);
}
