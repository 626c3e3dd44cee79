//! A crash at every write of a run, just before it and just after it: whatever committed, the next
//! run ends where an undisturbed one would have ended, with each row changed exactly once.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockkeeper::db::{self, ConnectOptions};
use lockkeeper::error::{Error, Exit};
use lockkeeper::ledger::Identity;
use lockkeeper::migration::Catalog;
use lockkeeper::plan::{PlanError, Selection};
use lockkeeper::progress::Reporter;
use lockkeeper::runner::{self, Ahead, Run, RunError, Settings, Verdict};
use lockkeeper::stop::Stop;
use lockkeeper::throttle::Limits;
use tokio::task::JoinSet;

use crate::support::{self, Database, Faults, Kind, Moment, Project, Proxy};

/// DDL with a script that changes rows, a backfill, DDL again. `m` counts the script, `n` the
/// backfill. The target is never reached, so that the batches grow alike in every run.
const FILES: [(&str, &str); 3] = [
    ("V1__widen.sql", "ALTER TABLE t ADD COLUMN seen int;\nUPDATE t SET m = m + 1;\n"),
    (
        "V2__fill.sql",
        "-- lockkeeper: batch rows=2 target=1h\nUPDATE t SET n = n + 1;\n\
         CREATE INDEX t_seen ON t (seen);\n",
    ),
    ("V3__narrow.sql", "ALTER TABLE t DROP COLUMN spare;\n"),
];

/// On PostgreSQL also a statement outside any transaction, of which the catalog knows; and on one of its versions a backfill of
/// a table without a key and one of a partitioned table.
const POSTGRES: [(&str, &str); 3] = [
    ("V4__index.sql", "CREATE INDEX CONCURRENTLY t_m ON t (m);\n"),
    (
        "V5__blocks.sql",
        "-- lockkeeper: batch rows=2 target=1h\n\
         UPDATE log SET n = n + 1, done = true WHERE done IS NOT TRUE;\n",
    ),
    ("V6__parts.sql", "-- lockkeeper: batch rows=2 target=1h\nUPDATE part SET n = n + 1;\n"),
];

fn files(kind: Kind) -> Vec<(&'static str, &'static str)> {
    let postgres = match kind {
        Kind::Postgres15 => &POSTGRES[..],
        Kind::Postgres18 => &POSTGRES[..1],
        Kind::MariaDb | Kind::Sqlite => &[],
    };
    FILES.iter().chain(postgres).copied().collect()
}

/// Runs that go on at one time: most of a crashed run is waiting for the loss of the lock.
const AT_ONCE: usize = 16;

/// What a crash spares: rows, and runs of lockkeeper against them.
struct Subject {
    home: Database,
    project: Project,
    rows: i64,
}

/// How a database ended up. Equal for an undisturbed run and for one that crashed.
#[derive(Debug, PartialEq, Eq)]
struct End {
    schema: String,
    history: Vec<support::connection::Row>,
    /// Rows by how often the script and the backfill have changed them.
    counts: Vec<support::connection::Row>,
    open_steps: i64,
    ranges: i64,
    /// The same of the table without a key and of the partitioned one.
    others: Vec<support::connection::Row>,
}

impl Subject {
    async fn of(kind: Kind) -> Subject {
        let rows = if support::long() { 100 } else { 12 };
        let subject =
            Subject { home: Database::of(kind).await, project: Project::with(files(kind)), rows };
        subject.reset().await;
        subject
    }

    /// As it was at first: emptying a database is quicker than making another.
    async fn reset(&self) {
        if self.home.kind().is_postgres() {
            // A few rows in each block.
            self.home
                .execute(
                    "drop table if exists log, part; \
                     create table part (id int primary key, n int not null default 0) \
                     partition by hash (id); \
                     create table part_1 partition of part for values with (modulus 2, remainder 0); \
                     create table part_2 partition of part for values with (modulus 2, remainder 1); \
                     insert into part select generate_series(1, 7); \
                     create table log (n int not null, done boolean, wide text not null); \
                     alter table log alter wide set storage plain; \
                     insert into log select 0, null, repeat('x', 3000) from generate_series(1, 3)",
                )
                .await;
        }
        for table in self
            .home
            .tables()
            .await
            .iter()
            .filter(|table| *table != "log" && !table.starts_with("part"))
        {
            self.home.execute(&format!("drop table {table}")).await;
        }
        let values: Vec<_> = (1..=self.rows).map(|id| format!("({id}, 0, 0)")).collect();
        self.home
            .execute(&format!(
                "create table t (id int not null primary key, m int not null, n int not null, \
                 spare int); insert into t (id, m, n) values {};",
                values.join(", ")
            ))
            .await;
    }

    async fn database(&self) -> Arc<dyn db::Database> {
        open(&self.home.url).await
    }

