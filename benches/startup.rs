//! Start-up plus a no-op `up` with 1,000 applied migrations, against refinery's and sqlx's own
//! command-line tools, on PostgreSQL 15, in turn.
//!
//! `LOCKKEEPER_BENCH_MIGRATIONS` (1,000) and `LOCKKEEPER_BENCH_ROUNDS` (15) change its size. The
//! peers are looked for in `LOCKKEEPER_BENCH_PEERS`, a folder with `refinery` and `sqlx`; see
//! docs/benchmarks.md for how to install them.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that can't measure says so")]

#[allow(dead_code, reason = "it measures for two benchmarks")]
mod measure;
#[allow(dead_code, unused_imports, reason = "the harness offers more than this uses")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use measure::{cost, median, mib, setting, wall};
use support::{Kind, Lockkeeper, Options, Project, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let migrations = setting("LOCKKEEPER_BENCH_MIGRATIONS", 1_000);
    let rounds = setting("LOCKKEEPER_BENCH_ROUNDS", 15);
    let peers = PathBuf::from(
        std::env::var_os("LOCKKEEPER_BENCH_PEERS").expect("LOCKKEEPER_BENCH_PEERS is set"),
    );
    let server = Server::with(Options::new(Kind::Postgres15));
    let refinery = Project::new();
    let sqlx = Project::new();
    for version in 1..=migrations {
        let sql = format!("CREATE TABLE t{version} (id bigint PRIMARY KEY, name text);\n");
        refinery.file(&format!("V{version}__make_t{version}.sql"), &sql);
        sqlx.file(&format!("{version}_make_t{version}.sql"), &sql);
    }
    // Each tool has applied its migrations itself, in a database of its own.
    let databases = [server.database().await, server.database().await, server.database().await];
    let [ours, theirs, third] = &databases;
    let tools = [
        ("lockkeeper", Lockkeeper::up(&refinery, ours)),
        (
            "refinery",
            Lockkeeper::program(peers.join("refinery"), ["migrate", "-e", "DATABASE_URL", "-p"])
                .arg(refinery.migrations())
                .database(theirs),
        ),
        (
            "sqlx",
            Lockkeeper::program(peers.join("sqlx"), ["migrate", "run", "--source"])
                .arg(sqlx.migrations())
                .database(third),
        ),
    ];
    for (_, tool) in &tools {
        cost(tool).await;
    }
    let mut costs: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); tools.len()];
    for _ in 0..rounds {
        for ((_, tool), (walls, _)) in tools.iter().zip(&mut costs) {
            walls.push(wall(tool).await.as_secs_f64() * 1e3);
        }
        for ((_, tool), (_, peaks)) in tools.iter().zip(&mut costs) {
            peaks.push(mib(cost(tool).await.peak));
        }
    }
    println!("{migrations} applied migrations, nothing pending, {rounds} rounds in turn");
    for ((name, _), (walls, peaks)) in tools.iter().zip(costs) {
        let (wall, peak) = (median(walls), median(peaks));
        println!("{name}: median {wall:.1} ms, median peak {peak:.1} MiB");
    }
}
