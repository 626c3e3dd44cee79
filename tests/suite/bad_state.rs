//! Tables of ours, or of our names, that are not as we left them; and a world that has changed.

use std::net::TcpListener;

use lockkeeper::db::Dialect;
use lockkeeper::ledger::VERSION;
use lockkeeper::migration::{FileName, Migration};

use crate::suite::bad::{changes_nothing, fails};
use crate::support::{Database, Kind, Lockkeeper, Project};

const KINDS: [Kind; 3] = [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb];
const ONE: (&str, &str) = ("V1__one.sql", "create table one (id bigint not null primary key);\n");

fn command(words: &[&str], project: &Project, database: &Database) -> Lockkeeper {
    Lockkeeper::new(words).project(project).database(database)
}

#[tokio::test]
async fn a_history_that_is_somebody_elses() {
    for kind in KINDS {
        for (columns, wrong) in [
            ("id int, what varchar(10)", "no usable column version"),
            (
                "version varchar(10), name varchar(10), applied_on varchar(10), checksum varchar(10)",
                "version",
            ),
            ("version int, name varchar(10), applied_on date, checksum varchar(10)", "applied_on"),
            ("version int, name varchar(10), applied_on varchar(10)", "no usable column checksum"),
        ] {
            let database = Database::of(kind).await;
            database.execute(&format!("create table refinery_schema_history ({columns})")).await;
            let project = Project::with([ONE]);
            let texts = [
                "is not a history of refinery's",
                wrong,
                "refinery_schema_history",
                "rename the other tool's",
            ];
            for words in ["up", "plan", "status"] {
                changes_nothing(&database, &command(&[words], &project, &database), 5, &texts)
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn a_history_that_is_damaged() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let table = "create table refinery_schema_history (version int, name varchar(255), \
                     applied_on varchar(255), checksum varchar(255))";
        database.execute(table).await;
        let project = Project::with([ONE]);
        for (rows, wrong) in [
            (
                "(1, 'one', '2026-01-01T00:00:00Z', 'abc')",
                "version 1 has a checksum that is no number",
            ),
            (
                "(1, 'one', '2026-01-01T00:00:00Z', '-5')",
                "version 1 has a checksum that is no number",
            ),
            ("(1, 'one', '2026-01-01T00:00:00Z', null)", "version 1 has no checksum"),
            ("(1, 'one', null, '12')", "version 1 has no date"),
            ("(1, null, '2026-01-01T00:00:00Z', '12')", "version 1 has no name"),
            ("(null, 'one', '2026-01-01T00:00:00Z', '12')", "version NULL is no version"),
            ("(1, 'one', 'x', '12'), (1, 'one', 'x', '12')", "version 1 stands in it twice"),
        ] {
            database.execute("delete from refinery_schema_history").await;
            database.execute(&format!("insert into refinery_schema_history values {rows}")).await;
            let texts = ["refinery_schema_history is damaged: ", wrong, "mend or delete that row"];
            for words in ["up", "plan"] {
                changes_nothing(&database, &command(&[words], &project, &database), 5, &texts)
                    .await;
            }
        }
    }
}

/// What a newer release wrote isn't guessed at: a matter of which program is used.
#[tokio::test]
async fn a_ledger_of_a_newer_lockkeeper() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let project = Project::with([ONE]);
        command(&["up"], &project, &database).run().await.expect(0);
        database.execute("update lockkeeper_control set ledger_version = 99").await;
        project.file("V2__two.sql", "create table two (id bigint not null primary key);\n");
        let texts =
            ["written by a newer lockkeeper: its version is 99", "use the newer lockkeeper"];
        let resolve = ["resolve", "2", "--retry"];
        for words in [&["up"][..], &["plan"], &["status"], &resolve] {
            changes_nothing(&database, &command(words, &project, &database), 2, &texts).await;
        }
    }
}

#[tokio::test]
async fn a_ledger_that_is_damaged() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let project = Project::with([ONE]);
        let up = command(&["up"], &project, &database);
        up.run().await.expect(0);
        project.file("V2__two.sql", "create table two (id bigint not null primary key);\n");
        let epoch = database.query_i64("select epoch from lockkeeper_control").await;

        let odd = "insert into lockkeeper_step (version, step, kind, checksum, state, run, began_at) \
                   values (2, 1, 'script', 'x', 'odd', 'r', 'x')";
        database.execute(odd).await;
        changes_nothing(&database, &up, 5, &["the ledger is damaged: a step is \"odd\"", "backup"])
            .await;
        database.execute("delete from lockkeeper_step where state = 'odd'").await;

        // The row with the epoch is gone: no earlier epoch may come again.
        database.execute("delete from lockkeeper_control").await;
        up.run().await.expect(0);
        let later = database.query_i64("select epoch from lockkeeper_control").await;
        assert!(later > epoch, "{kind:?}: {later} after {epoch}");

        project.file("V3__three.sql", "create table three (id bigint not null primary key);\n");
        database.execute("drop table lockkeeper_step").await;
        let texts = ["the ledger is damaged: ", "lockkeeper_step", "backup"];
        changes_nothing(&database, &up, 5, &texts).await;
        database.execute("drop table lockkeeper_control").await;
        database.execute("create table lockkeeper_control (id int, note varchar(10))").await;
        changes_nothing(&database, &up, 5, &["the ledger is damaged: ", "ledger_version"]).await;
    }
}

