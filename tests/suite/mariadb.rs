//! What is particular about MySQL and MariaDB.

mod engine;
mod packet;
mod zero_date;

use std::time::Duration;

use lockkeeper::db::{
    self, ConnectOptions, DbError, ErrorKind, Purpose, Statement, TableKind, TableName, TlsMode,
};

use crate::support::server::Options;
use crate::support::{Database, Kind, Server, account, certificate};

async fn open(url: &str) -> Result<std::sync::Arc<dyn db::Database>, DbError> {
    let options = ConnectOptions::from_url(url).unwrap();
    db::connect(&options, Duration::ZERO, &mut |_, _| {}).await
}

fn name(schema: Option<&str>, name: &str) -> TableName {
    TableName { schema: schema.map(str::to_owned), name: name.to_owned() }
}

#[tokio::test]
async fn the_description_says_what_and_where() {
    let home = Database::of(Kind::MariaDb).await;
    let database = open(&home.url).await.unwrap();
    let description = database.description();
    assert!(description.starts_with("MariaDB 1"), "{description}");
    let place = format!(" · {} at 127.0.0.1:{}", home.name(), home.port());
    assert!(description.ends_with(&place), "{description}");
    assert_eq!(database.schema(), home.name());
}

/// The server's settings are the administrator's, not the driver's.
#[tokio::test]
async fn sessions_behave_as_the_server_is_set() {
    let home = Database::of(Kind::MariaDb).await;
    let mut session = open(&home.url).await.unwrap().session(Purpose::Watch).await.unwrap();
    let settings = "select @@session.sql_mode, @@global.sql_mode, @@session.time_zone, \
                    @@global.time_zone, @@character_set_client";
    let rows = session.query(&Statement::new(settings, vec![])).await.unwrap();
    let setting = |at| rows[0].text(at).unwrap();
    assert_eq!(setting(0), setting(1));
    assert_eq!(setting(2), setting(3));
    assert_eq!(setting(4), "utf8mb4");
    session.bare("create table count (id int primary key)").await.unwrap();
    session.bare("insert into count (id) values (1)").await.unwrap();
}

#[tokio::test]
async fn only_keys_that_one_can_walk_along_count() {
    let home = Database::of(Kind::MariaDb).await;
    let other = Database::of(Kind::MariaDb).await;
    for sql in [
        "create table t (id int unsigned not null auto_increment primary key, a varchar(300), \
         b text, c varchar(10) not null, d varchar(10) as (upper(c)) stored, \
         unique prefix (a(10)), unique hash (b), unique whole (c, id), unique generated (d))",
        "create table parts (id int not null primary key) partition by hash (id) partitions 4",
        "create sequence s",
        "create table self (id int primary key, up int, \
         foreign key (up) references self (id) on delete cascade)",
        "create trigger inserted after insert on t for each row set @x = 1",
        "create trigger deleted after delete on t for each row set @x = 1",
    ] {
        home.execute(sql).await;
    }
    let foreign = format!(
        "create table elsewhere (id int primary key, t int unsigned, \
         foreign key (t) references {}.t (id) on update cascade)",
        home.name()
    );
    other.execute(&foreign).await;

    let mut session = open(&home.url).await.unwrap().session(Purpose::Watch).await.unwrap();
    let table = session.table(&name(None, "t")).await.unwrap().unwrap();
    let keys: Vec<String> = table.unique.iter().map(|key| key.columns.join(",")).collect();
    assert_eq!(keys, ["id", "d", "c,id"]);
    assert_eq!(table.column("id").unwrap().type_name, "int(10) unsigned");
    let triggers: Vec<_> =
        table.triggers.iter().map(|t| (t.name.as_str(), t.on_update, t.on_delete)).collect();
    assert_eq!(triggers, [("deleted", false, true), ("inserted", false, false)]);
    assert_eq!(table.cascades_to, [name(Some(other.name()), "elsewhere")]);

    let parts = session.table(&name(None, "parts")).await.unwrap().unwrap();
    assert_eq!(parts.kind, TableKind::Partitioned);
    let sequence = session.table(&name(None, "s")).await.unwrap().unwrap();
    assert_eq!(sequence.kind, TableKind::Other);
    let own = session.table(&name(None, "self")).await.unwrap().unwrap();
    assert!(own.refers_to_itself);
    assert_eq!(own.cascades_to, [name(None, "self")]);
    let elsewhere = session.table(&name(Some(other.name()), "elsewhere")).await.unwrap().unwrap();
    assert_eq!(elsewhere.name.schema.as_deref(), Some(other.name()));
    assert_eq!(session.table(&name(Some(other.name()), "t")).await.unwrap(), None);
    assert_eq!(session.table(&name(None, "T")).await.unwrap(), None, "names are case-sensitive");
}

/// The name of a dead run's session is free only after the rollback.
#[tokio::test]
async fn ending_an_orphan_waits_for_its_rollback() {
    let home = Database::of(Kind::MariaDb).await;
    home.execute("create table t (n bigint)").await;
    let dead = open(&home.url).await.unwrap();
    let mut session = dead.session(Purpose::Work { run: "old".to_owned() }).await.unwrap();
    let work = [
        Statement::new("insert into t select seq from seq_1_to_200000", vec![]),
        Statement::new("select sleep(60) from dual", vec![]),
    ];
    let work = tokio::spawn(async move { session.transact(&work).await });
    let uncommitted = "set session transaction isolation level read uncommitted";
    let mut outside = home.connect().await;
    outside.execute(uncommitted).await;
    while outside.query_i64("select count(*) from t").await < 200_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let successor = open(&home.url).await.unwrap();
    assert_eq!(successor.end_orphans("new").await.unwrap(), 1);
    assert_eq!(outside.query_i64("select count(*) from t").await, 0, "it is rolled back by now");
    assert_eq!(work.await.unwrap().unwrap_err().kind, ErrorKind::Connection);
}

