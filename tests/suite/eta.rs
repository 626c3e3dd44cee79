//! How far a run is, and how long it says that it will take.
//!
//! Whatever the machine is busy with, the fraction never falls, is never above 1, and the total is
//! found also where the catalog is wrong. How right the time left was is measured in the long form,
//! on a machine that has nothing else to do: `tests/run --long -- suite::eta --nocapture
//! --test-threads 1`. With `LOCKKEEPER_ETA_PLOT` it leaves a plot in that folder for each run.

mod plot;
mod record;

use std::time::Duration;

use serde_json::Value;

use crate::support::{self, Brake, Database, Kind, Lockkeeper, Options, Project, Server};
use plot::plot;
use record::{Record, Sample};

/// A shorter run than so many seconds has a second of measuring for a large part of it.
const TELLING: f64 = 10.0;

/// Rows of a table, in the short and in the long form.
fn rows() -> u64 {
    let long = std::env::var("LOCKKEEPER_ETA_ROWS").ok().and_then(|rows| rows.parse().ok());
    if support::long() { long.unwrap_or(3_000_000) } else { 60_000 }
}

/// The backfill. In the long form it has something to compute, or the disk alone would set the pace, which
/// nobody can predict; in the short one its batches are small, so that it takes its time all the same.
fn fill(kind: Kind) -> String {
    if !support::long() {
        return "-- lockkeeper: batch rows=200 target=50ms\nUPDATE t SET n = n + 1;\n".to_owned();
    }
    let work = match kind {
        Kind::Sqlite => "hex(zeroblob(2000 + n))",
        Kind::MariaDb => "md5(repeat('x', 2000 + n))",
        Kind::Postgres15 | Kind::Postgres18 => "md5(repeat(name, 200))",
    };
    format!("-- lockkeeper: batch\nUPDATE t SET n = n + 1 + 0 * length({work});\n")
}

/// Runs it, and checks it.
async fn measure(name: &str, database: &Database) -> Record {
    let rows = database.query_i64("select count(*) from t").await.unsigned_abs();
    let project = Project::with([("V1__fill.sql", fill(database.kind()))]);
    let record = Record::of(Lockkeeper::up(&project, database), async |_| {}).await;
    let undone = database.query_i64("select count(*) from t where n <> 1").await;
    assert_eq!(undone, 0, "{name}");
    report(name, &record);
    record.assert_sane(rows);
    if support::long() && record.end < TELLING {
        println!("{name}: too short to say how right that is");
    } else if support::long() {
        let right = record.right(|one| one.fraction >= 0.05);
        assert!(right >= 0.9, "{name}: {right:.3} of the predictions were right");
    }
    record
}

fn report(name: &str, record: &Record) {
    let from = |least: f64| 100.0 * record.right(move |one: &Sample| one.fraction >= least);
    println!(
        "{name}: {:.1} s, {} predictions; from 5 % on {:.1} % within 15 %, from half on {:.1} %; \
         {:.1} % in time at worst",
        record.end,
        record.samples.len(),
        from(0.05),
        from(0.5),
        100.0 * record.within_worst(),
    );
    if let Some(folder) = std::env::var_os("LOCKKEEPER_ETA_PLOT") {
        let path =
            std::path::Path::new(&folder).join(format!("eta-{}.svg", name.replace(' ', "-")));
        std::fs::write(path, plot(record, name)).expect("a plot");
    }
}

/// A server of one's own in the long form: the shared one doesn't write to the disk as a real one.
async fn database(kind: Kind) -> (Option<Server>, Database) {
    if !support::long() || kind == Kind::Sqlite {
        return (None, Database::of(kind).await);
    }
    let settings = match kind {
        Kind::MariaDb => ["innodb_buffer_pool_size=512M", "innodb_log_file_size=1G"],
        _ => ["shared_buffers=512MB", "max_wal_size=8GB"],
    };
    let settings = settings.map(str::to_owned).to_vec();
    let server = Server::with(Options { settings, ..Options::new(kind) });
    let database = server.database().await;
    (Some(server), database)
}

/// A table `t` on PostgreSQL with this key, and the keys that a query of a number `i` gives.
async fn table(kind: Kind, columns: &str, keys: &str, such: &str) -> (Option<Server>, Database) {
    let (server, database) = database(kind).await;
    let rows = rows();
    database
        .execute(&format!(
            "create table t ({columns}, name text not null default 'an item of the shop', \
             n bigint not null default 0) with (autovacuum_enabled = off); \
             insert into t select {keys} from generate_series(1, {rows}) i {such}"
        ))
        .await;
    (server, database)
}

/// Of the first half of the ids, nine of ten are gone.
#[tokio::test]
async fn bigint_with_gaps() {
    let such = format!("where i > {} or i % 10 = 0", rows() / 2);
    let keys = "id bigint primary key";
    let (_server, database) = table(Kind::Postgres15, keys, "i", &such).await;
    database.execute("analyze t").await;
    measure("bigint with gaps", &database).await;
}

#[tokio::test]
async fn composite() {
    let keys = "shop integer not null, at timestamptz not null, primary key (shop, at)";
    let values = "(sqrt(i))::int % 97, timestamptz '2026-01-01' + i * interval '1 second'";
    let (_server, database) = table(Kind::Postgres15, keys, values, "").await;
    database.execute("analyze t").await;
    measure("composite", &database).await;
}

#[tokio::test]
async fn uuid() {
    let keys = "id uuid primary key";
    let (_server, database) = table(Kind::Postgres18, keys, "md5(i::text)::uuid", "").await;
    database.execute("analyze t").await;
    measure("uuid", &database).await;
}

