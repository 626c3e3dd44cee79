//! What single signals read on a real PostgreSQL: exactly what is there.

use std::sync::Arc;
use std::time::Duration;

use lockkeeper::db::{self, ConnectOptions, Purpose, TableName};
use lockkeeper::throttle::{Limit, Limits, Line, Reading, Signal, SignalError, Site, Work};

use crate::support::{Database, Kind, Options, Server, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing is watched that isn't asked for.
fn none() -> Limits {
    Limits { lag: Some(Limit::Off), blocked: Some(Limit::Off), ..Limits::default() }
}

/// One signal, and its line to the database.
struct Watched {
    signal: Box<dyn Signal>,
    line: Line,
    database: Arc<dyn db::Database>,
}

impl Watched {
    async fn at(url: &str, limits: Limits) -> Watched {
        Watched::over(url, limits, &Site::default()).await
    }

    async fn over(url: &str, limits: Limits, site: &Site) -> Watched {
        let options = ConnectOptions::from_url(url).unwrap();
        let database = db::connect(&options, PATIENCE, &mut |_, _| {}).await.unwrap();
        let signal = limits.signals(database.dialect(), site).remove(0).remove(0);
        Watched { signal, line: Line::new(&database), database }
    }

    async fn read(&mut self) -> Result<Option<Reading>, SignalError> {
        self.signal.read(&mut self.line).await
    }

    async fn value(&mut self) -> f64 {
        self.read().await.unwrap().unwrap().value
    }
}

/// Those that wait for a worker count, and not those that wait for somebody else; and no more of them
/// are looked at than it takes to stand still.
#[tokio::test]
async fn who_waits_for_a_worker_is_counted() {
    let home = Database::of(Kind::Postgres15).await;
    home.execute("create table ours (id int); create table theirs (id int)").await;
    let stranger = home.stranger("geheim").await;
    home.execute(&format!("grant all on all tables in schema public to {stranger}")).await;
    let at = |limit| Limits { blocked: Some(Limit::At(limit)), ..none() };
    let mut blocked = Watched::at(&home.url_as(&stranger, "geheim"), at(5)).await;
    let mut few = Watched::at(&home.url, at(1)).await;
    assert_eq!(blocked.value().await, 0.0);

    let purpose = Purpose::Work { run: "r".to_owned() };
    let mut worker = blocked.database.session(purpose).await.unwrap();
    worker.bare("begin; lock table ours in access exclusive mode").await.unwrap();
    let mut other = home.connect().await;
    other.execute("begin; lock table theirs in access exclusive mode").await;
    let mut waiting = Vec::new();
    for table in ["ours", "theirs", "ours", "ours", "theirs", "ours", "ours", "ours"] {
        let mut session = home.connect().await;
        waiting.push(tokio::spawn(async move {
            session.execute(&format!("select count(*) from {table}")).await;
        }));
    }
    let all = "select (count(*) = 8)::int from pg_locks where not granted \
               and database = (select oid from pg_database where datname = current_database())";
    home.wait_for(all).await;
    assert_eq!(blocked.value().await, 6.0);
    let reading = few.read().await.unwrap().unwrap();
    assert!(reading.is_critical());
    assert_eq!(reading.value, reading.critical);

    worker.bare("rollback").await.unwrap();
    home.wait_for(
        "select (count(*) = 2)::int from pg_locks where not granted \
                   and database = (select oid from pg_database where datname = current_database())",
    )
    .await;
    assert_eq!(blocked.value().await, 0.0);
    other.execute("rollback").await;
    for session in waiting {
        session.await.unwrap();
    }
}

/// On MariaDB the rows of a worker are waited for, and a user without the right sees nobody: that holds
/// the work where a limit is asked for, and else nothing is counted.
#[tokio::test]
async fn who_waits_for_rows_of_a_worker_is_counted() {
    let home = Database::of(Kind::MariaDb).await;
    let make = "create table ours (id int primary key); create table theirs (id int primary key); \
                insert into ours values (1); insert into theirs values (1)";
    home.execute(make).await;
    let owner = home.owner("geheim").await;
    let at = |limit| Limits { blocked: Some(Limit::At(limit)), ..none() };
    let mut blocked = Watched::at(&home.url, at(5)).await;
    let url = home.url_as(&owner, "geheim");
    let mut blind = Watched::at(&url, at(5)).await;
    let unasked = Limits { blocked: None, ..none() };
    let mut unasked = Watched::at(&url, unasked).await;
    assert_eq!(blocked.value().await, 0.0);

    let purpose = Purpose::Work { run: "r".to_owned() };
    let mut worker = blocked.database.session(purpose).await.unwrap();
    worker.bare("begin").await.unwrap();
    worker.bare("update ours set id = 2").await.unwrap();
    let mut other = home.connect().await;
    other.execute("begin; update theirs set id = 2").await;
    let mut waiting = Vec::new();
    for table in ["ours", "theirs", "ours", "ours"] {
        let mut session = home.connect().await;
        waiting.push(tokio::spawn(async move {
            session.execute(&format!("select count(*) from {table} for update")).await;
        }));
    }
    // What the server shows is a copy, which stays as it is while somebody reads it ten times a second.
    let mut is = async |count: f64| {
        tokio::time::sleep(Duration::from_millis(150)).await;
        blocked.value().await == count
    };
    wait_until("three wait for us", PATIENCE, async || is(3.0).await).await;
    let fault = blind.read().await.unwrap_err().to_string();
    assert_eq!(fault, "this user may not see who waits: GRANT PROCESS to it");
    assert_eq!(unasked.read().await.unwrap(), None);

    worker.bare("rollback").await.unwrap();
    wait_until("nobody waits for us", PATIENCE, async || is(0.0).await).await;
    other.execute("rollback").await;
    for session in waiting {
        session.await.unwrap();
    }
}

/// A replica's connection is always at work, and no session that does anything. Who may not see what
/// others do, counts nothing.
#[tokio::test]
async fn sessions_of_clients_are_counted() {
    let options = Options { durable: false, ..Options::new(Kind::Postgres15) };
    let server = Server::with(options);
    let _standby = server.standby("replica-1");
    let home = server.database().await;
    home.wait_for("select count(*) from pg_stat_replication where state = 'streaming'").await;
    let limits = || Limits { sessions: Some(10), ..none() };
    let mut sessions = Watched::at(&home.url, limits()).await;
    assert_eq!(sessions.value().await, 1.0, "this one");
    let user = home.stranger("geheim").await;
    let mut blind = Watched::at(&home.url_as(&user, "geheim"), limits()).await;
    let fault = blind.read().await.unwrap_err().to_string();
    assert_eq!(fault, "this user may not see what others do: GRANT pg_monitor to it");
    home.execute(&format!("grant pg_monitor to {user}")).await;
    assert_eq!(blind.value().await, 1.0);
}

/// Before anything is in the archive, while the archiver fails, when it is up to date, and when the last
/// it has stored is no segment.
#[tokio::test]
async fn log_that_waits_for_the_archive() {
    let settings = ["archive_mode=on", "autovacuum=off"];
    let settings = settings.map(str::to_owned).to_vec();
    let options = Options { durable: false, settings, ..Options::new(Kind::Postgres15) };
    let server = Server::with(options);
    let home = server.database().await;
    let mut wal = Watched::at(&home.url, Limits { wal: Some(1 << 20), ..none() }).await;
    let segment = f64::from(16 << 20);
    assert!(wal.value().await < segment, "what is open is no backlog");
    let next = "select pg_logical_emit_message(true, 'test', 'x'); select pg_switch_wal()";
    for _ in 0..3 {
        home.execute(next).await;
    }
    let reading = wal.read().await.unwrap().unwrap();
    assert!(reading.value >= 3.0 * segment, "{reading}");
    assert_eq!(reading.subject.as_deref(), Some("the archive"));

    let archived = async |command: &str| {
        home.execute(&format!("alter system set archive_command = '{command}'")).await;
        home.execute("select pg_reload_conf()").await;
    };
    archived("true").await;
    wait_until("it is archived", PATIENCE, async || wal.value().await < segment).await;
    let mut session = home.connect().await;
    session.execute("select pg_backup_start('test', true); select pg_backup_stop(false)").await;
    let last = "select (last_archived_wal like '%.backup')::int from pg_stat_archiver";
    home.wait_for(last).await;
    archived("false").await;
    let before = wal.value().await;
    for _ in 0..2 {
        home.execute(next).await;
    }
    assert_eq!(home.query_i64(last).await, 1);
    let after = wal.value().await;
    assert!(before < segment && after >= 2.0 * segment, "{before}, then {after}");
}

#[tokio::test]
async fn log_that_waits_for_a_slot() {
    let server = Server::with(Options { durable: false, ..Options::new(Kind::Postgres18) });
    let home = server.database().await;
    let mut wal = Watched::at(&home.url, Limits { wal: Some(1 << 20), ..none() }).await;
    assert_eq!(wal.read().await.unwrap(), None);
    home.execute("select pg_create_physical_replication_slot('keeper', true)").await;
    home.execute("select pg_logical_emit_message(true, 'test', repeat('x', 3 << 20))").await;
    let reading = wal.read().await.unwrap().unwrap();
    assert_eq!(reading.subject.as_deref(), Some("slot keeper"));
    assert!((3.0..8.0).contains(&(reading.value / f64::from(1 << 20))), "{reading}");
    home.execute("select pg_drop_replication_slot('keeper')").await;
    assert_eq!(wal.read().await.unwrap(), None);
}

/// A vacuum is seen at work by who may not see what others do; what it must leave is not waited for.
#[tokio::test]
async fn dead_rows_and_their_vacuum() {
    let home = Database::of(Kind::Postgres15).await;
    let make = "create table item (id int primary key, n int, filler text default repeat('x', 200)) \
                with (autovacuum_vacuum_threshold = 100, autovacuum_vacuum_scale_factor = 0.1); \
                insert into item select generate_series(1, 5000), 0; analyze item";
    home.execute(make).await;
    let user = home.stranger("geheim").await;
    let table = TableName { schema: Some("public".into()), name: "item".into() };
    let site = Site::of(Work { version: 1, step: 1, table: Some(table) });
    let limits = Limits { dead: Some(Limit::At(0.2)), ..none() };
    let mut vacuum = Watched::over(&home.url_as(&user, "geheim"), limits, &site).await;
    assert_eq!(vacuum.read().await.unwrap(), None);

    // A vacuum that rests at each page.
    let mut slow = home.connect().await;
    let pid = slow.query_i64("select pg_backend_pid()::bigint").await;
    slow.execute("set vacuum_cost_delay = '100ms'; set vacuum_cost_limit = 1").await;
    let resting = tokio::spawn(async move { slow.try_execute("vacuum item").await.is_err() });
    let mut said = async |what: &str| {
        let mut last = None;
        let says = async || {
            last = vacuum.read().await.unwrap();
            last.as_ref().is_some_and(|reading| reading.to_string().contains(what))
        };
        wait_until(what, PATIENCE, says).await;
        last.unwrap()
    };
    let reading = said(" of 20 % on public.item, being vacuumed").await;
    assert!(!reading.is_critical(), "{reading}");
    home.execute(&format!("select pg_cancel_backend({pid})")).await;
    assert!(resting.await.unwrap(), "it was cancelled");

    // Somebody still sees the old rows.
    let mut reader = home.connect().await;
    reader.execute("begin isolation level repeatable read; select count(*) from item").await;
    home.execute("update item set n = 1").await;
    let reading = said("≥ 20 % on public.item, waiting for autovacuum").await;
    assert!(reading.is_critical(), "{reading}");
    home.execute("vacuum item").await;
    let reading = said("≥ 20 % on public.item, which the last vacuum couldn't clear").await;
    assert!(!reading.is_critical(), "{reading}");
    reader.execute("commit").await;
    home.execute("vacuum item").await;
    wait_until("it is cleared", PATIENCE, async || vacuum.read().await.unwrap().is_none()).await;
}
