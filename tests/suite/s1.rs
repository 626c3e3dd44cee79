//! Scenario S1 in the old way: the migration runs in a service task that is killed again and again.
//! It ends nevertheless, since each life goes on where the last one was.

use std::time::{Duration, Instant};

use crate::support::{self, Database, Kind, Lockkeeper, Project};

const FILL: &str = include_str!("../../migrations-example/postgres/V3__fill_new_column.sql");
const REQUIRE: &str = include_str!("../../migrations-example/postgres/V4__require_new_column.sql");

/// The two tables of the story, as they had grown.
async fn grown(rows: u64) -> Database {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(&format!(
            "create table some_table (id bigint primary key, name varchar(100) not null); \
             create table refered_table (id bigint primary key, some_id bigint not null unique, \
               refered_column bigint not null); \
             insert into some_table select i, 'an item of the shop' from generate_series(1, {rows}) i; \
             insert into refered_table select id, id, 7 * id from some_table; \
             analyze"
        ))
        .await;
    database
}

/// Rows that were updated, those of batches that were rolled back included.
async fn work(database: &Database) -> u64 {
    // A backend hands its counts in when it ends, if not before.
    let busy = "select count(*) = 0 from pg_stat_activity where application_name like 'lockkeeper%' \
                and datname = current_database()";
    database.wait_for(&format!("select ({busy})::int")).await;
    let updated = "select n_tup_upd from pg_stat_user_tables where relname = 'some_table'";
    database.query_i64(updated).await as u64
}

async fn assert_right(database: &Database, rows: u64) {
    let right = "select count(*) from some_table where new_column = 7 * id";
    assert_eq!(database.query_i64(right).await as u64, rows);
    let required = "select is_nullable from information_schema.columns \
                    where table_name = 'some_table' and column_name = 'new_column'";
    assert_eq!(database.query_text(required).await, "NO");
    let versions = "select version from refinery_schema_history order by version";
    assert_eq!(database.query_column(versions).await, ["3", "4"]);
}

#[tokio::test]
async fn s1_ends_although_it_is_killed_again_and_again() {
    let rows = if support::long() { 3_000_000 } else { 600_000 };
    let project =
        Project::with([("V3__fill_new_column.sql", FILL), ("V4__require_new_column.sql", REQUIRE)]);

    let calm = grown(rows).await;
    let output = Lockkeeper::up(&project, &calm).run().await.expect(0);
    assert_right(&calm, rows).await;
    let undisturbed = work(&calm).await;
    println!("undisturbed: {undisturbed} rows updated in {:?}", output.took);
    assert!(undisturbed >= rows, "{undisturbed}");
    // Each life loses its open batch, which takes up to a fifth of a second. The shorter the lives, the
    // more that is; and a busy machine needs longer for as much in each. Batches that are ended for their
    // time on such a machine count, too, in a run that nobody disturbs as well.
    let (life, limit) = if support::long() {
        (Duration::from_secs(3), 0.15)
    } else {
        ((output.took / 3).max(Duration::from_secs(1)), 0.3)
    };

    let database = grown(rows).await;
    let (started, mut lives) = (Instant::now(), 0);
    loop {
        lives += 1;
        assert!(lives < 500, "it doesn't get on");
        let running = Lockkeeper::up(&project, &database).start();
        let born = Instant::now();
        while running.runs() && born.elapsed() < life {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        running.kill();
        match running.wait().await {
            output if output.killed_by().is_some() => {}
            output => {
                output.expect(0);
                break;
            }
        }
    }
    let took = started.elapsed();
    assert_right(&database, rows).await;
    let done = work(&database).await;
    let excess = done as f64 / rows as f64 - 1.0;
    println!(
        "{lives} lives of {life:?}: {done} rows updated in {took:?}, {:.1} % more than needed",
        excess * 100.0
    );
    assert!(lives > 1, "it was never killed");
    assert!((0.0..=limit).contains(&excess), "{excess}");
}