/// A table of fifty rows and a backfill of it that has got stuck at the twenty-fifth.
async fn stuck(kind: Kind) -> (Project, Database) {
    let database = Database::of(kind).await;
    database
        .execute(
            "create table t (id bigint not null primary key, rev bigint not null, \
             n bigint not null check (n < 100))",
        )
        .await;
    let rows: Vec<_> =
        (1..=50).map(|id| format!("({id}, {}, {})", 51 - id, 99 * i64::from(id == 25))).collect();
    database.execute(&format!("insert into t values {}", rows.join(", "))).await;
    let text = "-- lockkeeper: batch rows=10\nupdate t set n = n + 1;\n";
    let project = Project::with([("V1__fill.sql", text)]);
    command(&["up"], &project, &database).run().await.expect(1);
    let done = database.query_i64("select count(*) from t where n = 1").await;
    assert!((1..25).contains(&done), "{kind:?}: {done}");
    database.execute("update t set n = 0 where id = 25").await;
    (project, database)
}

/// A cursor means nothing along another key, whether or not that has as many columns.
#[tokio::test]
async fn a_checkpoint_of_another_key() {
    for kind in [Kind::Postgres15, Kind::MariaDb] {
        let (project, database) = stuck(kind).await;
        let drop = match kind {
            Kind::MariaDb => "alter table t drop primary key",
            _ => "alter table t drop constraint t_pkey",
        };
        let up = command(&["up"], &project, &database);
        for other in ["rev", "rev, id"] {
            database.execute(&format!("{drop}, add primary key ({other})")).await;
            let before = database.query_rows("select id, n from t order by id").await;
            let texts = [
                "step 1 of migration 1 is a backfill that is half done along the key",
                "V1__fill.sql:2",
                "give the table its former key back",
                "`lockkeeper resolve 1 --retry`",
            ];
            fails(&up, 5, &texts).await;
            let after = database.query_rows("select id, n from t order by id").await;
            assert_eq!(after, before, "{kind:?}");
        }
        database.execute(&format!("{drop}, add primary key (id)")).await;
        up.run().await.expect(0);
        assert_eq!(database.query_i64("select count(*) from t where n = 1").await, 50, "{kind:?}");
    }
}

/// Somebody "unlocks" by hand: what is half done is gone on with all the same.
#[tokio::test]
async fn a_control_row_that_is_gone() {
    for kind in KINDS {
        let (project, database) = stuck(kind).await;
        database.execute("delete from lockkeeper_control").await;
        command(&["up"], &project, &database).run().await.expect(0);
        assert_eq!(database.query_i64("select count(*) from t where n = 1").await, 50, "{kind:?}");
    }
}

/// The contract phase doesn't run ahead of an expand phase that failed or was forgotten.
#[tokio::test]
async fn a_contract_phase_that_comes_too_early() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let project = Project::with([
            ONE,
            ("V2__two.sql", "create table two (id bigint not null primary key);\n"),
            ("V3__drop.sql", "-- lockkeeper: phase=contract\ndrop table one;\n"),
        ]);
        let up = |more: &[&str]| command(&["up"], &project, &database).args(more);
        up(&["--to", "1"]).run().await.expect(0);
        let texts = ["V3__drop.sql waits for migration 2", "`lockkeeper up --phase expand`"];
        changes_nothing(&database, &up(&["--phase", "contract"]), 5, &texts).await;
        let plan = command(&["plan", "--phase", "contract"], &project, &database);
        changes_nothing(&database, &plan, 5, &texts).await;
        up(&["--phase", "expand"]).run().await.expect(0);
        up(&["--phase", "contract"]).run().await.expect(0);
    }
}

/// What a backfill needs may be made by a step before it: that isn't judged by the tables of now.
#[tokio::test]
async fn a_table_that_an_earlier_step_mends() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        database.execute("create table t (id bigint not null, n bigint)").await;
        database.execute("insert into t values (1, 0), (2, 0)").await;
        let key = match kind {
            Kind::Sqlite => {
                "create table u (id bigint not null primary key, n bigint);\n\
                 insert into u select * from t;\ndrop table t;\nalter table u rename to t;\n"
            }
            _ => "alter table t add primary key (id);\n",
        };
        let fill = "alter table t add column m bigint;\n\
                    -- lockkeeper: batch\nupdate t set m = 1 where t.m is null;\n";
        let project = Project::with([("V1__key.sql", key), ("V2__fill.sql", fill)]);
        command(&["plan"], &project, &database).run().await.expect(0).expect_text("backfill");
        command(&["up"], &project, &database).run().await.expect(0);
        assert_eq!(database.query_i64("select count(*) from t where m = 1").await, 2, "{kind:?}");

        // What the text alone shows is refused before anything is written.
        let never = "alter table t add column o bigint;\n\
                     -- lockkeeper: batch\nupdate t set o = 1 limit 5;\n";
        let never = if kind == Kind::MariaDb {
            never.to_owned()
        } else {
            never.replace("= 1 limit 5", "= my_function()")
        };
        project.file("V3__never.sql", never);
        changes_nothing(&database, &command(&["up"], &project, &database), 2, &["V3__never.sql:3"])
            .await;
    }
}

