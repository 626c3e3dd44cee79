//! A statement that few rows are meant by: batches go by what there is to look at, so that each is as long as
//! it should be, and there aren't many of them. And what it joins is read by what it looks for.

use std::time::Duration;

use crate::support::{Database, Kind, Lockkeeper, Project, counters, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn batches_grow_where_nothing_matches() {
    const ROWS: u64 = 200_000;
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__begin.sql", "select 1;\n")]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(0);
    database
        .execute(
            "create table passed (took interval not null);
             create function log() returns trigger language plpgsql as $$ begin
                 insert into passed values (clock_timestamp() - now());
                 return null;
             end $$;
             create constraint trigger log after update on lockkeeper_range deferrable initially
                 deferred for each row when (old.cursor_key <> new.cursor_key) execute function log()",
        )
        .await;
    project.file(
        "V2__few.sql",
        "-- lockkeeper: batch rows=100\nUPDATE t SET n = n + 1 WHERE id % 10000 = 7;\n",
    );
    up.run().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from t where n = 1").await, 20);
    // 2,000 batches of 100 keys each would be crawling.
    let batches = database.query_i64("select count(*) from passed").await;
    assert!((5..250).contains(&batches), "{batches}");
    // The target, and as much again for a machine that has other things to do.
    let late = "select count(*) from passed where took > interval '400 ms'";
    assert!(database.query_i64(late).await * 10 <= batches, "of {batches}");
}

#[tokio::test]
async fn what_a_batch_joins_it_looks_up() {
    const ROWS: u64 = 100_000;
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, ROWS).await;
    database
        .execute(&format!(
            "create table other (id bigint primary key, m int not null);
             insert into other select i, i from generate_series(1, {ROWS}) i;
             analyze"
        ))
        .await;
    let fill =
        "-- lockkeeper: batch rows=1000\nUPDATE t SET n = o.m FROM other o WHERE o.id = t.id;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from t where n = id").await, ROWS as i64);
    // By a merge each batch would read them from the first one on, and all by a hash.
    let read = "select idx_tup_read + coalesce((select seq_tup_read from pg_stat_user_tables \
                where relname = 'other'), 0) from pg_stat_user_indexes where relname = 'other'";
    // They count when they end.
    let others = "select count(*) from pg_stat_activity where datname = current_database() \
                  and backend_type = 'client backend' and pid <> pg_backend_pid()";
    wait_until("its sessions end", PATIENCE, async || database.query_i64(others).await == 0).await;
    let read = database.query_i64(read).await;
    assert!((1..4).contains(&(read / ROWS as i64)), "{read} of {ROWS} rows");
}
