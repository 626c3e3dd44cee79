//! Poolers, networks and processes that fail on demand.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::timeout;

use crate::support::proxy::Hold;
use crate::support::{Database, Kind, Moment, PgBouncer, Proxy, Server, wait_until};

async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}

/// Behind PgBouncer a session's lock stays in the server's session, for whoever comes next; and it
/// takes no start-up parameter that it doesn't know, unless told to.
#[tokio::test]
async fn a_pooler_breaks_session_locks() {
    let server = Server::postgres15();
    let database = server.database().await;
    let bouncer = PgBouncer::before(server);
    let url = bouncer.url(&database);
    let refused = PgConnection::connect(&url).await.expect_err("PgBouncer's default");
    assert!(refused.to_string().contains("extra_float_digits"), "{refused}");
    let options: PgConnectOptions = url.parse().expect("a URL");
    let options = options.extra_float_digits(None);
    let mut first = PgConnection::connect_with(&options).await.expect("PgBouncer");
    run(&mut first, "select pg_advisory_lock(1)").await.expect("a lock");
    first.close().await.expect("closed");
    let locks = "select count(*) from pg_locks where locktype = 'advisory'
                 and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(database.query_i64(locks).await, 1);
}

/// The accidents of a network.
#[tokio::test]
async fn a_proxy_cuts_refuses_and_holds() {
    let database = Server::postgres15().database().await;
    let proxy = Proxy::before(database.port());
    let url = proxy.url(&database);
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    run(&mut connection, "create table t (n int)").await.expect("it passes");

    proxy.cut();
    assert!(run(&mut connection, "select 1").await.is_err());
    proxy.refuse(true);
    assert!(PgConnection::connect(&url).await.is_err());
    proxy.refuse(false);
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    assert_eq!(proxy.accepted(), 3);

    for (hold, sql) in [
        (Hold::Replies, "insert into t values (1)"),
        (Hold::Everything, "insert into t values (2)"),
    ] {
        proxy.hold(hold);
        let held = Duration::from_millis(200);
        let mut insert = Box::pin(run(&mut connection, sql));
        assert!(timeout(held, insert.as_mut()).await.is_err(), "{hold:?}");
        // What is held up is the reply, not the work; or both.
        let rows = database.query_i64("select count(*) from t").await;
        assert_eq!(rows, 1, "{hold:?}");
        proxy.hold(Hold::Nothing);
        insert.await.expect("late, but well");
    }
    assert_eq!(database.query_i64("select count(*) from t").await, 2);
}

/// A COMMIT that never arrives, and one whose reply never does.
#[tokio::test]
async fn a_proxy_loses_a_commit_or_its_reply() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let database = Database::of(kind).await;
        database.execute("create table t (n int)").await;
        let proxy = Proxy::before(database.port());
        for (number, moment, rows) in [(1, Moment::Before, 0), (2, Moment::After, 1)] {
            proxy.cut_at_nth("COMMIT", 2, moment);
            let url = proxy.url(&database);
            let results = match kind {
                Kind::MariaDb => {
                    let mut connection = sqlx::MySqlConnection::connect(&url).await.unwrap();
                    let mut results = Vec::new();
                    for sql in ["begin; commit", "begin; insert into t values (1)", "commit"] {
                        results.push(sqlx::raw_sql(sql).execute(&mut connection).await.is_ok());
                    }
                    results
                }
                _ => {
                    let mut connection = PgConnection::connect(&url).await.unwrap();
                    let mut results = Vec::new();
                    for sql in ["begin; commit", "begin; insert into t values (1)", "commit"] {
                        results.push(run(&mut connection, sql).await.is_ok());
                    }
                    results
                }
            };
            assert_eq!(results, [true, true, false], "{kind:?} {moment:?}");
            assert_eq!(proxy.sprung(), number, "{kind:?} {moment:?}");
            wait_until("the server has noticed", Duration::from_secs(10), async || {
                database.query_i64("select count(*) from t").await == rows
            })
            .await;
        }
    }
}
