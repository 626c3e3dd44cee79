//! `--make-copy`: made, measured on, and gone.

use crate::support::{Database, Kind, Lockkeeper, Output, Project, Server};

const FILES: [(&str, &str); 1] = [("V1__make.sql", "CREATE TABLE made (id int PRIMARY KEY);\n")];

async fn estimate(project: &Project, url: &str, more: &[&str]) -> Output {
    let command = Lockkeeper::new(["estimate", "--make-copy"]).args(more);
    command.project(project).url(url).run().await
}

/// The copies that are left on a server.
async fn left(server: &Server) -> Vec<String> {
    let copies = "select datname::text from pg_database where datname like 'lockkeeper\\_copy%'";
    server.admin().query_column(copies).await
}

#[tokio::test]
async fn postgresql_s_is_made_by_template_and_dropped() {
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    database.execute("create table t as select generate_series(1, 10)").await;
    let before = database.contents().await;
    let output = estimate(&Project::with(FILES), &database.url, &[]).await.expect(0);
    assert!(output.stdout.contains("1 make/1"), "{}", output.stdout);
    let wrong = Project::with([("V1__mistake.sql", "SELECT nothing FROM nowhere;\n")]);
    estimate(&wrong, &database.url, &[]).await.expect(1);
    assert_eq!(database.contents().await, before);
    assert_eq!(left(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn of_what_looks_like_production_only_when_told_twice() {
    let server = Server::own(Kind::Postgres15);
    let admin = server.admin();
    admin.execute("create database shop_prod").await;
    let named = format!("{}shop_prod", admin.url.strip_suffix("postgres").unwrap());
    let project = Project::with(FILES);
    let output = estimate(&project, &named, &[]).await.expect(2);
    output.expect_text("looks like production: shop_prod sounds like it");
    estimate(&project, &named, &["--on-production"]).await.expect(0);
    let database = server.database().await;
    let somebody = database.connect().await;
    let output = estimate(&project, &database.url, &[]).await.expect(2);
    output.expect_text("looks like production: somebody else is connected to it");
    // PostgreSQL itself makes no copy of a database in use.
    let output = estimate(&project, &database.url, &["--on-production"]).await.expect(1);
    output.expect_text("can't be copied: somebody is connected to it");
    drop(somebody);
    assert_eq!(left(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn sqlite_s_is_a_file_beside_it() {
    let database = Database::sqlite();
    database.execute("create table t (id integer primary key, name text)").await;
    database.execute("insert into t values (1, 'one')").await;
    let before = database.contents().await;
    estimate(&Project::with(FILES), &database.url, &[]).await.expect(0);
    assert_eq!(database.contents().await, before);
    let folder = std::fs::read_dir(database.path().parent().unwrap()).unwrap();
    let names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("copy")), "{names:?}");
}

/// What is said by the environment counts as what it says.
#[tokio::test]
async fn which_copy_has_to_be_said_once() {
    let (project, copy) = (Project::with(FILES), Database::sqlite());
    let command = |url: &str| {
        let command = Lockkeeper::new(["estimate"]).project(&project).url("sqlite:shop.db");
        match url {
            "" => command,
            url => command.env("LOCKKEEPER_COPY_URL", url),
        }
    };
    let off = |command: Lockkeeper| command.env("LOCKKEEPER_MAKE_COPY", "off");
    off(command("")).run().await.expect(2).expect_text("no copy is named");
    command(&copy.url).arg("--make-copy").run().await.expect(2).expect_text("another one is to be");
    off(command(&copy.url)).run().await.expect(0);
}

/// The signal comes while the migration is at work.
#[tokio::test]
async fn it_goes_with_an_interrupted_estimate() {
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    let project = Project::with([("V1__wait.sql", "SELECT pg_sleep(60);\n")]);
    let command = Lockkeeper::new(["estimate", "--make-copy"]).project(&project);
    let running = command.url(&database.url).start();
    running.line_with("1 wait script begins").await;
    assert_eq!(left(&server).await.len(), 1);
    running.signal(libc::SIGTERM);
    running.wait().await.expect(4);
    assert_eq!(left(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn mariadb_has_no_way_to() {
    let database = Database::of(Kind::MariaDb).await;
    let output = estimate(&Project::with(FILES), &database.url, &[]).await.expect(2);
    output.expect_text("have no way to copy a database on the same server");
}
