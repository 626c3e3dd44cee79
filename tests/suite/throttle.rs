//! What slows or holds a backfill beside its operator and its replicas, on real servers.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use crate::suite::held::Held;
use crate::support::counters::{self, COUNT};
use crate::support::{Database, Kind, Lockkeeper, Options, Project, Running, Server, wait_until};

const ROWS: u64 = 500_000;

/// A backfill that is held from its begin on, by this.
struct Scene {
    database: Database,
    project: Project,
}

impl Scene {
    async fn of(kind: Kind) -> Scene {
        let database = Database::of(kind).await;
        counters::fill(&database, ROWS).await;
        Scene { database, project: Project::with([("V1__count.sql", COUNT)]) }
    }

    fn start(&self, arguments: &[&str]) -> Running {
        Lockkeeper::up(&self.project, &self.database).args(arguments).start()
    }

    async fn ends(&self, running: Running) {
        running.wait().await.expect(0);
        counters::assert_once(&self.database, ROWS).await;
    }
}

const PROBE: [&str; 4] = ["--throttle-sql", "select n from pressure", "--throttle-sql-limit", "10"];

async fn a_query_holds_and_lets_go(kind: Kind) {
    let scene = Scene::of(kind).await;
    let database = &scene.database;
    database.execute("create table pressure (n int); insert into pressure values (100)").await;
    let running = scene.start(&PROBE);
    running.line_with("probe-sql 100 ≥ 10").await;
    assert_eq!(database.query_i64(counters::PASSED).await, 0);
    // What can't be read is no permission to go on.
    database.execute("alter table pressure rename to gone").await;
    let line = running.line_with("probe-sql unknown for ").await;
    // It is for everybody to read, and what the server says may quote what stands in the tables.
    assert!(!line.contains("pressure"), "{line}");
    assert_eq!(database.query_i64(counters::PASSED).await, 0);
    database.execute("alter table gone rename to pressure; update pressure set n = 1").await;
    scene.ends(running).await;
}

#[tokio::test]
async fn a_query_holds_and_lets_go_on_postgres() {
    a_query_holds_and_lets_go(Kind::Postgres18).await;
}

#[tokio::test]
async fn a_query_holds_and_lets_go_on_mariadb() {
    a_query_holds_and_lets_go(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_query_holds_and_lets_go_on_sqlite() {
    a_query_holds_and_lets_go(Kind::Sqlite).await;
}

/// A query that takes too long is ended in the server, before the next try adds another one.
#[tokio::test]
async fn a_query_that_takes_too_long_is_ended_in_the_server() {
    let scene = Scene::of(Kind::Postgres15).await;
    let probe = ["--throttle-sql", "select count(pg_sleep(60))", "--throttle-sql-limit", "10"];
    let running = scene.start(&probe);
    let asleep = "select pid::text from pg_stat_activity where query like 'select count(pg_sleep%' \
                  and state = 'active' and datname = current_database()";
    let mut seen = BTreeSet::new();
    let tried_again = async || {
        let asleep = scene.database.query_column(asleep).await;
        // The last one may be about to end.
        assert!(asleep.len() <= 2, "{asleep:?}");
        seen.extend(asleep);
        seen.len() >= 4
    };
    wait_until("it was tried again", Duration::from_secs(60), tried_again).await;
    let line = running.line_with("probe-sql unknown for ").await;
    assert!(line.contains("no answer within 2 s"), "{line}");
    Lockkeeper::new(["abort"]).database(&scene.database).run().await.expect(0);
    running.wait().await.expect(4);
    let sleeps = format!("select (count(*) = 0)::int from ({asleep}) asleep");
    scene.database.wait_for(&sleeps).await;
}

/// Also where nobody is left to cancel it.
#[tokio::test]
async fn the_server_ends_by_itself_what_takes_too_long() {
    for (kind, limit) in [
        (Kind::Postgres15, "current_setting('statement_timeout') = '4s'"),
        (Kind::MariaDb, "@@max_statement_time = 4"),
    ] {
        let scene = Scene::of(kind).await;
        let probe = format!("select case when {limit} then 100 else 1 end");
        let running = scene.start(&["--throttle-sql", &probe, "--throttle-sql-limit", "10"]);
        running.line_with("probe-sql 100 ≥ 10").await;
        Lockkeeper::new(["abort"]).database(&scene.database).run().await.expect(0);
        running.wait().await.expect(4);
    }
}

/// A limit that nobody would keep is refused.
#[tokio::test]
async fn a_limit_that_the_database_cannot_show_is_refused() {
    let project = Project::with([("V1__one.sql", "create table one (id int);\n")]);
    let postgres_alone = [("--max-lag", "1s"), ("--max-wal", "1GiB"), ("--max-dead", "20%")];
    let servers = [("--max-sessions", "500"), ("--max-blocked", "300")];
    for kind in [Kind::MariaDb, Kind::Sqlite] {
        let database = Database::of(kind).await;
        let up = |option, value| Lockkeeper::up(&project, &database).args([option, value]);
        let name = if kind == Kind::Sqlite { "SQLite" } else { "MySQL/MariaDB" };
        for (option, value) in postgres_alone {
            let refused = up(option, value).run().await.expect(2);
            refused.expect_text(&format!("{option} can't be watched on {name}"));
        }
        if kind == Kind::MariaDb {
            let lag = up("--max-lag", "1s").run().await.expect(2);
            lag.expect_text("next: give --replica-url, once for each replica");
        }
        for (option, value) in servers {
            let done = up(option, value).run().await;
            if kind == Kind::Sqlite {
                done.expect(2).expect_text(&format!("{option} can't be watched on SQLite"));
            } else {
                done.expect(0);
            }
        }
        let off = up("--max-lag", "off").args(["--max-blocked", "off"]);
        off.run().await.expect(0);
    }
}

/// A server that answers everything with a status that the test sets.
struct Answering {
    address: String,
    status: Arc<AtomicU16>,
}

impl Answering {
    fn with(status: u16) -> Answering {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let status = Arc::new(AtomicU16::new(status));
        let now = status.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let status = now.load(Ordering::SeqCst);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
            }
        });
        Answering { address, status }
    }
}

