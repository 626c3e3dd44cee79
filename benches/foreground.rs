//! What an application notices of a backfill: 200 updates a second on the same table, on schedule
//! whatever the server does (`pgbench --rate`), each one's latency counted from when it was due.
//!
//! For each shape of table and statement: with nothing else at work, beside the batched statement, and
//! beside the same one run whole. `LOCKKEEPER_BENCH_ROWS` (1,000,000) changes the size,
//! `LOCKKEEPER_BENCH_WORKERS` (1) the workers, an argument picks a shape. How long a batch holds its locks
//! is read in the server's log: from the begin of its first statement to the end of its commit.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that can't measure says so")]

#[allow(dead_code, reason = "it measures for several benchmarks")]
mod measure;
#[allow(dead_code, unused_imports, reason = "the harness offers more than this uses")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use measure::setting;
use support::{Database, Kind, Lockkeeper, Options, Project, Server};

/// Updates a second.
const RATE: u32 = 200;
/// How long the idle table is measured.
const IDLE: Duration = Duration::from_secs(20);
/// What a batch is to hold its locks at most: the default target, in milliseconds.
const TARGET: f64 = 200.0;
/// Who runs the backfill, so that the server logs what it does and nothing else.
const USER: &str = "migrator";

/// A table, and what is done to it.
struct Shape {
    name: &'static str,
    /// Makes the table `t (id, touched, …)`; `{rows}` stands for its size.
    tables: &'static str,
    statement: &'static str,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "plain",
        tables: "create table t (id bigint primary key, touched int not null, name text, n bigint);
            insert into t select i, 0, 'an item of the shop' from generate_series(1, {rows}) i;",
        statement: "UPDATE t SET n = 7 * id",
    },
    // A hundredth of the rows are a thousand times as wide, all in one place.
    Shape {
        name: "skewed",
        tables: "create table t (id bigint primary key, touched int not null, body text);
            alter table t alter body set storage external;
            insert into t select i, 0, repeat(md5(i::text),
                case when i between {rows} / 2 and {rows} / 2 + {rows} / 100 then 640 else 1 end)
            from generate_series(1, {rows}) i;",
        statement: "UPDATE t SET body = reverse(body)",
    },
    Shape {
        name: "cascades",
        tables: "create table t (id bigint primary key, touched int not null);
            insert into t select i, 0 from generate_series(1, {rows} / 5) i;
            create table child (id bigint primary key, t_id bigint not null
                references t on delete cascade);
            insert into child select i, 1 + i % ({rows} / 5) from generate_series(1, {rows}) i;
            create index on child (t_id);",
        statement: "DELETE FROM t WHERE id % 2 = 0",
    },
    Shape {
        name: "sparse",
        tables: "create table t (id bigint primary key, touched int not null, n bigint not null);
            insert into t select i, 0, i % 10000 from generate_series(1, 4 * {rows}) i;",
        statement: "UPDATE t SET n = -1 WHERE n = 77",
    },
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rows = setting("LOCKKEEPER_BENCH_ROWS", 1_000_000);
    let workers = setting("LOCKKEEPER_BENCH_WORKERS", 1);
    let settings = [
        "shared_buffers=512MB",
        "max_wal_size=8GB",
        "log_line_prefix=%n %p ",
        "log_autovacuum_min_duration=-1",
    ];
    let settings = settings.map(str::to_owned).to_vec();
    let server = Server::with(Options { settings, ..Options::new(Kind::Postgres15) });
    let admin = server.admin();
    admin.execute(&format!("create role {USER} superuser login")).await;
    admin.execute(&format!("alter role {USER} set log_min_duration_statement = 0")).await;
    println!("{rows} rows, {workers} workers, {RATE} updates a second");
    // cargo adds options of its own.
    let picked: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for shape in &SHAPES {
        if picked.is_empty() || picked.iter().any(|name| name == shape.name) {
            measure(&server, shape, rows, workers).await;
        }
    }
}

