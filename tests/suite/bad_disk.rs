//! A disk that is full in the middle of a backfill: the run fails, the checkpoint holds, and with
//! room again the next run goes on.

use std::process::Command;

use crate::suite::bad::fails;
use crate::support::{Database, Kind, Lockkeeper, Options, Project, Server, account};

const FILL: &str = "-- lockkeeper: batch rows=500\nupdate t set n = n + 1;\n";

/// A limit on the size of its files stands in for the server's disk; PostgreSQL tells a write that
/// came out short as a full disk.
#[tokio::test]
async fn on_postgres() {
    let server = Server::own(Kind::Postgres15);
    let database = server.database().await;
    database.execute("create table t (id int primary key, n int not null, s text not null)").await;
    database
        .execute("insert into t select i, 0, repeat('x', 1000) from generate_series(1, 14000) i")
        .await;
    // More than a WAL segment's 16 MB, less than the table with its new rows; in the middle of a
    // page, so that a write does come out short.
    fills_up(&server, &database, FILL, ("17502208", "could not extend file")).await;
    assert_eq!(database.query_i64("select count(*) from t where n = 1").await, 14_000);
}

/// Runs `fill` into the limit on the server's files, and on without it.
async fn fills_up(server: &Server, database: &Database, fill: &str, (most, said): (&str, &str)) {
    let project = Project::with([("V1__fill.sql", fill)]);
    limit(server, most);
    let texts = [
        said,
        "V1__fill.sql:2:1",
        "rolled back: the open batch of step 1",
        "make room, then run the same command again",
    ];
    let output = fails(&Lockkeeper::up(&project, database), 1, &texts).await;
    assert!(output.took.as_secs() < 20, "{:?}", output.took);
    let done = database.query_i64("select count(*) from t where n = 1").await;
    let checkpoint = database.query_i64("select keys_done from lockkeeper_range").await;
    assert!(done > 0 && done < 14_000 && done == checkpoint, "{done} rows, {checkpoint} keys");
    limit(server, "unlimited");
    Lockkeeper::up(&project, database).run().await.expect(0);
}

/// InnoDB tells that it can't make the table's file larger. Its other files stay below the limit:
/// without its log it would end at once.
#[tokio::test]
async fn on_mariadb() {
    let settings = ["innodb-log-file-size=8M", "innodb-autoextend-increment=1"];
    let settings = settings.map(str::to_owned).to_vec();
    let server = Server::with(Options { settings, ..Options::new(Kind::MariaDb) });
    let database = server.database().await;
    database.execute("create table t (id int primary key, n int not null, s text not null)").await;
    database.execute("insert into t select seq, 0, repeat('x', 1000) from seq_1_to_14000").await;
    let fill = "-- lockkeeper: batch rows=500\nupdate t set s = concat(s, s, s), n = n + 1;\n";
    fills_up(&server, &database, fill, ("36700160", "The table 't' is full")).await;
    let right = "select count(*) from t where n = 1 and length(s) = 3000";
    assert_eq!(database.query_i64(right).await, 14_000);
}

/// For the processes that the server starts from now on.
fn limit(server: &Server, bytes: &str) {
    let pid = server.pid().expect("it runs").to_string();
    let command = ["prlimit", "--pid", &pid, &format!("--fsize={bytes}:")].map(str::to_owned);
    let command = account::command(&command);
    let status = Command::new(&command[0]).args(&command[1..]).status().expect("prlimit");
    assert!(status.success(), "prlimit failed");
}

/// A file system of a few megabytes, in a namespace of the script's own, which goes with it.
const SCRIPT: &str = r#"
set -eu
mkdir disk
mount -t tmpfs -o size=6m none disk || exit 77
cp seed.db disk/test.db
head -c 3000000 /dev/zero >disk/filler
code=0
"$LOCKKEEPER" up || code=$?
cp disk/test.db failed.db
[ ! -e disk/test.db-journal ] || cp disk/test.db-journal failed.db-journal
rm disk/filler
"$LOCKKEEPER" up
cp disk/test.db done.db
exit $code
"#;

/// Rows of which each batch makes the file larger.
async fn growing() -> (Project, Database) {
    let fill = "-- lockkeeper: batch rows=500\nupdate t set s = s || s, n = n + 1;\n";
    let seed = Database::sqlite();
    seed.execute(
        "create table t (id integer primary key not null, n int not null, s text not null)",
    )
    .await;
    seed.execute(
        "insert into t with recursive i(i) as (select 1 union all select i + 1 from i where i < 4000) \
         select i, 0, hex(zeroblob(200)) from i",
    )
    .await;
    (Project::with([("V1__fill.sql", fill)]), seed)
}

async fn assert_done(database: &Database, all: bool) {
    let done = database.query_i64("select count(*) from t where n = 1").await;
    assert_eq!(done == 4_000, all, "{done}");
    let wrong = "select count(*) from t where length(s) <> 400 * (n + 1)";
    assert_eq!(database.query_i64(wrong).await, 0);
    if !all {
        let checkpoint = database.query_i64("select keys_done from lockkeeper_range").await;
        assert!(done > 0 && done == checkpoint, "{done} rows, {checkpoint} keys");
    }
}

/// A limit on the size of its files, in the middle of a page.
#[tokio::test]
async fn on_sqlite() {
    let (project, database) = growing().await;
    // The signal that comes with it would end the process; the write then fails.
    let script = r#"trap "" XFSZ; exec prlimit --fsize=2600000 "$LOCKKEEPER" up"#;
    let limited = Lockkeeper::program("sh", ["-c", script])
        .project(&project)
        .database(&database)
        .env("LOCKKEEPER", env!("CARGO_BIN_EXE_lockkeeper"));
    let texts = [
        "disk I/O error (SQLite 778)",
        "V1__fill.sql:2:1",
        "rolled back: the open batch of step 1",
        "look whether the disk is full",
        "make room, then run the same command again",
    ];
    let output = fails(&limited, 1, &texts).await;
    assert!(output.took.as_secs() < 20, "{:?}", output.took);
    assert_done(&database, false).await;
    Lockkeeper::up(&project, &database).run().await.expect(0);
    assert_done(&database, true).await;
}

/// The same on a disk that is full indeed. Needs the right to mount, which root has and most
/// containers' root hasn't.
#[tokio::test]
async fn on_sqlite_where_one_may_mount() {
    let (project, seed) = growing().await;
    std::fs::copy(seed.path(), project.path().join("seed.db")).unwrap();
    let output = Lockkeeper::program("unshare", ["-m", "sh", "-c", SCRIPT])
        .project(&project)
        .env("LOCKKEEPER", env!("CARGO_BIN_EXE_lockkeeper"))
        .env("DATABASE_URL", "sqlite:disk/test.db")
        .run()
        .await;
    if output.code() == Some(77) || output.stderr.starts_with("unshare: ") {
        eprintln!("passed over: there is no right to mount here");
        return;
    }
    let output = output.expect(1).expect_text("database or disk is full");
    output
        .expect_text("make room, then run the same command again")
        .expect_text("V1__fill.sql:2:1");
    for (name, all) in [("failed.db", false), ("done.db", true)] {
        std::fs::copy(project.path().join(name), seed.path()).unwrap();
        assert_done(&seed, all).await;
    }
}
