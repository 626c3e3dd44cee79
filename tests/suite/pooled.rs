//! A run through PgBouncer in transaction mode: a lease takes the place of the lock, and nothing is left
//! behind in the server's sessions.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::concurrency::ten_at;
use super::kill::{kill_at_random, passes};
use crate::support::counters::{self, COUNT};
use crate::support::pgbouncer::VISITOR;
use crate::support::{
    self, Connection, Database, Kind, Lockkeeper, PgBouncer, Project, Server, wait_until,
};

/// What is told of the pooler.
const TOLD: &str = "warning: a pooler in transaction mode stands before the server";
/// A script that takes as long as the test likes, and what shows that it is at work.
const GATE: &str = "create table made (id int);\nselect pg_advisory_xact_lock(4242);\n";
const AT_THE_GATE: &str = "select count(*) from pg_stat_activity where wait_event = 'advisory' \
                           and datname = current_database()";

/// A database, a project, and a PgBouncer before the database.
struct Pooled {
    database: Database,
    project: Project,
    bouncer: PgBouncer,
}

impl Pooled {
    async fn new(files: &[(&str, &str)]) -> Pooled {
        Pooled::with(files, "").await
    }

    async fn with(files: &[(&str, &str)], settings: &str) -> Pooled {
        let server = Server::postgres15();
        let bouncer = PgBouncer::with(server, &format!("pool_mode = transaction\n{settings}"));
        let project = Project::with(files.iter().copied());
        Pooled { database: server.database().await, project, bouncer }
    }

    /// `lockkeeper up` through the pooler.
    fn up(&self) -> Lockkeeper {
        self.through(&["up"])
    }

    fn through(&self, command: &[&str]) -> Lockkeeper {
        Lockkeeper::new(command).project(&self.project).url(&self.bouncer.url(&self.database))
    }

    /// `lockkeeper up` past the pooler.
    fn direct(&self) -> Lockkeeper {
        Lockkeeper::up(&self.project, &self.database)
    }

    /// What opens the gate when it is dropped.
    async fn gate(&self) -> Connection {
        let mut holder = self.database.connect().await;
        holder.execute("select pg_advisory_lock(4242)").await;
        holder
    }

    /// The lease is so much older.
    async fn age_lease(&self, seconds: u32) {
        let past = format!("interval '{seconds} s'");
        let age = format!(
            "update lockkeeper_lease set beat_at = beat_at - {past}, expires_at = expires_at - {past}"
        );
        self.database.execute(&age).await;
    }

    /// An application's connection.
    async fn application(&self) -> Connection {
        let options: PgConnectOptions = self.bouncer.url(&self.database).parse().unwrap();
        // PgBouncer refuses this start-up parameter.
        let options = options.extra_float_digits(None);
        Connection::Postgres(PgConnection::connect_with(&options).await.unwrap())
    }
}

async fn every_row_is_counted_once(workers: u32) {
    let (kills, rows) = if support::long() { (50, 1_500_000) } else { (3, 60_000) };
    let pooled = Pooled::new(&[("V1__count.sql", &counters::count(workers))]).await;
    let Pooled { database, project, bouncer } = &pooled;
    counters::fill(database, rows).await;
    kill_at_random(project, database, &bouncer.url(database), kills, rows).await;
    counters::assert_once(database, rows).await;
}

#[tokio::test]
async fn every_row_is_counted_once_through_a_pooler() {
    every_row_is_counted_once(1).await;
}

#[tokio::test]
async fn four_workers_count_every_row_once_through_a_pooler() {
    every_row_is_counted_once(4).await;
}

/// One run outlives both.
#[tokio::test]
async fn the_pooler_and_the_server_are_restarted_in_the_middle() {
    let rows = if support::long() { 1_500_000 } else { 200_000 };
    let server = Server::own(Kind::Postgres18);
    // By default it waits 15 s before it looks again for a server that was away.
    let settings = "pool_mode = transaction\nserver_login_retry = 1";
    let bouncer = PgBouncer::with(&server, settings);
    let database = server.database().await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", counters::count(4))]);
    let up = Lockkeeper::up(&project, &database).url(&bouncer.url(&database));
    let running = up.start();
    let deaths = if support::long() { 10 } else { 2 };
    for death in 1..=deaths {
        passes(&running, &mut database.connect().await, death * rows / (deaths + 2)).await;
        assert!(running.runs(), "the backfill was too short: {}", running.stderr());
        if death % 2 == 1 {
            bouncer.restart();
        } else {
            server.restart();
        }
    }
    running.wait().await.expect(0).expect_text(TOLD);
    counters::assert_once(&database, rows).await;
}