/// Most begin in the same way, and the collation has an order of its own.
#[tokio::test]
async fn text() {
    let keys = "id text collate \"en-x-icu\" primary key";
    let value = "case i % 10 when 0 then 'Z' when 1 then 'a-b' else 'item ' end || (i::bigint * 7919 % 1000003)::text || '-' || i";
    let (_server, database) = table(Kind::Postgres15, keys, value, "").await;
    database.execute("analyze t").await;
    measure("text", &database).await;
}

/// The statistics know of half of the rows.
#[tokio::test]
async fn statistics_of_half() {
    let (_server, database) = table(Kind::Postgres15, "id bigint primary key", "i", "").await;
    let stale = "analyze t; update pg_class set reltuples = reltuples / 2 where relname = 't'";
    database.execute(stale).await;
    measure("statistics of half", &database).await;
}

/// They know of twice as many.
#[tokio::test]
async fn statistics_of_double() {
    let (_server, database) = table(Kind::Postgres15, "id bigint primary key", "i", "").await;
    let stale = "analyze t; update pg_class set reltuples = reltuples * 2 where relname = 't'";
    database.execute(stale).await;
    measure("statistics of double", &database).await;
}

#[tokio::test]
async fn no_statistics() {
    let (_server, database) = table(Kind::Postgres15, "id bigint primary key", "i", "").await;
    measure("no statistics", &database).await;
}

#[tokio::test]
async fn mariadb() {
    let (_server, database) = database(Kind::MariaDb).await;
    support::counters::fill(&database, rows()).await;
    measure("mariadb", &database).await;
}

#[tokio::test]
async fn sqlite() {
    let (_server, database) = database(Kind::Sqlite).await;
    support::counters::fill(&database, rows()).await;
    measure("sqlite", &database).await;
}

/// The server does half as much from some moment on. After two minutes the time left is right again.
#[tokio::test]
async fn a_halved_pace() {
    if !support::long() {
        return;
    }
    let (_server, database) = table(Kind::Postgres15, "id bigint primary key", "i", "").await;
    // Rows so dear that there are minutes to look at.
    let dear = fill(database.kind()).replace("200)", "1500)");
    let project = Project::with([("V1__fill.sql", dear)]);
    let mut brake: Option<(Brake, f64)> = None;
    let record = Record::of(Lockkeeper::up(&project, &database), async |sample| {
        if brake.is_none() && sample.fraction >= 0.15 {
            let worker = "select pid from pg_stat_activity where pid <> pg_backend_pid() \
                          and query like '%UPDATE t%' limit 1";
            let pid = u32::try_from(database.query_i64(worker).await).expect("a process");
            brake = Some((Brake::of(pid, 0.5), sample.at));
        }
    })
    .await;
    let (_, from) = brake.expect("a brake");
    report("a halved pace", &record);
    println!("halved at {from:.1} s");
    let right = record.right(|one| one.at >= from + 120.0);
    assert!(record.end > from + 150.0, "{} s are too short to say anything", record.end);
    assert!(right >= 0.9, "{right:.3} of the predictions were right");
}

/// An operator's rate below the pace, asked for before the run: how long it takes at that one is told beside
/// the work.
#[tokio::test]
async fn a_rate_is_told_apart() {
    let (_server, database) = table(Kind::Postgres15, "id bigint primary key", "i", "").await;
    let seconds = if support::long() { 60 } else { 6 };
    let files = [
        ("V0__earlier.sql", "create table earlier (id int);\n".to_owned()),
        ("V1__fill.sql", fill(database.kind())),
    ];
    let project = Project::with(files);
    let earlier = Lockkeeper::up(&project, &database).args(["--to", "0"]);
    earlier.run().await.expect(0);
    let rate = (rows() / seconds).to_string();
    Lockkeeper::new(["rate", &rate]).database(&database).run().await.expect(0);
    let mut checkpoint = Value::Null;
    let record = Record::of(Lockkeeper::up(&project, &database), async |sample| {
        if checkpoint.is_null() && sample.fraction >= 0.8 {
            let status = Lockkeeper::new(["status", "--json"]).project(&project);
            let answer = status.database(&database).run().await.expect(0).stdout;
            let report: Value = serde_json::from_str(&answer).expect("JSON");
            checkpoint = report["migrations"][1]["checkpoint"].clone();
        }
    })
    .await;
    report("a rate", &record);
    record.assert_sane(rows());
    let slow: Vec<_> = record.samples.iter().filter(|one| one.slowed.is_some()).collect();
    let right = slow.iter().filter(|one| record.is_right(one, one.slowed)).count();
    println!("at the rate: {right} of {} predictions were right", slow.len());
    // Another process sees it in the ledger.
    let [done, total] = ["rows_done", "rows_total"].map(|name| checkpoint[name].as_f64());
    let [rate, left] = ["rate", "eta_seconds"].map(|name| checkpoint[name].as_f64());
    let told = rate.zip(left).map(|(rate, left)| rate * left);
    let real = total.zip(done).map(|(total, done)| total - done);
    let fits = told.zip(real).is_some_and(|(told, real)| (told / real - 1.0).abs() < 0.1);
    assert!(fits, "{checkpoint}");
    let last = record.samples.last().expect("samples");
    let limit = Duration::from_secs(seconds).as_secs_f64();
    assert!((0.5 * limit..record.end).contains(&last.throttled), "{last:?} of {}", record.end);
    let told = slow.iter().filter(|one| one.slowed >= one.p50).count();
    assert!(told > 0 && 10 * told >= 9 * slow.len(), "{told} of {}", slow.len());
}
