//! A lock that is lost while its holder works: the run stops, a second one goes on, and even when
//! both are at it for a while, no row counts twice.

use std::time::{Duration, Instant};

use crate::support::counters::{self, COUNT};
use crate::support::{
    self, Connection, Database, Kind, Lockkeeper, Project, Running, Server, wait_until,
};

const ROWS: u64 = 150_000;

/// A run that is at its backfill and can't end before the test lets it: rows are held, or, where
/// there is one writer, the writer's place.
async fn begun(kind: Kind, patience: &str) -> (Project, Database, Running, Connection) {
    let database = Database::of(kind).await;
    counters::fill(&database, rows(kind)).await;
    let project = Project::with([("V1__count.sql", COUNT)]);
    let mut holder = match kind {
        Kind::Sqlite => database.connect().await,
        _ => hold_rows(&database).await,
    };
    let running = up(&project, &database, patience).start();
    counters::passed(&database, 1_000).await;
    if kind == Kind::Sqlite {
        come_between(&running, &mut holder).await;
    }
    (project, database, running, holder)
}

/// Takes SQLite's write lock between two of the run's batches. It gives nobody a turn by itself: on a slow
/// machine the run could be done before.
async fn come_between(running: &Running, holder: &mut Connection) {
    holder.execute("pragma busy_timeout = 20").await;
    loop {
        running.signal(libc::SIGSTOP);
        let taken = holder.try_execute("begin immediate").await.is_ok();
        running.signal(libc::SIGCONT);
        if taken {
            return;
        }
        assert!(running.runs(), "it was done before: {}", running.stderr());
        // It was stopped within a batch, and is to get out of that.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..20))).await;
    }
}

/// A run that tries for so long to take a cut lock again.
fn up(project: &Project, database: &Database, patience: &str) -> Lockkeeper {
    Lockkeeper::up(project, database).args(["--reconnect-timeout", patience])
}

/// As many as take a few seconds.
fn rows(kind: Kind) -> u64 {
    if kind == Kind::Sqlite { 10 * ROWS } else { ROWS }
}

/// Takes the lock away from its holder, as a failover or a gateway does: it is not told.
async fn take_lock(database: &Database) {
    match database.kind() {
        Kind::Sqlite => {
            std::fs::remove_file(format!("{}.lock", database.path().display())).unwrap();
        }
        Kind::MariaDb => {
            let holder = "select is_used_lock(concat('lockkeeper:', database()))";
            let holder = database.query_i64(holder).await;
            database.execute(&format!("kill {holder}")).await;
        }
        Kind::Postgres15 | Kind::Postgres18 => {
            let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where \
                         application_name = 'lockkeeper lock' and datname = current_database()";
            assert_eq!(database.query_i64(ended).await, 1);
        }
    }
}

async fn a_lost_lock_stops_the_run(kind: Kind) {
    let (project, database, running, mut holder) = begun(kind, "0s").await;
    take_lock(&database).await;
    let lost = Instant::now();
    let output = running.wait().await.expect(4);
    println!("{kind:?}: stopped {:?} after the loss", lost.elapsed());
    output.expect_text("lock was lost").expect_text("run the same command again");
    holder.execute("rollback").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    counters::assert_once(&database, rows(kind)).await;
}

#[tokio::test]
async fn a_lost_lock_stops_the_run_on_postgres() {
    a_lost_lock_stops_the_run(Kind::Postgres15).await;
}