#[tokio::test]
async fn ten_at_once_share_a_lease() {
    const ONE: &str = "select 1;\n";
    let pooled =
        Pooled::new(&[("V1__gate.sql", GATE), ("V2__more.sql", ONE), ("V3__more.sql", ONE)]).await;
    let Pooled { database, project, bouncer } = &pooled;
    let gate = pooled.gate().await;
    ten_at(&bouncer.url(database), project, database, async || drop(gate)).await;
    assert_eq!(database.query_i64("select count(*) from lockkeeper_lease").await, 0);
}

/// Whoever comes first, by whichever way, the other one waits for it, and sees what it does.
async fn one_waits_for_the_other(is_pooled: bool) {
    let pooled = Pooled::new(&[("V1__gate.sql", GATE)]).await;
    let (first, second) = match is_pooled {
        true => (pooled.up(), pooled.direct()),
        false => (pooled.direct(), pooled.up()),
    };
    let gate = pooled.gate().await;
    let leader = first.start();
    pooled.database.wait_for(AT_THE_GATE).await;
    let waiter = second.start();
    let line = waiter.line_with("holds it since").await;
    assert!(line.contains(&format!("process {}", leader.pid())), "{line}");
    let impatient = second.clone().args(["--lock-wait", "0s"]).run().await.expect(3);
    assert_eq!(impatient.stderr.matches(TOLD).count(), usize::from(!is_pooled));
    pooled.through(&["status"]).run().await.expect(0).expect_text("is at work since");
    // It is asked for and beats every second, and both keep the same one.
    let held = "select count(*) from lockkeeper_lease where beat > 2";
    if is_pooled {
        pooled.database.wait_for(held).await;
    }
    drop(gate);
    leader.wait().await.expect(0);
    waiter.wait().await.expect(0).expect_text("the schema is at version 1");
    assert_eq!(pooled.database.query_i64("select count(*) from made").await, 0);
}

#[tokio::test]
async fn a_lease_keeps_a_lock_away() {
    one_waits_for_the_other(true).await;
}

#[tokio::test]
async fn a_lock_keeps_a_lease_away() {
    one_waits_for_the_other(false).await;
}

/// Of two at one moment one works: neither by the lock nor by the lease both.
#[tokio::test]
async fn through_a_pooler_and_past_it_at_once() {
    let pooled = Pooled::new(&[("V1__gate.sql", GATE)]).await;
    for _ in 0..3 {
        let running: Vec<_> = [pooled.up(), pooled.direct(), pooled.up(), pooled.direct()]
            .iter()
            .map(Lockkeeper::start)
            .collect();
        let mut leaders = 0;
        for running in running {
            let output = running.wait().await.expect(0);
            leaders += output.stderr.matches("lock taken").count();
        }
        assert_eq!(leaders, 1);
        pooled.database.execute("drop schema public cascade; create schema public").await;
    }
}

/// What killed it gave nothing back. The next one waits until the lease is over, whichever way it comes.
async fn the_next_one_waits(is_pooled: bool) {
    let pooled = Pooled::new(&[("V1__gate.sql", GATE)]).await;
    let gate = pooled.gate().await;
    let dead = pooled.up().start();
    pooled.database.wait_for(AT_THE_GATE).await;
    dead.kill();
    dead.wait().await;
    let next = if is_pooled { pooled.up() } else { pooled.direct() };
    let early = next.clone().args(["--lock-wait", "1s"]).run().await.expect(3);
    early.expect_text("another run holds the lock");
    pooled.age_lease(30).await;
    // What it was at still runs in the server, and would hold up the next one.
    let next = next.start();
    next.line_with("lock taken").await;
    drop(gate);
    let output = next.wait().await.expect(0);
    println!("after the end of the lease: {:?}", output.took);
    // It is watched for a while, since a clock may jump.
    assert!(output.took > Duration::from_secs(3), "{:?}", output.took);
    assert_eq!(pooled.database.query_i64("select count(*) from lockkeeper_lease").await, 0);
}

#[tokio::test]
async fn the_lease_of_a_dead_run_ends_for_a_lease() {
    the_next_one_waits(true).await;
}

#[tokio::test]
async fn the_lease_of_a_dead_run_ends_for_a_lock() {
    the_next_one_waits(false).await;
}

