//! Several workers at one backfill: each key once, whatever happens to whom.

use crate::support::counters::{self, count};
use crate::support::{Database, Kind, Lockkeeper, Project};

const ROWS: u64 = 120_000;

/// Logs how many ranges there are, at each split.
const LOG: &str = "
    create table splits (number bigint not null);
    create function log() returns trigger language plpgsql as $$ begin
        insert into splits values (new.number);
        return new;
    end $$;
    create trigger log after insert on lockkeeper_range for each row execute function log();";

async fn every_row_is_counted_once(kind: Kind, workers: u32) {
    let database = Database::of(kind).await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__count.sql", count(workers))]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    counters::assert_once(&database, ROWS).await;
    assert_eq!(database.query_i64("select count(*) from lockkeeper_range").await, 0);
}

#[tokio::test]
async fn four_count_every_row_once_on_postgres() {
    every_row_is_counted_once(Kind::Postgres15, 4).await;
}

#[tokio::test]
async fn four_count_every_row_once_on_mariadb() {
    every_row_is_counted_once(Kind::MariaDb, 4).await;
}

/// SQLite has one writer at a time, and so one worker.
#[tokio::test]
async fn one_counts_every_row_once_on_sqlite() {
    every_row_is_counted_once(Kind::Sqlite, 4).await;
}

#[tokio::test]
async fn who_has_nothing_to_do_gets_a_part() {
    let database = Database::of(Kind::Postgres18).await;
    counters::fill(&database, ROWS).await;
    let project = Project::with([("V1__begin.sql", "select 1;\n")]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(0);
    database.execute(LOG).await;
    project.file("V2__count.sql", count(3));
    up.run().await.expect(0);
    let splits = database.query_i64("select count(*) from splits").await;
    assert!((3..60).contains(&splits), "{splits} ranges");
    counters::assert_once(&database, ROWS).await;
}

/// The server has no session for one of them.
#[tokio::test]
async fn who_gets_no_session_is_done_without() {
    let database = Database::of(Kind::Postgres15).await;
    counters::fill(&database, ROWS).await;
    // The lock, what watches the load, and some that work.
    let limit = "alter database \"NAME\" connection limit 5";
    let user = database.owner("secret").await;
    database.execute(&limit.replace("NAME", database.name())).await;
    let project = Project::with([("V1__count.sql", count(8))]);
    database.execute(&format!("alter table t owner to {user}")).await;
    let url = database.url_as(&user, "secret");
    let output = Lockkeeper::new(["up"]).project(&project).url(&url).run().await.expect(0);
    let output = output.expect_text("no session for one more can be opened");
    assert_eq!(output.text().matches("fewer workers").count(), 1, "{}", output.text());
    counters::assert_once(&database, ROWS).await;
}

/// Between two texts of digits there is no middle that could be computed: as a text, what is half way
/// from 612345 to 9999999 is before both.
#[tokio::test]
async fn a_key_of_digits_is_not_split_as_a_number() {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create table t (id varchar(20) collate \"C\" primary key, n bigint not null); \
             insert into t select (i * 8)::text, 0 from generate_series(1, 119999) i; \
             insert into t values ('9999999', 0); analyze t; \
             update pg_class set reltuples = 10000000 where relname = 't'",
        )
        .await;
    let project = Project::with([("V1__count.sql", count(4))]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    counters::assert_once(&database, ROWS).await;
}
