//! S1's story: a service migrates at its start, and its load balancer waits for 60 s. A sample says before the deployment
//! whether that is enough.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scenario::{Twist, estimate, production, staging, took};
use crate::slow_disk::SlowDisk;
use crate::support::{Database, Kind, Lockkeeper, Project};

const KIND: Kind = Kind::Postgres15;
/// A disk by which it takes minutes, in bytes a second.
const SLOW: u64 = 12_000_000;
/// No run takes longer.
const PATIENCE: Duration = Duration::from_secs(900);

const TITLES: &str = "| production | told | from | to | came true | ratio | predicted in | of the real time | grace 60 s | 600 s |\n\
                      |---|---|---|---|---|---|---|---|---|---|";

/// A line for each of two productions: one like the copy, and one whose disk is slow.
pub async fn play(rows: u64) {
    println!("\nS1, {rows} rows\n\n{TITLES}");
    for twist in [Twist::None, Twist::SlowDisk] {
        line(rows, twist).await;
    }
}

async fn line(rows: u64, twist: Twist) {
    let real = shop(production(KIND).expect("a server").database().await, rows).await;
    let copy = shop(staging(KIND).expect("a server").database().await, rows).await;
    let slow = match twist {
        Twist::SlowDisk => match SlowDisk::new(production(KIND), SLOW) {
            Some(disk) => Some(disk),
            None => return println!("| a slow disk | not played: this machine can't |"),
        },
        _ => None,
    };
    let fill = include_str!("../../migrations-example/postgres/V3__fill_new_column.sql");
    let project = Project::with([("V1__fill.sql", fill)]);
    let began = Instant::now();
    let report = estimate(&project, "sample", &real, &copy).await;
    let predicted_in = began.elapsed().as_secs_f64();
    let verdicts = [verdict(&project, 60).await, verdict(&project, 600).await];
    drop(copy);
    real.execute("checkpoint").await;
    Lockkeeper::up(&project, &real).start().wait_within(PATIENCE).await.expect(0);
    let actual = took(&real).await;
    drop(slow);
    let of = |name: &str| report["total"][name].as_f64().expect("a time");
    let told = of("p50_seconds");
    println!(
        "| {} | {told:.1} s | {:.1} | {:.1} | {actual:.1} s | {:.2} | {predicted_in:.1} s | {:.0} % | {} | {} |",
        if twist == Twist::None { "like the copy" } else { "a disk of 12 MB/s" },
        of("p10_seconds"),
        of("p90_seconds"),
        actual / told,
        100.0 * predicted_in / actual,
        verdicts[0],
        verdicts[1]
    );
}

async fn shop(database: Database, rows: u64) -> Database {
    database
        .execute(&format!(
            "create table some_table (id bigint primary key, name varchar(100) not null);
             insert into some_table select i, 'an item of the shop' from generate_series(1, {rows}) i;
             create table refered_table (id bigint primary key, some_id bigint not null unique,
                                         refered_column bigint not null);
             insert into refered_table select i, i, 7 * i from generate_series(1, {rows}) i"
        ))
        .await;
    database.execute("vacuum analyze").await;
    database.execute("checkpoint").await;
    database
}

/// What the doctor says of the service in Copilot's words.
async fn verdict(project: &Project, grace: u32) -> &'static str {
    let manifest = format!(
        "name: shop\ntype: Load Balanced Web Service\nimage:\n  build: ./Dockerfile\n  port: 4000\n\
         command: sh -c \"lockkeeper up && bin/server\"\ncpu: 256\nmemory: 512\ncount: 1\n\
         http:\n  path: '/'\n  healthcheck:\n    path: '/health'\n    grace_period: {grace}s\n"
    );
    let file = project.path().join("manifest.yml");
    std::fs::write(&file, manifest).expect("a manifest");
    let doctor = Lockkeeper::new(["ecs", "doctor", "--json", "--from"]).arg(&file);
    let doctor = doctor.arg("--estimate").arg(project.path().join("report.json"));
    let output = doctor.folder(project.path()).run().await;
    let answer: Value = serde_json::from_str(&output.stdout).expect("JSON");
    if answer["survives"] == true { "survives" } else { "doesn't survive" }
}
