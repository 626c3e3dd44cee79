//! What waits for the disk: all that a run writes but its batches, whose rows and cursor a crash of the
//! server takes back together. Triggers on the ledger's own tables see it.

use crate::support::{Database, Kind, Lockkeeper, Options, Project, Server, counters};

/// The third row's update ends its own session, once: a sequence isn't rolled back.
const TABLES: &str = "
    create table t (id int primary key, n int not null);
    insert into t select i, 0 from generate_series(1, 4) i;
    create table seen (what text not null, setting text not null);
    create sequence turn;
    create function see() returns trigger language plpgsql as $$ begin
        insert into seen values (tg_table_name || ' ' || lower(tg_op),
                                 current_setting('synchronous_commit'));
        if tg_table_name = 't' and nextval('turn') = 3 then
            perform pg_terminate_backend(pg_backend_pid());
        end if;
        return new;
    end $$;
    create trigger see before update on t for each row execute function see();";

const FILL: &str =
    "-- lockkeeper: batch trust-triggers rows=1 target=1h\nUPDATE t SET n = n + 1;\n";
const FAIL: &str = "-- lockkeeper: batch trust-triggers\nUPDATE t SET n = n / (n - n);\n";

async fn run(settings: &[&str]) -> (Server, Database) {
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    let server = Server::with(Options { settings, ..Options::new(Kind::Postgres15) });
    let database = server.database().await;
    let project = Project::with([("V1__tables.sql", TABLES)]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(0);
    for table in ["control", "run", "step", "range"] {
        database
            .execute(&format!(
                "create trigger see after insert or update or delete on lockkeeper_{table}
                 for each statement execute function see()"
            ))
            .await;
    }
    project.file("V2__fill.sql", format!("{FILL}UPDATE t SET n = n + 1 WHERE id = 1;\n"));
    project.file("V3__fail.sql", FAIL);
    up.run().await.expect(1).expect_text("division by zero");
    (server, database)
}

const FILLED: &str = "select string_agg(n::text, ' ' order by id) from t";

/// Through a session that is cut in the middle, too, and where the first batch fails.
#[tokio::test]
async fn only_batches_commit_without_waiting() {
    let (_server, database) = run(&[]).await;
    let unsure = "select distinct what from seen where setting <> 'on' order by 1";
    assert_eq!(database.query_column(unsure).await, ["lockkeeper_range update", "t update"]);
    let batches = "select count(*) from seen where what = 't update' and setting = 'off'";
    assert_eq!(database.query_i64(batches).await, 4);
    let sure = "select distinct what from seen where setting = 'on' order by 1";
    let sure = database.query_column(sure).await;
    for what in ["run insert", "run update", "step insert", "step delete", "range insert"] {
        assert!(sure.contains(&format!("lockkeeper_{what}")), "{what} in {sure:?}");
    }
    assert!(!sure.contains(&"lockkeeper_range update".to_owned()), "{sure:?}");
    assert_eq!(database.query_text(FILLED).await, "2 1 1 1");
}

/// Where commits wait for a standby, the batches do too, or it would be left behind.
#[tokio::test]
async fn batches_wait_for_a_standby() {
    let standby = ["synchronous_standby_names=nobody", "synchronous_commit=local"];
    let (_server, database) = run(&standby).await;
    let settings = database.query_column("select distinct setting from seen").await;
    assert_eq!(settings, ["local"]);
    assert_eq!(database.query_text(FILLED).await, "2 1 1 1");
}

/// What the file says of it, holds.
#[tokio::test]
async fn a_files_own_setting_holds_in_its_batches() {
    let database = Database::of(Kind::Postgres15).await;
    let project = Project::with([
        (
            "V1__tables.sql",
            TABLES.replace("perform pg_terminate_backend(pg_backend_pid())", "null"),
        ),
        ("V2__fill.sql", format!("SET synchronous_commit = local;\n{FILL}")),
    ]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let settings = database.query_column("select distinct setting from seen").await;
    assert_eq!(settings, ["local"]);
}

/// A crash takes back the last batches of a range that somebody had done with: they are done again. Here
/// it is played, rows and cursor together, while the run waits to enter the step as done.
#[tokio::test]
async fn what_a_crash_takes_back_at_the_very_end_is_done_again() {
    let rows = 1_000;
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", counters::COUNT)]);
    let mut last = database.connect().await;
    last.execute("begin; select from t where id = 1000 for update").await;
    let running = Lockkeeper::up(&project, &database).start();
    counters::passed(&database, 100).await;
    // No step is entered without it.
    let mut crash = database.connect().await;
    crash.execute("begin; select from lockkeeper_control for update").await;
    last.execute("rollback").await;
    let open = "select count(*) from lockkeeper_range having \
                count(*) filter (where cursor_key <> through_key) = 0 and count(*) > 0";
    database.wait_for(open).await;
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                 and query like '%lockkeeper_control%' and datname = current_database()";
    database.wait_for(waits).await;
    crash
        .execute(
            "update lockkeeper_range set cursor_key = '[\"900\"]' where through_key = '[\"1000\"]'; \
             update t set n = 0 where id > 900; commit",
        )
        .await;
    running.wait().await.expect(0);
    counters::assert_once(&database, rows).await;
}

/// It takes back a range that was split off, too, with all that was done in it: who worked on that does
/// something else, and the one that it was split from has it again.
#[tokio::test]
async fn a_range_that_a_crash_takes_back_is_done_by_another() {
    let rows = 200_000;
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", counters::count(2))]);
    let running = Lockkeeper::up(&project, &database).start();
    database
        .wait_for("select count(*) from lockkeeper_range where number = 2 and keys_done > 0")
        .await;
    Lockkeeper::new(["pause"]).database(&database).run().await.expect(0);
    database.wait_for("select count(*) from lockkeeper_request where met_epoch is not null").await;
    let crash = "begin; \
        update t set n = 0 where id > (select (start_key::json ->> 0)::bigint \
                                       from lockkeeper_range where number = 2); \
        update lockkeeper_range set through_key = (select max(through_key) \
                                                   from lockkeeper_range where number = 2) \
        where number = 1; \
        delete from lockkeeper_range where number = 2; \
        select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and application_name like 'lockkeeper work%'; commit";
    database.execute(crash).await;
    Lockkeeper::new(["resume"]).database(&database).run().await.expect(0);
    running.wait().await.expect(0);
    counters::assert_once(&database, rows).await;
}
