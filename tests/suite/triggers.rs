//! What a table does by itself on each write can undo what batches promise: such an UPDATE is
//! refused, unless a human vouches for it.

use crate::support::{Database, Kind, Lockkeeper, Project};

const COUNT: &str = "UPDATE task SET n = n + 1, done = 1 WHERE done = 0;\n";

async fn tasks(kind: Kind) -> Database {
    let database = Database::of(kind).await;
    database
        .execute(
            "create table task (id int not null primary key, n int not null default 0, \
             done int not null default 0, touched varchar(10));",
        )
        .await;
    for id in 1..=20 {
        database.execute(&format!("insert into task (id) values ({id})")).await;
    }
    database
}

fn batched(words: &str) -> Project {
    Project::with([("V1__count.sql", format!("-- lockkeeper: batch rows=2 {words}\n{COUNT}"))])
}

async fn refused(database: &Database, project: &Project, cause: &str) {
    let output = Lockkeeper::up(project, database).run().await.expect(2);
    output.expect_text("can't be split into batches").expect_text(cause);
    assert_eq!(database.query_i64("select count(*) from task where n = 0").await, 20);
    // The way out that is always there.
    let whole = Project::with([("V1__count.sql", format!("-- lockkeeper: batch off\n{COUNT}"))]);
    Lockkeeper::up(&whole, database).run().await.expect(0);
}

/// It marks the tasks of the other half as done, so that later batches would pass them by.
#[tokio::test]
async fn a_trigger_that_changes_other_rows_is_refused() {
    let database = tasks(Kind::Postgres15).await;
    database
        .execute(
            "create function skip() returns trigger language plpgsql as $$ begin \
               update task set done = 1 where id = new.id + 10 and done = 0; return null; end $$; \
             create trigger skip after update on task for each row \
               when (pg_trigger_depth() = 0) execute function skip();",
        )
        .await;
    refused(&database, &batched(""), "the trigger skip of public.task").await;
}

/// It moves each row along the key, into the next batches.
#[tokio::test]
async fn a_trigger_that_sets_the_key_is_refused() {
    let postgres = tasks(Kind::Postgres18).await;
    postgres
        .execute(
            "create function move() returns trigger language plpgsql as $$ begin \
               new.id := old.id + 100; return new; end $$; \
             create trigger move before update on task for each row execute function move();",
        )
        .await;
    let mariadb = tasks(Kind::MariaDb).await;
    mariadb
        .execute("create trigger move before update on task for each row set new.id = old.id + 100")
        .await;
    for database in [&postgres, &mariadb] {
        refused(database, &batched(""), "`-- lockkeeper: batch trust-triggers`").await;
        assert_eq!(database.query_i64("select count(*) from task where n = 1").await, 20);
    }
}

/// The commonest trigger there is.
#[tokio::test]
async fn a_trusted_trigger_fires_for_each_row() {
    let postgres = tasks(Kind::Postgres15).await;
    postgres
        .execute(
            "create function touch() returns trigger language plpgsql as $$ begin \
               new.touched := 'yes'; return new; end $$; \
             create trigger touch before update on task for each row execute function touch();",
        )
        .await;
    let mariadb = tasks(Kind::MariaDb).await;
    mariadb
        .execute("create trigger touch before update on task for each row set new.touched = 'yes'")
        .await;
    let sqlite = tasks(Kind::Sqlite).await;
    sqlite
        .execute(
            "create trigger touch after update of n on task begin \
               update task set touched = 'yes' where id = new.id; end",
        )
        .await;
    for database in [&postgres, &mariadb, &sqlite] {
        let output = Lockkeeper::up(&batched(""), database).run().await.expect(2);
        output.expect_text("vouch for it");
        Lockkeeper::up(&batched("trust-triggers"), database).run().await.expect(0);
        let right = "select count(*) from task where n = 1 and touched = 'yes'";
        assert_eq!(database.query_i64(right).await, 20);
    }
}

/// Its rows would be counted again in each batch that they move to.
#[tokio::test]
async fn a_key_that_is_computed_from_what_is_set_is_refused() {
    for kind in [Kind::Postgres15, Kind::Postgres18, Kind::MariaDb, Kind::Sqlite] {
        let database = Database::of(kind).await;
        // MariaDB takes no NOT NULL here, so that it is no key there anyhow.
        let null = if kind == Kind::MariaDb { "" } else { "not null" };
        database
            .execute(&format!(
                "create table t (id int not null, pos int not null, n int not null default 0, \
                 k int generated always as (pos * 100 + id) stored {null})"
            ))
            .await;
        database.execute("create unique index by_k on t (k)").await;
        for id in 1..=20 {
            database.execute(&format!("insert into t (id, pos) values ({id}, {id})")).await;
        }
        let update = "-- lockkeeper: batch rows=2 key=k\nUPDATE t SET pos = pos + 6, n = n + 1;\n";
        let project = Project::with([("V1__move.sql", update)]);
        let output = Lockkeeper::up(&project, &database).run().await.expect(2);
        let cause = match kind {
            Kind::MariaDb => "k may be NULL",
            _ => "k is computed from what it sets",
        };
        output.expect_text(cause);
        assert_eq!(database.query_i64("select count(*) from t where n = 0").await, 20);
    }
}
