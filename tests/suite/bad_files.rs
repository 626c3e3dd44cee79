//! Folders and files that can't be taken for migrations.

use crate::suite::bad::{changes_nothing, contents, fails};
use crate::support::{Database, Kind, Lockkeeper, Project};

const TABLE: &str = "create table t (id integer primary key not null, n int);\n";

/// Every command that reads migrations refuses it alike, before anything is written.
async fn refused(project: &Project, texts: &[&str]) {
    let database = Database::sqlite();
    database.execute("create table theirs (id integer primary key, n int)").await;
    for words in [
        &["up"][..],
        &["plan"],
        &["status"],
        &["wait", "--timeout=1s"],
        &["resolve", "1", "--retry"],
    ] {
        let lockkeeper = Lockkeeper::new(words).project(project).database(&database);
        changes_nothing(&database, &lockkeeper, 2, texts).await;
    }
}

#[tokio::test]
async fn folders_that_hold_no_migrations() {
    let project = Project::new();
    refused(&project, &["there is no migration in migrations", "V1__create_users.sql"]).await;
    std::fs::write(project.migrations().join("README.md"), "only a word").unwrap();
    refused(&project, &["there is no migration in migrations"]).await;
    std::fs::remove_dir_all(project.migrations()).unwrap();
    let ways = ["there is no directory migrations", "--dir", "`lockkeeper new NAME`"];
    refused(&project, &ways).await;
    std::fs::write(project.migrations(), "a file").unwrap();
    refused(&project, &["migrations is not a directory", "--dir"]).await;
}

#[tokio::test]
async fn strangers_and_doubles() {
    let project = Project::with([("V1__create.sql", TABLE), ("notes.txt", "x")]);
    refused(&project, &["migrations/notes.txt is not a migration", "move it elsewhere"]).await;
    project.remove("notes.txt").file("deep/V1__again.sql", TABLE);
    let texts = [
        "version 1 is in two files: migrations/V1__create.sql and migrations/deep/V1__again.sql",
        "a version of its own",
    ];
    refused(&project, &texts).await;
    project.remove("deep/V1__again.sql").file("U1__again.sql", TABLE);
    refused(&project, &["version 1 is in two files", "U1__again.sql"]).await;
}

/// What refinery skips with a warning, fails at, or panics at.
#[tokio::test]
async fn names_that_are_none() {
    for (name, message, next) in [
        ("V2__add-foo.sql", "contains '-'", "rename it to `V2__add_foo.sql`"),
        ("V2.1__x.sql", "has a dot", "a whole number as version"),
        ("|2__x.sql", "begins with `|`", "rename it to `V2__x.sql`"),
        ("v2__x.sql", "begins with a lower-case letter", "rename it to `V2__x.sql`"),
        ("V2_x.sql", "has one underscore", "rename it to `V2__x.sql`"),
        ("V2__x.SQL", "ending of `V2__x.SQL` is not `.sql`", "rename it to `V2__x.sql`"),
        ("V2.sql", "has no name", "rename it to `V2__what_it_does.sql`"),
        ("V__x.sql", "has no version", "V1__create_users.sql"),
        ("more.sql", "doesn't begin with `V` or `U`", "V1__create_users.sql"),
        ("V99999999999999999999__x.sql", "is greater than 9223372036854775807", "smaller version"),
    ] {
        let project = Project::with([("V1__create.sql", TABLE), (name, "select 1;")]);
        refused(&project, &[message, name, "(in migrations)", next]).await;
    }
}

#[tokio::test]
async fn texts_that_are_none() {
    let cases: [(&[u8], &[&str]); 8] = [
        (b"", &["migrations/V1__a.sql has no statement", "write a statement, or delete the file"]),
        (b"\n-- later\n", &["migrations/V1__a.sql has no statement", "or delete the file"]),
        (b"/* a;\r\n-- b; */\r\n;\r\n", &["migrations/V1__a.sql has no statement"]),
        (b"\xef\xbb\xbf-- lockkeeper: phase=contract", &["V1__a.sql has no statement"]),
        (
            b"select 1;\n-- \xff\n",
            &["V1__a.sql:2:4", "is not UTF-8: bad byte in line 2", "as UTF-8"],
        ),
        (b"\xff\xfes\0e\0", &["V1__a.sql:1:1", "looks like UTF-16"]),
        (b"select 1;\nselect '\0';\n", &["V1__a.sql:2:9", "has a NUL byte in line 2", "delete it"]),
        (b"select 1;\nselect 'ab;\n", &["V1__a.sql:2:8", "a string is never closed", "close it"]),
    ];
    for (text, texts) in cases {
        refused(&Project::with([("V1__a.sql", text)]), texts).await;
    }
}

