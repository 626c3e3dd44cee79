//! `--auto-batch`: large statements that no directive speaks of are cut out of their scripts, and stay
//! cut; without it they are warned of.

use crate::support::counters;
use crate::support::{Database, Kind, Lockkeeper, Output, Project};

const ROWS: u64 = 200_000;
/// On MySQL the two others are steps of their own in any case.
const SCRIPT: &str = "ALTER TABLE t ADD extra int;\nUPDATE t SET n = n + 1, extra = 7;\n\
                      CREATE TABLE behind (id int);\n";

fn script() -> Project {
    Project::with([("V1__count.sql", SCRIPT)])
}

async fn ask(command: &[&str], project: &Project, database: &Database) -> Output {
    let ask = Lockkeeper::new(command).project(project).database(database);
    ask.args(["--dir".as_ref(), project.migrations().as_os_str()]).run().await
}

/// The next run may not even have been told to.
async fn what_is_cut_goes_on(kind: Kind) {
    let database = Database::of(kind).await;
    counters::fill(&database, ROWS).await;
    let project = script();
    let up = Lockkeeper::up(&project, &database);
    let running = up.clone().args(["--auto-batch", "50000"]).start();
    counters::passed(&database, 1_000).await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4).expect_text("is committed");
    let passed = database.query_i64(counters::PASSED).await as u64;
    assert!((1_000..ROWS).contains(&passed), "{passed}");
    let half = database.query_i64("select count(*) from t where n = 1 and extra = 7").await;
    assert_eq!(half as u64, passed);

    let status = ask(&["status", "--json"], &project, &database).await.expect(0);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let found = &status["migrations"][0];
    assert_eq!(found["steps"][1], "backfill", "{found}");
    assert_eq!(found["steps_done"], 1, "{found}");
    ask(&["plan"], &project, &database).await.expect(0).expect_text("goes on where it stopped");

    let told = up.clone().args(["--log-format", "json"]).run().await.expect(0);
    told.expect_text(&format!("\"rows_changed\":{}", ROWS - passed));
    counters::assert_once(&database, ROWS).await;
    assert_eq!(database.query_i64("select count(*) from t where extra = 7").await as u64, ROWS);
    assert_eq!(database.query_i64("select count(*) from behind").await, 0);
    up.run().await.expect(0).expect_text("nothing pending");
}

#[tokio::test]
async fn what_is_cut_goes_on_on_postgres() {
    what_is_cut_goes_on(Kind::Postgres18).await;
}

#[tokio::test]
async fn what_is_cut_goes_on_on_mariadb() {
    what_is_cut_goes_on(Kind::MariaDb).await;
}

#[tokio::test]
async fn what_is_cut_goes_on_on_sqlite() {
    what_is_cut_goes_on(Kind::Sqlite).await;
}

/// The table is what decides, and a human's word.
#[tokio::test]
async fn small_tables_and_batch_off_run_whole() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, 1_000).await;
    let off = format!("-- lockkeeper: batch off\n{}", "UPDATE t SET n = n + 1;\n");
    for (text, limit) in [("UPDATE t SET n = n + 1;\n".to_owned(), "1000"), (off, "999")] {
        let project = Project::with([("V1__count.sql", text)]);
        let plan = ask(&["plan", "--auto-batch", limit], &project, &database).await.expect(0);
        assert!(
            plan.text().contains("script") && !plan.text().contains("warning"),
            "{}",
            plan.text()
        );
    }
    let project = Project::with([("V1__count.sql", "UPDATE t SET n = n + 1;\n")]);
    let plan = ask(&["plan", "--auto-batch", "999"], &project, &database).await.expect(0);
    plan.expect_text("backfill").expect_text("(batched by --auto-batch)");
}

/// Without the option, in `plan` and in `up`, once each.
#[tokio::test]
async fn large_statements_are_warned_of() {
    for database in [Database::of(Kind::Postgres15).await, Database::sqlite()] {
        counters::fill(&database, ROWS).await;
        // One row is no batch's business.
        let single = "UPDATE t SET n = 0 WHERE id = 1;\nUPDATE t SET n = 1 WHERE id IN (1, 2);\n";
        let single = Project::with([("V1__one.sql", single)]);
        let one = ask(&["plan"], &single, &database).await.expect(0);
        assert!(!one.text().contains("warning"), "{}", one.text());
        let project = script();
        let plan = ask(&["plan"], &project, &database).await.expect(0);
        let up = Lockkeeper::up(&project, &database).run().await.expect(0);
        for text in [plan.text(), up.text()] {
            assert_eq!(text.matches("runs whole, in one transaction").count(), 1, "{text}");
            assert!(text.contains("V1__count.sql:2:1"), "{text}");
            assert!(text.contains("--auto-batch"), "{text}");
        }
        assert_eq!(database.query_i64("select count(*) from t where n = 1").await as u64, ROWS);
    }
}