    /// One run of the library's.
    async fn up(&self, database: Arc<dyn db::Database>) -> Result<u64, RunError> {
        let catalog = Catalog::read(&self.project.migrations(), database.dialect()).unwrap();
        let (reporter, _progress) = Reporter::new();
        let (settings, stop) = (settings(), Stop::default());
        let ahead = Ahead::read(database.as_ref()).await?;
        Run { database, catalog: &catalog, settings: &settings, reporter: &reporter, stop: &stop }
            .up(ahead)
            .await
    }

    /// Runs until all is applied. Returns how often a human had to look.
    async fn recover(&self) -> u32 {
        let mut looked = 0;
        loop {
            match self.up(self.database().await).await {
                Ok(_) => return looked,
                Err(RunError::Plan(PlanError::Dirty {
                    version,
                    step,
                    explanation,
                    began_at,
                    run,
                })) => {
                    // Elsewhere DDL commits with its record.
                    assert_eq!(self.home.kind(), Kind::MariaDb, "step {step} of {version}");
                    looked += 1;
                    assert!(looked <= 2, "step {step} of {version} stays dirty");
                    let error = PlanError::Dirty { version, step, explanation, began_at, run };
                    assert_eq!(Error::from(error).exit(), Exit::Human);
                    self.resolve(version, step).await;
                }
                Err(error) => panic!("the next run fails: {error:?}"),
            }
        }
    }

    /// Looks whether a step's change is there, and says so.
    async fn resolve(&self, version: i64, step: u32) {
        let there = match (version, step) {
            (1, 1) => {
                "select count(*) from information_schema.columns where \
                       table_schema = database() and table_name = 't' and column_name = 'seen'"
            }
            (2, 2) => {
                "select count(*) from information_schema.statistics where \
                       table_schema = database() and index_name = 't_seen'"
            }
            (3, 1) => {
                "select count(*) = 0 from information_schema.columns where \
                       table_schema = database() and table_name = 't' and column_name = 'spare'"
            }
            other => panic!("{other:?} can't be dirty"),
        };
        let there = self.home.query_i64(there).await != 0;
        let verdict = if there { Verdict::Applied } else { Verdict::Retry };
        let database = self.database().await;
        let catalog = Catalog::read(&self.project.migrations(), database.dialect()).unwrap();
        let resolved = runner::resolve(database, &catalog, &settings(), version, verdict).await;
        assert_eq!(resolved.unwrap(), step);
    }

    async fn end(&self) -> End {
        let mut connection = self.home.connect().await;
        let history =
            "select version, name, checksum from refinery_schema_history order by version";
        let others = match self.home.kind().is_postgres() {
            true => {
                let counts = "select n, done::text, count(*) from log group by n, done \
                              union all select n, '', count(*) from part group by n order by 2 desc";
                connection.query_rows(counts).await
            }
            false => Vec::new(),
        };
        let open_steps = "select count(*) from lockkeeper_step where state <> 'done'";
        End {
            schema: self.home.schema().await,
            history: connection.query_rows(history).await,
            counts: connection.query_rows("select m, n, count(*) from t group by m, n").await,
            open_steps: connection.query_i64(open_steps).await,
            ranges: connection.query_i64("select count(*) from lockkeeper_range").await,
            others,
        }
    }

    fn right(&self) -> Vec<support::connection::Row> {
        vec![vec![Some("1".into()), Some("1".into()), Some(self.rows.to_string())]]
    }
}

async fn open(url: &str) -> Arc<dyn db::Database> {
    let options = ConnectOptions::from_url(url).unwrap();
    db::connect(&options, Duration::from_secs(20), &mut |_, _| {}).await.unwrap()
}

fn settings() -> Settings {
    let run = format!("{:08x}", fastrand::u32(..));
    Settings {
        joins: false,
        selection: Selection::default(),
        lock_wait: Duration::from_secs(60),
        // Whatever dies here is dead.
        reconnect: Duration::ZERO,
        auto_batch: None,
        estimates: Vec::new(),
        identity: Identity { run, host: "test".to_owned(), pid: std::process::id() },
        limits: Limits::default(),
    }
}

/// A write, the side of it, and perhaps a second crash in the next run.
type Point = (u64, Moment, Option<(u64, Moment)>);

/// Crashes there, and lets runs finish it. Returns how often a human had to look.
async fn crash(subject: &Subject, (nth, moment, again): Point) -> u32 {
    subject.reset().await;
    let faulty = Faults::at(subject.database().await, nth, moment);
    let result = subject.up(faulty.clone()).await;
    assert!(faulty.died(), "there is no write {nth}: {result:?}");
    if let Err(error) = &result {
        assert!(error.is_interruption(), "{error:?}");
    }
    drop((faulty, result));
    if let Some((nth, moment)) = again {
        let faulty = Faults::at(subject.database().await, nth, moment);
        // It may be dirty, or at an end before that write.
        let _ = subject.up(faulty).await;
    }
    subject.recover().await
}

