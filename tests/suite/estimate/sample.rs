//! `--mode sample`: as good as a real run says, and nothing of it stays.

use serde_json::Value;

use super::estimate;
use crate::support::{Database, Kind, Lockkeeper, Options, Output, Project, Server};

/// Rows of the table that a real run then fills, too: it takes seconds.
const ROWS: u64 = 300_000;

/// A table, and one that refers to it, as in the story of the service that migrates at its start.
fn shop(rows: u64) -> String {
    format!(
        "create table some_table (id bigint primary key, name varchar(100) not null);
         create table refered_table (id bigint primary key, some_id bigint not null unique,
                                     refered_column bigint not null);
         insert into some_table select i, 'an item of the shop' from generate_series(1, {rows}) i;
         insert into refered_table select i, i, 7 * i from generate_series(1, {rows}) i;
         analyze"
    )
}

/// A table whose last rows are much wider than the others.
fn skewed(rows: u64) -> String {
    format!(
        "create table t (id bigint primary key, a bigint not null, pad text);
         alter table t alter pad set storage plain;
         insert into t select i, i, case when i > {rows} * 0.7 then repeat(md5(i::text), 40) else 'x' end
         from generate_series(1, {rows}) i;
         analyze"
    )
}

const FILL: &str = "alter table t add column b bigint;\n\n\
                    -- lockkeeper: batch\nupdate t set b = a * 2;\n";

fn example(name: &str) -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{folder}/migrations-example/postgres/{name}")).unwrap()
}

/// The story's fill, and the NOT NULL that follows upon it.
fn story() -> Project {
    let names = ["V3__fill_new_column.sql", "V4__require_new_column.sql"];
    Project::with(names.map(|name| (name, example(name))))
}

/// Samples, and returns the report.
async fn sampled(project: &Project, copy: &Database) -> (Value, Output) {
    let json = project.path().join("report.json");
    let all = estimate(project, &copy.url).args(["--mode", "sample", "--json"]).arg(&json);
    let output = all.run().await.expect(0);
    let report = std::fs::read_to_string(json).unwrap();
    (serde_json::from_str(&report).unwrap(), output)
}

/// A digest of each row of each table, and of where the sequences are.
async fn content(database: &Database) -> String {
    let mut content = database.schema().await;
    for table in database.tables().await {
        let digest = format!(
            "select coalesce(md5(string_agg(md5(t::text), '' order by t::text)), '') from {table} t"
        );
        content.push_str(&format!("{table} {}\n", database.query_text(&digest).await));
    }
    content
}

fn steps(report: &Value) -> Vec<(String, f64)> {
    let steps = report["steps"].as_array().unwrap().iter();
    let told = steps.map(|step| {
        (step["how"].as_str().unwrap().to_owned(), step["measured_seconds"].as_f64().unwrap())
    });
    told.collect()
}

/// Seconds that a real run took for its backfills.
async fn really(project: &Project, database: &Database) -> f64 {
    Lockkeeper::up(project, database).run().await.expect(0);
    let sql = "select sum(took_ms)::bigint from lockkeeper_step where kind = 'backfill'";
    database.query_i64(sql).await as f64 / 1_000.0
}

/// What is told of all backfills: of three samples the middle one, since a sample is short, and the machine may just
/// then be at something else.
async fn told(project: &Project, copy: &Database) -> f64 {
    let mut all = Vec::new();
    for _ in 0..3 {
        let (report, _) = sampled(project, copy).await;
        let fills = report["steps"].as_array().unwrap().iter();
        let fills = fills.filter(|step| step["kind"] == "backfill");
        all.push(fills.map(|step| step["measured_seconds"].as_f64().unwrap()).sum::<f64>());
    }
    all.sort_by(f64::total_cmp);
    all[1]
}

fn assert_near(told: f64, real: f64, factor: f64) {
    let ratio = real / told;
    assert!((1.0 / factor..=factor).contains(&ratio), "{told} s were told, it took {real} s");
}

