//! The folders of `migrations-example/`, as README runs them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Database, Kind, Lockkeeper, Project, Running, long, process, wait_until};

/// The example, but with a hundredth of its rows: servers that are made to be durable need half a
/// minute for all of them.
fn small(kind: Kind) -> Project {
    let project = Project::new();
    for entry in std::fs::read_dir(folder(kind)).expect("the example") {
        let path = entry.expect("an entry").path();
        let mut text = std::fs::read_to_string(&path).expect("a file");
        if path.ends_with("V2__fill_tables.sql") {
            for part in [" + 10000 * e.n + 100000 * f.n", ", digit e, digit f"] {
                assert_eq!(text.matches(part).count(), 1, "{part:?} in {text}");
                text = text.replace(part, "");
            }
        }
        project.file(&path.file_name().expect("a name").to_string_lossy(), text);
    }
    project
}

fn folder(kind: Kind) -> PathBuf {
    let name = match kind {
        Kind::Sqlite => "sqlite",
        Kind::MariaDb => "mysql",
        Kind::Postgres15 | Kind::Postgres18 => "postgres",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations-example").join(name)
}

/// Every row is filled, and the column demands a value from now on.
async fn runs(kind: Kind) {
    // SQLite is what README begins with, so it is always run as it stands.
    if kind == Kind::Sqlite || long() {
        runs_in(kind, &folder(kind), "1 000 000").await;
    } else {
        let project = small(kind);
        runs_in(kind, &project.migrations(), "10 000").await;
    }
}

async fn runs_in(kind: Kind, folder: &Path, rows: &str) {
    let database = Database::of(kind).await;
    let up = Lockkeeper::new(["up", "--dir"]).arg(folder).database(&database);
    let running = up.start();
    let peak = peak(&running).await;
    let output = running.wait().await.expect(0);
    let changed = format!("{rows} rows changed");
    assert!(output.stderr.contains(&changed), "{}", output.stderr);
    assert!(output.stderr.contains("ready: the schema is at version 4"), "{}", output.stderr);
    let wrong = "select count(*) from some_table where new_column is null or new_column <> 7 * id";
    assert_eq!(database.query_i64(wrong).await, 0);
    let count = database.query_i64("select count(*) from some_table").await;
    assert_eq!(count, rows.replace(' ', "").parse::<i64>().expect("a number"));
    let null = "insert into some_table (id, name) values (0, 'without')";
    assert!(database.try_execute(null).await.is_err(), "{kind:?} takes NULL");
    let again = up.run().await.expect(0);
    assert_eq!(again.stderr.lines().count(), 1, "{}", again.stderr);
    assert!(again.stderr.contains("nothing pending: the schema is at version 4"));
    assert!(again.took < Duration::from_secs(2), "{:?}", again.took);
    // SQLite works inside the process, with a page cache of its own; and this build is for debugging.
    let most = if kind == Kind::Sqlite { 64 } else { 48 };
    assert!(peak < most * 1024, "{kind:?}: {peak} KiB at its peak");
}

/// The most memory that the process had, in KiB, as seen until its end.
async fn peak(running: &Running) -> u64 {
    let status = format!("/proc/{}/status", running.pid());
    let mut peak = 0;
    wait_until("its end", Duration::from_secs(300), async || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = seen.unwrap_or(0).max(peak);
        tokio::time::sleep(Duration::from_millis(20)).await;
        !process::runs(running.pid())
    })
    .await;
    peak
}

#[tokio::test]
async fn the_example_runs_on_sqlite() {
    runs(Kind::Sqlite).await;
}

#[tokio::test]
async fn the_example_runs_on_postgres() {
    runs(Kind::Postgres15).await;
    runs(Kind::Postgres18).await;
}

#[tokio::test]
async fn the_example_runs_on_mariadb() {
    runs(Kind::MariaDb).await;
}