#[tokio::test]
async fn a_lost_lock_stops_the_run_on_mariadb() {
    a_lost_lock_stops_the_run(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_lost_lock_stops_the_run_on_sqlite() {
    a_lost_lock_stops_the_run(Kind::Sqlite).await;
}

/// What is written meanwhile is fenced, and nobody else has begun: the run goes on.
async fn a_cut_lock_is_taken_again(kind: Kind) {
    let (project, database, running, mut holder) = begun(kind, "2m").await;
    take_lock(&database).await;
    let again = Lockkeeper::new(["status"]).project(&project).database(&database);
    wait_until("the lock is held again", Duration::from_secs(60), async || {
        match kind {
            // Whoever asks for SQLite's lock has it for a moment.
            Kind::Sqlite => std::fs::exists(format!("{}.lock", database.path().display())).unwrap(),
            _ => again.run().await.expect(0).stdout.contains("is at work"),
        }
    })
    .await;
    holder.execute("rollback").await;
    running.wait().await.expect(0);
    counters::assert_once(&database, rows(kind)).await;
    Lockkeeper::up(&project, &database).run().await.expect(0).expect_text("nothing pending");
}

#[tokio::test]
async fn a_cut_lock_is_taken_again_on_postgres() {
    a_cut_lock_is_taken_again(Kind::Postgres18).await;
}

#[tokio::test]
async fn a_cut_lock_is_taken_again_on_mariadb() {
    a_cut_lock_is_taken_again(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_cut_lock_is_taken_again_on_sqlite() {
    a_cut_lock_is_taken_again(Kind::Sqlite).await;
}

/// Somebody else got it first, and keeps it.
#[tokio::test]
async fn a_lock_that_stays_away_stops_the_run() {
    let (project, database, running, mut holder) = begun(Kind::Postgres15, "3s").await;
    let key = "select (classid::bigint << 32 | objid::bigint)::text from pg_locks \
               where locktype = 'advisory' and granted and database = \
               (select oid from pg_database where datname = current_database())";
    let key = database.query_text(key).await;
    let other = database.connect().await;
    let waiting = tokio::spawn(async move {
        let mut other = other;
        other.query_rows(&format!("select pg_advisory_lock({key})::text")).await;
        other
    });
    database
        .wait_for("select count(*) from pg_locks where locktype = 'advisory' and not granted")
        .await;
    take_lock(&database).await;
    running.wait().await.expect(4).expect_text("lock was lost");
    drop(waiting.await.unwrap());
    holder.execute("rollback").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    counters::assert_once(&database, ROWS).await;
}

/// Outside a transaction there is no fence, and so no going on without the lock.
#[tokio::test]
async fn a_cut_lock_ends_a_bare_step() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, 100).await;
    let mut holder = database.connect().await;
    holder.execute("begin; update t set n = n where id = 1").await;
    let project = Project::with([("V1__index.sql", "CREATE INDEX CONCURRENTLY t_n ON t (n);\n")]);
    let running = up(&project, &database, "2m").start();
    let waits = "select count(*) from pg_stat_activity where query like 'CREATE INDEX%' \
                 and wait_event_type = 'Lock' and datname = current_database()";
    database.wait_for(waits).await;
    take_lock(&database).await;
    running.wait().await.expect(4).expect_text("lock was lost");
    holder.execute("rollback").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let valid = "select count(*) from pg_index where indexrelid = 't_n'::regclass and indisvalid";
    assert_eq!(database.query_i64(valid).await, 1);
}

/// Holds the next batches up: their rows are somebody else's.
async fn hold_rows(database: &Database) -> Connection {
    let mut holder = database.connect().await;
    holder.execute("begin").await;
    let lock = format!("select n from t where id = {} for update", ROWS * 9 / 10);
    holder.execute(&lock).await;
    holder
}

/// The second run begins while the first one, whose lock is gone, sits in an open batch.
async fn two_runs_count_once(kind: Kind) {
    let database = Database::of(kind).await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__count.sql", COUNT)]);
    let mut holder = hold_rows(&database).await;
    let first = up(&project, &database, "0s").start();
    let waits = match kind {
        // Not innodb_trx: who asks often is told what it said before.
        Kind::MariaDb => {
            "select count(*) from information_schema.processlist where db = database() \
             and info like 'UPDATE t SET%' and time_ms > 1000"
        }
        _ => {
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
             and datname = current_database()"
        }
    };
    database.wait_for(waits).await;
    take_lock(&database).await;
    let second = Lockkeeper::up(&project, &database).start();
    database.wait_for("select count(*) from lockkeeper_run where epoch = 2").await;
    holder.execute("commit").await;
    first.wait().await.expect(4);
    second.wait().await.expect(0);
    counters::assert_once(&database, ROWS).await;
}

#[tokio::test]
async fn two_runs_count_once_on_postgres() {
    two_runs_count_once(Kind::Postgres15).await;
}

#[tokio::test]
async fn two_runs_count_once_on_mariadb() {
    two_runs_count_once(Kind::MariaDb).await;
}

/// SQLite knows no sessions to end: both write until the first notices, and only the fence is
/// between them.
#[tokio::test]
async fn two_runs_count_once_on_sqlite() {
    let (project, database, first, mut holder) = begun(Kind::Sqlite, "0s").await;
    take_lock(&database).await;
    let second = Lockkeeper::up(&project, &database).start();
    let lock = format!("{}.lock", database.path().display());
    wait_until("the second has the lock", Duration::from_secs(60), async || {
        std::fs::exists(&lock).unwrap()
    })
    .await;
    holder.execute("rollback").await;
    first.wait().await.expect(4);
    second.wait().await.expect(0);
    counters::assert_once(&database, rows(Kind::Sqlite)).await;
}

/// A process that is paused, as a virtual machine is for a live migration, wakes up in a world in
/// which another run has done its work.
async fn a_paused_run_wakes_up_late(kind: Kind) {
    let (project, database, first, mut holder) = begun(kind, "0s").await;
    first.signal(libc::SIGSTOP);
    take_lock(&database).await;
    holder.execute("commit").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    first.signal(libc::SIGCONT);
    first.wait().await.expect(4);
    counters::assert_once(&database, rows(kind)).await;
    let entries = "select count(*) from refinery_schema_history";
    assert_eq!(database.query_i64(entries).await, 1);
}

#[tokio::test]
async fn a_paused_run_wakes_up_late_on_postgres() {
    a_paused_run_wakes_up_late(Kind::Postgres15).await;
}

#[tokio::test]
async fn a_paused_run_wakes_up_late_on_mariadb() {
    a_paused_run_wakes_up_late(Kind::MariaDb).await;
}

/// A server that falls silent, its connections still open: the run gives up by itself, and what it
/// had not committed is done by the next one.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let rows = if support::long() { 5 * ROWS } else { ROWS };
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    counters::fill(&database, rows).await;
    // However fast the machine is, it doesn't end before.
    let mut holder = hold_rows(&database).await;
    let project = Project::with([("V1__count.sql", COUNT)]);
    let running = up(&project, &database, "3s").start();
    counters::passed(&database, 1_000).await;
    server.freeze();
    let silent = Instant::now();
    let output = running.wait().await;
    println!("given up {:?} after the last answer", silent.elapsed());
    server.thaw();
    output.expect(4).expect_text("lock was lost");
    assert!(silent.elapsed() < Duration::from_secs(25), "{:?}", silent.elapsed());
    holder.execute("rollback").await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    counters::assert_once(&database, rows).await;
}

/// A script that commits while its successor already has the lock, and waits for nothing but the
/// fence: what the successor has read before that is no longer true.
#[tokio::test]
async fn a_script_that_commits_late_runs_once() {
    let database = Database::of(Kind::Postgres15).await;
    database.execute("create table t (n bigint not null); insert into t values (0)").await;
    database.execute("create table gate (id int); insert into gate values (1)").await;
    // Under another name, the session isn't found as the remnant of a dead run.
    let script = "set application_name = 'shop';\nupdate t set n = n + 1;\n\
                  select id from gate for update;\n";
    let project = Project::with([("V1__count.sql", script)]);
    let mut holder = database.connect().await;
    holder.execute("begin").await;
    holder.execute("select id from gate for update").await;
    let first = up(&project, &database, "0s").start();
    let waits = |what: &str| {
        format!(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
             and datname = current_database() and query like '%{what}%'"
        )
    };
    database.wait_for(&waits("from gate for update")).await;
    first.signal(libc::SIGSTOP);
    take_lock(&database).await;
    let second = Lockkeeper::up(&project, &database).start();
    database.wait_for(&waits("lockkeeper_control")).await;
    holder.execute("commit").await;
    let done = "select count(*) from pg_stat_activity where application_name = 'shop' \
                and state = 'idle in transaction' and datname = current_database()";
    database.wait_for(done).await;
    first.signal(libc::SIGCONT);
    first.wait().await;
    second.wait().await.expect(0);
    assert_eq!(database.query_i64("select n from t").await, 1);
    let entries = "select count(*) from refinery_schema_history";
    assert_eq!(database.query_i64(entries).await, 1);
}
