//! What is particular about SQLite.

mod locked;

use std::path::Path;
use std::time::Duration;

use lockkeeper::db::{self, ConnectOptions, DbError, ErrorKind, Purpose, Statement, TableName};

use crate::support::{Database, Lockkeeper, Project, wait_until};

async fn open(url: &str) -> Result<std::sync::Arc<dyn db::Database>, DbError> {
    let options = ConnectOptions::from_url(url).unwrap();
    db::connect(&options, Duration::ZERO, &mut |_, _| {}).await
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `plan` and `status` write nothing; not even an empty file.
#[tokio::test]
async fn only_work_makes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    let database = open(&format!("sqlite://{}", path.display())).await.unwrap();
    assert!(database.description().starts_with("SQLite 3."));
    assert!(database.description().ends_with(&format!(" · {}", path.display())));
    let mut watch = database.session(Purpose::Watch).await.unwrap();
    let tables = Statement::new("select count(*) from sqlite_master", vec![]);
    assert_eq!(watch.query(&tables).await.unwrap()[0].int(0).unwrap(), 0);
    let none = TableName { schema: None, name: "t".to_owned() };
    assert_eq!(watch.table(&none).await.unwrap(), None);
    assert!(entries(folder.path()).is_empty());

    let mut work = database.session(Purpose::Work { run: "r".to_owned() }).await.unwrap();
    work.bare("create table t (id integer primary key)").await.unwrap();
    assert_eq!(entries(folder.path()), ["new.db"]);
    let again = open(&format!("sqlite://{}", path.display())).await.unwrap();
    assert!(again.description().ends_with(&format!(" · {}", path.display())), "it is old now");
    let mut watch = database.session(Purpose::Watch).await.unwrap();
    assert!(watch.table(&none).await.unwrap().is_some());
}

/// A name that was mistyped would else look like an empty database.
#[tokio::test]
async fn a_new_file_is_called_one() {
    let project = Project::with([("V1__t.sql", "create table t (id integer primary key);\n")]);
    let lockkeeper = |command| Lockkeeper::new([command]).project(&project).url("sqlite:typo.db");
    let said = "typo.db does not exist yet: `up` would make it";
    for command in ["plan", "status"] {
        lockkeeper(command).run().await.expect(0).expect_text(said);
    }
    let resolve = lockkeeper("resolve").args(["1", "--retry"]);
    resolve.run().await.expect(2).expect_text(said).expect_text("outcome is unknown");
    assert_eq!(entries(project.path()), ["migrations"]);
    lockkeeper("up").run().await.expect(0).expect_text(" · the file is new\n");
    let output = lockkeeper("plan").run().await.expect(0);
    assert_eq!(output.stderr, "");
}

/// What no run would make, no command promises: a file in a folder that isn't there, or one that has
/// to be there already.
#[tokio::test]
async fn what_is_not_made_is_an_error_to_every_command() {
    let project = Project::with([("V1__t.sql", "create table t (id integer primary key);\n")]);
    for (url, text) in [
        ("sqlite:no/such.db", "there is no folder no for the database no/such.db"),
        ("sqlite:missing.db?mode=rw", "missing.db: No such file"),
        ("sqlite:missing.db?mode=ro", "missing.db: No such file"),
    ] {
        for words in [&["plan"][..], &["status"], &["up"], &["resolve", "1", "--retry"]] {
            let output = Lockkeeper::new(words).project(&project).url(url).run().await;
            let stderr = output.expect(2).expect_text(text).stderr;
            assert!(!stderr.contains("would make"), "{words:?} {url}: {stderr}");
        }
    }
    assert_eq!(entries(project.path()), ["migrations"]);
}

