//! Missing rights: which one, and the statement that grants it, which works as it stands.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::suite::bad::{changes_nothing, contents, fails};
use crate::support::{Database, Kind, Lockkeeper, Output, Project};

const ONE: (&str, &str) = ("V1__one.sql", "create table one (id bigint not null primary key);\n");

/// A database that a user may connect to, and no more.
async fn stranger(kind: Kind) -> (Database, String, String) {
    let database = Database::of(kind).await;
    let user = database.stranger("pw").await;
    let url = database.url_as(&user, "pw");
    (database, user, url)
}

/// The statement that the error advises.
fn advised(output: &Output) -> String {
    let (_, after) =
        output.stderr.split_once("as an owner or administrator: `").expect("an advice");
    let line = after.lines().next().unwrap_or_default();
    line.strip_suffix('`').expect("one statement").to_owned()
}

/// PostgreSQL 15's schema `public`, and any MariaDB.
#[tokio::test]
async fn without_the_right_to_create() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let (database, user, url) = stranger(kind).await;
        let project = Project::with([ONE]);
        let up = Lockkeeper::new(["up"]).project(&project).url(&url);
        let texts: &[&str] = match kind {
            Kind::MariaDb => &["can't prepare lockkeeper's own tables: CREATE command denied"],
            _ => &["can't prepare lockkeeper's own tables: permission denied for schema public"],
        };
        let output = changes_nothing(&database, &up, 2, texts).await;
        let advice = advised(&output);
        assert!(advice.contains(&user) && advice.to_lowercase().contains("create"), "{advice}");
        // Looking needs no such right.
        for command in ["plan", "status"] {
            Lockkeeper::new([command]).project(&project).url(&url).run().await.expect(0);
        }
        database.execute(&advice).await;
        up.run().await.expect(0);
    }
}

/// Migration 2 lacks a right on the administrator's table `theirs`. Grants what is advised until
/// it works, which must be soon; returns the first error.
async fn granted(kind: Kind, two: &str) -> Output {
    let (database, user, url) = stranger(kind).await;
    database.execute("create table theirs (id bigint not null primary key, n int)").await;
    database.execute("insert into theirs values (1, 1)").await;
    let project = Project::with([ONE]);
    if kind.is_postgres() {
        database.execute(&format!("grant all on schema public to {user}")).await;
    } else {
        // The user's own tables, as far as MariaDB knows of such.
        Lockkeeper::up(&project, &database).run().await.expect(0);
        for table in database.tables().await.iter().filter(|table| *table != "theirs") {
            database.execute(&format!("grant all on {table} to {user}@'127.0.0.1'")).await;
        }
    }
    let up = Lockkeeper::new(["up"]).project(&project).url(&url);
    up.run().await.expect(0);
    project.file("V2__two.sql", two);
    let before = contents(&database).await;
    let texts = ["migration 2, step 1 of 1 failed: ", "V2__two.sql:", "theirs"];
    let first = fails(&up, 1, &texts).await;
    assert!(!first.stderr.contains("mend "), "the file is right:\n{}", first.stderr);
    assert_eq!(contents(&database).await, before);
    database.execute(&advised(&first)).await;
    for _ in 0..3 {
        let output = up.run().await;
        if output.code() == Some(0) {
            return first;
        }
        database.execute(&advised(&output)).await;
    }
    panic!("still not granted: {}", first.stderr);
}

#[tokio::test]
async fn without_the_right_to_change_rows() {
    let output = granted(Kind::Postgres15, "update theirs set n = 2;\n").await;
    let output = output.expect_text("permission denied for table theirs (42501)");
    output.expect_text("rolled back: step 1 as a whole").expect_text("V2__two.sql:1:1");
    let output = granted(Kind::MariaDb, "update theirs set n = 2;\n").await;
    output.expect_text("UPDATE command denied to user").expect_text("`GRANT UPDATE ON");
}

