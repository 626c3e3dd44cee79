//! Clocks that jump: dates are for people, and whatever lasts is measured by another clock.

use std::process::Command;

use crate::support::{Database, Kind, Lockkeeper, Project};

const ONE: (&str, &str) = ("V1__one.sql", "create table one (id bigint not null primary key);\n");

fn command(words: &[&str], project: &Project, database: &Database) -> Lockkeeper {
    Lockkeeper::new(words).project(project).database(database)
}

/// A wall clock that is ten years ahead, ten years behind and right, in turns: a library that goes
/// before the system's.
const JUMPS: &str = r"
#define _GNU_SOURCE
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static atomic_uint reads;
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) {
        static const long years[] = {10, -10, 0};
        now->tv_sec += years[atomic_fetch_add(&reads, 1) % 3] * 31557600;
    }
    return failed;
}
";

/// During a run: nothing takes longer by it, nothing is given up, and nothing waits for years.
#[tokio::test]
async fn a_clock_that_jumps_during_the_run() {
    let fill = "-- lockkeeper: batch rows=50\nupdate one set n = n + 1;\n";
    let rows: Vec<_> = (1..=2_000).map(|id| format!("({id}, 0)")).collect();
    let make = format!(
        "create table one (id bigint not null primary key, n int);\ninsert into one values {};\n",
        rows.join(", ")
    );
    let project = Project::with([("V1__one.sql", &*make), ("V2__fill.sql", fill)]);
    let library = project.path().join("jumps.so");
    std::fs::write(project.path().join("jumps.c"), JUMPS).unwrap();
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", "jumps.so", "jumps.c"])
        .current_dir(project.path())
        .status()
        .expect("cc");
    assert!(compiler.success());
    for kind in [Kind::Sqlite, Kind::Postgres15, Kind::MariaDb] {
        let database = Database::of(kind).await;
        let up = command(&["up"], &project, &database).env("LD_PRELOAD", &library);
        let output = up.run().await.expect(0).expect_text("ready: the schema is at version 2");
        for years in [" d ", " h "] {
            assert!(!output.stderr.contains(years), "{}", output.stderr);
        }
        let longest = "select max(took_ms) from lockkeeper_step";
        let longest = database.query_i64(longest).await;
        assert!((0..60_000).contains(&longest), "{kind:?}: {longest}");
        assert_eq!(database.query_i64("select min(n) + max(n) from one").await, 2, "{kind:?}");
        // The clock did jump.
        let years = "select count(distinct substr(date, 1, 4)) from (\
                     select began_at as date from lockkeeper_step union all \
                     select started_at from lockkeeper_run union all \
                     select ended_at from lockkeeper_run) dates";
        assert!(database.query_i64(years).await > 1, "{kind:?}");
        up.run().await.expect(0).expect_text("nothing pending");
        let status = command(&["status", "--exit-code"], &project, &database);
        status.env("LD_PRELOAD", &library).run().await.expect(0).expect_text("applied");
    }
}

/// Dates of another clock, years ahead or behind, are told and mean nothing.
#[tokio::test]
async fn a_clock_that_jumped() {
    let database = Database::sqlite();
    let project = Project::with([ONE]);
    let up = command(&["up"], &project, &database);
    for date in ["2999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "yesterday", ""] {
        up.run().await.expect(0);
        database
            .execute(&format!("update refinery_schema_history set applied_on = '{date}'"))
            .await;
        database
            .execute(&format!("update lockkeeper_run set started_at = '{date}', ended_at = null"))
            .await;
        database.execute(&format!("update lockkeeper_step set began_at = '{date}'")).await;
        let status = command(&["status", "--exit-code"], &project, &database);
        status.run().await.expect(0).expect_text("applied");
        let version =
            2 + database.query_i64("select max(version) from refinery_schema_history").await;
        project.file(
            &format!("V{version}__more.sql"),
            "insert into one select 1 + count(*) from one;\n",
        );
    }
    up.run().await.expect(0);
    assert_eq!(database.query_i64("select count(*) from one").await, 4);
}

/// Whatever lasts is measured by the monotonic clock: the wall clock is read for dates that people
/// and the history get, in these places alone.
#[test]
fn the_wall_clock_is_for_dates_only() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let reads =
                ["SystemTime", "now_utc", "now_local"].iter().any(|word| text.contains(word));
            if reads && !path.ends_with("tests.rs") {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    // `status` has only the ledger's dates to tell a pace by.
    // Lambda says by the wall clock until when its function may work; a follower only stamps its lines.
    let known = [
        "checkpoint.rs",
        "cli.rs",
        "express.rs",
        "follower.rs",
        "history.rs",
        "lambda.rs",
        "moment.rs",
    ];
    found.retain(|file| !known.contains(&file.as_str()));
    assert_eq!(found, Vec::<String>::new(), "these read the wall clock: what for?");
}