#[tokio::test]
async fn a_sample_leaves_the_copy_as_it_was_and_tells_what_a_run_takes() {
    let copy = Database::of(Kind::Postgres15).await;
    copy.execute(&shop(ROWS)).await;
    let project = story();
    let before = content(&copy).await;
    let (report, output) = sampled(&project, &copy).await;
    assert_eq!(content(&copy).await, before, "{}", output.text());
    assert!(!copy.tables().await.iter().any(|table| table.starts_with("lockkeeper_")));

    assert_eq!(report["mode"], "sample");
    let steps = steps(&report);
    let how: Vec<_> = steps.iter().map(|(how, _)| how.as_str()).collect();
    assert_eq!(how, ["sampled", "sampled", "derived"]);
    let notes = report["steps"][2]["notes"].to_string();
    assert!(notes.contains("only sampled") && notes.contains("spares it its scan"), "{notes}");
    let told = told(&project, &copy).await;
    let real = really(&project, &copy).await;
    assert_near(told, real, 2.0);
    assert!(report["took_seconds"].as_f64().unwrap() < real, "{report}");
}

#[tokio::test]
async fn rows_that_get_wider_along_the_key_are_all_seen() {
    let copy = Database::of(Kind::Postgres18).await;
    copy.execute(&skewed(ROWS)).await;
    let project = Project::with([("V1__fill.sql", FILL)]);
    let (report, _) = sampled(&project, &copy).await;
    let told = told(&project, &copy).await;
    assert_near(told, really(&project, &copy).await, 2.0);
    // Half of the table's bytes are in the last of its rows.
    let log = report["steps"][1]["wal_bytes"].as_f64().unwrap();
    assert!(log > 30e6, "{log}");
}

#[tokio::test]
async fn an_index_is_built_and_gone_and_a_small_fill_is_whole() {
    let copy = Database::of(Kind::Postgres15).await;
    copy.execute(&shop(50_000)).await;
    copy.execute("create table t (id bigint primary key, a bigint not null, pad text)").await;
    copy.execute("insert into t select i, i, md5(i::text) from generate_series(1, 5000) i").await;
    let project = Project::with([
        ("V1__fill.sql", FILL),
        ("V2__require.sql", "alter table t alter column b set not null;\n"),
        ("V3__index.sql", "create index concurrently by_name on some_table (name, id);\n"),
        ("V4__vacuum.sql", "vacuum some_table;\n"),
    ]);
    let before = content(&copy).await;
    let (report, _) = sampled(&project, &copy).await;
    assert_eq!(content(&copy).await, before);
    let steps = steps(&report);
    let how: Vec<_> = steps.iter().map(|(how, _)| how.as_str()).collect();
    // What the fill does is there for the NOT NULL behind it.
    assert_eq!(how, ["sampled", "sampled", "sampled", "derived", "derived"]);
    assert!(report["steps"][3]["size_bytes"].as_i64().unwrap() > 1_000_000, "{report}");
    assert!(report["steps"][3]["locks"].as_array().unwrap().is_empty(), "{report}");
    Lockkeeper::up(&project, &copy).run().await.expect(0);
}

/// The log is the server's: nobody else is to write there.
fn own_server() -> Server {
    Server::with(Options { durable: false, ..Options::new(Kind::Postgres15) })
}

/// Bytes of log that came true by those that were told, and the same of the growth.
async fn bytes_came_true(project: &Project, copy: &Database) -> (f64, f64) {
    let (report, _) = sampled(project, copy).await;
    let told = |name: &str| report[name].as_f64().unwrap();
    const COUNTED: &str = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    const SIZE: &str = "select pg_database_size(current_database())";
    copy.execute("checkpoint").await;
    let before = (copy.query_i64(COUNTED).await, copy.query_i64(SIZE).await);
    Lockkeeper::up(project, copy).run().await.expect(0);
    let after = (copy.query_i64(COUNTED).await, copy.query_i64(SIZE).await);
    let ratio = |after: i64, before: i64, told: f64| (after - before) as f64 / told;
    (ratio(after.0, before.0, told("wal_bytes")), ratio(after.1, before.1, told("size_bytes")))
}

#[tokio::test]
async fn an_index_on_what_a_fill_writes_is_of_filled_rows() {
    let server = own_server();
    let copy = server.database().await;
    copy.execute(&shop(200_000)).await;
    let fill = "alter table some_table add column slug text;\n-- lockkeeper: batch\n\
                update some_table set slug = md5(name || id);\n\
                create index slugs on some_table (slug);\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    let before = content(&copy).await;
    let (log, growth) = bytes_came_true(&project, &copy).await;
    assert!((0.8..1.25).contains(&log) && (0.8..1.25).contains(&growth), "{log} {growth}");
    assert_ne!(content(&copy).await, before);
    let index = "select pg_relation_size('slugs')";
    assert!(copy.query_i64(index).await > 8_000_000, "the index is what counts");
}