/// Crashes at all these points, some at one time. Returns how often a human had to look.
async fn crash_at(kind: Kind, points: Vec<Point>, right: Arc<End>) -> u32 {
    let points = Arc::new(Mutex::new(points));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (points, right) = (points.clone(), right.clone());
        workers.spawn(async move {
            let subject = Subject::of(kind).await;
            let mut looked = 0;
            loop {
                let point = points.lock().unwrap().pop();
                let Some(point) = point else { return looked };
                looked += crash(&subject, point).await;
                assert_eq!(subject.end().await, *right, "after a crash at {point:?}");
            }
        });
    }
    let mut looked = 0;
    while let Some(worker) = workers.join_next().await {
        looked += worker.unwrap_or_else(|panic| resume_unwind(panic.into_panic()));
    }
    looked
}

async fn crash_everywhere(kind: Kind) {
    let whole = Subject::of(kind).await;
    let counted = Faults::none(whole.database().await);
    let migrations = files(kind).len();
    assert_eq!(whole.up(counted.clone()).await.unwrap(), migrations as u64);
    let (writes, right) = (counted.writes(), whole.end().await);
    assert_eq!(right.counts, whole.right());
    if kind == Kind::Postgres15 {
        let row = |parts: [&str; 3]| parts.map(|it| Some(it.to_owned())).to_vec();
        assert_eq!(right.others, [row(["1", "true", "3"]), row(["1", "", "7"])]);
    }
    assert_eq!((right.history.len(), right.open_steps, right.ranges), (migrations, 0, 0));

    let mut random = support::random();
    let sides = [Moment::Before, Moment::After];
    let mut points = Vec::new();
    // Each of them, or each third one.
    let third = random.u64(..3);
    for (nth, moment) in (1..=writes).flat_map(|nth| sides.map(|moment| (nth, moment))) {
        if support::long() {
            let again = (random.u64(1..=writes), sides[random.usize(..2)]);
            points.extend([(nth, moment, None), (nth, moment, Some(again))]);
        } else if kind == Kind::Sqlite || nth % 3 == third && moment == sides[random.usize(..2)] {
            points.push((nth, moment, None));
        }
    }
    let crashes = points.len();
    println!("{kind:?}: {writes} writes, {crashes} crashes");
    let looked = crash_at(kind, points, right.into()).await;
    println!("{kind:?}: {looked} human verdicts");
    // Elsewhere DDL is rolled back with its record.
    assert!(looked == 0 || kind == Kind::MariaDb, "{looked} verdicts");
    assert!(looked > 0 || kind != Kind::MariaDb || !support::long());
}

#[tokio::test]
async fn sqlite_recovers_from_a_crash_at_any_write() {
    crash_everywhere(Kind::Sqlite).await;
}

#[tokio::test]
async fn postgres15_recovers_from_a_crash_at_any_write() {
    crash_everywhere(Kind::Postgres15).await;
}

#[tokio::test]
async fn postgres18_recovers_from_a_crash_at_any_write() {
    crash_everywhere(Kind::Postgres18).await;
}

#[tokio::test]
async fn mariadb_recovers_from_a_crash_at_any_write() {
    crash_everywhere(Kind::MariaDb).await;
}

/// The process lives, and only the connection of a COMMIT is cut, before the server has it or after
/// it has answered: the run looks up what became of it, and goes on by itself or in the next run.
async fn cut_commits(kind: Kind, moment: Moment) {
    let subject = Subject::of(kind).await;
    let (mut cut, mut alone) = (0, 0);
    // Each of them, or each fourth one.
    let (from, step) = if support::long() { (1, 1) } else { (support::random().usize(1..=4), 4) };
    for nth in (from..).step_by(step) {
        subject.reset().await;
        let proxy = Proxy::before(subject.home.port());
        let through = open(&proxy.url(&subject.home)).await;
        proxy.cut_at_nth("commit", nth, moment);
        let result = subject.up(through).await;
        if proxy.sprung() == 0 {
            assert_eq!(result.unwrap(), files(kind).len() as u64);
            break;
        }
        cut += 1;
        match result {
            Ok(_) => alone += 1,
            Err(error) => {
                assert!(error.is_interruption(), "{error:?}");
                // Nothing was cut but commits of ours.
                assert_eq!(subject.recover().await, 0, "{moment:?} {nth}");
            }
        }
        let end = subject.end().await;
        assert_eq!(end.counts, subject.right(), "{moment:?} {nth}");
        assert!(end.others.len() <= 2, "{moment:?} {nth}: {:?}", end.others);
        assert_eq!((end.open_steps, end.ranges), (0, 0), "{moment:?} {nth}");
    }
    println!("{kind:?}: {cut} commits cut, {moment:?}; {alone} times the run went on by itself");
    assert!(cut > 3 && alone > 1);
}

#[tokio::test]
async fn postgres_survives_cut_commits() {
    let kind = Kind::Postgres15;
    tokio::join!(cut_commits(kind, Moment::Before), cut_commits(kind, Moment::After));
}

#[tokio::test]
async fn mariadb_survives_cut_commits() {
    let kind = Kind::MariaDb;
    tokio::join!(cut_commits(kind, Moment::Before), cut_commits(kind, Moment::After));
}