/// A clock that jumps ahead, or back: a run that is alive keeps its lease.
#[tokio::test]
async fn a_jump_of_the_servers_clock_takes_no_lease() {
    let pooled = Pooled::new(&[("V1__gate.sql", GATE)]).await;
    let gate = pooled.gate().await;
    let leader = pooled.up().start();
    pooled.database.wait_for(AT_THE_GATE).await;
    let waiters = [pooled.up().start(), pooled.direct().start()];
    for waiter in &waiters {
        waiter.line_with("holds it since").await;
    }
    for jump in ["- interval '1 hour'", "+ interval '1 hour'"] {
        let set = format!(
            "update lockkeeper_lease set beat_at = beat_at {jump}, expires_at = expires_at {jump}"
        );
        pooled.database.execute(&set).await;
        let beaten = "select count(*) from lockkeeper_lease \
                      where now() between beat_at - interval '1 s' and expires_at";
        pooled.database.wait_for(beaten).await;
    }
    drop(gate);
    leader.wait().await.expect(0);
    for waiter in waiters {
        let output = waiter.wait().await.expect(0);
        assert!(!output.stderr.contains("lock taken"), "{}", output.stderr);
    }
}

/// Frozen for longer than its lease lasts, it finds everything done, and changes nothing.
#[tokio::test]
async fn a_leader_that_wakes_up_changes_nothing() {
    let rows = 50_000;
    let pooled = Pooled::new(&[("V1__count.sql", COUNT)]).await;
    let database = &pooled.database;
    counters::fill(database, rows).await;
    let frozen = pooled.up().start();
    passes(&frozen, &mut database.connect().await, 2_000).await;
    frozen.signal(libc::SIGSTOP);
    pooled.age_lease(31).await;
    pooled.up().run().await.expect(0);
    counters::assert_once(database, rows).await;
    frozen.signal(libc::SIGCONT);
    frozen.wait().await.expect(4);
    counters::assert_once(database, rows).await;
    assert_eq!(database.query_i64("select count(*) from refinery_schema_history").await, 1);
}

/// A statement that takes long is ended in the server, and nobody else's.
#[tokio::test]
async fn an_abort_ends_what_is_under_way() {
    let pooled = Pooled::new(&[("V1__gate.sql", GATE)]).await;
    let _gate = pooled.gate().await;
    let running = pooled.up().start();
    pooled.database.wait_for(AT_THE_GATE).await;
    let mut application = pooled.application().await;
    application.execute("begin; create table kept (id int)").await;
    pooled.through(&["abort"]).run().await.expect(0);
    running.wait().await.expect(4);
    wait_until("it is ended in the server", Duration::from_secs(20), async || {
        pooled.database.query_i64(AT_THE_GATE).await == 0
    })
    .await;
    application.execute("commit").await;
    let tables = pooled.database.tables().await;
    assert!(tables.contains(&"kept".to_owned()) && !tables.contains(&"made".to_owned()));
    let ended = "select count(*) from lockkeeper_run where outcome = 'interrupted'";
    assert_eq!(pooled.database.query_i64(ended).await, 1);
}

/// All of the server's sessions are as an application expects them: what it has not set isn't set.
#[tokio::test]
async fn nothing_is_left_in_the_servers_sessions() {
    const POOL: usize = 6;
    let count = counters::count(3);
    let timeout =
        "-- lockkeeper: lock-timeout=7s\nset local search_path = pg_catalog;\nselect 1;\n";
    let files = [("V1__count.sql", count.as_str()), ("V2__timeout.sql", timeout)];
    let settings = format!("default_pool_size = {POOL}\nserver_round_robin = 1");
    let pooled = Pooled::with(&files, &settings).await;
    counters::fill(&pooled.database, 30_000).await;
    let up = pooled.up().args(["--throttle-sql", "select 0 -- never", "--throttle-sql-limit", "1"]);
    let output = up.run().await.expect(0);
    assert_eq!(output.stderr.matches(TOLD).count(), 1, "{}", output.stderr);
    counters::assert_once(&pooled.database, 30_000).await;

    let mut applications = Vec::new();
    for _ in 0..POOL {
        let mut application = pooled.application().await;
        // Each keeps a session of its own.
        application.execute("begin").await;
        // What PgBouncer itself hands over from one client to the next.
        let left = "select coalesce(string_agg(name, ' '), '') from pg_settings \
                    where source = 'session' and name not in ('TimeZone', 'DateStyle', \
                    'client_encoding', 'application_name', 'transaction_isolation', \
                    'transaction_read_only', 'transaction_deferrable')";
        assert_eq!(application.query_text(left).await, "");
        let others = "select (select count(*) from pg_prepared_statements) \
                      + (select count(*) from pg_locks where pid = pg_backend_pid() \
                         and locktype = 'advisory') \
                      + (select count(*) from pg_class where relpersistence = 't')";
        assert_eq!(application.query_i64(others).await, 0);
        let named = "select current_setting('application_name')";
        let name = application.query_text(named).await;
        assert!(!name.contains("work"), "{name}");
        applications.push(application);
    }
}

