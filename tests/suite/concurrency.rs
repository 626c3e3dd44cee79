//! Many runs at one time: one works, the others wait, say for whom, and find nothing left to do.

use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::held::Held;
use crate::support::counters;
use crate::support::{
    Connection, Database, Kind, Lockkeeper, PgBouncer, Project, Running, Server, wait_until,
};

/// What a waiter says of the leader.
const NAMED: &str = "holds it since";

/// A table that takes a while to index.
fn large(kind: Kind) -> String {
    let numbers = match kind {
        Kind::Sqlite => {
            "with recursive s(i) as (select 1 union all select i + 1 from s where i < 100000) \
             select i, i from s"
        }
        Kind::MariaDb => "select seq, seq from seq_1_to_100000",
        Kind::Postgres15 | Kind::Postgres18 => "select i, i from generate_series(1, 100000) i",
    };
    format!(
        "create table big (id bigint not null primary key, n bigint not null); \
         insert into big (id, n) {numbers};"
    )
}

/// Starts ten, waits until one of them says who is at work, and lets go of what holds that one up.
async fn ten_at_once(project: &Project, database: &Database, let_go: impl AsyncFnOnce()) {
    ten_at(&database.url, project, database, let_go).await;
}

/// The same at this URL of the database.
pub async fn ten_at(url: &str, project: &Project, database: &Database, let_go: impl AsyncFnOnce()) {
    let started = Instant::now();
    let up = Lockkeeper::up(project, database).url(url);
    let all: Vec<Running> = (0..10).map(|_| up.start()).collect();
    let pids: Vec<_> = all.iter().map(Running::pid).collect();
    let named = |running: &Running| running.stderr().contains(NAMED);
    wait_until("a waiter names the leader", Duration::from_secs(60), async || {
        all.iter().any(named) || !all.iter().any(Running::runs)
    })
    .await;
    let_go().await;
    let (mut waited, mut leaders) = (0, 0);
    for running in all {
        let output = running.wait().await.expect(0);
        waited += u32::from(output.stderr.contains(NAMED));
        leaders += u32::from(output.stderr.contains("lock taken"));
        if let Some(line) = output.stderr.lines().find(|line| line.contains(NAMED)) {
            let by = pids.iter().any(|pid| line.contains(&format!("(process {pid})")));
            assert!(by, "{line}, of {pids:?}");
        }
    }
    println!(
        "{:?}: 10 of 10 in {:?}, {waited} said for whom they waited",
        database.kind(),
        started.elapsed()
    );
    assert!(waited > 0 && leaders == 1, "{waited} waiters, {leaders} leaders");
    let versions =
        database.query_column("select version from refinery_schema_history order by version").await;
    assert_eq!(versions, ["1", "2", "3"]);
    assert_eq!(database.query_i64("select count(*) from lockkeeper_run").await, 1);
    let open = "select count(*) from lockkeeper_step where state <> 'done'";
    assert_eq!(database.query_i64(open).await, 0);
}

async fn ten_build_an_index_concurrently(kind: Kind) {
    let database = Database::of(kind).await;
    database.execute(&large(kind)).await;
    let project = Project::with([
        ("V1__widen.sql", "ALTER TABLE big ADD COLUMN a int;\n"),
        ("V2__index.sql", "CREATE INDEX CONCURRENTLY big_n ON big (n);\n"),
        ("V3__widen.sql", "ALTER TABLE big ADD COLUMN b int;\n"),
    ]);
    // An index is built concurrently only when all older snapshots are gone, this one among them.
    let mut holder = database.connect().await;
    holder.execute("begin isolation level repeatable read").await;
    holder.execute("select count(*) from pg_class").await;
    ten_at_once(&project, &database, async || holder.execute("commit").await).await;
    let indexes = "select count(*) from pg_index where indrelid = 'big'::regclass and indisvalid";
    assert_eq!(database.query_i64(indexes).await, 2);
    assert_eq!(database.query_i64("select count(*) from pg_index where not indisvalid").await, 0);
}

#[tokio::test]
async fn ten_build_an_index_concurrently_on_postgres15() {
    ten_build_an_index_concurrently(Kind::Postgres15).await;
}

#[tokio::test]
async fn ten_build_an_index_concurrently_on_postgres18() {
    ten_build_an_index_concurrently(Kind::Postgres18).await;
}

