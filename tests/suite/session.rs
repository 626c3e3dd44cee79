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

/// A backfill and a `lock-timeout` have settings of their own, which must not take the file's along.
#[tokio::test]
async fn settings_survive_a_backfill() {
    for (kind, set, ask) in [
        (
            Kind::Postgres15,
            "SET lock_timeout = '2s';\nSET enable_seqscan = off;\nSET jit = off;",
            "current_setting('lock_timeout') || current_setting('enable_seqscan') \
             || current_setting('jit')",
        ),
        (
            Kind::MariaDb,
            "SET lock_wait_timeout = 7, innodb_lock_wait_timeout = 8;",
            "concat(@@lock_wait_timeout, @@innodb_lock_wait_timeout)",
        ),
        (Kind::Sqlite, "PRAGMA busy_timeout = 1234;", "(select timeout from pragma_busy_timeout)"),
    ] {
        let database = Database::of(kind).await;
        database
            .execute(
                "create table t (id int not null primary key, n int not null); \
                 insert into t values (1, 0), (2, 0); create table seen (what varchar(99));",
            )
            .await;
        let see = format!("INSERT INTO seen VALUES ({ask});");
        let project = Project::with([(
            "V1__set.sql",
            format!(
                "{set}\n{see}\n-- lockkeeper: batch\nUPDATE t SET n = n + 1;\n{see}\n\
                 -- lockkeeper: lock-timeout=1s\nUPDATE t SET n = n + 1;\n{see}\n"
            ),
        )]);
        Lockkeeper::up(&project, &database).run().await.expect(0);
        let seen = database.query_column("select what from seen").await;
        assert_eq!(seen.len(), 3, "{kind:?}");
        assert!(seen.iter().all(|what| *what == seen[0]), "{kind:?}: {seen:?}");
    }
}

/// The function counts its calls; only what sets and nothing else is run again.
#[tokio::test]
async fn a_resumed_file_calls_nothing_again() {
    let database = Database::of(Kind::Postgres15).await;
    database
        .execute(
            "create table calls (n int not null); insert into calls values (0);
             create function bump() returns void language sql as 'update calls set n = n + 1';",
        )
        .await;
    let text = |last: &str| {
        format!(
            "SELECT bump(), set_config('a.b', 'c', false);\n\
             SELECT set_config('a.c', 'd', false);\nVACUUM calls;\n{last};\n"
        )
    };
    let project = Project::with([("V1__bump.sql", text("SELECT nothing"))]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(1);
    project
        .file("V1__bump.sql", text("CREATE TABLE seen AS SELECT current_setting('a.c') AS what"));
    up.run().await.expect(0);
    assert_eq!(database.query_i64("select n from calls").await, 1);
    assert_eq!(database.query_text("select what from seen").await, "d");
}

/// MySQL's `SET LOCAL` is for the session.
#[tokio::test]
async fn a_local_setting_of_mysql_ends_with_its_file() {
    let database = Database::of(Kind::MariaDb).await;
    database.execute("create table seen (what int)").await;
    let see = "INSERT INTO seen VALUES (@@lock_wait_timeout);\n";
    let project = Project::with([
        ("V1__set.sql", format!("SET LOCAL lock_wait_timeout = 7;\n{see}")),
        ("V2__see.sql", see.to_owned()),
    ]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    let seen = database.query_column("select what from seen").await;
    assert_eq!(seen[0], "7");
    assert_ne!(seen[1], "7");
}

/// The ledger is written as the user that connected, whoever the step has become.
#[tokio::test]
async fn a_session_authorization_is_taken_back_at_the_end_of_its_step() {
    let database = Database::of(Kind::Postgres15).await;
    let user = database.stranger("geheim").await;
    database.execute(&format!("grant create on schema public to {user}")).await;
    let project = Project::new();
    for (version, statement) in
        [(1, "SET SESSION AUTHORIZATION"), (2, "SET LOCAL SESSION AUTHORIZATION"), (3, "SET ROLE")]
    {
        let text = format!(
            "{statement} {user};\nCREATE TABLE theirs{version} (id int PRIMARY KEY);\n\
             -- lockkeeper: batch\nUPDATE theirs{version} SET id = id;\n\
             CREATE TABLE ours{version} (id int);\n"
        );
        let text = text.replace("SET id = id", "SET n = 1").replace("KEY)", "KEY, n int)");
        project.file(&format!("V{version}__t.sql"), text);
        let up = Lockkeeper::up(&project, &database);
        up.run().await.expect(0);
        let owner = "select string_agg(tableowner::text, ' ' order by tablename desc) \
                     from pg_tables where tablename like '%rs";
        let owners = database.query_text(&format!("{owner}{version}'")).await;
        assert_eq!(owners, format!("{user} postgres"), "{statement}");
    }
}

/// A style that prints a time with an abbreviation which means another zone to who reads it: IST is
/// Irish for the one and Israeli for the other. A range that ended there would leave rows out.
#[tokio::test]
async fn a_time_that_its_own_text_misses_is_refused() {
    let style = "SET DateStyle = 'SQL, DMY';\nSET TimeZone = 'Europe/Dublin';\n";
    for (style, code, filled) in [(style, 1, 0), ("", 0, 300)] {
        let database = Database::of(Kind::Postgres15).await;
        database
            .execute(
                "create table t (at timestamptz primary key, n int not null);
                 insert into t select '2026-07-01 00:00Z'::timestamptz + i * interval '1 minute', 0
                 from generate_series(1, 300) i;",
            )
            .await;
        let fill = "-- lockkeeper: batch rows=100\nUPDATE t SET n = n + 1;\n";
        let project = Project::with([("V1__fill.sql", format!("{style}{fill}"))]);
        let output = Lockkeeper::up(&project, &database).run().await.expect(code);
        let said = output.stderr.contains("doesn't survive the way through text");
        assert_eq!(said, code == 1, "{}", output.stderr);
        let done = database.query_i64("select count(*) from t where n = 1").await;
        assert_eq!(done, filled);
    }
}