#[tokio::test]
async fn a_url_holds_and_lets_go() {
    let scene = Scene::of(Kind::Sqlite).await;
    let server = Answering::with(503);
    let url = format!("http://{}/go-on?key=hunter2", server.address);
    let running = scene.start(&["--throttle-url", &url]);
    running.line_with(&format!("probe-http answers 503 on {}", server.address)).await;
    server.status.store(500, Ordering::SeqCst);
    let line = running.line_with("probe-http unknown for ").await;
    assert!(line.contains(&format!("{} answers 500", server.address)), "{line}");
    assert_eq!(scene.database.query_i64(counters::PASSED).await, 0);
    server.status.store(204, Ordering::SeqCst);
    let output = running.wait().await.expect(0);
    assert!(!output.text().contains("hunter2"));
    counters::assert_once(&scene.database, ROWS).await;
}

/// They wait for the batch that is open, again and again.
#[tokio::test]
async fn blocked_sessions_are_let_pass() {
    let mut held = Held::new().await;
    let running = held.up().args(["--max-blocked", "1"]).start();
    held.database.wait_for("select count(*) from lockkeeper_range where keys_done > 0").await;
    let seen = Arc::new(AtomicBool::new(false));
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let (mut session, seen) = (held.database.connect().await, seen.clone());
        waiting.push(tokio::spawn(async move {
            while !seen.load(Ordering::SeqCst) {
                session.execute("begin; lock table item in share mode; commit").await;
            }
        }));
    }
    let line = running.line_with("blocked ").await;
    assert!(line.contains(" ≥ 1"), "{line}");
    seen.store(true, Ordering::SeqCst);
    for session in waiting {
        session.await.unwrap();
    }
    held.hurry().await;
    held.open().await;
    running.wait().await.expect(0);
}

/// At the limit it waits for a vacuum, and goes on behind one; where none comes it isn't waited for.
#[tokio::test]
async fn dead_rows_wait_for_a_vacuum() {
    let mut held = Held::new().await;
    let running = held.up().args(["--max-dead", "2%"]).start();
    let database = &held.database;
    database.wait_for("select count(*) from lockkeeper_range").await;
    let settings = "alter table item set (autovacuum_vacuum_scale_factor = 0, \
                    autovacuum_vacuum_threshold = 40)";
    database.execute(settings).await;
    let line = running.line_with("≥ 2.0 % on public.item, waiting for autovacuum").await;
    assert!(line.contains("dead-rows ") && line.contains("`--max-dead off`"), "{line}");
    let passed = async || database.query_i64(counters::PASSED).await;
    let before = passed().await;
    database.execute("vacuum item").await;
    wait_until("it goes on", Duration::from_secs(60), async || passed().await > before + 100).await;
    database.execute("alter table item set (autovacuum_enabled = off)").await;
    let line = running.line_with("on public.item, where autovacuum is off").await;
    assert!(line.ends_with("at 50 % of the pace"), "{line}");
    held.hurry().await;
    held.open().await;
    running.wait().await.expect(0);
}