#[tokio::test]
async fn ten_at_once_on_mariadb() {
    let database = Database::of(Kind::MariaDb).await;
    database.execute(&large(Kind::MariaDb)).await;
    let project = Project::with([
        ("V1__fill.sql", "UPDATE big SET n = n + 1;\n"),
        ("V2__index.sql", "CREATE INDEX big_n ON big (n);\n"),
        ("V3__widen.sql", "ALTER TABLE big ADD COLUMN b int;\n"),
    ]);
    // DDL waits for every transaction that has read the table.
    let mut holder = database.connect().await;
    holder.execute("begin").await;
    holder.execute("select count(*) from big").await;
    ten_at_once(&project, &database, async || holder.execute("commit").await).await;
    assert_eq!(database.query_i64("select count(*) from big where n <> id + 1").await, 0);
}

/// SQLite's leader locks readers out as well while its transaction is larger than the cache; they
/// wait for that too.
#[tokio::test]
async fn ten_at_once_on_sqlite() {
    let database = Database::of(Kind::Sqlite).await;
    database.execute(&large(Kind::Sqlite)).await;
    let project = Project::with([
        ("V1__fill.sql", "-- lockkeeper: batch\nUPDATE big SET n = n + 1;\n"),
        (
            "V2__more.sql",
            "INSERT INTO big (id, n) SELECT a.id * 1000000 + b.id, 0 FROM big a, big b \
             WHERE a.id <= 30 AND b.id <= 100000;\n",
        ),
        ("V3__index.sql", "CREATE INDEX big_n ON big (n);\n"),
    ]);
    ten_at_once(&project, &database, async || ()).await;
    assert_eq!(database.query_i64("select count(*) from big where n = id + 1").await, 100_000);
}

/// A second run that starts while the leader is at a statement outside a transaction, whose outcome
/// only the leader will know.
async fn a_claim_of_a_living_run_is_waited_for(kind: Kind, text: &str, blocked: &str) {
    let database = Database::of(kind).await;
    database.execute("create table big (id bigint not null primary key)").await;
    let project = Project::with([("V1__widen.sql", text)]);
    let mut holder = database.connect().await;
    holder.execute("begin").await;
    holder.execute("select count(*) from big").await;
    let leader = Lockkeeper::up(&project, &database).start();
    database.wait_for(blocked).await;
    let second = Lockkeeper::up(&project, &database).start();
    second.line_with(NAMED).await;
    holder.execute("commit").await;
    leader.wait().await.expect(0);
    second.wait().await.expect(0);
}

#[tokio::test]
async fn a_claim_of_a_living_run_is_waited_for_on_mariadb() {
    let blocked = "select count(*) from information_schema.processlist where db = database() \
                   and state like 'Waiting for table metadata lock'";
    let text = "ALTER TABLE big ADD COLUMN b int;\n";
    a_claim_of_a_living_run_is_waited_for(Kind::MariaDb, text, blocked).await;
}

#[tokio::test]
async fn a_claim_of_a_living_run_is_waited_for_on_postgres() {
    let blocked = "select count(*) from pg_stat_activity where datname = current_database() \
                   and wait_event_type = 'Lock' and query like 'ALTER TABLE%'";
    let text = "-- lockkeeper: no-transaction\nALTER TABLE big ADD COLUMN b int;\n";
    a_claim_of_a_living_run_is_waited_for(Kind::Postgres15, text, blocked).await;
}

/// The leader sleeps until the row in `pace` says otherwise, for whoever comes next.
async fn sleeper(kind: Kind) -> (Project, Database) {
    let database = Database::of(kind).await;
    database.execute("create table pace (seconds int); insert into pace values (100);").await;
    let sleep = if kind == Kind::MariaDb { "sleep" } else { "pg_sleep" };
    let text = format!("SELECT {sleep}(seconds) FROM pace;\n");
    (Project::with([("V1__sleep.sql", text)]), database)
}

/// How many sessions are at the sleeper's statement.
fn sleeping(kind: Kind) -> &'static str {
    match kind {
        Kind::MariaDb => {
            "select count(*) from information_schema.processlist \
             where db = database() and info like 'SELECT sleep%'"
        }
        _ => {
            "select count(*) from pg_stat_activity where datname = current_database() \
             and state = 'active' and query like 'SELECT pg_sleep%'"
        }
    }
}

#[tokio::test]
async fn a_wait_that_runs_out_names_the_holder() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let (project, database) = sleeper(kind).await;
        let leader = Lockkeeper::up(&project, &database).start();
        database.wait_for(sleeping(kind)).await;
        let waiter = Lockkeeper::up(&project, &database).args(["--lock-wait", "1s"]);
        let output = waiter.run().await.expect(3).expect_text("another run holds the lock");
        assert!(output.took > Duration::from_secs(1), "{:?}", output.took);
        let output = output.expect_text("see what it is at: `lockkeeper status`");
        let named = format!("process {}", leader.pid());
        let first = output.stderr.lines().find(|line| line.contains("waiting for the lock"));
        // On a busy machine the wait may be over at the first look.
        assert!(first.is_none_or(|line| line.contains(&named)), "{}", output.stderr);
        output.expect_text(&named);
        assert!(leader.runs());
    }
}