#[tokio::test]
async fn without_the_right_to_alter() {
    let alter = "alter table theirs add m int;\n";
    let output = granted(Kind::Postgres15, alter).await;
    output.expect_text("must be owner of table theirs").expect_text("`alter table theirs owner to");
    let output = granted(Kind::MariaDb, alter).await;
    output.expect_text("ALTER command denied to user").expect_text("`GRANT ALTER ON");
}

#[tokio::test]
async fn without_the_right_to_fill() {
    let fill = "-- lockkeeper: batch\nupdate theirs set n = 2;\n";
    let output = granted(Kind::Postgres15, fill).await;
    output.expect_text("permission denied for table theirs").expect_text("V2__two.sql:2:1");
}

/// MariaDB hides a table from a user without any right to it.
#[tokio::test]
async fn of_a_table_that_is_hidden() {
    let (database, user, url) = stranger(Kind::MariaDb).await;
    database.execute("create table theirs (id bigint not null primary key, n int)").await;
    let project = Project::with([ONE]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    for table in database.tables().await.iter().filter(|table| *table != "theirs") {
        database.execute(&format!("grant all on {table} to {user}@'127.0.0.1'")).await;
    }
    project.file("V2__fill.sql", "-- lockkeeper: batch\nupdate theirs set n = 2;\n");
    let up = Lockkeeper::new(["up"]).project(&project).url(&url);
    let texts =
        ["a table that the statement names does not exist", "V2__fill.sql:2:1", "right to it"];
    let before = contents(&database).await;
    fails(&up, 1, &texts).await;
    assert_eq!(contents(&database).await, before);
}

/// `lockkeeper up` for an SQLite file in this folder, by a user to whom its permissions apply even
/// when the tests are root.
fn confined(project: &Project, file: &Path, query: &str) -> Lockkeeper {
    let url = format!("sqlite://{}{query}", file.display());
    let lockkeeper = env!("CARGO_BIN_EXE_lockkeeper");
    let root = std::fs::metadata("/proc/self").unwrap();
    let command = if std::os::unix::fs::MetadataExt::uid(&root) == 0 {
        Lockkeeper::program("setpriv", ["--bounding-set=-all", "--inh-caps=-all", lockkeeper, "up"])
    } else {
        Lockkeeper::new(["up"])
    };
    command.project(project).url(&url)
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn to_write_sqlite_files() {
    let project = Project::with([ONE]);
    let folder = project.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("shop.db");

    permit(&folder, 0o555);
    let lock = format!("the lock file {}.lock: Permission denied", file.display());
    let write = "write to the folder of the database";
    fails(&confined(&project, &file, ""), 2, &[&lock, write]).await;
    assert!(!file.exists());

    permit(&folder, 0o755);
    confined(&project, &file, "").run().await.expect(0);
    let before = std::fs::read(&file).unwrap();
    project.file("V2__two.sql", "create table two (id bigint not null primary key);\n");

    // The lock file is there, and SQLite's journal can't be made.
    permit(&folder, 0o555);
    let texts = ["attempt to write a readonly database", "write to the file and to its folder"];
    fails(&confined(&project, &file, ""), 2, &texts).await;
    permit(&folder, 0o755);

    permit(&file, 0o444);
    fails(&confined(&project, &file, ""), 2, &texts).await;
    permit(&file, 0o000);
    let denied = format!("{}: Permission denied", file.display());
    fails(&confined(&project, &file, ""), 2, &[&denied, "who may read it"]).await;
    permit(&file, 0o644);

    fails(&confined(&project, &file, "?mode=ro"), 2, &["readonly", "leave out `mode=ro`"]).await;
    assert!(std::fs::read(&file).unwrap() == before, "the file has changed");
    confined(&project, &file, "").run().await.expect(0);
}

/// A replica, or a database that was made read-only.
#[tokio::test]
async fn to_write_at_all() {
    let database = Database::of(Kind::Postgres15).await;
    let name = database.name();
    database
        .execute(&format!("alter database {name} set default_transaction_read_only = on"))
        .await;
    let project = Project::with([ONE]);
    let texts = ["read-only transaction (25006)", "connect to the primary"];
    changes_nothing(&database, &Lockkeeper::up(&project, &database), 2, &texts).await;
}