#[tokio::test]
async fn directives_that_are_none() {
    let update = "update t set n = 1;";
    for (directive, statement, texts) in [
        ("-- lockkeeper: bach", update, ["V2__a.sql:1:16", "unknown directive `bach`", "`batch`?"]),
        (
            "-- lockkeeper: shrink",
            update,
            ["V2__a.sql:1:16", "unknown directive `shrink`", "`phase=`"],
        ),
        ("-- lockeeper: batch", update, ["V2__a.sql:1:1", "doesn't begin a directive", "exactly"]),
        ("--lockkeeper batch", update, ["V2__a.sql:1:1", "doesn't begin a directive", "exactly"]),
        (
            "-- Lockkeeper: batch",
            update,
            ["V2__a.sql:1:1", "doesn't begin a directive", "`-- lockkeeper: `, in lower case"],
        ),
        (
            "-- lockkeeper batch",
            update,
            ["V2__a.sql:1:1", "doesn't begin a directive", "with the colon"],
        ),
        (
            "/* lockkeeper: batch */",
            update,
            [
                "V2__a.sql:1:4",
                "a directive stands in a block comment, where it has no effect",
                "write it as `-- lockkeeper: batch` on a line of its own",
            ],
        ),
        (
            "/*\n * lockkeeper: batch rows=5\n */",
            update,
            ["V2__a.sql:2:4", "in a block comment", "`-- lockkeeper: batch rows=5`"],
        ),
        (
            "update t set n = 2;\n-- lockkeeper: phase=contract",
            update,
            [
                "V2__a.sql:2:1",
                "`phase` is for the whole file, and stands behind its first statement",
                "to the top of the file, above the first statement",
            ],
        ),
        ("-- lockkeeper: batch row=5", update, ["V2__a.sql:1:22", "knows no `row`", "`rows`?"]),
        (
            "-- lockkeeper: batch rows=0",
            update,
            ["V2__a.sql:1:22", "must be at least 1", "rows=5000"],
        ),
        ("-- lockkeeper: batch rows=x", update, ["V2__a.sql:1:22", "a whole number", "rows=5000"]),
        ("-- lockkeeper: lock-timeout=2", update, ["V2__a.sql:1:16", "needs a unit", "`2s`"]),
        (
            "-- lockkeeper: phase=later",
            update,
            ["V2__a.sql:1:16", "`expand` or `contract`", "phase="],
        ),
        (
            "-- lockkeeper: batch",
            "create table u (id int);",
            ["V2__a.sql:2:1", "is no batchable statement", "the statement begins with CREATE"],
        ),
        (
            "-- lockkeeper: batch",
            "",
            ["V2__a.sql:1:1", "no statement follows `batch`", "delete it"],
        ),
        (
            "begin;",
            update,
            ["V2__a.sql:1:1", "lockkeeper makes the transactions", "delete the line"],
        ),
    ] {
        let text = format!("{directive}\n{statement}\n");
        refused(&Project::with([("V1__t.sql", TABLE), ("V2__a.sql", &text)]), &texts).await;
    }
}

/// What MySQL alone takes for a comment, and for none.
#[tokio::test]
async fn directives_in_the_comments_of_mysql() {
    let database = Database::of(Kind::MariaDb).await;
    for comment in ["# lockkeeper: batch", "--lockkeeper:batch", "--Lockkeeper: batch"] {
        let text = format!("{comment}\nupdate t set n = 1;\n");
        let project = Project::with([("V1__t.sql", TABLE), ("V2__a.sql", &text)]);
        let texts = ["V2__a.sql:1:1", "doesn't begin a directive", "exactly `-- lockkeeper: `"];
        for command in ["up", "plan"] {
            let lockkeeper = Lockkeeper::new([command]).project(&project).database(&database);
            changes_nothing(&database, &lockkeeper, 2, &texts).await;
        }
    }
}

/// A word about lockkeeper isn't one to it.
#[tokio::test]
async fn prose_about_directives() {
    let database = Database::sqlite();
    let text = "-- lockkeeper runs this before the rollout.\n\
                /* It could say `lockkeeper: batch`, but the table is small.\n   \
                   lockkeeper batches by the primary key. */\n\
                /*\n-- lockkeeper: batch\nupdate t set n = 2;\n*/\n\
                create table t (id integer primary key not null, n int); -- lockkeeper\n";
    let project = Project::with([("V1__t.sql", text)]);
    Lockkeeper::up(&project, &database).run().await.expect(0).expect_text("at version 1");
}