/// What an application has left behind in the server's sessions doesn't move a migration to another schema.
#[tokio::test]
async fn what_others_have_set_is_no_matter() {
    let files = [("V1__gate.sql", GATE), ("V2__late.sql", "create table late (id int);\n")];
    let settings = "default_pool_size = 3\nserver_round_robin = 1";
    let pooled = Pooled::with(&files, settings).await;
    pooled.database.execute("create schema other").await;
    let gate = pooled.gate().await;
    let running = pooled.up().start();
    pooled.database.wait_for(AT_THE_GATE).await;
    let mut applications = [pooled.application().await, pooled.application().await];
    for application in &mut applications {
        application.execute("begin; set search_path = other").await;
    }
    for application in &mut applications {
        application.execute("commit").await;
    }
    drop(gate);
    running.wait().await.expect(0);
    let late = "select schemaname::text from pg_tables where tablename = 'late'";
    assert_eq!(pooled.database.query_column(late).await, ["public"]);
}

/// With any number of sessions in the pool, in use or idle, and taken in any order.
#[tokio::test]
async fn every_pool_is_found_out() {
    let made = [("V1__made.sql", "create table made (id int);\n")];
    for settings in [
        "default_pool_size = 1",
        "default_pool_size = 2\nserver_round_robin = 1",
        "default_pool_size = 3\nserver_round_robin = 1",
        "default_pool_size = 20\nserver_reset_query_always = 1",
    ] {
        let pooled = Pooled::with(&made, settings).await;
        // As many sessions as fit are there, and idle.
        let mut applications = Vec::new();
        for _ in 0..4 {
            applications.push(pooled.application().await);
        }
        let size = if settings.contains("20") { 4 } else { applications.len().min(3) };
        for application in applications.iter_mut().take(size) {
            application.try_execute("select 1").await.unwrap();
        }
        let output = pooled.up().run().await.expect(0);
        assert!(output.stderr.contains(TOLD), "{settings}: {}", output.stderr);
    }
    // A pooler in session mode keeps a lock.
    let pooled = Pooled::with(&made, "").await;
    let session = PgBouncer::with(Server::postgres15(), "pool_mode = session");
    let output = pooled.up().url(&session.url(&pooled.database)).run().await.expect(0);
    assert!(!output.stderr.contains(TOLD), "{}", output.stderr);
}

/// What needs a session of its own is refused before anything is written.
#[tokio::test]
async fn what_needs_a_session_is_refused() {
    let made = ("V1__made.sql", "create table made (id int);\n");
    for (text, line, says) in [
        ("create index concurrently made_id on made (id);\n", 1, "outside a transaction"),
        ("select 1;\nset statement_timeout = 0;\nselect 2;\n", 2, "leaves something behind"),
        ("create temp table t (id int);\nselect 2;\n", 1, "leaves something behind"),
    ] {
        let pooled = Pooled::new(&[made, ("V2__more.sql", text)]).await;
        let before = pooled.database.contents().await;
        let output = pooled.up().run().await.expect(2).expect_text(says);
        let output = output.expect_text("the server's own address");
        output.expect_text(&format!("V2__more.sql:{line}:1"));
        assert_eq!(pooled.database.contents().await, before);
        pooled.direct().run().await.expect(0);
    }
}

/// Whoever may not make the table is told which right is missing.
#[tokio::test]
async fn a_missing_right_is_named() {
    let pooled = Pooled::new(&[("V1__made.sql", "create table made (id int);\n")]).await;
    let visitor = format!(
        "do $$ begin create role {VISITOR} login; \
         exception when duplicate_object or unique_violation then null; end $$; \
         revoke create on schema public from public"
    );
    pooled.database.execute(&visitor).await;
    let up = pooled.up().url(&pooled.bouncer.url_of_visitor(&pooled.database));
    let output = up.run().await.expect(2).expect_text("can't prepare lockkeeper's own tables");
    output.expect_text(&format!("grant usage, create on schema public to \"{VISITOR}\""));
}
