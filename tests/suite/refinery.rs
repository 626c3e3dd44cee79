//! Side by side with refinery itself: one history, in refinery's own table, that either goes on
//! with.

use refinery::{Migration, Report, Runner};
use tokio_postgres::NoTls;

use crate::support::{Database, Kind, Lockkeeper, Project};

const FILES: [(&str, &str); 4] = [
    ("V1__make_item.sql", "create table item (id bigint primary key, n int);\n"),
    (
        "V2__more.sql",
        "-- Two of them.\ninsert into item values (1, 1);\ninsert into item values (2, 2);\n",
    ),
    ("V3__fill.sql", "-- lockkeeper: batch\nupdate item set n = n + 1;\n"),
    ("V4__größe.sql", "alter table item add column größe int;\n"),
];

const KINDS: [Kind; 2] = [Kind::Postgres15, Kind::Postgres18];

fn project(files: usize) -> Project {
    Project::with(FILES[..files].iter().copied())
}

/// Refinery's own runner for a project's files.
fn runner(project: &Project) -> Runner {
    let migrations = refinery::load_sql_migrations(project.migrations()).expect("files");
    Runner::new(&migrations).set_abort_divergent(true).set_abort_missing(true)
}

async fn client(database: &Database) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(&database.url, NoTls).await.expect("a server");
    tokio::spawn(connection);
    client
}

/// `refinery migrate`, strict about what it finds.
async fn refinery(project: &Project, database: &Database) -> Report {
    runner(project).run_async(&mut client(database).await).await.expect("refinery goes on")
}

/// What refinery finds applied, as it compares it.
async fn found(project: &Project, database: &Database) -> Vec<Migration> {
    let mut client = client(database).await;
    runner(project).get_applied_migrations_async(&mut client).await.expect("refinery reads it")
}

fn told(migrations: &[Migration]) -> Vec<(i64, String, u64)> {
    let told = migrations.iter();
    told.map(|one| (i64::from(one.version()), one.name().to_owned(), one.checksum())).collect()
}

/// Refinery began, lockkeeper goes on, and refinery after it.
#[tokio::test]
async fn lockkeeper_goes_on_where_refinery_was() {
    for kind in KINDS {
        let database = Database::of(kind).await;
        let began = refinery(&project(2), &database).await;
        assert_eq!(began.applied_migrations().len(), 2, "{kind:?}");
        let third = project(3);
        let up = Lockkeeper::up(&third, &database).run().await.expect(0);
        assert!(up.stderr.contains("lock taken · 1 of 3 migrations pending"), "{}", up.stderr);
        assert_eq!(database.query_i64("select sum(n) from item").await, 5);
        let after = refinery(&project(4), &database).await;
        assert_eq!(
            told(after.applied_migrations()),
            told(&runner(&project(4)).get_migrations()[3..])
        );
        Lockkeeper::up(&project(4), &database).run().await.expect(0).expect_text("nothing pending");
    }
}

/// Lockkeeper did it all: refinery finds nothing to do, nothing that diverges, nothing missing.
#[tokio::test]
async fn refinery_goes_on_where_lockkeeper_was() {
    for kind in KINDS {
        let (database, project) = (Database::of(kind).await, project(4));
        Lockkeeper::up(&project, &database).run().await.expect(0);
        let report = refinery(&project, &database).await;
        assert_eq!(told(report.applied_migrations()), [], "{kind:?}");
        let found = found(&project, &database).await;
        assert_eq!(told(&found), told(runner(&project).get_migrations()), "{kind:?}");
        assert!(found.iter().all(|one| one.applied_on().is_some()));
        // Its columns are refinery's.
        let columns = "select string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position) \
                       from information_schema.columns where table_name = 'refinery_schema_history'";
        let expected = "version integer, name character varying, applied_on character varying, \
                        checksum character varying";
        assert_eq!(database.query_text(columns).await, expected);
    }
}

/// Refinery notices what lockkeeper applied and the folder has no longer, or has otherwise; and
/// the other way round.
#[tokio::test]
async fn both_notice_drift_and_loss() {
    let (database, project) = (Database::of(Kind::Postgres15).await, project(2));
    Lockkeeper::up(&project, &database).run().await.expect(0);
    project.file("V2__more.sql", "select 2;\n");
    let refused = runner(&project).run_async(&mut client(&database).await).await;
    assert!(refused.is_err(), "drift");
    Lockkeeper::up(&project, &database).run().await.expect(5).expect_text("has changed since");
    project.remove("V2__more.sql").file("V3__other.sql", "select 3;\n");
    let refused = runner(&project).run_async(&mut client(&database).await).await;
    assert!(refused.is_err(), "missing");
    Lockkeeper::up(&project, &database).run().await.expect(5).expect_text("has no file for it");
}

/// Another machine's checkout has other line ends, and perhaps a BOM. To refinery that is another
/// file; here it isn't.
#[tokio::test]
async fn line_ends_are_no_drift() {
    let unix = project(2);
    let windows = Project::with(
        FILES.map(|(name, text)| (name, format!("\u{feff}{}", text.replace('\n', "\r\n")))),
    );
    let database = Database::of(Kind::Postgres15).await;
    refinery(&unix, &database).await;
    let up = Lockkeeper::up(&windows, &database).run().await.expect(0);
    assert!(up.stderr.contains("lock taken · 2 of 4 migrations pending"), "{}", up.stderr);
    // What was entered here fits this checkout, as refinery would have entered it itself.
    let entered = told(&found(&windows, &database).await);
    assert_eq!(entered[2..], told(runner(&windows).get_migrations())[2..]);
    Lockkeeper::up(&project(4), &database).run().await.expect(0).expect_text("nothing pending");
}

/// Versions by date need more than the 32 bits that refinery has by default.
#[tokio::test]
async fn wide_versions_make_a_wide_table() {
    let width = "select data_type from information_schema.columns \
                 where table_name = 'refinery_schema_history' and column_name = 'version'";
    for kind in KINDS {
        let database = Database::of(kind).await;
        let project = Project::with([("V20261122010203__make.sql", FILES[0].1)]);
        Lockkeeper::up(&project, &database).run().await.expect(0);
        assert_eq!(database.query_text(width).await, "bigint", "{kind:?}");
        let version = "select version from refinery_schema_history";
        assert_eq!(database.query_i64(version).await, 20_261_122_010_203);
        Lockkeeper::up(&project, &database).run().await.expect(0).expect_text("nothing pending");
    }
    // A table that refinery made is narrow; widening it is for the user to say.
    let (database, project) = (Database::of(Kind::Postgres15).await, project(1));
    refinery(&project, &database).await;
    project.file("V20261122010203__more.sql", "select 1;\n");
    let before = database.contents().await;
    let narrow = Lockkeeper::up(&project, &database).run().await.expect(2);
    assert_eq!(database.contents().await, before);
    let remedy = narrow.stderr.split('`').find(|part| part.starts_with("alter table"));
    database.execute(remedy.unwrap_or_else(|| panic!("{}", narrow.stderr))).await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_eq!(database.query_text(width).await, "bigint");
}
