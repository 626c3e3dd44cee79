//! Files and history that contradict each other. A human has to look: exit code 5.

use crate::suite::bad::changes_nothing;
use crate::support::{Database, Kind, Lockkeeper, Output, Project};

const FIRST: &str = "create table t (id integer primary key not null);\n";

/// A project with versions 1 and 3 applied.
async fn applied() -> (Project, Database) {
    let database = Database::sqlite();
    let project =
        Project::with([("V1__first.sql", FIRST), ("V3__third.sql", "insert into t values (3);\n")]);
    Lockkeeper::up(&project, &database).run().await.expect(0);
    (project, database)
}

async fn refused(project: &Project, database: &Database, code: i32, texts: &[&str]) -> Output {
    let plan = Lockkeeper::new(["plan"]).project(project).database(database);
    changes_nothing(database, &plan, code, texts).await;
    changes_nothing(database, &Lockkeeper::up(project, database), code, texts).await
}

async fn status(project: &Project, database: &Database) -> String {
    let status = Lockkeeper::new(["status"]).project(project).database(database);
    status.run().await.expect(0).stdout
}

#[tokio::test]
async fn drift() {
    let (project, database) = applied().await;
    project.file("V1__first.sql", "create table t (id integer primary key not null, n int);\n");
    let texts = [
        "migration 1 was applied on 2",
        "migrations/V1__first.sql has changed since",
        "either: restore migrations/V1__first.sql",
        "a new migration (`lockkeeper new NAME`)",
    ];
    refused(&project, &database, 5, &texts).await;
    assert!(status(&project, &database).await.contains("drift: the file has changed since"));
    // Another name is drift as well, and the applied one is told.
    project.file("V1__first.sql", FIRST).remove("V3__third.sql");
    project.file("V3__thrid.sql", "insert into t values (3);\n");
    let texts = ["as \"third\"", "migrations/V3__thrid.sql has changed since"];
    refused(&project, &database, 5, &texts).await;
}

#[tokio::test]
async fn a_missing_file() {
    let (project, database) = applied().await;
    project.remove("V3__third.sql");
    let texts = [
        "migration 3 (third) is applied, but migrations has no file for it",
        "either: restore V3__third.sql",
        "older than the database",
    ];
    refused(&project, &database, 5, &texts).await;
    assert!(status(&project, &database).await.contains("missing"));
}

#[tokio::test]
async fn an_older_version_that_is_late() {
    let (project, database) = applied().await;
    project.file("V2__late.sql", "insert into t values (2);\n");
    let texts = [
        "migrations/V2__late.sql is new, but the later migration 3 is applied already",
        "give migrations/V2__late.sql a version above 3",
        "rename it to U2__late.sql",
    ];
    refused(&project, &database, 5, &texts).await;
    // Done as advised, it works.
    project.remove("V2__late.sql").file("U2__late.sql", "insert into t values (2);\n");
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from t").await, 2);
}

#[tokio::test]
async fn an_unknown_target() {
    let (project, database) = applied().await;
    project.file("V4__fourth.sql", "insert into t values (4);\n");
    for command in ["up", "plan"] {
        let lockkeeper =
            Lockkeeper::new([command, "--to", "7"]).project(&project).database(&database);
        let texts = ["there is no migration 7 in migrations", "`lockkeeper status` lists"];
        changes_nothing(&database, &lockkeeper, 2, &texts).await;
    }
    let wait = Lockkeeper::new(["wait", "--to", "7"]).project(&project).database(&database);
    changes_nothing(&database, &wait, 2, &["there is no migration 7"]).await;
}

/// The remedy is a statement that works as it stands.
#[tokio::test]
async fn a_version_beyond_32_bits_in_a_narrow_history() {
    for kind in [Kind::Postgres15, Kind::MariaDb, Kind::Sqlite] {
        let database = Database::of(kind).await;
        let project = Project::with([("V1__first.sql", "create table t (id bigint primary key);")]);
        let up = Lockkeeper::up(&project, &database);
        up.run().await.expect(0);
        project.file("V20261120094500__wide.sql", "insert into t values (1);");
        let texts = ["version 20261120094500 does not fit the column version of", "32 bits wide"];
        let output = refused(&project, &database, 2, &texts).await;
        let remedy = output.stderr.split("next:").nth(1).unwrap();
        // MySQL quotes names with the same character.
        let end = remedy.rfind("`, or give the file a smaller version").unwrap();
        database.execute(&remedy[remedy.find('`').unwrap() + 1..end]).await;
        up.run().await.expect(0).expect_text("ready: the schema is at version 20261120094500");
        up.run().await.expect(0).expect_text("nothing pending");
        let versions = "select version from refinery_schema_history order by version";
        assert_eq!(database.query_column(versions).await, ["1", "20261120094500"], "{kind:?}");
    }
}

