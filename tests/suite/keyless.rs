//! Tables without a key on PostgreSQL: by the blocks that their rows lie in.

use std::time::Duration;

use lockkeeper::batch::{Part, Said, Spot, parse, rewrite};
use lockkeeper::db::{self, ConnectOptions, Purpose, Statement, TableName};

use crate::support::{Database, Kind, Lockkeeper, Project};

/// So wide that a block has twenty.
const WIDE: &str = "repeat('x', 350)";

async fn with_log(kind: Kind, rows: u32) -> Database {
    let database = Database::of(kind).await;
    database.execute("create table log (line text not null, n int not null, done boolean)").await;
    let fill = format!("select {WIDE}, i % 10, null from generate_series(1, {rows}) i");
    database.execute(&format!("insert into log {fill}")).await;
    database.execute("vacuum analyze log").await;
    database
}

fn fill(sql: &str) -> Project {
    Project::with([("V1__fill.sql", format!("-- lockkeeper: batch rows=40\n{sql};\n"))])
}

#[tokio::test]
async fn rows_are_done_once_each_block_by_block() {
    for kind in [Kind::Postgres15, Kind::Postgres18] {
        for workers in [1, 3] {
            let database = with_log(kind, 2_000).await;
            let up = "UPDATE log SET n = n + 100, done = true WHERE done IS NOT TRUE";
            let project = fill(up);
            project.file(
                "V2__thin.sql",
                format!("-- lockkeeper: batch rows=40 workers={workers}\nDELETE FROM log WHERE n = 103;\n"),
            );
            let plan = Lockkeeper::new(["plan"]).project(&project).database(&database);
            plan.run().await.expect(0).expect_text("ctid");
            Lockkeeper::up(&project, &database).run().await.expect(0);
            let left = database.query_column("select distinct n from log order by n").await;
            assert_eq!(left, ["100", "101", "102", "104", "105", "106", "107", "108", "109"]);
            assert_eq!(database.query_i64("select count(*) from log where done").await, 1_800);
        }
    }
}

/// The new version of a row that somebody else changes meanwhile may be put where the batches have
/// already been.
#[tokio::test]
async fn a_row_that_is_moved_behind_the_cursor_is_found() {
    let database = with_log(Kind::Postgres15, 2_000).await;
    // More room in the first blocks than the run takes on its way.
    database.execute("delete from log where ctid < '(40,0)'").await;
    database.execute("vacuum log").await;
    let todo = database.query_i64("select count(*) from log").await;
    let mut other = database.connect().await;
    other.execute("begin").await;
    other.execute("select 1 from log where ctid = '(50,1)' for update").await;
    let project = fill("UPDATE log SET n = n + 100, done = true WHERE done IS NOT TRUE");
    let up = Lockkeeper::up(&project, &database);
    let running = up.start();
    let far = "select count(*) from lockkeeper_range where (cursor_key::json->>1)::int >= 45";
    database.wait_for(far).await;
    let move_it = "update log set line = line || 'y' where ctid = '(90,1)' returning ctid::text";
    let place = database.query_text(move_it).await;
    let block = place[1..].split(',').next().unwrap().parse::<u32>().unwrap();
    assert!(block < 40, "{place}");
    other.execute("rollback").await;
    running.wait().await.expect(0);
    let done = "select count(*) from log where done and n between 100 and 109";
    assert_eq!(database.query_i64(done).await, todo);
}

#[tokio::test]
async fn what_cannot_go_by_blocks_is_refused() {
    let database = with_log(Kind::Postgres15, 10).await;
    database.execute("create table copy (n int)").await;
    for (sql, cause) in [
        ("UPDATE log SET n = n + 1", "nothing in its WHERE is sure to be no longer true"),
        ("UPDATE log SET n = n + 1 WHERE n < 5", "nothing in its WHERE is sure"),
        ("DELETE FROM log WHERE random() < 0.5", "gives another answer each time"),
        ("INSERT INTO copy (n) SELECT n FROM log", "could be copied twice"),
    ] {
        let output = Lockkeeper::up(&fill(sql), &database).run().await.expect(2);
        output.expect_text(cause).expect_text("give the table a primary key");
    }
}

/// Whatever other ways there seem to be: an index on what the condition is about, as old statistics have it.
#[tokio::test]
async fn a_batch_reads_its_blocks_and_no_others() {
    for kind in [Kind::Postgres15, Kind::Postgres18] {
        let database = with_log(kind, 5_000).await;
        database.execute("create index on log (done)").await;
        let options = ConnectOptions::from_url(&database.url).unwrap();
        let open = db::connect(&options, Duration::ZERO, &mut |_, _| {}).await.unwrap();
        let dialect = open.dialect();
        let mut session = open.session(Purpose::Watch).await.unwrap();
        for setting in dialect.batch_settings() {
            session.bare(setting).await.unwrap();
        }
        let name = TableName { schema: None, name: "log".to_owned() };
        let table = session.table(&name).await.unwrap().unwrap();
        for sql in ["DELETE FROM log WHERE n = 3", "UPDATE log SET done = true WHERE done IS NULL"]
        {
            let shape = parse(sql, dialect).unwrap();
            let batch = rewrite(&shape, Said::default(), &table, None, &[], dialect).unwrap();
            let at = |block| Spot { pass: 1, block }.key();
            let batch = batch.apply(Some(&at(3)), &at(9), Part::Whole);
            let explain = Statement::new(format!("EXPLAIN {}", batch.sql), batch.params);
            let plan = session.query(&explain).await.unwrap();
            let plan: Vec<_> = plan.iter().map(|row| row.text(0).unwrap()).collect();
            let plan = plan.join("\n");
            assert!(plan.contains("Tid Range Scan on log"), "{kind:?}: {plan}");
            assert!(plan.contains("'(4,0)'::tid") && plan.contains("'(10,0)'::tid"), "{plan}");
        }
    }
}

/// VACUUM FULL puts the rows that are still to be done where the cursor has already been.
#[tokio::test]
async fn rows_that_move_between_two_runs_are_found() {
    let database = with_log(Kind::Postgres15, 2_000).await;
    let mut other = database.connect().await;
    other.execute("begin").await;
    other.execute("select 1 from log where ctid = '(70,1)' for update").await;
    let project = fill("UPDATE log SET n = n + 100, done = true WHERE done IS NOT TRUE");
    let up = Lockkeeper::up(&project, &database);
    let running = up.start();
    let far = "select count(*) from lockkeeper_range where (cursor_key::json->>1)::int >= 60";
    database.wait_for(far).await;
    let status = Lockkeeper::new(["status"]).project(&project).database(&database);
    status.run().await.expect(0).expect_text("up to block ");
    running.kill();
    running.wait().await;
    other.execute("rollback").await;
    database.execute("delete from log where n >= 103").await;
    database.execute("vacuum full log").await;
    let todo = "select count(*) from log where done is null";
    assert!(database.query_i64(todo).await > 400);
    let last = "select max((ctid::text::point)[0])::int from log where done is null";
    assert!(database.query_i64(last).await < 60, "nothing has moved");
    up.run().await.expect(0);
    let wrong = "select count(*) from log where done is not true or n not between 100 and 109";
    assert_eq!(database.query_i64(wrong).await, 0);
}
