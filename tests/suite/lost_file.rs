//! A file that is gone although its migration stopped in the middle: what it has done is there, and
//! nothing else would ever finish it.

use crate::suite::bad::changes_nothing;
use crate::support::{Database, Kind, Lockkeeper, Project};

const KINDS: [Kind; 3] = [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb];
const ONE: (&str, &str) = (
    "V1__one.sql",
    "create table one (id bigint not null primary key, n bigint not null check (n < 100));\n\
     insert into one values (1, 0), (2, 0), (3, 0), (4, 0), (5, 99), (6, 0);\n",
);

/// Two steps that succeed before one that is given.
fn three_steps(last: &str) -> String {
    format!("alter table one add m bigint;\n-- lockkeeper: batch\nupdate one set m = 1;\n{last}\n")
}

fn command(words: &[&str], project: &Project, database: &Database) -> Lockkeeper {
    Lockkeeper::new(words).project(project).database(database)
}

async fn report(project: &Project, database: &Database) -> serde_json::Value {
    let output = command(&["status", "--json"], project, database).run().await.expect(0);
    serde_json::from_str(&output.stdout).unwrap()
}

/// Refused as a missing applied version is, by all that look at the whole folder, until the file is
/// back; what only asks for applied versions doesn't mind.
#[tokio::test]
async fn of_a_migration_with_steps_that_are_done() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let project = Project::with([ONE]);
        project.file("V2__two.sql", three_steps("insert into nowhere values (1);"));
        let up = command(&["up"], &project, &database);
        up.run().await.expect(1);
        let half = &report(&project, &database).await["migrations"][1];
        assert_eq!((&half["state"], &half["steps_done"]), (&"pending".into(), &2.into()), "{half}");
        assert_eq!(half["steps"].as_array().map(Vec::len), Some(3), "{half}");
        let status = command(&["status"], &project, &database);
        status.run().await.expect(0).expect_text("pending  2 of 3 steps done");

        project.remove("V2__two.sql");
        let texts = [
            "migration 2 is half applied (2 steps are done), but migrations has no file for it",
            "either: bring its file V2__",
            "run the release that has it",
            "`DELETE FROM lockkeeper_range WHERE version = 2; DELETE FROM lockkeeper_step WHERE",
        ];
        let plan = command(&["plan"], &project, &database);
        for refused in [&up, &plan, &up.clone().args(["--to", "1"])] {
            changes_nothing(&database, refused, 5, &texts).await;
        }
        let shown = status.clone().arg("--exit-code").run().await.expect(5);
        let shown = shown.expect_text("missing: half applied, but without a file  steps done: 2");
        shown.expect_text("`up` would refuse: migration 2 is half applied");
        let report = report(&project, &database).await;
        let lost = &report["migrations"][1];
        assert_eq!((&lost["version"], &lost["state"]), (&2.into(), &"missing".into()), "{lost}");
        assert_eq!((&lost["steps_done"], &lost["name"]), (&2.into(), &().into()), "{lost}");
        assert_eq!(report["ready"], false, "{report}");
        // The release before runs on what its successor has begun.
        command(&["wait", "--timeout", "1s"], &project, &database).run().await.expect(0);
        // Also where something else is pending.
        project.file("V3__three.sql", "create table three (id bigint not null primary key);\n");
        changes_nothing(&database, &up, 5, &texts).await;

        project.file("V2__two.sql", three_steps("insert into one values (7, 7, 7);"));
        up.run().await.expect(0).expect_text("version 3 · 2 migrations in");
        assert_eq!(database.query_i64("select sum(m) from one").await, 13, "{kind:?}");
        up.run().await.expect(0).expect_text("nothing pending");
    }
}

/// A backfill in the middle of its first step; and the way out for those who don't want it any more.
#[tokio::test]
async fn of_a_migration_whose_first_step_is_begun() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let project = Project::with([ONE]);
        project.file("V2__two.sql", "-- lockkeeper: batch rows=2\nupdate one set n = n + 1;\n");
        let up = command(&["up"], &project, &database);
        up.run().await.expect(1);
        project.remove("V2__two.sql");
        let texts =
            ["migration 2 is half applied (its first step is begun), but migrations has no"];
        changes_nothing(&database, &up, 5, &texts).await;

        database.execute("delete from lockkeeper_range where version = 2").await;
        database.execute("delete from lockkeeper_step where version = 2").await;
        up.run().await.expect(0).expect_text("nothing pending");
    }
}

/// Where all files are applied the ledger is asked one question, and needn't be there for it.
#[tokio::test]
async fn is_not_looked_for_in_a_ledger_that_is_not_there() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let project = Project::with([ONE]);
        let up = command(&["up"], &project, &database);
        up.run().await.expect(0);
        for table in ["control", "run", "step", "range"] {
            database.execute(&format!("drop table lockkeeper_{table}")).await;
        }
        up.run().await.expect(0).expect_text("nothing pending");
    }
}
