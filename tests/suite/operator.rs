//! What an operator asks from a second process: it takes effect within a second, on every database.

use std::time::{Duration, Instant};

use crate::support::counters::{self, COUNT};
use crate::support::{self, Database, Kind, Lockkeeper, Project, Running, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

/// As many as take so long, at a rate that each database keeps, that there is time to ask for everything.
const ROWS: u64 = 400_000;
const RATE: &str = "20000";

/// How soon it has to be, on a machine that has nothing else to do; beside all other tests it may take
/// longer.
fn limit() -> Duration {
    Duration::from_secs(if support::long() { 1 } else { 10 })
}

/// A backfill of many small batches, at work.
struct Scene {
    database: Database,
    project: Project,
}

impl Scene {
    async fn of(kind: Kind, rows: u64) -> Scene {
        let database = Database::of(kind).await;
        counters::fill(&database, rows).await;
        Scene { database, project: Project::with([("V1__count.sql", COUNT)]) }
    }

    async fn start(&self) -> Running {
        let running = Lockkeeper::up(&self.project, &self.database).start();
        counters::passed(&self.database, 1_000).await;
        running
    }

    /// Asks for something. From its end on, the time counts in which it takes effect.
    async fn ask(&self, words: &[&str]) -> (String, Instant) {
        let asked = Lockkeeper::new(words).env("USER", "alice").database(&self.database);
        let output = asked.run().await.expect(0);
        (output.stdout, Instant::now())
    }

    async fn status(&self) -> String {
        let status = Lockkeeper::new(["status"]).project(&self.project).database(&self.database);
        status.run().await.expect(0).stdout
    }

    async fn passed(&self) -> u64 {
        self.database.query_i64(counters::PASSED).await as u64
    }
}

/// Waits for it, and fails where it takes too long.
async fn soon(what: &str, asked: Instant, condition: impl AsyncFnMut() -> bool) {
    wait_until(what, PATIENCE, condition).await;
    let took = asked.elapsed();
    println!("{what} after {took:?}");
    assert!(took < limit(), "{what} took {took:?}");
}

async fn is_true(database: &Database, sql: &str) -> bool {
    database.query_i64(sql).await != 0
}

const MET: &str = "select count(*) from lockkeeper_request where met_epoch is not null";

async fn requests_take_effect(kind: Kind) {
    let scene = Scene::of(kind, ROWS).await;
    scene.project.file("V0__earlier.sql", "create table earlier (id int);\n");
    let earlier = Lockkeeper::up(&scene.project, &scene.database).args(["--to", "0"]);
    earlier.run().await.expect(0);
    scene.ask(&["rate", RATE]).await;
    let database = &scene.database;
    let running = scene.start().await;

    let (said, asked) = scene.ask(&["pause"]).await;
    assert!(said.contains(" pauses as soon as the open batch or step has ended"), "{said}");
    soon("paused", asked, async || is_true(database, MET).await).await;
    let before = scene.passed().await;
    running.line_with("paused by alice on ").await;
    let status = scene.status().await;
    assert!(status.contains("paused, as alice on ") && status.contains("is at work"), "{status}");
    assert_eq!(scene.passed().await, before);

    let (said, asked) = scene.ask(&["resume"]).await;
    assert!(said.contains(" goes on"), "{said}");
    soon("resumed", asked, async || scene.passed().await > before).await;

    let (_, asked) = scene.ask(&["rate", "2000"]).await;
    // A batch that was under way is the last one of its size.
    let slow = async || {
        let (at, before) = (Instant::now(), scene.passed().await);
        let (_, after) =
            (tokio::time::sleep(Duration::from_millis(200)).await, scene.passed().await);
        ((after - before) as f64) < 4_000.0 * at.elapsed().as_secs_f64() + 500.0
    };
    soon("slowed", asked, slow).await;
    running.line_with("rate 2000 rows/s, asked for by alice on ").await;
    let (from, at) = (scene.passed().await, Instant::now());
    counters::passed(database, from + 3_000).await;
    let rate = (scene.passed().await - from) as f64 / at.elapsed().as_secs_f64();
    println!("{kind:?}: {rate:.0} rows/s");
    assert!(rate < 2_600.0, "{rate} rows/s");

    // While one throttle holds, the others are heard.
    scene.ask(&["rate", "1"]).await;
    let (_, asked) = scene.ask(&["pause"]).await;
    soon("paused under a rate", asked, async || is_true(database, MET).await).await;
    // Not off: on SQLite all the rest takes a second.
    scene.ask(&["rate", "5000"]).await;
    let before = scene.passed().await;
    let (_, asked) = scene.ask(&["resume"]).await;
    soon("resumed at another rate", asked, async || scene.passed().await > before).await;
    scene.ask(&["pause"]).await;

    let (said, asked) = scene.ask(&["abort"]).await;
    assert!(said.contains(" ends; `lockkeeper up` goes on from there"), "{said}");
    let output = running.wait().await.expect(4);
    println!("aborted after {:?}", asked.elapsed());
    assert!(asked.elapsed() < limit(), "{:?}", asked.elapsed());
    let output = output.expect_text("stopped by an abort that alice on ");
    output.expect_text("run the same command again to go on from there");

    // The abort was that run's alone; the pause is everybody's.
    let next = Lockkeeper::up(&scene.project, database).start();
    next.line_with("paused by alice on ").await;
    scene.ask(&["rate", "off"]).await;
    scene.ask(&["resume"]).await;
    next.wait().await.expect(0);
    counters::assert_once(database, ROWS).await;
}

#[tokio::test]
async fn requests_take_effect_on_postgres() {
    requests_take_effect(Kind::Postgres15).await;
}

#[tokio::test]
async fn requests_take_effect_on_mariadb() {
    requests_take_effect(Kind::MariaDb).await;
}

#[tokio::test]
async fn requests_take_effect_on_sqlite() {
    requests_take_effect(Kind::Sqlite).await;
}

/// A script that is under way ends by itself; until then the run is `pausing`.
#[tokio::test]
async fn a_script_is_let_end_and_the_next_one_waits() {
    let database = Database::of(Kind::Postgres18).await;
    let mut gate = database.connect().await;
    gate.execute("select pg_advisory_lock(7)").await;
    let project = Project::with([
        ("V1__gate.sql", "select pg_advisory_xact_lock(7);\n"),
        ("V2__next.sql", "create table later (id int);\n"),
    ]);
    let scene = Scene { database, project };
    let running = Lockkeeper::up(&scene.project, &scene.database).start();
    let waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted \
                 and database = (select oid from pg_database where datname = current_database())";
    scene.database.wait_for(waits).await;
    scene.ask(&["pause"]).await;
    let status = scene.status().await;
    assert!(status.contains("pausing, as alice on "), "{status}");
    running.line_with("pausing, asked for by alice on ").await;
    gate.execute("select pg_advisory_unlock(7)").await;
    running.line_with("paused by alice on ").await;
    scene.database.wait_for(MET).await;
    assert!(scene.status().await.contains("paused, as alice on "));
    assert!(!scene.database.tables().await.contains(&"later".to_owned()));
    scene.ask(&["resume"]).await;
    running.wait().await.expect(0);
}

/// A step that is tried again and again, since somebody has the table, isn't tried any more.
async fn a_pause_comes_between_two_tries(statement: &str) {
    let database = Database::of(Kind::Postgres15).await;
    database.execute("create table busy (id int)").await;
    let mut holder = database.connect().await;
    holder.execute("begin; lock table busy in access exclusive mode").await;
    let text = format!("-- lockkeeper: lock-timeout=50ms\n{statement}\n");
    let scene = Scene { database, project: Project::with([("V1__busy.sql", text)]) };
    let running = Lockkeeper::up(&scene.project, &scene.database).start();
    // Without the server's words: these are for everybody to read.
    running.line_with("waited too long for a lock (55P03)").await;
    scene.ask(&["pause"]).await;
    running.line_with("paused by alice on ").await;
    scene.database.wait_for(MET).await;
    holder.execute("rollback").await;
    // The pause may last: the session is kept, and where that fails, made anew.
    let works = "application_name like 'lockkeeper work%' and datname = current_database()";
    let kept =
        format!("select count(*) from pg_stat_activity where query = 'select 1' and {works}");
    scene.database.wait_for(&kept).await;
    let end =
        format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where {works}");
    assert_eq!(scene.database.query_i64(&end).await, 1);
    let indexes = "select count(*) from pg_index where indrelid = 'busy'::regclass and indisvalid";
    assert_eq!(scene.database.query_i64(indexes).await, 0);
    scene.ask(&["resume"]).await;
    running.wait().await.expect(0);
    assert_eq!(scene.database.query_i64(indexes).await, 1);
}

#[tokio::test]
async fn a_pause_comes_between_two_tries_of_a_script() {
    a_pause_comes_between_two_tries("create index on busy (id);").await;
}

#[tokio::test]
async fn a_pause_comes_between_two_tries_of_a_bare_statement() {
    a_pause_comes_between_two_tries("create index concurrently busy_id on busy (id);").await;
}

/// A statement that takes its time is cancelled in the server.
#[tokio::test]
async fn an_abort_ends_a_long_statement() {
    let database = Database::of(Kind::Postgres15).await;
    let scene =
        Scene { database, project: Project::with([("V1__sleep.sql", "select pg_sleep(60);\n")]) };
    let running = Lockkeeper::up(&scene.project, &scene.database).start();
    let sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' \
                  and datname = current_database()";
    scene.database.wait_for(sleeps).await;
    let (_, asked) = scene.ask(&["abort"]).await;
    running.wait().await.expect(4).expect_text("stopped by an abort that alice on ");
    assert!(asked.elapsed() < limit(), "{:?}", asked.elapsed());
    assert_eq!(scene.database.query_i64(sleeps).await, 0);
}

/// Also where the run has been told already to stop, and lets the statement end by itself.
#[tokio::test]
async fn an_abort_hurries_a_run_that_stops() {
    let database = Database::of(Kind::Postgres15).await;
    let scene =
        Scene { database, project: Project::with([("V1__sleep.sql", "select pg_sleep(600);\n")]) };
    let up = Lockkeeper::up(&scene.project, &scene.database).args(["--stop-timeout", "10m"]);
    let running = up.start();
    let sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' \
                  and datname = current_database()";
    scene.database.wait_for(sleeps).await;
    running.signal(libc::SIGTERM);
    running.line_with("SIGTERM").await;
    let (_, asked) = scene.ask(&["abort"]).await;
    running.wait().await.expect(4);
    assert!(asked.elapsed() < limit(), "{:?}", asked.elapsed());
}

/// Where nothing can be asked, that is said.
#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let database = Database::of(Kind::Postgres15).await;
    let ask = |words: &[&str]| Lockkeeper::new(words).database(&database);
    for words in [&["pause"][..], &["resume"], &["abort"], &["rate", "5"], &["workers", "5"]] {
        let output = ask(words).run().await.expect(1);
        output.expect_text("no run of this version of lockkeeper has worked on this database yet");
    }
    assert_eq!(database.tables().await, Vec::<String>::new());
    let project = Project::with([("V1__one.sql", "create table one (id int);\n")]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    ask(&["abort"]).run().await.expect(1).expect_text("no run is at work that could be aborted");
    // Somebody has the lock, and hasn't said yet who.
    let mut other = database.connect().await;
    let take = "select pg_advisory_lock(('x' || encode(substr(sha256(convert_to('lockkeeper ' \
                || current_database() || ' ' || current_schema(), 'UTF8')), 1, 8), 'hex'))\
                ::bit(64)::bigint)";
    other.execute(take).await;
    ask(&["abort"]).run().await.expect(1).expect_text("isn't known by its name yet");
    other.execute("select pg_advisory_unlock_all()").await;
    ask(&["resume"]).run().await.expect(0).expect_text("nothing was paused");
    ask(&["pause"]).run().await.expect(0).expect_text("no run is at work: the next one waits");
    for rate in ["0", "-1", "fast"] {
        ask(&["rate", "--", rate]).run().await.expect(2).expect_text("from 1 on, or `off`");
    }
    for count in ["0", "33", "many"] {
        ask(&["workers", count]).run().await.expect(2).expect_text("from 1 to 32, or `off`");
    }
    let database = Database::of(Kind::Sqlite).await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let ask = |count: &str| Lockkeeper::new(["workers", count]).database(&database);
    ask("2").run().await.expect(2).expect_text("SQLite has one writer at a time");
    ask("1").run().await.expect(0);
}

/// More of them and fewer, also while another throttle holds, and for the runs to come.
async fn workers_come_and_go(kind: Kind) {
    let scene = Scene::of(kind, ROWS).await;
    let database = &scene.database;
    let workers = || async {
        let sql = match kind {
            Kind::MariaDb => {
                let held = |n: u32| {
                    format!(
                        "(is_used_lock(concat('lockkeeper:', database(), '.work.{n}')) is not null)"
                    )
                };
                format!("select {}", (0..8).map(held).collect::<Vec<_>>().join(" + "))
            }
            _ => "select count(*) from pg_stat_activity where datname = current_database() \
                  and application_name like 'lockkeeper work%'"
                .to_owned(),
        };
        database.query_i64(&sql).await
    };
    let running = scene.start().await;
    assert_eq!(workers().await, 1);
    scene.ask(&["rate", "20000"]).await;
    let (said, asked) = scene.ask(&["workers", "3"]).await;
    assert!(said.contains("3 workers from now on"), "{said}");
    soon("three at work", asked, async || workers().await == 3).await;
    let status = scene.status().await;
    assert!(status.contains("workers: 3 in every backfill, asked for by alice on "), "{status}");
    let (_, asked) = scene.ask(&["workers", "2"]).await;
    soon("two at work", asked, async || workers().await == 2).await;
    scene.ask(&["abort"]).await;
    running.wait().await.expect(4);

    let next = Lockkeeper::up(&scene.project, database).start();
    wait_until("the next run has two", PATIENCE, async || workers().await == 2).await;
    let (_, asked) = scene.ask(&["workers", "off"]).await;
    soon("one at work", asked, async || workers().await == 1).await;
    let status = scene.status().await;
    assert!(!status.contains("workers:"), "{status}");
    scene.ask(&["rate", "off"]).await;
    next.wait().await.expect(0);
    counters::assert_once(database, ROWS).await;
}

#[tokio::test]
async fn workers_come_and_go_on_postgres() {
    workers_come_and_go(Kind::Postgres15).await;
}

#[tokio::test]
async fn workers_come_and_go_on_mariadb() {
    workers_come_and_go(Kind::MariaDb).await;
}
