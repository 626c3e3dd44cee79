//! A scenario: a production database, its copy, and what a release does to it.

use std::sync::OnceLock;

use serde_json::Value;

use crate::outcome::Outcome;
use crate::slow_disk::SlowDisk;
use crate::support::{Database, Kind, Lockkeeper, Options, Project, Server};

/// In what production isn't like its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// In nothing, but that it is another server.
    None,
    /// The copy has a tenth of the rows.
    Tenth,
    /// Both servers have just been started.
    Cold,
    /// Both have just read the table.
    Warm,
    /// Its disk is slower.
    SlowDisk,
}

/// A scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub kind: Kind,
    /// Makes the tables with so many rows.
    pub setup: fn(u64) -> String,
    /// The release.
    pub migration: &'static str,
    pub twist: Twist,
}

/// A slower disk's bytes a second.
const SLOW: u64 = 24_000_000;

/// A fill of one column.
pub const FILL: &str = "-- lockkeeper: batch\nUPDATE t SET n = n + 1;\n";
/// A column, and its values from another table.
pub const CORRELATED: &str = "ALTER TABLE t ADD COLUMN amount int;\n-- lockkeeper: batch\n\
    UPDATE t SET amount = (SELECT amount FROM other WHERE t.id = other.t);\n";
/// An index.
pub const INDEX: &str = "CREATE INDEX t_name ON t (name);\n";
/// Half of the rows deleted.
pub const DELETE: &str = "-- lockkeeper: batch\nDELETE FROM t WHERE kind < 48;\n";

impl Scenario {
    /// Where production is like its copy.
    pub fn new(
        kind: Kind,
        name: &'static str,
        setup: fn(u64) -> String,
        migration: &'static str,
    ) -> Self {
        Scenario { name, kind, setup, migration, twist: Twist::None }
    }

    /// Where it isn't.
    pub fn with(self, twist: Twist) -> Self {
        Scenario { twist, ..self }
    }

    /// `None` where the machine can't play it.
    pub async fn play(&self, mode: &str, rows: u64) -> Option<Outcome> {
        let slow = match self.twist {
            Twist::SlowDisk => Some(SlowDisk::new(production(self.kind), SLOW)?),
            _ => None,
        };
        let (real, copy) =
            (database(production(self.kind)).await, database(staging(self.kind)).await);
        self.fill(&real, rows).await;
        self.fill(&copy, if self.twist == Twist::Tenth { rows / 10 } else { rows }).await;
        let project = Project::with([("V1__release.sql", self.migration)]);
        self.prepare(staging(self.kind), &copy).await;
        let report = estimate(&project, mode, &real, &copy).await;
        drop(copy);
        self.prepare(production(self.kind), &real).await;
        let before = Counters::of(&real).await;
        Lockkeeper::up(&project, &real).run().await.expect(0);
        let actual = took(&real).await;
        let after = Counters::of(&real).await;
        drop(slow);
        let mut outcome = Outcome::of(self.name, &report, actual);
        let predicted = |name: &str| report[name].as_f64();
        outcome.log = predicted("wal_bytes")
            .zip(after.log.zip(before.log).map(|(after, before)| after - before));
        outcome.size = predicted("size_bytes").zip(Some(after.size - before.size));
        outcome.before = before.size;
        Some(outcome)
    }

    async fn fill(&self, database: &Database, rows: u64) {
        database.execute(&(self.setup)(rows)).await;
        match self.kind {
            Kind::MariaDb | Kind::Sqlite => {
                database
                    .execute("analyze table t".trim_end_matches(if self.kind == Kind::Sqlite {
                        " table t"
                    } else {
                        ""
                    }))
                    .await
            }
            _ => database.execute("vacuum analyze").await,
        }
    }

    /// What the disk and the caches are to be like at the begin.
    async fn prepare(&self, server: Option<&Server>, database: &Database) {
        let Some(server) = server.filter(|_| self.kind.is_postgres()) else { return };
        if self.twist == Twist::Cold {
            server.stop();
            server.start();
        }
        if self.twist == Twist::Warm {
            database.query_i64("select count(*) from t where id is not null").await;
        }
        database.execute("checkpoint").await;
    }
}

/// The report of an estimate, which lies in the project, too.
pub async fn estimate(project: &Project, mode: &str, real: &Database, copy: &Database) -> Value {
    let json = project.path().join("report.json");
    Lockkeeper::new([
        "estimate",
        "--max-lag",
        "off",
        "--max-blocked",
        "off",
        "--mode",
        mode,
        "--json",
    ])
    .arg(&json)
    .project(project)
    .database(real)
    .env("LOCKKEEPER_COPY_URL", &copy.url)
    .run()
    .await
    .expect(0);
    let report = std::fs::read_to_string(&json).expect("a report");
    serde_json::from_str(&report).expect("JSON")
}

/// Seconds that the run took for all steps.
pub async fn took(database: &Database) -> f64 {
    let integer = if database.kind() == Kind::MariaDb { "signed" } else { "bigint" };
    let sql = format!("select cast(sum(took_ms) as {integer}) from lockkeeper_step");
    database.query_i64(&sql).await as f64 / 1e3
}

struct Counters {
    log: Option<f64>,
    size: f64,
}

impl Counters {
    async fn of(database: &Database) -> Self {
        let (log, size) = match database.kind() {
            Kind::Sqlite => (
                None,
                "select (select page_count from pragma_page_count) * (select page_size from pragma_page_size)",
            ),
            Kind::MariaDb => (
                Some(
                    "select cast(variable_value as signed) from information_schema.global_status \
                      where variable_name = 'INNODB_OS_LOG_WRITTEN'",
                ),
                "select cast(sum(data_length + index_length) as signed) from information_schema.tables \
                 where table_schema = database()",
            ),
            _ => (
                Some("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"),
                "select pg_database_size(current_database())",
            ),
        };
        let log = match log {
            Some(log) => Some(database.query_i64(log).await as f64),
            None => None,
        };
        Counters { log, size: database.query_i64(size).await as f64 }
    }
}

async fn database(server: Option<&Server>) -> Database {
    match server {
        Some(server) => server.database().await,
        None => Database::sqlite(),
    }
}

/// Production's server; none of SQLite.
pub fn production(kind: Kind) -> Option<&'static Server> {
    static POSTGRES: OnceLock<Server> = OnceLock::new();
    static MARIADB: OnceLock<Server> = OnceLock::new();
    server(kind, &POSTGRES, &MARIADB)
}

/// The copy's server; none of SQLite.
pub fn staging(kind: Kind) -> Option<&'static Server> {
    static POSTGRES: OnceLock<Server> = OnceLock::new();
    static MARIADB: OnceLock<Server> = OnceLock::new();
    server(kind, &POSTGRES, &MARIADB)
}

/// As servers are set up, and not as they come: for a table that isn't tiny.
fn server(
    kind: Kind,
    postgres: &'static OnceLock<Server>,
    mariadb: &'static OnceLock<Server>,
) -> Option<&'static Server> {
    let with = |settings: &[&str]| {
        let settings = settings.iter().map(|one| (*one).to_owned()).collect();
        Server::with(Options { settings, ..Options::new(kind) })
    };
    match kind {
        Kind::Sqlite => None,
        Kind::MariaDb => Some(mariadb.get_or_init(|| with(&["innodb-buffer-pool-size=256M"]))),
        _ => Some(postgres.get_or_init(|| with(&["shared_buffers=256MB", "max_wal_size=4GB"]))),
    }
}