/// Version 1 of the ledger, in the middle of a backfill: upgraded in place, and gone on from there.
#[tokio::test]
async fn a_ledger_of_an_older_lockkeeper() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let text = "-- lockkeeper: batch rows=10\nupdate t set n = n + 1;\n";
        let (key, long, dialect) = match kind {
            Kind::MariaDb => (
                "varchar(64) character set utf8mb4 collate utf8mb4_bin",
                "longtext character set utf8mb4 collate utf8mb4_bin",
                Dialect::MYSQL,
            ),
            Kind::Sqlite => ("text", "text", Dialect::SQLITE),
            _ => ("varchar(64)", "text", Dialect::POSTGRES),
        };
        let file = FileName::parse("V1__fill.sql").unwrap();
        let migration =
            Migration::parse("V1__fill.sql".into(), file, text.into(), dialect).unwrap();
        let checksum = migration.checksum(&migration.steps[0]);
        let rows: Vec<_> = (1..=50).map(|id| format!("({id}, {})", i64::from(id <= 20))).collect();
        for sql in [
            "create table t (id bigint not null primary key, n int)".to_owned(),
            format!("insert into t values {}", rows.join(", ")),
            "create table lockkeeper_control (id int not null primary key, \
             ledger_version bigint not null, epoch bigint not null)"
                .to_owned(),
            format!(
                "create table lockkeeper_run (run {key} not null primary key, epoch bigint not null, \
                 host {long} not null, pid bigint not null, started_at {key} not null, \
                 ended_at {key}, outcome {key})"
            ),
            format!(
                "create table lockkeeper_step (version bigint not null, step int not null, \
                 kind {key} not null, checksum {key} not null, state {key} not null, \
                 run {key} not null, began_at {key} not null, primary key (version, step))"
            ),
            format!(
                "create table lockkeeper_range (version bigint not null, step int not null, \
                 number int not null, cursor_key {long} not null, through_key {long} not null, \
                 epoch bigint not null, keys_done bigint not null, keys_total bigint, \
                 primary key (version, step, number))"
            ),
            "insert into lockkeeper_control values (1, 1, 7)".to_owned(),
            "insert into lockkeeper_run values ('old', 7, 'old-host', 99, '2026-01-01T00:00:00Z', null, null)"
                .to_owned(),
            format!(
                "insert into lockkeeper_step values (1, 1, 'backfill', '{checksum}', 'running', \
                 'old', '2026-01-01T00:00:00Z')"
            ),
            "insert into lockkeeper_range values (1, 1, 1, '[\"20\"]', '[\"50\"]', 7, 20, 50)".to_owned(),
        ] {
            database.execute(&sql).await;
        }
        let project = Project::with([("V1__fill.sql", text)]);
        // To look at it changes nothing.
        let before = database.contents().await;
        let status = command(&["status"], &project, &database).run().await.expect(0);
        status.expect_text("40 %, up to 20").expect_text("begun 2026-01-01 00:00");
        command(&["plan"], &project, &database).run().await.expect(0).expect_text("goes on");
        assert_eq!(database.contents().await, before);

        command(&["up"], &project, &database).run().await.expect(0);
        assert_eq!(database.query_i64("select count(*) from t where n = 1").await, 50, "{kind:?}");
        let control =
            database.query_rows("select ledger_version, epoch from lockkeeper_control").await;
        assert_eq!(control, [[Some(VERSION.to_string()), Some("8".to_owned())]], "{kind:?}");
        let runs = "select host from lockkeeper_run where run = 'old' and epoch = 7";
        assert_eq!(database.query_text(runs).await, "old-host");
        let steps = database.query_rows("select state, began_at from lockkeeper_step").await;
        assert_eq!(steps, [[Some("done".to_owned()), Some("2026-01-01T00:00:00Z".to_owned())]]);
        assert!(database.query_i64("select took_ms from lockkeeper_step").await >= 0);
        command(&["up"], &project, &database).run().await.expect(0).expect_text("nothing pending");
    }
}

#[tokio::test]
async fn a_port_that_is_in_use() {
    let database = Database::sqlite();
    let project = Project::with([ONE]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (address, words) in [
        (address.as_str(), "in use"),
        ("203.0.113.1:9002", "Cannot assign"),
        ("no.such.invalid:9002", "failed to lookup address"),
    ] {
        let up = command(&["up", "--listen", address], &project, &database);
        let message = format!("can't listen on {address}: ");
        changes_nothing(&database, &up, 2, &[&message, words, "another address or port"]).await;
    }
}