/// `wait` waits for a file as for a server, also where it may not make one itself; not for what is
/// something else.
#[tokio::test]
async fn a_file_that_is_not_there_yet_is_waited_for() {
    let project = Project::with([("V1__t.sql", "create table t (id integer primary key);\n")]);
    let wait = |url: &str| Lockkeeper::new(["wait"]).project(&project).url(url);
    for mode in ["ro", "rw"] {
        let missing = wait(&format!("sqlite:no.db?mode={mode}")).args(["--timeout", "100ms"]);
        let output = missing.run().await.expect(1);
        output.expect_text(
            "not ready after 100ms: the database is not reachable yet: no.db: No such",
        );
    }
    let waiting = wait("sqlite:yet.db?mode=ro").start();
    waiting.line_with("waiting: the database is not reachable yet: yet.db: No such file").await;
    Lockkeeper::new(["up"]).project(&project).url("sqlite:yet.db").run().await.expect(0);
    waiting.wait().await.expect(0);
    let text = "this is no database, and it is longer than the head of one\n".repeat(9);
    std::fs::write(project.path().join("text.db"), text).unwrap();
    wait("sqlite:text.db?mode=ro").run().await.expect(2).expect_text("not a database");
}

/// A link to nowhere isn't promised to become a file: where it leads, there may be no folder either.
#[tokio::test]
async fn a_link_to_nowhere_is_no_new_file() {
    let project = Project::with([("V1__t.sql", "create table t (id integer primary key);\n")]);
    std::os::unix::fs::symlink("no/such.db", project.path().join("link.db")).unwrap();
    for words in [&["plan"][..], &["status"], &["resolve", "1", "--retry"]] {
        let output = Lockkeeper::new(words).project(&project).url("sqlite:link.db").run().await;
        assert!(!output.stderr.contains("would make"), "{words:?}: {}", output.stderr);
    }
    assert_eq!(entries(project.path()), ["link.db", "migrations"]);
}

/// The name of the database is that of its file, also in the run that makes it.
#[tokio::test]
async fn a_new_file_has_no_other_name() {
    let project = Project::with([("V1__t.sql", "create table t (id integer primary key);\n")]);
    let up = Lockkeeper::new(["up", "--log-format", "json"]).project(&project).url("sqlite:a.db");
    let stderr = up.run().await.expect(0).stderr;
    let opening: serde_json::Value = serde_json::from_str(stderr.lines().next().unwrap()).unwrap();
    assert!(opening["database"].as_str().unwrap().ends_with(" · a.db"), "{opening}");
    assert_eq!(opening["new_file"], true);
    project.file("V2__u.sql", "create table u (id integer primary key);\n");
    let stderr = up.run().await.expect(0).stderr;
    let opening: serde_json::Value = serde_json::from_str(stderr.lines().next().unwrap()).unwrap();
    assert_eq!((&opening["event"], opening.get("new_file")), (&"opening".into(), None));
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("text.db"), "this is no database, whatever its name may say").unwrap();
    for (url, kind, word) in [
        (format!("sqlite://{}", file("")), ErrorKind::NoDatabase, "folder"),
        (format!("sqlite://{}", file("no/such.db")), ErrorKind::NoDatabase, "no folder"),
        (format!("sqlite://{}", file("text.db")), ErrorKind::NoDatabase, "not a database"),
    ] {
        let Err(error) = open(&url).await else { panic!("{url} opens") };
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(word), "{error}");
        assert!(error.hint.is_some(), "{error}");
    }
    assert_eq!(entries(folder.path()), ["text.db"]);
}

#[tokio::test]
async fn the_mode_in_the_url_is_honoured() {
    let home = Database::sqlite();
    home.execute("create table t (id integer primary key)").await;
    let reader = open(&format!("{}?mode=ro", home.url)).await.unwrap();
    let mut session = reader.session(Purpose::Work { run: "r".to_owned() }).await.unwrap();
    let write = [Statement::new("insert into t values (1)", vec![])];
    assert_eq!(session.transact(&write).await.unwrap_err().kind, ErrorKind::ReadOnly);

    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite://{}/x.db?mode=rw", folder.path().display());
    let Err(error) = open(&missing).await else { panic!("it opens") };
    assert_eq!(error.kind, ErrorKind::NoDatabase);
}