/// The server goes on with a statement whose client is gone. Before the next run does anything, that
/// is ended, else both would work.
async fn an_orphan_is_ended(kind: Kind) {
    let (project, database) = sleeper(kind).await;
    let dead = Lockkeeper::up(&project, &database).start();
    database.wait_for(sleeping(kind)).await;
    dead.kill();
    dead.wait().await;
    assert_eq!(database.query_i64(sleeping(kind)).await, 1, "the server hasn't noticed");
    database.execute("update pace set seconds = 0").await;
    let output = Lockkeeper::up(&project, &database).run().await.expect(0);
    println!("{kind:?}: the next run took {:?}", output.took);
    assert!(output.took < Duration::from_secs(30), "{:?}", output.took);
    assert_eq!(database.query_i64(sleeping(kind)).await, 0);
}

#[tokio::test]
async fn an_orphan_is_ended_on_postgres() {
    an_orphan_is_ended(Kind::Postgres15).await;
}

#[tokio::test]
async fn an_orphan_is_ended_on_mariadb() {
    an_orphan_is_ended(Kind::MariaDb).await;
}

/// To see whether a run is at work takes no lock.
#[tokio::test]
async fn a_run_is_seen_through_a_pooler() {
    let held = Held::new().await;
    let running = held.up().start();
    counters::passed(&held.database, 1).await;
    let bouncer = PgBouncer::before(Server::postgres15());
    let status =
        Lockkeeper::new(["status"]).project(&held.project).url(&bouncer.url(&held.database));
    for _ in 0..5 {
        status.run().await.expect(0).expect_text("running").expect_text("is at work since");
    }
    running.kill();
    running.wait().await;
}

/// Who only reads leaves no prepared statement in a server's session, which the pooler hands to the
/// next one, and needs none there, which may be another's by then.
#[tokio::test]
async fn readers_share_a_pooler() {
    let server = Server::postgres15();
    let database = server.database().await;
    let text = "CREATE TABLE made (id int PRIMARY KEY, n int);\nINSERT INTO made VALUES (1, 0);\n";
    let fill = "-- lockkeeper: batch\nUPDATE made SET n = 1;\n";
    let project = Project::with([("V1__make.sql", text), ("V2__fill.sql", fill)]);
    Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
    let bouncer = PgBouncer::with(server, "pool_mode = transaction\ndefault_pool_size = 2");
    let through =
        |command: &[&str]| Lockkeeper::new(command).project(&project).url(&bouncer.url(&database));
    let readers: Vec<_> = (0..20)
        .map(|number| through(&[["status", "plan"][number % 2], "--json"]).start())
        .collect();
    for reader in readers {
        let output = reader.wait().await.expect(0);
        assert_eq!(output.stderr, "");
        output.expect_text("\"version\": 2");
    }
    through(&["wait", "--to", "1", "--timeout", "10s"]).run().await.expect(0);
}

/// Nor does who asks something of a run: the application gets the server's session next.
#[tokio::test]
async fn an_operator_leaves_nothing_in_a_pooler() {
    let server = Server::postgres15();
    let database = server.database().await;
    let project = Project::with([("V1__make.sql", "CREATE TABLE made (id int);\n")]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let bouncer = PgBouncer::with(server, "pool_mode = transaction\ndefault_pool_size = 1");
    let through = |command: &[&str]| Lockkeeper::new(command).url(&bouncer.url(&database));
    for command in [["pause"].as_slice(), &["rate", "5"], &["rate", "7"], &["rate", "off"]] {
        through(command).run().await.expect(0);
    }
    // The other one at the way is waited for, as long as it takes.
    let mut other = database.connect().await;
    other.execute("begin; lock table lockkeeper_request").await;
    let resume = through(&["resume"]).start();
    let tried = "select count(*) from pg_stat_activity \
                 where query = 'rollback' and datname = current_database()";
    database.wait_for(tried).await;
    other.execute("commit").await;
    resume.wait().await.expect(0).expect_text("the next one won't wait");
    let options: PgConnectOptions = bouncer.url(&database).parse().unwrap();
    // PgBouncer refuses this start-up parameter.
    let options = options.extra_float_digits(None);
    let mut application = Connection::Postgres(PgConnection::connect_with(&options).await.unwrap());
    let left = "select current_setting('lock_timeout') || ' ' \
                || (select count(*) from pg_prepared_statements)";
    assert_eq!(application.query_column(left).await, ["0 0"]);
}
