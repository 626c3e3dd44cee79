//! A table of counters: what was changed exactly once counts 1.

use super::database::Database;
use super::server::Kind;

/// The backfill that counts. Its batches stay small, so that there are many moments between them.
pub const COUNT: &str = "-- lockkeeper: batch rows=200 target=50ms\nUPDATE t SET n = n + 1;\n";

/// The same by so many workers.
pub fn count(workers: u32) -> String {
    COUNT.replace("target=50ms", &format!("target=50ms workers={workers}"))
}

/// How many keys the open backfill has passed; no row where there is none.
pub const PASSED: &str = "select sum(keys_done) from lockkeeper_range having count(*) > 0";

/// Makes the table `t (id, n)` with ids from 1 to `rows` and `n = 0`.
pub async fn fill(database: &Database, rows: u64) {
    let numbers = match database.kind() {
        Kind::Sqlite => format!(
            "with recursive s(i) as (select 1 union all select i + 1 from s where i < {rows}) \
             select i, 0 from s"
        ),
        Kind::MariaDb => format!("select seq, 0 from seq_1_to_{rows}"),
        Kind::Postgres15 | Kind::Postgres18 => {
            format!("select i, 0 from generate_series(1, {rows}) i")
        }
    };
    database
        .execute(&format!(
            "create table t (id bigint not null primary key, n bigint not null); \
             insert into t (id, n) {numbers};"
        ))
        .await;
    if database.kind().is_postgres() {
        // As it is in production; autovacuum would come too late.
        database.execute("analyze t").await;
    }
}

/// Waits until the open backfill has passed so many keys.
pub async fn passed(database: &Database, keys: u64) {
    database
        .wait_for(&format!("select count(*) from lockkeeper_range where keys_done >= {keys}"))
        .await;
}

/// Asserts that every row was counted once.
pub async fn assert_once(database: &Database, rows: u64) {
    let counts = "select n, count(*) from t group by n order by n";
    let counts = database.query_rows(counts).await;
    assert_eq!(counts, [[Some("1".to_owned()), Some(rows.to_string())]], "n, and how many rows");
}