/// What was there before the fill isn't in the index: neither twice, nor as equal values.
#[tokio::test]
async fn an_index_on_what_a_fill_replaces_has_each_row_once() {
    let server = own_server();
    let copy = server.database().await;
    copy.execute(&shop(200_000)).await;
    let code = "alter table refered_table add column code text not null default ''";
    copy.execute(code).await;
    let fill = "-- lockkeeper: batch\nupdate some_table set name = md5(name || id);\n\
                create index names on some_table (name);\n\
                -- lockkeeper: batch\nupdate refered_table set code = 'c' || id;\n\
                create unique index codes on refered_table (code);\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    let (report, _) = sampled(&project, &copy).await;
    let told = |step: usize| report["steps"][step]["size_bytes"].as_f64().unwrap();
    Lockkeeper::up(&project, &copy).run().await.expect(0);
    for (index, step) in [("names", 1), ("codes", 3)] {
        let size = copy.query_i64(&format!("select pg_relation_size('{index}')")).await as f64;
        let ratio = size / told(step);
        assert!((0.75..1.33).contains(&ratio), "{index}: {size} by {}", told(step));
    }
}

#[tokio::test]
async fn a_filled_partitioned_table_has_its_index_and_its_scan_told_once() {
    let copy = Database::of(Kind::Postgres15).await;
    copy.execute(
        "create table p (id bigint primary key, a bigint not null, b bigint) partition by range (id);
         create table p1 partition of p for values from (0) to (80000);
         create table p2 partition of p for values from (80000) to (200000);
         insert into p select i, i from generate_series(1, 160000) i;
         analyze",
    )
    .await;
    let fill = "-- lockkeeper: batch\nupdate p set b = a * 2;\ncreate index on p (b);\n\
                alter table p alter b set not null;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    let (report, _) = sampled(&project, &copy).await;
    Lockkeeper::up(&project, &copy).run().await.expect(0);
    let size = "select sum(pg_relation_size(relid))::bigint from pg_partition_tree('p_b_idx')";
    let size = copy.query_i64(size).await as f64;
    let told = report["steps"][1]["size_bytes"].as_f64().unwrap();
    assert!((0.6..1.67).contains(&(size / told)), "{size} by {told}");
    let scan = report["steps"][1]["measured_seconds"].as_f64().unwrap();
    assert!(scan < 5.0, "{report}");
}

#[tokio::test]
async fn rows_in_another_order_than_the_key_find_room_but_for_their_pointers() {
    let server = own_server();
    let copy = server.database().await;
    copy.execute(
        "create table t (id uuid primary key, n int not null);
         insert into t select md5(i::text)::uuid, 0 from generate_series(1, 300000) i;
         analyze t",
    )
    .await;
    let fill = "-- lockkeeper: batch\nupdate t set n = 1;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    let (log, growth) = bytes_came_true(&project, &copy).await;
    assert!((0.75..1.33).contains(&log) && (0.5..2.2).contains(&growth), "{log} {growth}");
}

/// Its rows aren't looked for in the table that they refer to, unless they come to refer to another one.
#[tokio::test]
async fn foreign_keys_are_checked_where_a_run_checks_them() {
    let server = own_server();
    let copy = server.database().await;
    copy.execute(
        "create table orders (id bigint primary key, status text not null);
         insert into orders select i, 'paid' from generate_series(1, 100000) i;
         create table lines (id bigint primary key, order_id bigint not null references orders, n int not null);
         insert into lines select i, 1 + (i * 13) % 100000, 0 from generate_series(1, 200000) i;
         create index on lines (order_id);
         analyze",
    )
    .await;
    let fill = "alter table lines add column m bigint;\n-- lockkeeper: batch\nupdate lines set m = n + 1;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    let (log, growth) = bytes_came_true(&project, &copy).await;
    assert!((0.75..1.33).contains(&log) && (0.75..1.33).contains(&growth), "{log} {growth}");
}

