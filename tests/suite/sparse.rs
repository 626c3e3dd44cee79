//! A statement that few rows are meant by: batches go by what there is to look at, so that each is as long as
//! it should be, and there aren't many of them.

use crate::support::{Database, Kind, Lockkeeper, Project, counters};

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
