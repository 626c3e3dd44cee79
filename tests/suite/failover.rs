//! The primary dies, and its synchronous standby is promoted: the same run goes on there, and no row
//! is missed or counted twice.

use std::time::{Duration, Instant};

use crate::support::counters::{self, PASSED, count};
use crate::support::{
    Database, Kind, Lockkeeper, Options, Project, Proxy, Server, long, random, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A primary with a standby that its commits wait for, and the name that leads to the primary.
struct Pair {
    primary: Server,
    standby: Server,
    name: Proxy,
}

impl Pair {
    async fn new() -> Pair {
        let primary = Server::with(Options { settings: settings(), ..options() });
        let standby = follow(&primary).await;
        let name = Proxy::before(primary.port());
        Pair { primary, standby, name }
    }

    /// Kills the primary, and promotes its standby, to which the name leads from now on.
    async fn fail_over(self, database: &Database) -> (Server, Proxy) {
        let Pair { primary, standby, name } = self;
        primary.kill();
        name.refuse(true);
        name.cut();
        let promoted = standby.copy_of(database);
        // Without a wait, which the replay of the last records could cancel.
        promoted.execute("select pg_promote(false)").await;
        promoted.wait_for("select (not pg_is_in_recovery())::int").await;
        name.lead_to(standby.port());
        name.refuse(false);
        (standby, name)
    }
}

fn options() -> Options {
    Options::new(Kind::Postgres15)
}

/// What the processes leave to the operating system outlives them: it is the servers that die here.
fn settings() -> Vec<String> {
    vec!["fsync=off".to_owned(), "full_page_writes=off".to_owned()]
}

/// A standby that the primary's commits wait for from now on.
async fn follow(primary: &Server) -> Server {
    let standby_of = Some(primary.port());
    let standby = Server::with(Options { settings: settings(), standby_of, ..options() });
    let admin = primary.admin();
    admin.execute("alter system set synchronous_standby_names = '*'").await;
    admin.execute("select pg_reload_conf()").await;
    admin.wait_for("select count(*) from pg_stat_replication where sync_state = 'sync'").await;
    standby
}

/// How many keys are passed, as the open backfill says.
async fn passed(database: &Database) -> u64 {
    let passed = database.query_column(PASSED).await;
    passed.first().and_then(|keys| keys.parse().ok()).unwrap_or(0)
}

async fn every_row_is_counted_once(workers: u32, (promotions, rows): (u64, u64)) {
    let mut pair = Pair::new().await;
    let mut database = pair.primary.database().await;
    counters::fill(&database, rows).await;
    let project = Project::with([("V1__count.sql", count(workers))]);
    let up = Lockkeeper::new(["up"]).project(&project).url(&pair.name.url(&database));
    let running = up.start();
    counters::passed(&database, 1).await;
    // A copy for the next standby takes seconds, in which the work is not to come to its end.
    let rate = (rows / (promotions + 1) / 5).to_string();
    Lockkeeper::new(["rate", &rate]).database(&database).run().await.expect(0);
    let mut random = random();
    for promotion in 1..=promotions {
        let place = promotion * rows / (promotions + 2);
        wait_until("the backfill goes on", PATIENCE, async || {
            passed(&database).await > place || !running.runs()
        })
        .await;
        assert!(running.runs(), "the backfill was too short");
        tokio::time::sleep(Duration::from_micros(random.u64(..30_000))).await;
        let (primary, name) = pair.fail_over(&database).await;
        let back = Instant::now();
        database = primary.copy_of(&database);
        let before = passed(&database).await;
        wait_until("back at work", PATIENCE, async || passed(&database).await > before).await;
        println!(
            "{workers} workers, promotion {promotion}: back at work after {:?}",
            back.elapsed()
        );
        // On a machine that is much too busy with other tests it has its own time.
        assert!(!long() || back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
        pair = Pair { standby: follow(&primary).await, primary, name };
    }
    running.wait().await.expect(0);
    counters::assert_once(&database, rows).await;
}

/// Promotions and rows of the short form and of the long one.
fn extent(promotions: u64) -> (u64, u64) {
    if long() { (promotions, 2_000_000) } else { (1, 100_000) }
}

#[tokio::test]
async fn a_run_goes_on_where_the_standby_is_promoted() {
    for (workers, promotions) in if long() { &[(1, 8), (4, 6), (8, 6)][..] } else { &[(4, 1)] } {
        every_row_is_counted_once(*workers, extent(*promotions)).await;
    }
}

/// However short a batch is to be: a commit whose wait is ended is told done, and would be lost with the
/// primary.
#[tokio::test]
async fn a_commit_waits_for_its_standby_as_long_as_it_takes() {
    let Pair { primary, standby, .. } = Pair::new().await;
    let database = primary.database().await;
    counters::fill(&database, 50_000).await;
    let project = Project::with([("V1__count.sql", count(1))]);
    // A replica that is lost would hold the batches, too.
    let running = Lockkeeper::up(&project, &database).args(["--max-lag", "off"]).start();
    counters::passed(&database, 1).await;
    Lockkeeper::new(["rate", "10000"]).database(&database).run().await.expect(0);
    standby.kill();
    let admin = primary.admin();
    let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep' \
                 and query like '%commit' and clock_timestamp() - query_start > interval '500 ms'";
    admin.wait_for(waits).await;
    admin.execute("alter system set synchronous_standby_names = ''").await;
    admin.execute("select pg_reload_conf()").await;
    running.wait().await.expect(0);
    counters::assert_once(&database, 50_000).await;
}