#[tokio::test]
async fn what_is_added_to_another_table_is_told() {
    let server = own_server();
    let copy = server.database().await;
    copy.execute(&shop(200_000)).await;
    copy.execute("create table archive (id bigint primary key, name text)").await;
    let fill = "-- lockkeeper: batch\ninsert into archive select id, name from some_table;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    let (log, growth) = bytes_came_true(&project, &copy).await;
    assert!((0.8..1.25).contains(&log) && (0.8..1.25).contains(&growth), "{log} {growth}");
}

#[tokio::test]
async fn tables_without_a_key_and_partitions_are_drawn_from() {
    let copy = Database::of(Kind::Postgres15).await;
    let fill = "-- lockkeeper: batch\nupdate t set b = a * 2 where b is null;\n\
                -- lockkeeper: batch\nupdate p set b = a * 2;\n";
    copy.execute(
        "create table t (a bigint not null, b bigint, pad text);
         create table p (id bigint primary key, a bigint not null, b bigint) partition by range (id);
         create table p1 partition of p for values from (0) to (40000);
         create table p2 partition of p for values from (40000) to (200000);
         insert into t select i, null, md5(i::text) from generate_series(1, 100000) i;
         insert into p select i, i from generate_series(1, 100000) i;
         analyze",
    )
    .await;
    let project = Project::with([("V1__fill.sql", fill)]);
    let before = content(&copy).await;
    let (report, _) = sampled(&project, &copy).await;
    assert_eq!(content(&copy).await, before);
    let rows = |step: usize| report["steps"][step]["rows"].as_f64().unwrap();
    assert!((90_000.0..110_000.0).contains(&rows(0)), "{report}");
    assert!((90_000.0..110_000.0).contains(&rows(1)), "{report}");
    let told = told(&project, &copy).await;
    // Each takes half a second, in which a machine may well be at something else.
    assert_near(told, really(&project, &copy).await, 3.0);
}

#[tokio::test]
async fn a_statement_beyond_the_budget_is_told_from_a_part_of_its_table() {
    let copy = Database::of(Kind::Postgres15).await;
    copy.execute(&shop(ROWS)).await;
    // Some 40 µs a row.
    let slow = "update some_table set name = md5(repeat(name, 1000));\n";
    let project = Project::with([("V1__slow.sql", slow)]);
    let before = content(&copy).await;
    let output = estimate(&project, &copy.url)
        .args(["--mode", "sample", "--budget", "1s", "--json"])
        .arg(project.path().join("report.json"))
        .run()
        .await
        .expect(0);
    assert_eq!(content(&copy).await, before);
    let report = std::fs::read_to_string(project.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["steps"][0]["how"], "derived");
    let seconds = report["steps"][0]["measured_seconds"].as_f64().unwrap();
    assert!(seconds > 2.0, "{seconds} {}", output.text());
    output.expect_text("run on 4 % of some_table instead");
}

#[tokio::test]
async fn a_stop_takes_everything_back_at_once() {
    let copy = Database::of(Kind::Postgres15).await;
    copy.execute(&shop(100)).await;
    let sleep = "alter table some_table add column other int; select pg_sleep(600);\n";
    let project = Project::with([("V1__sleep.sql", sleep)]);
    let before = content(&copy).await;
    let running = estimate(&project, &copy.url).args(["--mode", "sample"]).start();
    let asleep = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' \
                  and state = 'active' and datname = current_database()";
    copy.wait_for(asleep).await;
    running.signal(libc::SIGTERM);
    let output = running.wait().await.expect(4);
    assert_eq!(content(&copy).await, before, "{}", output.text());
    let gone = "select (count(*) = 0)::int from pg_locks l join pg_class c on c.oid = l.relation \
                where c.relname = 'some_table'";
    copy.wait_for(gone).await;
}

#[tokio::test]
async fn what_fails_on_the_copy_is_told_and_other_databases_are_refused() {
    let copy = Database::of(Kind::Postgres15).await;
    let project = Project::with([("V1__wrong.sql", "alter table nothing add column b int;\n")]);
    let output = estimate(&project, &copy.url).args(["--mode", "sample"]).run().await.expect(1);
    let place = "migrations/V1__wrong.sql:1:1";
    output.expect_text("on the copy: migration 1, step 1 of 1 failed").expect_text(place);
    let file = Database::sqlite();
    let output = estimate(&project, &file.url).args(["--mode", "sample"]).run().await.expect(2);
    output.expect_text("--mode sample needs PostgreSQL");
}