async fn measure(server: &Server, shape: &Shape, rows: u64, workers: u64) {
    let database = fill(server, shape, rows).await;
    let foreground = Foreground::start(&database).await;
    tokio::time::sleep(IDLE).await;
    println!("{}: idle {}", shape.name, foreground.stop().await);

    let seen = server.log().len();
    let project = Project::new();
    let directive = format!("-- lockkeeper: batch trust-triggers workers={workers}");
    project.file("V1__fill.sql", format!("{directive}\n{};\n", shape.statement));
    let foreground = Foreground::start(&database).await;
    let started = Instant::now();
    let url = database.url_as(USER, "");
    Lockkeeper::new(["up"]).project(&project).url(&url).run().await.expect(0);
    let took = started.elapsed();
    println!("{}: batched, {took:.1?}: {}", shape.name, foreground.stop().await);
    let holds = holds(&server.log()[seen..]);
    let within = holds.iter().filter(|hold| **hold <= TARGET).count();
    println!(
        "{}: {} batches, {:.2} % of them held their locks for {TARGET} ms at most; p99 {:.0} ms, \
         longest {:.0} ms",
        shape.name,
        holds.len(),
        100.0 * within as f64 / holds.len().max(1) as f64,
        quantile(&holds, 0.99),
        quantile(&holds, 1.0),
    );

    let database = fill(server, shape, rows).await;
    let foreground = Foreground::start(&database).await;
    let started = Instant::now();
    database.execute(shape.statement).await;
    let took = started.elapsed();
    println!("{}: whole, {took:.1?}: {}", shape.name, foreground.stop().await);
}

async fn fill(server: &Server, shape: &Shape, rows: u64) -> Database {
    let database = server.database().await;
    database.execute(&shape.tables.replace("{rows}", &rows.to_string())).await;
    database.execute("vacuum analyze").await;
    database.execute("checkpoint").await;
    database
}

/// The application: pgbench with a log of each transaction.
struct Foreground {
    child: Child,
    folder: tempfile::TempDir,
}

impl Foreground {
    async fn start(database: &Database) -> Foreground {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("script.sql");
        let rows = database.query_i64("select max(id) from t").await;
        let update = "update t set touched = touched + 1 where id = :id;";
        std::fs::write(&script, format!("\\set id random(1, {rows})\n{update}\n")).expect("a file");
        let child = Command::new("pgbench")
            .args(["--no-vacuum", "--protocol=prepared", "--client=16", "--jobs=1", "--log"])
            .args(["--time=86400", &format!("--rate={RATE}"), "--file=script.sql"])
            .args(["--host=127.0.0.1", "--username=postgres"])
            .args([&format!("--port={}", database.port()), database.name()])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbench");
        let foreground = Foreground { child, folder };
        let warm = "select count(*) from pg_stat_activity where application_name = 'pgbench' \
                    and query like 'update%' having count(*) >= 8";
        database.wait_for(warm).await;
        foreground
    }

    /// Once those that waited are through.
    async fn stop(mut self) -> Latencies {
        tokio::time::sleep(Duration::from_secs(1)).await;
        support::process::signal(self.child.id(), libc::SIGINT);
        self.child.wait().expect("pgbench ends");
        Latencies::read(self.folder.path())
    }
}

/// In milliseconds, in order.
struct Latencies(Vec<f64>);

impl Latencies {
    /// pgbench's log: client, number, microseconds since it was due, …
    fn read(folder: &Path) -> Latencies {
        let files = std::fs::read_dir(folder).expect("a folder").flatten();
        let logs = files.filter(|file| file.file_name().to_string_lossy().contains("pgbench_log"));
        let text: String =
            logs.map(|log| std::fs::read_to_string(log.path()).expect("a log")).collect();
        let micros = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok());
        let mut all: Vec<_> = micros.map(|micros| micros / 1000.0).collect();
        all.sort_by(f64::total_cmp);
        Latencies(all)
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|part| quantile(&self.0, part));
        write!(
            f,
            "{} updates, p50 {p50:.1} ms, p99 {p99:.1} ms, longest {worst:.0} ms",
            self.0.len()
        )
    }
}

/// Of values in order.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// How long each batch held its locks, in milliseconds and in order: its session's log has when each
/// statement ended and how long it took.
fn holds(log: &str) -> Vec<f64> {
    let mut began: HashMap<&str, f64> = HashMap::new();
    let mut holds = Vec::new();
    for line in log.lines() {
        let mut words = line.split(' ');
        let (Some(Ok(at)), Some(pid)) = (words.next().map(str::parse::<f64>), words.next()) else {
            continue;
        };
        let Some((_, rest)) = line.split_once("duration: ") else { continue };
        let took = rest.split(' ').next().and_then(|took| took.parse::<f64>().ok());
        let Some(took) = took else { continue };
        let sql = rest.to_ascii_lowercase();
        if sql.contains("execute")
            && sql.contains("lockkeeper_range")
            && sql.contains("set cursor_key")
        {
            began.insert(pid, at * 1000.0 - took);
        } else if sql.contains("commit")
            && let Some(from) = began.remove(pid)
        {
            holds.push(at * 1000.0 - from);
        }
    }
    holds.sort_by(f64::total_cmp);
    holds
}
