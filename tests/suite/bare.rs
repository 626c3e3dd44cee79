//! Statements outside any transaction: what nobody can know of them, nobody assumes.

use crate::support::{Connection, Database, Kind, Lockkeeper, Moment, Project, Proxy};

const BARE: &str = "-- lockkeeper: no-transaction\n-- lockkeeper: lock-timeout=1s\n";

/// A procedure that commits, and then waits for `u`.
async fn procedure(kind: Kind) -> Database {
    let database = Database::of(kind).await;
    database
        .execute(
            "create table t (id int not null primary key, n int not null); \
             insert into t values (1, 0); \
             create table u (id int not null primary key, n int not null); \
             insert into u values (1, 0);",
        )
        .await;
    database
        .execute(match kind {
            Kind::MariaDb => {
                "create procedure p() begin \
                   update t set n = n + 1; update u set n = n + 1; end"
            }
            _ => {
                "create procedure p() language plpgsql as $$ begin \
                   update t set n = n + 1; commit; update u set n = n + 1; end $$"
            }
        })
        .await;
    database
}

async fn holder(database: &Database, sql: &str) -> Connection {
    let mut holder = database.connect().await;
    holder.execute("begin").await;
    holder.execute(sql).await;
    holder
}

/// A lock timeout says that its last part didn't happen, and nothing about the parts before.
async fn a_procedure_is_not_run_again(kind: Kind) {
    let database = procedure(kind).await;
    let project = Project::with([("V1__call.sql", format!("{BARE}CALL p();\n"))]);
    let up = Lockkeeper::up(&project, &database);
    let mut holder = holder(&database, "update u set n = 5").await;
    let failed = up.run().await.expect(1);
    failed.expect_text("look what it has done").expect_text("lockkeeper resolve 1 --applied");
    holder.execute("rollback").await;
    assert_eq!(database.query_i64("select n from t").await, 1, "{kind:?}");
    up.run().await.expect(5);
    assert_eq!(database.query_i64("select n from t").await, 1, "{kind:?}");
    assert_eq!(database.query_i64("select n from u").await, 0, "{kind:?}");
}

#[tokio::test]
async fn a_procedure_is_not_run_again_on_postgres() {
    a_procedure_is_not_run_again(Kind::Postgres15).await;
}

#[tokio::test]
async fn a_procedure_is_not_run_again_on_mariadb() {
    a_procedure_is_not_run_again(Kind::MariaDb).await;
}

/// A run that is given up in the middle is interrupted; the next one says what is to be done.
#[tokio::test]
async fn a_procedure_that_is_given_up_is_an_interruption() {
    let database = procedure(Kind::MariaDb).await;
    let project = Project::with([("V1__call.sql", "CALL p();\n")]);
    let up = Lockkeeper::up(&project, &database);
    let holder = holder(&database, "update u set n = 5").await;
    let running = up.clone().args(["--stop-timeout", "60s"]).start();
    database.wait_for("select n from t").await;
    running.signal(libc::SIGTERM);
    running.line_with("stopping (SIGTERM)").await;
    running.signal(libc::SIGINT);
    running.wait().await.expect(4).expect_text("stopped by a second signal (SIGINT)");
    drop(holder);
    up.run().await.expect(5).expect_text("lockkeeper resolve 1 --retry");
}

/// What is cancelled in the middle has done its first half.
#[tokio::test]
async fn a_cancelled_procedure_is_dirty() {
    let database = procedure(Kind::Postgres15).await;
    let text = "-- lockkeeper: no-transaction\nCALL p();\n";
    let project = Project::with([("V1__call.sql", text)]);
    let up = Lockkeeper::up(&project, &database);
    let _holder = holder(&database, "update u set n = 5").await;
    let running = up.clone().args(["--stop-timeout", "1s"]).start();
    database.wait_for("select n from t").await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(1).expect_text("lockkeeper resolve 1 --retry");
    up.run().await.expect(5);
    assert_eq!(database.query_i64("select n from t").await, 1);
}

/// What the server didn't even understand has not begun.
#[tokio::test]
async fn a_misspelt_statement_is_not_dirty() {
    for (kind, wrong) in
        [(Kind::Postgres15, "CALL q();\n"), (Kind::MariaDb, "CREAT TABLE made (id int);\n")]
    {
        let database = procedure(kind).await;
        let project = Project::with([("V1__call.sql", format!("{BARE}{wrong}"))]);
        Lockkeeper::up(&project, &database).run().await.expect(1);
        project.file("V1__call.sql", format!("{BARE}CALL p();\n"));
        Lockkeeper::up(&project, &database).run().await.expect(0);
        assert_eq!(database.query_i64("select n from u").await, 1, "{kind:?}");
    }
}

