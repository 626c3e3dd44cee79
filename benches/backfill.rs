//! The batched fill against the same statement run whole, in pairs, on PostgreSQL 15.
//!
//! `LOCKKEEPER_BENCH_ROWS` (2,000,000) and `LOCKKEEPER_BENCH_PAIRS` (3) change its size,
//! `LOCKKEEPER_BENCH_WORKERS` (1) the number of workers, and an argument, `correlated` or `plain`,
//! picks a statement; `fixed` adds a third side. The whole
//! statement is timed alone; the batched one as a whole process, its start and its connections
//! included. Every run has a database of its own, a copy of one template, after a checkpoint. What
//! each writes to the log that replicas follow is counted too, since noise doesn't touch it.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that can't measure says so")]

#[allow(dead_code, reason = "it measures for two benchmarks")]
mod measure;
#[allow(dead_code, unused_imports, reason = "the harness offers more than this uses")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt;
use std::time::Instant;

use measure::{Cost, cost, median, mib, setting};
use support::{Database, Kind, Lockkeeper, Options, Project, Server};

/// S1's fill from another table, and a plain one.
const STATEMENTS: [(&str, &str); 2] = [
    (
        "correlated",
        "UPDATE some_table SET new_column =\n  (SELECT refered_column FROM refered_table \
         WHERE some_table.id = refered_table.some_id)",
    ),
    ("plain", "UPDATE some_table SET new_column = 7 * id"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rows = setting("LOCKKEEPER_BENCH_ROWS", 2_000_000);
    let pairs = setting("LOCKKEEPER_BENCH_PAIRS", 3);
    let workers = setting("LOCKKEEPER_BENCH_WORKERS", 1);
    let settings = ["shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=1h"];
    let server = Server::with(Options {
        settings: settings.map(str::to_owned).to_vec(),
        ..Options::new(Kind::Postgres15)
    });
    let template = server.database().await;
    fill(&template, rows).await;
    println!("{rows} rows, {pairs} pairs, {workers} workers, {}", settings.join(" "));
    // cargo adds options of its own.
    let picked: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let names = STATEMENTS.map(|(name, _)| name);
    let all = !picked.iter().any(|word| names.contains(&word.as_str()));
    let is_picked = |name: &str| picked.iter().any(|word| word == name);
    for (name, statement) in STATEMENTS.into_iter().filter(|(name, _)| all || is_picked(name)) {
        let mut ways = vec![Way::Whole, Way::Batched];
        ways.extend(is_picked("fixed").then_some(Way::Fixed));
        let mut runs: Vec<Vec<Run>> = ways.iter().map(|_| Vec::new()).collect();
        for pair in 0..pairs {
            for turn in 0..ways.len() {
                // Each is the first one in turn.
                let turn = (turn + pair as usize) % ways.len();
                let run = ways[turn].run(&server, &template, statement, workers).await;
                println!("{name}: {} {run}", ways[turn].name());
                runs[turn].push(run);
            }
        }
        for (way, of) in ways.iter().zip(&runs).skip(1) {
            let ratios = |of_run: fn(&Run) -> f64| {
                let pairs = of.iter().zip(&runs[0]);
                let ratios: Vec<_> =
                    pairs.map(|(one, whole)| of_run(one) / of_run(whole)).collect();
                let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let high = ratios.iter().copied().fold(0.0, f64::max);
                format!("{:.3} ({low:.3} to {high:.3})", median(ratios))
            };
            println!(
                "{name}: {}/whole: median {}, of the log {}, peak {:.1} MiB",
                way.name(),
                ratios(|run| run.seconds),
                ratios(|run| run.logged as f64),
                median(of.iter().map(|run| mib(run.peak)))
            );
        }
    }
}

/// What is compared.
enum Way {
    /// The statement as it is.
    Whole,
    /// lockkeeper.
    Batched,
    /// A model of what other tools do (pgroll's backfill): 1,000 rows a batch, one statement that
    /// finds, locks and updates them, its position kept by the client.
    Fixed,
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Way::Whole => "whole",
            Way::Batched => "batched",
            Way::Fixed => "fixed",
        }
    }

    async fn run(
        &self,
        server: &Server,
        template: &Database,
        statement: &str,
        workers: u64,
    ) -> Run {
        match self {
            Way::Whole => run_whole(server, template, statement).await,
            Way::Batched => run_batched(server, template, statement, workers).await,
            Way::Fixed => run_fixed(server, template, statement).await,
        }
    }
}

