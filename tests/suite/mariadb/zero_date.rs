//! Keys that don't survive the way through text.

use crate::support::{Database, Kind, Lockkeeper, Project};

/// Under NO_ZERO_DATE, and not strict, the server makes NULL of a zero date on its way back from
/// text, and no row is beyond NULL: rows would be passed by and reported as done.
#[tokio::test]
async fn a_zero_date_in_a_key_is_not_passed_by() {
    let update = "-- lockkeeper: batch rows=2\nupdate t set n = n + 1;\n";
    for (kind, zero) in
        [("datetime", "0000-00-00 00:00:00"), ("date", "0000-00-00"), ("datetime(3)", "0000-00-00")]
    {
        for (mode, survives) in [("NO_ZERO_DATE", false), ("", true)] {
            let database = Database::of(Kind::MariaDb).await;
            database
                .execute(&format!(
                    "create table t (at {kind}, id int, n int not null, primary key (at, id))"
                ))
                .await;
            for (id, at) in (0..).zip([zero, zero, zero, "2024-01-01", "2024-01-02"]) {
                database.execute(&format!("insert into t values ('{at}', {id}, 0)")).await;
            }
            let file = format!("set session sql_mode = '{mode}';\n{update}");
            let project = Project::with([("V1__fill.sql", file)]);
            let output = Lockkeeper::up(&project, &database).run().await;
            if survives {
                output.expect(0);
                assert_eq!(database.query_column("select n from t").await, ["1"; 5]);
                continue;
            }
            output
                .expect(1)
                .expect_text("V1__fill.sql:3:1")
                .expect_text("the key (at, id) of a row");
            let applied = "select count(*) from refinery_schema_history";
            assert_eq!(database.query_i64(applied).await, 0);
            assert_eq!(database.query_i64("select sum(n) from t").await, 0);
        }
    }
}