/// Refused before the migrations ahead of it are applied, where its table is there already.
#[tokio::test]
async fn a_batch_over_a_table_without_a_key() {
    for kind in [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb] {
        let database = Database::of(kind).await;
        database.execute("create table t (id int, n int)").await;
        let update = "\n-- lockkeeper: batch\nupdate t set n = 1;\n";
        let one = ("V1__one.sql", "create table one (id int);");
        let project = Project::with([one]);
        Lockkeeper::up(&project, &database).run().await.expect(0);
        project.file("V2__fill.sql", update);
        let texts = [
            "this UPDATE can't be split into batches: ",
            "has no primary key",
            "migrations/V2__fill.sql:2:1",
            "give the table a primary key",
            "`-- lockkeeper: batch off`",
        ];
        for command in ["up", "plan"] {
            let lockkeeper = Lockkeeper::new([command]).project(&project).database(&database);
            let output = changes_nothing(&database, &lockkeeper, 2, &texts).await;
            assert_eq!(output.stderr.matches("can't be split").count(), 1, "{}", output.stderr);
        }
    }
}

/// The table comes from an earlier step: what is done then is said, and stays.
#[tokio::test]
async fn a_batch_over_a_table_that_gets_no_key() {
    let database = Database::sqlite();
    let text = |batch| format!("create table t (id int);\ninsert into t values (1);\n{batch}");
    let project =
        Project::with([("V1__t.sql", text("-- lockkeeper: batch\nupdate t set id = 2;"))]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(2).expect_text("its step 1").expect_text("V1__t.sql:3:1");
    // Without the rest there is nothing left of it but its entry in the history.
    project.file("V1__t.sql", text(""));
    up.run().await.expect(0).expect_text("ready: the schema is at version 1");
    up.run().await.expect(0).expect_text("nothing pending: the schema is at version 1");
    assert_eq!(database.query_i64("select id from t").await, 1);
    assert_eq!(database.query_i64("select count(*) from refinery_schema_history").await, 1);
}

/// A checkout on another machine may change both; the migration is the same.
#[tokio::test]
async fn line_ends_and_bom_do_not_count() {
    for kind in [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb] {
        let database = Database::of(kind).await;
        let unix = "create table t (id bigint primary key, n int);\n\
                    insert into t values (1, 1);\n\
                    insert into t values (2, 2);\n\n\
                    -- lockkeeper: batch off\nupdate t\nset n = n + 1;\n";
        let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
        let project = Project::with([("V1__t.sql", &windows)]);
        let up = Lockkeeper::up(&project, &database);
        up.run().await.expect(0);
        assert_eq!(database.query_i64("select sum(n) from t").await, 5, "{kind:?}");
        for text in [unix, &unix.replace('\n', "\r\n"), &format!("\u{feff}{unix}")] {
            project.file("V1__t.sql", text);
            up.run().await.expect(0).expect_text("nothing pending");
            let status = Lockkeeper::new(["status"]).project(&project).database(&database);
            let status = status.run().await.expect(0).expect_text("applied");
            assert!(!status.stdout.contains("drift"), "{}", status.stdout);
        }
    }
}

/// A dump of fifty megabytes as a migration.
#[tokio::test]
async fn a_file_of_fifty_megabytes() {
    let database = Database::sqlite();
    let mut text = String::from("create table big (id integer primary key not null, s text);\n");
    for id in 0..50 {
        text.push_str(&format!("insert into big values ({id}, '{}');\n", "x".repeat(1_000_000)));
    }
    assert!(text.len() > 50_000_000);
    let project = Project::with([("V1__big.sql", &text)]);
    let output = Lockkeeper::up(&project, &database).run().await.expect(0);
    let output = output.expect_text("ready: the schema is at version 1");
    eprintln!("50 MB took {:?}", output.took);
    assert!(output.took.as_secs() < 60, "{:?}", output.took);
    assert_eq!(database.query_i64("select count(*) from big").await, 50);
}

/// A line of megabytes: the place is told, and a few words of it are shown.
#[tokio::test]
async fn a_mistake_in_a_very_long_line() {
    let database = Database::sqlite();
    let long = "x".repeat(3_000_000);
    let text = format!("select '{long}'; insert into nowhere values ('{long}');\n");
    let project = Project::with([("V1__t.sql", TABLE)]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(0);
    let before = contents(&database).await;
    project.file("V2__big.sql", &text);
    let texts = ["V2__big.sql:1:3000024", "no such table: nowhere", "rolled back: step 1"];
    let output = fails(&up, 1, &texts).await;
    assert!(output.text().len() < 3_000, "{}", output.text().len());
    assert_eq!(contents(&database).await, before);
}