/// Between two tries, too, a stop is a stop.
#[tokio::test]
async fn a_step_that_waits_for_a_lock_is_stopped() {
    let alter = "-- lockkeeper: lock-timeout=1s\nALTER TABLE t ADD COLUMN x int;\n";
    let index = format!("{BARE}CREATE INDEX CONCURRENTLY t_n ON t (n);\n");
    // In the pause, and in the try after it.
    for (kind, text, event) in [
        (Kind::Postgres15, alter, "\"throttled\""),
        (Kind::Postgres15, alter, "\"unthrottled\""),
        (Kind::Postgres15, &index, "\"throttled\""),
        (Kind::Postgres15, &index, "\"unthrottled\""),
        (Kind::MariaDb, alter, "\"throttled\""),
    ] {
        let database = procedure(kind).await;
        let project = Project::with([("V1__wait.sql", text)]);
        let up = Lockkeeper::up(&project, &database);
        let lock = if kind == Kind::MariaDb { "select n from t" } else { "lock table t" };
        let mut holder = holder(&database, lock).await;
        let running = up.clone().args(["--log-format", "json"]).start();
        running.line_with(event).await;
        running.signal(libc::SIGTERM);
        running.wait().await.expect(4).expect_text("SIGTERM");
        holder.execute("rollback").await;
        up.run().await.expect(0);
    }
}

/// The connection of each commit of ours is cut, before it and after it: the run knows whether its
/// statement happened, says so, and keeps the lock timeout.
#[tokio::test]
async fn a_lost_reply_makes_nothing_dirty() {
    let text = format!("{BARE}INSERT INTO seen VALUES (current_setting('lock_timeout'));\n");
    let project = Project::with([("V1__see.sql", &text)]);
    for moment in [Moment::Before, Moment::After] {
        for nth in 1.. {
            let database = Database::of(Kind::Postgres15).await;
            database.execute("create table seen (what text)").await;
            let up = Lockkeeper::up(&project, &database);
            let proxy = Proxy::before(database.port());
            proxy.cut_at_nth("commit", nth, moment);
            let cut = up.clone().url(&proxy.url(&database)).run().await;
            if proxy.sprung() == 0 {
                assert!(nth > 4, "only {nth} commits");
                cut.expect(0);
                break;
            }
            up.run().await.expect(0);
            let seen = database.query_column("select what from seen").await;
            assert_eq!(seen, ["1s"], "{moment:?} {nth}");
        }
    }
}

/// The role is the statement's, not the ledger's.
#[tokio::test]
async fn a_role_ends_with_its_statement() {
    let database = Database::of(Kind::Postgres15).await;
    let role = database.stranger("pw").await;
    let text =
        format!("-- lockkeeper: no-transaction\nSELECT set_config('role', '{role}', false);");
    let project = Project::with([("V1__role.sql", text)]);
    project.file("V2__made.sql", format!("SET LOCAL ROLE \"{role}\"; SELECT 1;"));
    project.file("V3__made.sql", "CREATE TABLE made (id int);");
    Lockkeeper::up(&project, &database).run().await.expect(0);
}

/// An invalid index that was there before is nobody's proof, and somebody's at that.
#[tokio::test]
async fn a_foreign_invalid_index_is_told() {
    let database = Database::of(Kind::Postgres15).await;
    database.execute("create table t (a int); insert into t values (1), (1)").await;
    database.try_execute("create unique index concurrently i on t (a)").await.unwrap_err();
    let project =
        Project::with([("V1__index.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);\n")]);
    let up = Lockkeeper::up(&project, &database);
    let failed = up.run().await.expect(1).expect_text("is there already, and invalid");
    failed.expect_text("drop index concurrently");
    database.execute("drop index i").await;
    up.run().await.expect(0);
    let valid = "select count(*) from pg_index where indisvalid and indexrelid = 'i'::regclass";
    assert_eq!(database.query_i64(valid).await, 1);
    // One that is valid is what IF NOT EXISTS means.
    project.file("V2__index.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);\n");
    up.run().await.expect(0);
}

/// Killed before its statement did anything. Meanwhile another table got an index of this name.
#[tokio::test]
async fn an_index_of_another_table_is_no_proof() {
    let database = procedure(Kind::Postgres15).await;
    let project = Project::with([("V1__index.sql", "CREATE INDEX CONCURRENTLY i ON t (n);\n")]);
    let up = Lockkeeper::up(&project, &database);
    let mut holder = holder(&database, "lock table t").await;
    let running = up.start();
    database
        .wait_for(
            "select count(*) from pg_stat_activity \
             where wait_event_type = 'Lock' and query like 'CREATE INDEX%'",
        )
        .await;
    running.kill();
    running.wait().await;
    database.execute("create index i on u (n)").await;
    holder.execute("rollback").await;
    up.run().await.expect(1).expect_text("already exists");
    database.execute("drop index i").await;
    up.run().await.expect(0);
    let there = "select count(*) from pg_index where indisvalid and indrelid = 't'::regclass \
                 and indexrelid = 'i'::regclass";
    assert_eq!(database.query_i64(there).await, 1);
}
