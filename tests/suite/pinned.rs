//! `now()` in a backfill tells one time: in every batch, and in the run that goes on after a kill.

use super::held::{Held, ROWS};
use crate::support::{Database, Lockkeeper, Project};

#[tokio::test]
async fn a_run_that_goes_on_tells_the_time_of_the_first() {
    let mut held = Held::new().await;
    // A row that isn't done has 0.
    let update = "-- lockkeeper: batch rows=20\n\
                  update item set n = (extract(epoch from now()) * 1000000)::bigint;\n";
    held.project.file("V2__fill.sql", update);
    let running = held.up().start();
    held.database.wait_for("select count(*) from item where n <> 0").await;
    running.kill();
    running.wait().await;
    let left = held.database.query_i64("select count(*) from item where n = 0").await;
    assert!(left > 0);
    let pinned = "select pinned_at from lockkeeper_step where version = 2";
    let claimed = held.database.query_text(pinned).await;
    held.hurry().await;
    held.open().await;
    held.up().run().await.expect(0);
    let times = held.database.query_rows("select n, count(*) from item group by n").await;
    let [time] = &times[..] else { panic!("{times:?}") };
    assert_eq!(time[1].as_deref(), Some(ROWS.to_string().as_str()));
    let told = format!(
        "select (n = (extract(epoch from '{claimed}+00'::timestamptz) * 1000000)::bigint)::int \
         from item limit 1"
    );
    assert_eq!(held.database.query_i64(&told).await, 1);
    assert_eq!(held.database.query_text(pinned).await, claimed);
}

/// SQLite's 'utc' takes a time for a local one, but not one that it knows to be in UTC.
#[tokio::test]
async fn a_pinned_time_of_sqlite_is_known_to_be_in_utc() {
    let database = Database::sqlite();
    database.execute("create table t (id integer primary key, at text)").await;
    database.execute("insert into t values (1, '')").await;
    let update = "-- lockkeeper: batch\nupdate t set at = datetime('now', 'utc');\n";
    let project = Project::with([("V1__fill.sql", update)]);
    Lockkeeper::up(&project, &database).env("TZ", "EAST-9").run().await.expect(0);
    let near = "select abs(julianday(at) - julianday('now')) < 0.1 from t";
    assert_eq!(database.query_i64(near).await, 1);
}
