//! What a file sets for its session holds for all of its steps, whatever happens between them.

use std::time::Duration;

use lockkeeper::db::{self, ConnectOptions, Purpose, Statement};

use crate::support::{Database, Kind, Lockkeeper, Project};

/// On a link that forgets what is idle, nobody would miss the reply to a long statement.
#[tokio::test]
async fn the_server_keeps_working_connections_alive() {
    let home = Database::of(Kind::Postgres15).await;
    let options = ConnectOptions::from_url(&home.url).unwrap();
    let database = db::connect(&options, Duration::ZERO, &mut |_, _| {}).await.unwrap();
    let mut session = database.session(Purpose::Work { run: "r".to_owned() }).await.unwrap();
    let settings = "select current_setting('tcp_keepalives_idle'), \
                    current_setting('tcp_keepalives_interval'), \
                    current_setting('tcp_keepalives_count')";
    let rows = session.query(&Statement::new(settings, vec![])).await.unwrap();
    let found: Vec<_> = (0..3).map(|at| rows[0].text(at).unwrap()).collect();
    assert_eq!(found, ["60", "10", "3"]);
}

/// Two tables of one name. The file's `search_path` says which is meant; a run that resumed without
/// it would fill the other one.
#[tokio::test]
async fn a_resumed_backfill_finds_the_same_table() {
    let database = Database::of(Kind::Postgres15).await;
    for schema in ["public", "other"] {
        database
            .execute(&format!(
                "create schema if not exists {schema};
                 create table {schema}.t (id bigint primary key, n int not null);
                 insert into {schema}.t select i, 0 from generate_series(1, 20) i;"
            ))
            .await;
    }
    let project = Project::new();
    project.file(
        "V1__fill.sql",
        "SET search_path TO other, public;\n\
         CREATE TABLE made (id int);\n\
         -- lockkeeper: batch rows=1 target=1h\n\
         UPDATE t SET n = n + 1;\n",
    );
    let mut holder = database.connect().await;
    holder.execute("begin").await;
    holder.execute("select n from other.t where id = 9 for update").await;
    let up = Lockkeeper::up(&project, &database);
    let first = up.start();
    database
        .wait_for(
            "select count(*) from pg_stat_activity
             where wait_event_type = 'Lock' and query like 'UPDATE%'",
        )
        .await;
    first.kill();
    first.wait().await;
    holder.execute("rollback").await;
    drop(holder);
    let open = "select count(*) from other.t where n = 1";
    let done = database.query_i64(open).await;
    assert!((1..20).contains(&done), "{done} rows before the kill");

    up.run().await.expect(0);
    let count = |sql: &'static str| database.query_i64(sql);
    assert_eq!(count("select count(*) from other.t where n = 1").await, 20);
    assert_eq!(count("select count(*) from public.t where n = 0").await, 20);
    assert_eq!(count("select count(*) from pg_tables where tablename = 'made'").await, 1);
}
