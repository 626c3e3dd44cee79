//! A real streaming replica that stands still, or can't keep up: the backfill heeds it.

use std::time::{Duration, Instant};

use crate::support::counters::{self, COUNT};
use crate::support::{
    Brake, Database, Kind, Lockkeeper, Options, Project, Server, long, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A primary with a replica.
struct Scene {
    // In this order: the replica goes first.
    copy: Database,
    database: Database,
    standby: Server,
    _primary: Server,
    project: Project,
}

impl Scene {
    async fn new(rows: u64) -> Scene {
        // What the server writes for itself would be the replica's load, too, and the greater part.
        let settings = ["autovacuum=off", "checkpoint_timeout=1h", "max_wal_size=64GB"];
        let settings = settings.map(str::to_owned).to_vec();
        let options = Options { durable: false, settings, ..Options::new(Kind::Postgres15) };
        let primary = Server::with(options);
        let standby = primary.standby("replica-1");
        let database = primary.database().await;
        counters::fill(&database, rows).await;
        database.execute("vacuum freeze t").await;
        database.execute("checkpoint").await;
        let copy = standby.copy_of(&database);
        let scene = Scene {
            copy,
            database,
            standby,
            _primary: primary,
            project: Project::with([("V1__count.sql", COUNT)]),
        };
        scene.catch_up().await;
        scene
    }

    fn up(&self) -> Lockkeeper {
        Lockkeeper::up(&self.project, &self.database)
    }

    async fn ask(&self, words: &[&str]) {
        Lockkeeper::new(words).database(&self.database).run().await.expect(0);
    }

    /// Waits until the replica has all that there is.
    async fn catch_up(&self) {
        let behind = "select (pg_wal_lsn_diff(pg_current_wal_insert_lsn(), replay_lsn) <= 0)::int \
                      from pg_stat_replication where state = 'streaming'";
        self.database.wait_for(behind).await;
    }
}

#[tokio::test]
async fn a_replica_that_stands_still_holds_the_backfill() {
    let rows = 600_000;
    let scene = Scene::new(rows).await;
    let running = scene.up().args(["--max-lag", "1s"]).start();
    counters::passed(&scene.database, 1_000).await;
    scene.copy.execute("select pg_wal_replay_pause()").await;
    let line = running.line_with("replica-lag ").await;
    assert!(line.contains(" on replica-1"), "{line}");
    let held = "s ≥ 1.0 s on replica-1";
    let is_held = async || {
        let status = scene.database.query_i64(counters::PASSED).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.database.query_i64(counters::PASSED).await == status
    };
    wait_until("it holds", PATIENCE, is_held).await;

    // The operator is heard while it holds.
    scene.ask(&["pause"]).await;
    let asked = Instant::now();
    running.line_with("paused by ").await;
    let met = "select count(*) from lockkeeper_request where met_epoch is not null";
    scene.database.wait_for(met).await;
    // On a machine that has nothing else to do; beside all other tests it may take longer.
    let limit = Duration::from_secs(if long() { 1 } else { 10 });
    assert!(asked.elapsed() < limit, "{:?}", asked.elapsed());
    scene.ask(&["resume"]).await;
    running.line_with(held).await;
    let before = scene.database.query_i64(counters::PASSED).await;
    assert!((before as u64) < rows, "it did all of it");

    scene.copy.execute("select pg_wal_replay_resume()").await;
    running.wait().await.expect(0);
    counters::assert_once(&scene.database, rows).await;
}

/// What the replica shows, compared with the clock, while a run works.
struct Lags {
    rows_per_second: f64,
    seconds: Vec<f64>,
}

impl Lags {
    fn share_over(&self, limit: f64) -> f64 {
        let over = self.seconds.iter().filter(|lag| **lag > limit).count();
        over as f64 / self.seconds.len().max(1) as f64
    }

    fn worst(&self) -> f64 {
        self.seconds.iter().copied().fold(0.0, f64::max)
    }

    /// The short form shares its two cores with all other tests, and so does the replica; and of its few
    /// seconds the greater part is the begin, in which the pace is looked for.
    fn keeps(&self) -> bool {
        let (share, worst) = if long() { (0.01, 2.0) } else { (0.2, 3.0) };
        self.share_over(1.0) <= share && self.worst() <= worst
    }
}

const BEAT: &str = "create table if not exists beat (at timestamptz); truncate beat; \
                    insert into beat values (clock_timestamp())";

/// Runs for so long with a braked replica, and looks twenty times a second how old the newest beat
/// is that the replica shows.
async fn measure(scene: &Scene, arguments: &[&str], share: f64, lasting: Duration) -> Lags {
    scene.database.execute(BEAT).await;
    scene.catch_up().await;
    let brake = Brake::on(&scene.standby, share);
    let passed = async || scene.database.try_passed().await;
    let from = passed().await;
    let running = scene.up().args(arguments).start();
    let (mut primary, mut replica) = (scene.database.connect().await, scene.copy.connect().await);
    let mut seconds = Vec::new();
    let age = "select (extract(epoch from clock_timestamp() - at) * 1000)::bigint from beat";
    let began = Instant::now();
    while began.elapsed() < lasting && running.runs() {
        primary.execute("update beat set at = clock_timestamp()").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        seconds.push(replica.query_i64(age).await as f64 / 1000.0);
    }
    let shown: Vec<_> = seconds.chunks(5).map(|lags| format!("{:.2}", lags[0])).collect();
    println!("a lag each quarter of a second: {}", shown.join(" "));
    let done = passed().await - from;
    let took = began.elapsed();
    scene.ask(&["abort"]).await;
    println!("{}", running.wait().await.expect(4).stderr);
    drop(brake);
    Lags { rows_per_second: done as f64 / took.as_secs_f64(), seconds }
}

impl Database {
    /// Keys that were passed; none before there is a range.
    async fn try_passed(&self) -> i64 {
        let mut connection = self.connect().await;
        let rows = connection.try_query_rows(counters::PASSED).await.unwrap_or_default();
        rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or(0)
    }
}

/// Must show: of what a slow replica shows, 99 % is no older than the limit, and nothing is older than
/// twice that; the whole sweep also finds the best fixed rate, and compares.
#[tokio::test]
async fn a_slow_replica_sets_the_pace() {
    let share = 0.05;
    let (rows, lasting) = if long() { (24_000_000, 40) } else { (1_500_000, 12) };
    let lasting = Duration::from_secs(lasting);
    let scene = Scene::new(rows).await;
    let ours = measure(&scene, &["--max-lag", "1s"], share, lasting).await;
    println!(
        "ours: {:.0} rows/s, {:.2} % over 1 s, worst {:.2} s",
        ours.rows_per_second,
        ours.share_over(1.0) * 100.0,
        ours.worst()
    );
    assert!(ours.keeps(), "{:.3} over, worst {}", ours.share_over(1.0), ours.worst());
    if !long() {
        return;
    }
    let (mut low, mut high) = (ours.rows_per_second * 0.5, ours.rows_per_second * 2.5);
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let rate = (low + high) / 2.0;
        scene.ask(&["rate", &format!("{rate:.0}")]).await;
        let fixed = measure(&scene, &["--max-lag", "off"], share, lasting).await;
        println!(
            "fixed at {rate:.0}: {:.0} rows/s, {:.2} % over 1 s, worst {:.2} s",
            fixed.rows_per_second,
            fixed.share_over(1.0) * 100.0,
            fixed.worst()
        );
        if fixed.keeps() {
            best = best.max(fixed.rows_per_second);
            low = rate;
        } else {
            high = rate;
        }
    }
    println!("ours is {:.0} % of the best fixed rate", ours.rows_per_second / best * 100.0);
    assert!(ours.rows_per_second >= 0.8 * best, "{} of {best}", ours.rows_per_second);
}