/// Sixty-four workers at most, and their names come back.
#[tokio::test]
async fn many_sessions_of_one_run_work_at_once() {
    let home = Database::of(Kind::MariaDb).await;
    let database = open(&home.url).await.unwrap();
    let work = |run: &str| database.session(Purpose::Work { run: run.to_owned() });
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(work("mine").await.unwrap());
    }
    let foreign = work("other").await.unwrap();
    assert_eq!(database.end_orphans("mine").await.unwrap(), 1);
    drop(foreign);
    for session in &mut sessions {
        session.query(&Statement::new("select 1", vec![])).await.unwrap();
    }
    assert_eq!(database.end_orphans("mine").await.unwrap(), 0);
}

#[tokio::test]
async fn rights_are_named_with_the_database() {
    let home = Database::of(Kind::MariaDb).await;
    let other = Database::of(Kind::MariaDb).await;
    let user = home.stranger("pw").await;
    let denied = home.url_as(&user, "pw").replace(home.name(), other.name());
    let denied = denied.replacen(&user.replace(home.name(), other.name()), &user, 1);
    let Err(error) = open(&denied).await else { panic!("{denied} connects") };
    assert_eq!(error.kind, ErrorKind::Permission, "{error}");
    let hint = error.hint.unwrap_or_default();
    assert!(hint.contains(&format!("GRANT ALL PRIVILEGES ON `{}`.*", other.name())), "{hint}");

    let database = open(&home.url_as(&user, "pw")).await.unwrap();
    let mut session = database.session(Purpose::Watch).await.unwrap();
    let error = session.bare("create table t (id int)").await.unwrap_err();
    let wanted = format!("GRANT CREATE ON `{}`.`t` TO '{user}'@'127.0.0.1'", home.name());
    assert!(error.hint.as_ref().is_some_and(|hint| hint.ends_with(&wanted)), "{error:?}");
    let error = session.bare("set global max_connections = 5").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permission, "{error:?}");
    assert!(error.hint.is_some_and(|hint| hint.contains("GRANT SUPER ON *.*")));
}

#[tokio::test]
async fn the_modes_of_tls() {
    let folder = account::folder();
    certificate::for_server(&folder, "127.0.0.1");
    let strange = account::folder();
    certificate::authority(&strange);
    account::open(&folder);
    let file = |name: &str| folder.join(name);
    let server = Server::with(Options {
        durable: false,
        settings: vec![
            format!("ssl-cert={}", file("server.pem").display()),
            format!("ssl-key={}", file("server.key").display()),
            "require-secure-transport=ON".to_owned(),
        ],
        ..Options::new(Kind::MariaDb)
    });
    let port = server.port();
    let connect = async |host: &str, mode: Option<TlsMode>, ca: Option<std::path::PathBuf>| {
        let url = format!("mysql://root@{host}:{port}/mysql");
        let options = ConnectOptions::from_url(&url).unwrap().with_tls(mode, ca);
        db::connect(&options, Duration::ZERO, &mut |_, _| {}).await.map(drop)
    };
    let ca = || Some(file("ca.pem"));
    for (host, mode, ca) in [
        ("127.0.0.1", None, None),
        ("127.0.0.1", Some(TlsMode::Require), None),
        ("127.0.0.1", Some(TlsMode::VerifyFull), ca()),
        ("127.0.0.1", None, ca()),
        ("127.0.0.1", Some(TlsMode::VerifyCa), ca()),
    ] {
        connect(host, mode, ca).await.unwrap_or_else(|error| panic!("{host} {mode:?}: {error}"));
    }
    for (host, mode, ca) in [
        ("127.0.0.1", Some(TlsMode::VerifyCa), None),
        ("127.0.0.1", Some(TlsMode::VerifyFull), Some(strange.join("ca.pem"))),
        ("127.0.0.1", Some(TlsMode::Require), Some(strange.join("ca.pem"))),
        ("localhost", Some(TlsMode::Require), ca()),
        ("localhost", Some(TlsMode::VerifyCa), ca()),
        ("localhost", Some(TlsMode::VerifyFull), ca()),
        ("127.0.0.1", None, Some(file("missing.pem"))),
        ("127.0.0.1", None, Some(file("server.key"))),
    ] {
        let error = connect(host, mode, ca).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Tls, "{host} {mode:?}: {error}");
    }
    // MariaDB doesn't tell this from a wrong password.
    let error = connect("127.0.0.1", Some(TlsMode::Disable), None).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Tls | ErrorKind::Authentication), "{error}");
    let plain = Database::of(Kind::MariaDb).await;
    let options = ConnectOptions::from_url(&plain.url).unwrap();
    let options = options.with_tls(Some(TlsMode::Require), None);
    let refused = db::connect(&options, Duration::ZERO, &mut |_, _| {}).await.map(drop);
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Tls);
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::remove_dir_all(strange).unwrap();
}