/// Another process holds the lock, by another path to the same file, and is killed.
#[tokio::test]
async fn the_lock_is_the_operating_systems() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("real.db");
    std::fs::write(&path, "").unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let real = open(&format!("sqlite://{}", path.display())).await.unwrap();
    let linked = open(&format!("sqlite://{}", link.display())).await.unwrap();
    let (mut one, mut other) = (real.locker().await.unwrap(), linked.locker().await.unwrap());
    assert!(one.try_lock().await.unwrap());
    assert!(!other.try_lock().await.unwrap());
    assert!(one.unlock().await.unwrap());

    let mut holder = std::process::Command::new("flock")
        .arg("--no-fork")
        .arg(folder.path().join("real.db.lock"))
        .args(["sleep", "60"])
        .spawn()
        .unwrap();
    let patience = Duration::from_secs(10);
    wait_until("it holds the lock", patience, async || {
        let got = one.try_lock().await.unwrap();
        if got {
            one.unlock().await.unwrap();
        }
        !got
    })
    .await;
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(other.try_lock().await.unwrap());
    assert_eq!(entries(folder.path()), ["link.db", "real.db", "real.db.lock"]);
}

#[tokio::test]
async fn facts_that_only_sqlite_has() {
    let home = Database::sqlite();
    for sql in [
        "create table a (id integer primary key, x text unique, y text collate nocase)",
        "create unique index a_y on a (y collate binary)",
        "create unique index a_part on a (x, id) where x is not null",
        "create unique index a_expr on a (lower(x))",
        "create table b (k text primary key, v text)",
        "create table c (k text primary key, v text) without rowid",
        "create table d (k text primary key) strict",
        "create table e (k text not null collate nocase primary key)",
        "create virtual table f using fts5(words)",
        "insert into a (id, x, y) values (5, 'x', 'y'), (1000000, 'z', 'z')",
    ] {
        home.execute(sql).await;
    }
    let mut session = open(&home.url).await.unwrap().session(Purpose::Watch).await.unwrap();
    let mut table = async |name: &str| {
        session.table(&TableName { schema: None, name: name.to_owned() }).await.unwrap().unwrap()
    };
    let a = table("A").await;
    assert_eq!(a.name.name, "a");
    let keys: Vec<_> = a.unique.iter().map(|key| (key.columns.join(","), key.primary)).collect();
    // a_y takes 'a' and 'A' for two values, where comparisons take them for one.
    assert_eq!(keys, [("id".to_owned(), true), ("x".to_owned(), false)]);
    assert!(!a.column("id").unwrap().nullable, "the row's own number");
    assert_eq!(a.estimated_rows, Some(999_996), "the span of the numbers");
    assert!(table("b").await.column("k").unwrap().nullable, "an old mistake that SQLite keeps");
    assert!(!table("c").await.column("k").unwrap().nullable);
    assert!(!table("d").await.column("k").unwrap().nullable);
    let e = table("e").await;
    assert_eq!(e.primary_key(), Some(&["k".to_owned()][..]));
    assert_eq!(e.estimated_rows, Some(0));
    assert_eq!(table("f").await.kind, lockkeeper::db::TableKind::Other);
}

/// DDL changes no rows, though SQLite repeats the count of the statement before.
#[tokio::test]
async fn scripts_count_the_rows_that_they_change() {
    let home = Database::sqlite();
    let mut session = open(&home.url).await.unwrap().session(Purpose::Watch).await.unwrap();
    let counts = session
        .transact(&[
            Statement::script("create table t (n int); insert into t values (1), (2), (3)"),
            Statement::script("create table u (n int); create index i on t (n)"),
            Statement::script("update t set n = 0 where n > 1; delete from t where n = 1"),
        ])
        .await
        .unwrap();
    assert_eq!(counts, [3, 0, 3]);
}