/// What a run took.
struct Run {
    seconds: f64,
    /// Bytes of the write-ahead log.
    logged: i64,
    /// The process's memory at its highest, in KiB; none of the server's.
    peak: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s, {:.1} MiB logged", self.seconds, self.logged as f64 / 1_048_576.0)
    }
}

async fn fill(database: &Database, rows: u64) {
    for sql in [
        "create table some_table (id bigint primary key, name text not null, new_column bigint)",
        "create table refered_table (id bigint primary key, some_id bigint not null unique, \
         refered_column bigint not null)",
        &format!(
            "insert into some_table select i, 'an item of the shop' from generate_series(1, {rows}) i"
        ),
        &format!("insert into refered_table select i, i, 7 * i from generate_series(1, {rows}) i"),
        "vacuum analyze",
    ] {
        database.execute(sql).await;
    }
}

/// A fresh copy, written to disk, with nothing else under way.
async fn copy(server: &Server, template: &Database) -> Database {
    let admin = server.admin();
    let database = server.database().await;
    admin.execute(&format!("drop database \"{}\"", database.name())).await;
    let (name, from) = (database.name(), template.name());
    admin.execute(&format!("create database \"{name}\" template \"{from}\"")).await;
    admin.execute("checkpoint").await;
    database
}

async fn run_whole(server: &Server, template: &Database, statement: &str) -> Run {
    let database = copy(server, template).await;
    let mut connection = database.connect().await;
    let before = logged(&database).await;
    let started = Instant::now();
    connection.execute(statement).await;
    let seconds = started.elapsed().as_secs_f64();
    let run = Run { seconds, logged: logged(&database).await - before, peak: 0 };
    verify(&database).await;
    run
}

async fn run_batched(server: &Server, template: &Database, statement: &str, workers: u64) -> Run {
    let database = copy(server, template).await;
    let project = Project::new();
    project.file("V1__fill.sql", format!("-- lockkeeper: batch workers={workers}\n{statement};\n"));
    let before = logged(&database).await;
    let Cost { wall, peak } = cost(&Lockkeeper::up(&project, &database)).await;
    let run = Run { seconds: wall.as_secs_f64(), logged: logged(&database).await - before, peak };
    verify(&database).await;
    run
}

async fn run_fixed(server: &Server, template: &Database, statement: &str) -> Run {
    let database = copy(server, template).await;
    let mut connection = database.connect().await;
    let before = logged(&database).await;
    let update = statement.replacen("UPDATE some_table SET", "UPDATE some_table t SET", 1);
    let update = update.replace("some_table.id", "t.id").replace("7 * id", "7 * t.id");
    let started = Instant::now();
    let mut last = 0;
    loop {
        let sql = format!(
            "with batch as (select id from some_table where id > {last} order by id limit 1000 \
             for no key update), changed as ({update} from batch where t.id = batch.id \
             returning t.id) select coalesce(max(id), 0)::text from changed"
        );
        match connection.query_i64(&sql).await {
            0 => break,
            reached => last = reached,
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let run = Run { seconds, logged: logged(&database).await - before, peak: 0 };
    verify(&database).await;
    run
}

/// How far the server's write-ahead log is.
async fn logged(database: &Database) -> i64 {
    database.query_i64("select (pg_current_wal_insert_lsn() - '0/0')::bigint").await
}

async fn verify(database: &Database) {
    let wrong = "select count(*) from some_table where new_column is distinct from 7 * id";
    assert_eq!(database.query_i64(wrong).await, 0, "every row is filled");
}