/// A step that is done can't be changed any more; those behind it can.
#[tokio::test]
async fn an_edited_step_of_an_unfinished_migration() {
    let database = Database::sqlite();
    let text = |first: &str, second: &str| format!("{first}\npragma user_version = 7;\n{second}\n");
    let create = "create table t (id integer primary key not null);";
    let project = Project::with([("V1__t.sql", text(create, "insert into u values (1);"))]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(1).expect_text("its steps 1 to 2").expect_text("V1__t.sql:3:13");
    project.file("V1__t.sql", text("create table t (id integer);", "insert into t values (1);"));
    let texts = [
        "step 1 of migration 1 is done already, and was changed since",
        "V1__t.sql:1:1",
        "restore the step as it was run",
    ];
    refused(&project, &database, 5, &texts).await;
    project.file("V1__t.sql", text(create, "insert into t values (1);"));
    up.run().await.expect(0);
}

/// The statement that the error has for a way out, run as it is printed.
async fn obey(database: &Database, stderr: &str, way: &str) {
    let said = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = said.find(way).unwrap_or_else(|| panic!("no {way} in {said}"));
    let sql = said[from..].split('`').next().unwrap();
    database.execute(sql).await;
}

/// Where the done step itself was the mistake, nobody has to bring it back: it is accepted as it is
/// now, or done again.
#[tokio::test]
async fn a_done_step_that_was_wrong() {
    let text = |column: &str| {
        format!(
            "create table t (id integer primary key not null, {column} int);\npragma user_version = 7;\n\
             insert into t (id, name) values (1, 1);\n"
        )
    };
    for accept in [true, false] {
        let database = Database::sqlite();
        let project = Project::with([("V1__t.sql", text("nmae"))]);
        let up = Lockkeeper::up(&project, &database);
        up.run().await.expect(1).expect_text("no column named name");
        project.file("V1__t.sql", text("name"));
        let refusal = up.run().await.expect(5).stderr;
        if accept {
            database.execute("alter table t rename column nmae to name").await;
            obey(&database, &refusal, "UPDATE lockkeeper_step").await;
        } else {
            database.execute("drop table t").await;
            obey(&database, &refusal, "DELETE FROM lockkeeper_range").await;
        }
        up.run().await.expect(0);
        assert_eq!(database.query_i64("select name from t").await, 1);
        up.run().await.expect(0).expect_text("nothing pending");
    }
    // A file that has become shorter leaves nothing to accept, and neither does one in which the steps
    // have other numbers: the step that is accepted in another's place would leave that to be done twice.
    let database = Database::sqlite();
    let project = Project::with([("V1__t.sql", text("nmae"))]);
    let up = Lockkeeper::up(&project, &database);
    up.run().await.expect(1);
    project.file("V1__t.sql", "create table t (id integer primary key not null, nmae int);\n");
    let refusal = up.run().await.expect(5).stderr;
    assert!(refusal.contains("step 2 of migration 1 is done already"), "{refusal}");
    assert!(!refusal.contains("UPDATE") && refusal.contains("step >= 2"), "{refusal}");
    let steps: Vec<_> = text("nmae").split_inclusive(";\n").map(str::to_owned).collect();
    let [make, mark, enter] = [&steps[0], &steps[1], &steps[2]];
    let other = "create table u (id integer primary key not null);\n";
    for (file, step) in [
        // One is new before all, and between the two.
        (format!("{other}pragma user_version = 6;\n{make}{mark}{enter}"), 1),
        (format!("{make}pragma user_version = 6;\n{other}{mark}{enter}"), 2),
        // The first is gone, and the two have changed places.
        (format!("{mark}{enter}"), 1),
        (format!("{mark}{make}{enter}"), 1),
        // New and edited at once: the second, which is elsewhere now, tells.
        (format!("{other}pragma user_version = 6;\n{}", text("name")), 1),
        // The step behind the first is one with the last now, and of another kind.
        (format!("{make}{other}{enter}"), 2),
        // Two have become one, and steps of other kinds.
        (format!("pragma user_version = 6;\n{other}{enter}"), 1),
    ] {
        project.file("V1__t.sql", file.clone());
        let refusal = up.run().await.expect(5).stderr;
        assert!(refusal.contains(&format!("step {step} of migration 1")), "{file}: {refusal}");
        let delete = format!("step >= {step}");
        assert!(!refusal.contains("UPDATE") && refusal.contains(&delete), "{file}: {refusal}");
    }
    assert_eq!(database.query_i64("select count(*) from lockkeeper_step").await, 2);
}
