//! A copy that is production is known for it, whatever it is called.

use super::estimate;
use crate::support::{Database, Kind, Lockkeeper, Options, PgBouncer, Project, Server};

const FILES: [(&str, &str); 1] = [("V1__make.sql", "CREATE TABLE made (id int PRIMARY KEY);\n")];

/// Says no, and has done nothing.
async fn refused(copy: &str, production: &str, database: &Database) {
    let project = Project::with(FILES);
    let output = estimate(&project, copy).url(production).run().await.expect(2);
    let output = output.expect_text("the copy is the production database itself");
    assert!(output.text().contains("give that as --copy-url"), "{}", output.text());
    assert_eq!(database.tables().await, Vec::<String>::new());
}

#[tokio::test]
async fn postgresql_is_known_by_every_name() {
    let folder = crate::support::folder::new();
    crate::support::account::give(folder.path());
    let settings = vec![format!("unix_socket_directories={}", folder.path().display())];
    let options = Options { durable: false, settings, ..Options::new(Kind::Postgres15) };
    let server = Server::with(options);
    let database = server.database().await;
    let bouncer = PgBouncer::before(&server);
    let socket = format!(
        "postgres://postgres@/{}?host={}&port={}",
        database.name(),
        folder.path().display(),
        server.port()
    );
    let localhost = database.url.replace("127.0.0.1", "localhost");
    let pooled = bouncer.url(&database);
    for alias in [&database.url, &localhost, &socket, &pooled] {
        refused(alias, &database.url, &database).await;
        refused(&database.url, alias, &database).await;
    }
}

#[tokio::test]
async fn mariadb_is_known_by_every_name() {
    let server = Server::mariadb();
    let database = server.database().await;
    for alias in [database.url.clone(), database.url.replace("127.0.0.1", "localhost")] {
        refused(&alias, &database.url, &database).await;
    }
    let other = server.database().await;
    let project = Project::with(FILES);
    estimate(&project, &other.url).database(&database).run().await.expect(0);
}

#[tokio::test]
async fn sqlite_s_file_is_known_by_every_path() {
    let database = Database::sqlite();
    let folder = crate::support::folder::new();
    let (link, hard) = (folder.path().join("link.db"), folder.path().join("hard.db"));
    std::os::unix::fs::symlink(database.path(), &link).unwrap();
    std::fs::hard_link(database.path(), &hard).unwrap();
    for alias in [link, hard] {
        let alias = format!("sqlite://{}", alias.display());
        refused(&alias, &database.url, &database).await;
    }
}

/// A name with a mistake isn't a new database.
#[tokio::test]
async fn a_file_that_is_not_there_is_no_copy() {
    let project = Project::with(FILES);
    for command in [
        estimate(&project, "sqlite:new.db"),
        Lockkeeper::new(["estimate", "--make-copy"]).project(&project).url("sqlite:new.db"),
    ] {
        command.run().await.expect(2).expect_text("new.db doesn't exist");
        assert!(!project.path().join("new.db").exists());
    }
}

/// What is done to a primary is done to its replica: who names that as production means the same database.
#[tokio::test]
async fn a_replica_s_primary_is_no_copy() {
    let primary = Server::own(Kind::Postgres15);
    let database = primary.database().await;
    let standby = primary.standby("reader");
    let reader = standby.copy_of(&database);
    reader.wait_for("select pg_is_in_recovery()::int").await;
    let project = Project::with(FILES);
    let command = estimate(&project, &database.url).database(&reader);
    command.run().await.expect(2).expect_text("one of the two is a replica");
    assert_eq!(database.tables().await, Vec::<String>::new());
}

/// A role that isn't the application's sees less of its sessions; so does an account without PROCESS.
#[tokio::test]
async fn who_may_see_little_takes_no_database_in_use_for_a_copy() {
    let server = Server::postgres15();
    let database = server.database().await;
    let migrator = database.url_as(&database.owner("first").await, "first");
    let application = database.connect().await;
    let project = Project::with(FILES);
    let output = estimate(&project, &migrator).run().await.expect(2);
    output.expect_text("may be production: somebody else is connected to it");
    drop(application);
    let database = Database::of(Kind::MariaDb).await;
    let migrator = database.url_as(&database.owner("first").await, "first");
    let output = estimate(&project, &migrator).run().await.expect(2);
    output.expect_text("lacks PROCESS");
    assert_eq!(database.tables().await, Vec::<String>::new());
}

/// On one server a migration may change what both have in common.
#[tokio::test]
async fn nothing_reaches_from_the_copy_into_production() {
    for (kind, text) in [
        (Kind::Postgres15, "CREATE ROLE lockkeeper_reach;\n".to_owned()),
        (Kind::MariaDb, "ALTER TABLE {}.t ADD COLUMN broken int;\n".to_owned()),
    ] {
        let server = Server::shared(kind);
        let (copy, production) = (server.database().await, server.database().await);
        production.execute("create table t (id int primary key)").await;
        let before = production.contents().await;
        let project = Project::with([("V1__reach.sql", text.replace("{}", production.name()))]);
        let output = estimate(&project, &copy.url).database(&production).run().await.expect(2);
        output.expect_text("reaches beyond its database");
        assert_eq!(production.contents().await, before);
    }
}

/// One that was migrated already says nothing of what production has before it.
#[tokio::test]
async fn a_copy_that_is_further_than_production_is_refused() {
    let server = Server::postgres15();
    let (copy, production) = (server.database().await, server.database().await);
    let project = Project::with(FILES);
    estimate(&project, &copy.url).database(&production).run().await.expect(0);
    let output = estimate(&project, &copy.url).database(&production).run().await.expect(2);
    output.expect_text("migration 1, step 1, is pending in production, and not on the copy");
}

/// A physical copy has the identifier of its origin, and the same name; but it is another database.
#[tokio::test]
async fn a_restored_snapshot_is_a_copy() {
    let production = Server::own(Kind::Postgres15);
    let database = production.database().await;
    let restored = production.standby("restored");
    let copy = restored.copy_of(&database);
    copy.wait_for("select pg_is_in_recovery()::int").await;
    copy.execute("select pg_promote()").await;
    let system = "select system_identifier::text from pg_control_system()";
    assert_eq!(copy.query_text(system).await, database.query_text(system).await);
    let project = Project::with(FILES);
    estimate(&project, &copy.url).database(&database).run().await.expect(0);
    assert!(copy.tables().await.contains(&"made".to_owned()));
    assert_eq!(database.tables().await, Vec::<String>::new());
}

/// Where nobody says which one is production, one that others use may be it.
#[tokio::test]
async fn a_database_in_use_may_be_production() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let database = Database::of(kind).await;
        let somebody = database.connect().await;
        let project = Project::with(FILES);
        let output = estimate(&project, &database.url).run().await.expect(2);
        output.expect_text("may be production: somebody else is connected to it");
        assert_eq!(database.tables().await, Vec::<String>::new());
        estimate(&project, &database.url).arg("--copy-in-use").run().await.expect(0);
        drop(somebody);
    }
}

#[tokio::test]
async fn a_copy_on_another_kind_of_database_is_none() {
    let (copy, production) = (Database::sqlite(), Database::of(Kind::Postgres15).await);
    let output = estimate(&Project::with(FILES), &copy.url).database(&production).run().await;
    output.expect(2).expect_text("the copy is on SQLite, and production on PostgreSQL");
}
