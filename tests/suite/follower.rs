//! Replicas that are asked themselves, on real servers: by users who may not see them otherwise, and
//! where the primary doesn't know how far they are.

use std::time::Duration;

use lockkeeper::db::{self, ConnectOptions};
use lockkeeper::throttle::{Limit, Limits, Line, Site, Work};

use crate::support::counters::{self, COUNT};
use crate::support::{Database, Kind, Lockkeeper, Options, Project, Running, Server, wait_until};

const ROWS: u64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(60);
const NOTICE: &str = "this server has replicas, whose lag isn't watched";

/// It has begun, or not, and isn't done.
async fn assert_held(database: &Database) {
    let passed = database.query_i64(counters::PASSED).await;
    assert!((0..ROWS as i64).contains(&passed), "{passed}");
}

/// It goes on, slowly at first. The rest is done without a look at the replica.
async fn goes_on(database: &Database, running: Running, rest: Lockkeeper) {
    let passed = async || database.query_i64(counters::PASSED).await;
    let before = passed().await;
    wait_until("it goes on", PATIENCE, async || passed().await > before).await;
    Lockkeeper::new(["abort"]).database(database).run().await.expect(0);
    let aborted = running.wait().await.expect(4);
    assert!(!aborted.text().contains("geheim"), "{}", aborted.text());
    let done = rest.args(["--max-lag", "off"]).run().await.expect(0);
    assert!(!done.text().contains(NOTICE), "{}", done.text());
}

/// How far this replica of the database is behind, or why that can't be said.
async fn lag(database: &Database, replica: &Database) -> Result<f64, String> {
    let replicas = vec![ConnectOptions::from_url(&replica.url).unwrap()];
    let limits = Limits { replicas, blocked: Some(Limit::Off), ..Limits::default() };
    let options = ConnectOptions::from_url(&database.url).unwrap();
    let home = db::connect(&options, PATIENCE, &mut |_, _| {}).await.unwrap();
    let mut signals =
        limits.signals(home.dialect(), &Site::of(Work { version: 2, step: 1, table: None }));
    let mut signal = signals.pop().unwrap().remove(0);
    let reading = signal.read(&mut Line::new(&home)).await;
    reading.map(|reading| reading.unwrap().value).map_err(|error| error.to_string())
}

fn place(database: &Database) -> String {
    format!("{} at 127.0.0.1:{}", database.name(), database.port())
}

async fn assert_counted(database: &Database, times: i64) {
    let counts = "select n, count(*) from t group by n order by n";
    let counts = database.query_rows(counts).await;
    assert_eq!(counts, [[Some(times.to_string()), Some(ROWS.to_string())]], "n, and how many rows");
}

/// A user without `pg_monitor`: first nobody watches, and that is told; then the replica is asked, which
/// stands still, and then isn't there.
#[tokio::test]
async fn a_standby_is_asked_by_who_may_not_see_it() {
    let options = Options { durable: false, ..Options::new(Kind::Postgres15) };
    let primary = Server::with(options);
    let standby = primary.standby("replica-1");
    let database = primary.database().await;
    counters::fill(&database, ROWS).await;
    let user = database.owner("geheim").await;
    database.execute(&format!("alter table t owner to {user}")).await;
    let copy = standby.copy_of(&database);
    let project = Project::with([("V1__count.sql", COUNT)]);
    let up = || Lockkeeper::new(["up"]).project(&project).url(&database.url_as(&user, "geheim"));
    let told = up().run().await.expect(0);
    assert_eq!(told.stderr.matches(NOTICE).count(), 1, "{}", told.stderr);
    told.expect_text("next: GRANT pg_monitor to it, or give --replica-url");

    copy.wait_for("select (count(*) = 0)::int from lockkeeper_range").await;
    copy.execute("select pg_wal_replay_pause()").await;
    project.file("V2__count.sql", COUNT);
    let url = copy.url_as(&user, "geheim");
    let running = up()
        .args(["--max-lag", "1s"])
        .env("LOCKKEEPER_REPLICA_URL", ["", &url, &url].join("\n"))
        .start();
    let place = place(&copy);
    running.line_with(&format!("s ≥ 1.0 s on {place} (`--max-lag off` leaves it out)")).await;
    assert_held(&database).await;
    standby.stop();
    let line = running.line_with(&format!("{place} can't be asked: no connection")).await;
    assert!(line.contains("replica-lag unknown for "), "{line}");
    assert_held(&database).await;
    // It isn't paused any more then.
    standby.start();
    goes_on(&database, running, up()).await;
    assert_counted(&database, 2).await;

    // What is no replica is told, not taken for one that is up to date.
    assert_eq!(lag(&database, &copy).await, Ok(0.0));
    let itself = format!("{} is no replica: it isn't in recovery", self::place(&database));
    assert_eq!(lag(&database, &database).await, Err(itself));
    let other = Database::of(Kind::Postgres15).await;
    let foreign = format!("{place} is no replica of this database: it has another server's log");
    assert_eq!(lag(&other, &copy).await, Err(foreign));
}

#[tokio::test]
async fn a_mariadb_replica_shows_the_checkpoint_of_the_backfill() {
    let primary = Server::mariadb_with_log();
    let replica = primary.replica().await;
    let database = primary.database().await;
    counters::fill(&database, ROWS).await;
    let copy = replica.copy_of(&database);
    let project = Project::with([("V1__count.sql", COUNT)]);
    let up = || Lockkeeper::up(&project, &database);
    let told = up().run().await.expect(0);
    assert_eq!(told.stderr.matches(NOTICE).count(), 1, "{}", told.stderr);
    copy.wait_for("select count(*) from refinery_schema_history").await;

    project.file("V2__count.sql", COUNT);
    copy.execute("stop slave sql_thread").await;
    let running = up().args(["--max-lag", "1s", "--replica-url", &copy.url]).start();
    let place = place(&copy);
    let nothing = format!("s ≥ 1.0 s on {place}, which has nothing of this run yet (");
    running.line_with(&nothing).await;
    assert_held(&database).await;
    copy.execute("start slave").await;
    copy.wait_for("select count(*) from lockkeeper_range where keys_done > 2000").await;
    copy.execute("stop slave sql_thread").await;
    running.line_with(&format!("s ≥ 1.0 s on {place} (`--max-lag off` leaves it out)")).await;
    assert_held(&database).await;
    copy.execute("start slave").await;
    goes_on(&database, running, up()).await;
    assert_counted(&database, 2).await;
    copy.wait_for("select count(*) = 2 from refinery_schema_history").await;
    assert_counted(&copy, 2).await;

    let itself =
        format!("{} is this database itself, and no replica of it", self::place(&database));
    assert_eq!(lag(&database, &database).await, Err(itself));
}