/// What a SET LOCAL is for, nobody can know, and what is written between a copy and a DELETE would be
/// lost: the transaction stays one.
#[tokio::test]
async fn scripts_that_share_more_than_tables_stay_whole() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, 2_000).await;
    database.execute("create table kept (id bigint primary key, n bigint)").await;
    let set = "SET LOCAL work_mem = '8MB';\nUPDATE t SET n = n + 1;\n";
    let moves =
        "INSERT INTO kept SELECT id, n FROM t WHERE id > 1000;\nDELETE FROM t WHERE id > 1000;\n";
    let project = Project::with([("V1__count.sql", set), ("V2__move.sql", moves)]);
    let up = Lockkeeper::up(&project, &database).args(["--auto-batch", "1000"]);
    let told = up.run().await.expect(0);
    assert_eq!(told.text().matches("runs whole").count(), 2, "{}", told.text());
    told.expect_text("they share").expect_text("`-- lockkeeper: batch`");
    let kinds = database.query_column("select kind from lockkeeper_step").await;
    assert_eq!(kinds, ["script", "script"]);
    counters::assert_once(&database, 1_000).await;
    assert_eq!(database.query_i64("select count(*) from kept where n = 1").await, 1_000);
}

/// Nobody waits for its size, and it isn't taken for small.
#[tokio::test]
async fn a_locked_table_keeps_nobody_waiting() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, 2_000).await;
    let text = "-- lockkeeper: lock-timeout=1s\nUPDATE t SET n = n + 1;\n";
    let project = Project::with([("V1__count.sql", text)]);
    let mut other = database.connect().await;
    other.execute("begin; lock table t in access exclusive mode").await;
    let plan = ask(&["plan"], &project, &database).await.expect(0);
    assert!(!plan.text().contains("warning"), "{}", plan.text());
    let running = Lockkeeper::up(&project, &database).args(["--auto-batch", "1000"]).start();
    running.line_with("waited too long for a lock").await;
    other.execute("rollback").await;
    running.wait().await.expect(0);
    let kinds = database.query_column("select kind from lockkeeper_step").await;
    assert_eq!(kinds, ["backfill"]);
    counters::assert_once(&database, 2_000).await;
}

/// What comes before it in its own file makes it impossible.
#[tokio::test]
async fn what_can_not_be_batched_after_all_runs_whole() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, 2_000).await;
    let text = "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;\n\
                CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();\n\
                UPDATE t SET n = n + 1;\nCREATE TABLE behind (id int);\n";
    let project = Project::with([("V1__count.sql", text)]);
    let up = Lockkeeper::up(&project, &database).args(["--auto-batch", "1000"]);
    let told = up.run().await.expect(0);
    told.expect_text("--auto-batch: this runs whole").expect_text("trigger touch");
    counters::assert_once(&database, 2_000).await;
    let done = "select count(*) from lockkeeper_step where state = 'done'";
    assert_eq!(database.query_i64(done).await, 3);
}

/// What is refused beforehand is told with the reason, and not advised to be batched.
#[tokio::test]
async fn what_is_refused_is_warned_of() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, 2_000).await;
    let project = Project::with([("V1__move.sql", "UPDATE t SET id = id + 10000;\n")]);
    let plan = ask(&["plan", "--auto-batch", "1000"], &project, &database).await.expect(0);
    let plan = plan.expect_text("runs whole").expect_text("the batches go along that key");
    assert!(!plan.text().contains("put `-- lockkeeper: batch`"), "{}", plan.text());
    assert!(plan.text().contains("`-- lockkeeper: batch off`"), "{}", plan.text());
}

/// A partitioned table is as large as its partitions.
#[tokio::test]
async fn partitioned_tables_are_weighed() {
    let database = Database::of(Kind::Postgres15).await;
    let tables = "create table p (id bigint primary key, n int not null) partition by hash (id); \
                  create table p_0 partition of p for values with (modulus 2, remainder 0); \
                  create table p_1 partition of p for values with (modulus 2, remainder 1); \
                  insert into p select i, 0 from generate_series(1, 3000) i; analyze p";
    database.execute(tables).await;
    let project = Project::with([("V1__count.sql", "UPDATE p SET n = n + 1;\n")]);
    let up = Lockkeeper::up(&project, &database).args(["--auto-batch", "2500"]);
    up.run().await.expect(0);
    assert_eq!(database.query_column("select kind from lockkeeper_step").await, ["backfill"]);
    assert_eq!(database.query_i64("select count(*) from p where n = 1").await, 3_000);
}
