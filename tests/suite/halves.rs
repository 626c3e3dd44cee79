//! Where most rows change, PostgreSQL's batches take every second row first: what that saves, and that
//! a run that ends between the halves goes on there.

use super::held::{Held, ROWS};
use crate::support::{Database, Kind, Lockkeeper, Project, Server, counters};

const HALFWAY: &str = "select count(*) from lockkeeper_range where cursor_key like '{%'";

/// Logs every cursor of V2 and V3.
const LOG: &str = "
    create table passed (version bigint not null, cursor_key text not null);
    create function log() returns trigger language plpgsql as $$ begin
        insert into passed values (new.version, new.cursor_key);
        return new;
    end $$;
    create trigger log after update on lockkeeper_range for each row
    when (old.cursor_key <> new.cursor_key) execute function log();";

#[tokio::test]
async fn the_room_of_the_first_half_serves_the_second() {
    const ROWS: u64 = 60_000;
    // An open transaction on the same server, even of another database, keeps old versions alive.
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__begin.sql", "select 1;\n")]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    database.execute(LOG).await;
    let pages = "select pg_relation_size('t') / 8192";
    let before = database.query_i64(pages).await;
    project.file("V2__fill.sql", "-- lockkeeper: batch\nUPDATE t SET n = n + 1;\n");
    Lockkeeper::up(&project, &database).run().await.expect(0);
    // Each row written anew elsewhere would double it.
    let grown = database.query_i64(pages).await as f64 / before as f64;
    assert!((1.5..1.8).contains(&grown), "{grown}");
    counters::assert_once(&database, ROWS).await;

    // A second look for the sake of few rows would not pay.
    project
        .file("V3__some.sql", "-- lockkeeper: batch\nUPDATE t SET n = n + 1 WHERE id % 3 = 0;\n");
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let cursors = |version: u32, like: &str| {
        format!("select count(*) from passed where version = {version} and cursor_key {like} '{{%'")
    };
    assert!(database.query_i64(&cursors(2, "like")).await >= 3);
    assert_eq!(database.query_i64(&cursors(3, "like")).await, 0);
    assert!(database.query_i64(&cursors(3, "not like")).await >= 3);
    let counts = database.query_column("select distinct n - (id % 3 = 0)::int from t").await;
    assert_eq!(counts, ["1"]);
}

/// Though there always is another one's batch that began to read before.
#[tokio::test]
async fn the_room_serves_several_workers_too() {
    const ROWS: u64 = 300_000;
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    counters::fill(&database, ROWS).await;
    let pages = "select pg_relation_size('t') / 8192";
    let before = database.query_i64(pages).await;
    let fill = "-- lockkeeper: batch workers=2\nUPDATE t SET n = n + 1;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let grown = database.query_i64(pages).await as f64 / before as f64;
    assert!((1.5..1.85).contains(&grown), "{grown}");
    counters::assert_once(&database, ROWS).await;
}

#[tokio::test]
async fn a_killed_run_goes_on_between_the_halves() {
    let held = Held::new().await;
    let running = held.up().start();
    held.database.wait_for(HALFWAY).await;
    running.kill();
    running.wait().await;
    held.hurry().await;
    let mut held = held;
    held.open().await;
    held.up().run().await.expect(0);
    let counts = held.database.query_rows("select n, count(*) from item group by n").await;
    assert_eq!(counts, [[Some("1".to_owned()), Some(ROWS.to_string())]]);
}

/// However small they have to become.
#[tokio::test]
async fn batches_shrink_within_the_second_half() {
    const ROWS: u64 = 20_000;
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__begin.sql", "select 1;\n")]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(0);
    database.execute(LOG).await;
    let fill = "-- lockkeeper: batch rows=100\n-- lockkeeper: lock-timeout=20ms\n\
                UPDATE t SET n = n + 1;\n";
    project.file("V2__fill.sql", fill);
    let mut other = database.connect().await;
    other.execute("begin").await;
    // Its remainder by 7 is odd.
    other.execute("select 1 from t where id = 5099 for update").await;
    let running = up.start();
    let shrunk = "select count(*) from (select 1 from passed where cursor_key like '{%'
                  group by cursor_key::json->'half_through'->>0 having count(*) > 1) s";
    database.wait_for(shrunk).await;
    other.execute("rollback").await;
    running.wait().await.expect(0);
    counters::assert_once(&database, ROWS).await;
}

/// Down to what the server's own limit lets pass, which here is one row.
#[tokio::test]
async fn a_second_half_of_dear_rows_comes_to_an_end() {
    const ROWS: u64 = 50;
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, ROWS).await;
    database
        .execute(
            "create function dawdle(id bigint, n bigint) returns boolean language plpgsql as $$ begin
                 if id > 14 and id % 7 & 1 = 1 and n > 0 then perform pg_sleep(0.2); end if;
                 return true;
             end $$;
             alter table t add check (dawdle(id, n))",
        )
        .await;
    let limit = "alter database \"NAME\" set statement_timeout = '350ms'";
    database.execute(&limit.replace("NAME", database.name())).await;
    let fill = "-- lockkeeper: batch rows=14\nUPDATE t SET n = n + 1;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    counters::assert_once(&database, ROWS).await;
}

/// A human who finishes it by hand has one position to go on from.
#[tokio::test]
async fn a_run_that_is_asked_to_stop_finishes_the_second_half() {
    let held = Held::new().await;
    let running = held.up().start();
    held.database.wait_for(HALFWAY).await;
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);
    assert_eq!(held.database.query_i64(HALFWAY).await, 0);
    let untouched = "select count(*) from item, lockkeeper_range
                     where n <> (id <= (cursor_key::json->>0)::bigint)::int";
    assert_eq!(held.database.query_i64(untouched).await, 0);
}

#[tokio::test]
async fn a_failure_between_the_halves_says_what_is_done() {
    const ROWS: u64 = 20_000;
    let database = Database::of(Kind::Postgres18).await;
    counters::fill(&database, ROWS).await;
    // Its remainder by 7 is odd.
    database.execute("alter table t add constraint early check (id <> 5001 or n = 0)").await;
    let fill = "-- lockkeeper: batch rows=100\nUPDATE t SET n = n + 1;\n";
    let project = Project::with([("V1__fill.sql", fill)]);
    let up = Lockkeeper::up(&project, &database);
    let output = up.run().await.expect(1);

    let range = "select cursor_key::json->'after'->>0, cursor_key::json->'half_through'->>0, \
                 keys_done::text from lockkeeper_range";
    let range = database.query_rows(range).await;
    let [after, through, done] = [0, 1, 2].map(|column| range[0][column].clone().unwrap());
    let kept = format!("all up to id ≤ {after}, and half of those up to {through} ({done} rows)");
    let output = output.expect_text("violates check constraint \"early\"").expect_text(&kept);
    // Of two blocks at work, the second half of the first failed.
    let end = (after.parse::<u64>().unwrap() + through.parse::<u64>().unwrap()) / 2;
    output.expect_text(&format!("the open batch of step 1: id > {after} and id <= {end} and"));
    let changed = "select count(*) from t where n = 1";
    assert_eq!(database.query_i64(changed).await.to_string(), done);
    let status = Lockkeeper::new(["status"]).project(&project).database(&database);
    let far = format!("up to {after} and half of those to {through}");
    status.run().await.expect(0).expect_text(&far);

    database.execute("alter table t drop constraint early").await;
    up.run().await.expect(0);
    counters::assert_once(&database, ROWS).await;
}