/// On MariaDB the same, and those who wait for somebody else don't count.
#[tokio::test]
async fn blocked_sessions_are_let_pass_on_mariadb() {
    let make = "create table item (id bigint primary key, n bigint not null default 0);\n\
                insert into item (id) select seq from seq_1_to_3000;\n\
                create table pace (seconds double not null);\n\
                insert into pace values (0.003);\n\
                create trigger dawdle before update on item for each row begin \
                declare pause double; select seconds into pause from pace; \
                if pause > 0 then do sleep(pause); end if; end;\n";
    let fill = "-- lockkeeper: batch rows=20 trust-triggers\nupdate item set n = n + 1;\n";
    let database = Database::of(Kind::MariaDb).await;
    database.execute(make).await;
    let project = Project::with([("V1__fill.sql", fill)]);
    let running = Lockkeeper::up(&project, &database).args(["--max-blocked", "1"]).start();
    database.wait_for("select count(*) from lockkeeper_range where keys_done > 0").await;
    let seen = Arc::new(AtomicBool::new(false));
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let (mut session, seen) = (database.connect().await, seen.clone());
        waiting.push(tokio::spawn(async move {
            while !seen.load(Ordering::SeqCst) {
                session.execute("select count(*) from item lock in share mode").await;
            }
        }));
    }
    let line = running.line_with("blocked ").await;
    assert!(line.contains(" ≥ 1"), "{line}");
    seen.store(true, Ordering::SeqCst);
    for session in waiting {
        session.await.unwrap();
    }
    database.execute("update pace set seconds = 0").await;
    running.wait().await.expect(0);
    let counts = database.query_rows("select n, count(*) from item group by n").await;
    assert_eq!(counts, [[Some("1".to_owned()), Some("3000".to_owned())]]);
}

#[tokio::test]
async fn too_many_sessions_at_work() {
    for (kind, sleep) in
        [(Kind::Postgres15, "select pg_sleep(600)"), (Kind::MariaDb, "do sleep(600)")]
    {
        let scene = Scene::of(kind).await;
        // Other tests are at work there, too.
        let mut asleep = Vec::new();
        for _ in 0..60 {
            let mut session = scene.database.connect().await;
            asleep.push(tokio::spawn(async move { session.try_execute(sleep).await.ok() }));
        }
        let running = scene.start(&["--max-sessions", "40"]);
        let line = running.line_with("sessions ").await;
        assert!(line.contains(" ≥ 40"), "{line}");
        let kill = match kind {
            Kind::MariaDb => {
                "select concat('kill ', id) from information_schema.processlist \
                              where info = 'do sleep(600)'"
            }
            _ => {
                "select 'select pg_terminate_backend(' || pid || ')' from pg_stat_activity \
                  where query = 'select pg_sleep(600)' and datname = current_database()"
            }
        };
        for kill in scene.database.query_column(kill).await {
            scene.database.execute(&kill).await;
        }
        scene.ends(running).await;
    }
}

#[tokio::test]
async fn log_that_a_slot_keeps() {
    let server = Server::with(Options { durable: false, ..Options::new(Kind::Postgres18) });
    let database = server.database().await;
    counters::fill(&database, ROWS).await;
    let scene = Scene { database, project: Project::with([("V1__count.sql", COUNT)]) };
    let slot = "select pg_create_physical_replication_slot('keeper', true)";
    scene.database.execute(slot).await;
    let running = scene.start(&["--max-wal", "4MiB"]);
    running.line_with(" ≥ 4.0 MiB on slot keeper").await;
    // It stands still, since nobody fetches the log.
    let passed = async || scene.database.query_i64(counters::PASSED).await;
    let mut before = -1;
    let stands = async || std::mem::replace(&mut before, passed().await) == before;
    wait_until("it stands still", Duration::from_secs(60), stands).await;
    assert!((passed().await as u64) < ROWS);
    scene.database.execute("select pg_drop_replication_slot('keeper')").await;
    scene.ends(running).await;
}

/// It is asked each second: what it changes, it would change each second.
#[tokio::test]
async fn a_query_cannot_write() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let scene = Scene::of(kind).await;
        let database = &scene.database;
        database.execute("create table hits (n int); insert into hits values (0)").await;
        let begin = if kind == Kind::MariaDb {
            "create function hit() returns int modifies sql data begin \
             update hits set n = n + 1; return 0; end"
        } else {
            "create function hit() returns int language sql as \
             'update hits set n = n + 1; select 0'"
        };
        database.execute(begin).await;
        let probe = ["--throttle-sql", "select hit()", "--throttle-sql-limit", "10"];
        let running = scene.start(&probe);
        running.line_with("probe-sql unknown for ").await;
        assert_eq!(database.query_i64("select n from hits").await, 0);
        Lockkeeper::new(["abort"]).database(database).run().await.expect(0);
        running.wait().await.expect(4);
    }
}
