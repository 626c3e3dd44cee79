//! The servers start, stop, and ask for what they were told to.

use std::time::{Duration, Instant};

use crate::support::{Database, Kind, Server, process};

/// Every kind starts, answers, and gives each test a database that is empty and its own.
#[tokio::test]
async fn every_kind_of_database_answers() {
    let started = Instant::now();
    let first = Database::every().await;
    eprintln!("all servers answered after {:?}", started.elapsed());
    let second = Database::every().await;
    for (first, second) in first.iter().zip(&second) {
        let kind = first.kind();
        first.execute("create table t (n bigint not null, s varchar(20))").await;
        first.execute("insert into t values (1, 'one'); insert into t values (2, null)").await;
        assert_eq!(first.query_i64("select sum(n) from t").await, 3, "{kind:?}");
        assert_eq!(first.query_text("select s from t where n = 1").await, "one", "{kind:?}");
        assert_eq!(first.query_column("select s from t order by n").await, ["one", "NULL"]);
        first.wait_for("select count(*) from t").await;
        assert!(first.try_execute("select * from nothing").await.is_err(), "{kind:?}");
        assert_eq!(first.tables().await, ["t"], "{kind:?}");
        assert!(second.tables().await.is_empty(), "{kind:?}");

        let before = first.contents().await;
        assert_eq!(first.contents().await, before);
        first.execute("update t set s = 'two' where n = 2").await;
        assert_ne!(first.contents().await, before, "{kind:?}");
    }
    let [_, postgres15, postgres18, mariadb] = &first;
    let version = "select version()";
    // Or what the system has instead of it.
    let older = "select current_setting('server_version_num')::int8 / 10000";
    assert!(postgres15.query_i64(older).await >= 13);
    assert!(postgres15.query_text(version).await.starts_with("PostgreSQL 1"));
    assert!(postgres18.query_text(version).await.starts_with("PostgreSQL 18"));
    assert!(mariadb.query_text(version).await.contains("MariaDB"));
}

/// A commit survives a kill, and the server is back on its port.
#[tokio::test]
async fn own_servers_stop_and_come_back() {
    for kind in [Kind::Postgres15, Kind::Postgres18, Kind::MariaDb] {
        let server = Server::own(kind);
        let database = server.database().await;
        database.execute("create table t (n bigint)").await;
        let ends: [fn(&Server); 3] = [Server::stop, Server::stop_immediate, Server::kill];
        for (number, end) in ends.into_iter().enumerate() {
            database.execute(&format!("insert into t values ({number})")).await;
            let processes = process::tree(server.pid().expect("it runs"));
            end(&server);
            assert!(database.try_execute("select 1").await.is_err(), "{kind:?}");
            assert!(!processes.into_iter().any(process::runs), "{kind:?}");
            server.start();
            let rows = database.query_i64("select count(*) from t").await;
            assert_eq!(rows, number as i64 + 1, "{kind:?}");
        }
        server.freeze();
        let asked = tokio::time::timeout(Duration::from_millis(50), database.connect()).await;
        assert!(asked.is_err(), "{kind:?}");
        server.thaw();
        database.execute("select 1").await;
    }
}

/// A password is asked for, and may hold anything.
#[tokio::test]
async fn users_need_their_password() {
    use sqlx::Connection as _;
    let password = "p^#%@:/ ?&+'\"ü\\";
    let database = Server::postgres15().database().await;
    let user = database.owner(password).await;
    let url = database.url_as(&user, password);
    let mut owner = sqlx::PgConnection::connect(&url).await.expect("the right password");
    sqlx::raw_sql("create table t (n int)").execute(&mut owner).await.expect("the owner's right");
    let wrong = sqlx::PgConnection::connect(&database.url_as(&user, "wrong")).await;
    assert!(wrong.expect_err("the wrong password").to_string().contains("password"));
    let stranger = database.stranger("x").await;
    let mut stranger =
        sqlx::PgConnection::connect(&database.url_as(&stranger, "x")).await.expect("a user");
    assert!(sqlx::raw_sql("select * from t").execute(&mut stranger).await.is_err());

    let database = Server::mariadb().database().await;
    let user = database.owner(password).await;
    let url = database.url_as(&user, password);
    let mut owner = sqlx::MySqlConnection::connect(&url).await.expect("the right password");
    sqlx::raw_sql("create table t (n int)").execute(&mut owner).await.expect("the owner's right");
    assert!(sqlx::MySqlConnection::connect(&database.url_as(&user, "wrong")).await.is_err());
    let stranger = database.stranger("x").await;
    let mut stranger =
        sqlx::MySqlConnection::connect(&database.url_as(&stranger, "x")).await.expect("a user");
    assert!(sqlx::raw_sql("select * from t").execute(&mut stranger).await.is_err());
}

/// A server with TLS shows its certificate, and takes nobody without.
#[tokio::test]
async fn a_server_with_tls_takes_nothing_else() {
    use sqlx::Connection as _;
    use sqlx::postgres::{PgConnectOptions, PgSslMode};
    let server = Server::tls("127.0.0.1");
    let database = server.database().await;
    let options: PgConnectOptions = database.url.parse().expect("a URL");
    let checked = options.clone().ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(server.authority());
    sqlx::PgConnection::connect_with(&checked).await.expect("the authority's certificate");
    let unknown = options.clone().ssl_mode(PgSslMode::VerifyFull);
    assert!(sqlx::PgConnection::connect_with(&unknown).await.is_err());
    let plain = options.ssl_mode(PgSslMode::Disable);
    assert!(sqlx::PgConnection::connect_with(&plain).await.is_err());
}
