//! PostgreSQL behind the seam.

mod error;
mod lease;
mod limits;
mod locker;
mod plain;
mod pooler;
mod reading;
mod session;
mod shared;
mod table;

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Row as _};

use super::{
    ConnectOptions, Database, DbError, Dialect, ErrorKind, Locker, Purpose, Session, Statement,
};
use error::Translator;
use lease::Lease;
use locker::PostgresLocker;
use session::PostgresSession;
use shared::SharedSession;

/// What `pg_stat_activity` shows for a session that only reads.
const WATCH_NAME: &str = "lockkeeper";
/// How long a terminated backend may take to roll back and go.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// On a link that forgets what is idle, the reply to a long statement would be lost, and neither
/// side would notice. The driver sends no keep-alive, so the server has to. The other sessions are
/// asked something every second. Set afterwards, since poolers refuse unknown start-up parameters.
const KEEP_ALIVE: &str = "set tcp_keepalives_idle = 60; set tcp_keepalives_interval = 10; \
                          set tcp_keepalives_count = 3;";

/// A PostgreSQL server and database.
pub struct Postgres {
    options: PgConnectOptions,
    translate: Translator,
    description: String,
    schema: String,
    /// As the server prints it, which is as SET reads it.
    search_path: String,
    lock_name: String,
    /// The connection that asked for the facts, until the first watching session takes it over: a
    /// new one would be a third of the time of an `up` with nothing to do.
    first: Mutex<Option<(PgConnection, i32)>>,
    /// Whether a pooler in transaction mode was found, once somebody has looked. It stays so: what is open
    /// works by it.
    is_pooled: OnceLock<bool>,
    /// Whose lease it is, if this process gets one.
    holder: String,
}

impl Postgres {
    /// Connects once, to learn the version and the schema that unqualified names are created in.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, DbError> {
        options.check_files()?;
        let place = options.place();
        // Floats never cross the seam, and PgBouncer refuses this start-up parameter.
        let options = options.to_postgres().extra_float_digits(None);
        let translate = Translator::new(options.get_username());
        let mut connection = open(&options, WATCH_NAME, &translate).await?;
        let rows = raw(
            &mut connection,
            "select current_setting('server_version'), coalesce(current_schema()::text, ''), \
             current_database()::text, current_setting('search_path'), pg_backend_pid()::text",
            &translate,
        )
        .await?;
        let row = &rows[0];
        let (version, schema) = (&row[0], &row[1]);
        if schema.is_empty() {
            return Err(DbError::new(
                ErrorKind::Permission,
                "the search_path names no schema that exists and that this user may use",
            ));
        }
        let version = version.split(' ').next().unwrap_or(version);
        Ok(Postgres {
            description: format!("PostgreSQL {version} · {place}"),
            lock_name: format!("lockkeeper {} {schema}", row[2]),
            schema: schema.clone(),
            search_path: row[3].clone(),
            options,
            translate,
            first: Mutex::new(Some((connection, pid(row)?))),
            is_pooled: OnceLock::new(),
            holder: format!("{:016x}", fastrand::u64(..)),
        })
    }

    /// The connection that is there already, once, and its backend.
    fn first(&self) -> Option<(PgConnection, i32)> {
        // A panic elsewhere leaves the option whole.
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn another(&self, purpose: &Purpose) -> Result<(PgConnection, i32), DbError> {
        let (name, keep_alive) = match purpose {
            Purpose::Watch | Purpose::Wait => (WATCH_NAME.to_owned(), ""),
            Purpose::Work { run } => (self.work_name(run), KEEP_ALIVE),
        };
        let mut connection = open(&self.options, &name, &self.translate).await?;
        let sql = format!("{keep_alive} select pg_backend_pid()::text");
        let rows = raw(&mut connection, &sql, &self.translate).await?;
        let pid = pid(&rows[0])?;
        Ok((connection, pid))
    }

    /// What `pg_stat_activity` shows for a session that writes for run `run`. The lock's digest
    /// keeps runs on other schemas of the same database apart; 63 bytes are the limit.
    fn work_name(&self, run: &str) -> String {
        format!("{}{run}", self.work_prefix())
    }

    fn work_prefix(&self) -> String {
        format!("lockkeeper work {:08x} ", lock_key(&self.lock_name) as u32)
    }

    /// Ends what still works for other runs. Returns how many sessions that were.
    async fn terminate(&self, session: &mut dyn Session, run: &str) -> Result<u64, DbError> {
        let rows = session
            .query(&Statement::new(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() \
                 and starts_with(application_name, $1) and not starts_with(application_name, $2)",
                vec![self.work_prefix().into(), self.work_name(run).into()],
            ))
            .await?;
        Ok(rows.len() as u64)
    }
}

#[async_trait]
impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::POSTGRES
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn schema(&self) -> &str {
        &self.schema
    }

    async fn session(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        if self.lease().is_some() {
            let name = match purpose {
                Purpose::Watch | Purpose::Wait => format!("{WATCH_NAME} watch"),
                Purpose::Work { run } => self.work_name(&run),
            };
            let (options, translate) = (self.options.clone(), self.translate.clone());
            let mut session = SharedSession::open(options, translate, &name).await?;
            // What an application has left behind in one of the server's sessions must not make another
            // table of a name there.
            session.always(format!("set local search_path = {}", self.search_path));
            return Ok(Box::new(session));
        }
        let only_reads = matches!(purpose, Purpose::Watch | Purpose::Wait);
        let first = if only_reads { self.first() } else { None };
        let (connection, pid) = match first {
            Some(first) => first,
            None => self.another(&purpose).await?,
        };
        let (options, translate) = (self.options.clone(), self.translate.clone());
        Ok(Box::new(PostgresSession::new(connection, pid, options, translate, only_reads)))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        let (options, key, schema) = (&self.options, lock_key(&self.lock_name), &self.schema);
        if self.is_pooled.get() != Some(&true) {
            let locker = PostgresLocker::open(options, self.translate.clone(), key, schema).await?;
            let is_pooled = *self.is_pooled.get_or_init(|| locker.is_none());
            match locker {
                Some(locker) if !is_pooled => return Ok(Box::new(locker)),
                None if !is_pooled => {
                    let message = "a pooler in transaction mode has come before the server, and can't \
                                   keep a session's lock";
                    return Err(DbError::new(ErrorKind::Pooler, message));
                }
                _ => {}
            }
        }
        let lease = Lease::open(options, self.translate.clone(), key, schema, &self.holder);
        Ok(Box::new(lease.await?))
    }

    fn lease(&self) -> Option<Duration> {
        (self.is_pooled.get() == Some(&true)).then_some(lease::LASTS)
    }

    fn tool_name(&self, run: &str) -> Option<String> {
        Some(format!("{} exec", self.work_name(run)))
    }

    async fn is_locked(&self, session: &mut dyn Session) -> Result<bool, DbError> {
        let rows = session.query(&locker::held(lock_key(&self.lock_name))).await?;
        Ok(!rows.is_empty() || lease::is_held(session, &self.schema).await?)
    }

    async fn end_orphans(&self, run: &str) -> Result<u64, DbError> {
        let mut session = self.session(Purpose::Watch).await?;
        let found = self.terminate(session.as_mut(), run).await?;
        let started = Instant::now();
        // Again and again: a predecessor that has lost the lock, but doesn't know yet, may have
        // connected anew.
        while found > 0 && self.terminate(session.as_mut(), run).await? > 0 {
            if started.elapsed() > ORPHAN_PATIENCE {
                return Err(DbError::new(
                    ErrorKind::LockTimeout,
                    "a session of an earlier run, whose process is gone, is still rolling back",
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(found)
    }

    async fn end_sessions(&self, run: &str) -> Result<(), DbError> {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where datname = current_database() and (application_name = $1 \
                   or starts_with(application_name, $2))";
        // Behind a pooler each transaction has a name of its own.
        let name = self.work_name(run);
        let several = format!("{name} ");
        let ending = Statement::new(sql, vec![name.into(), several.into()]);
        self.session(Purpose::Watch).await?.query(&ending).await.map(drop)
    }
}

/// The backend's process id, in the last column.
fn pid(row: &[String]) -> Result<i32, DbError> {
    let text = row.last().map_or("", String::as_str);
    text.parse().map_err(|_| DbError::new(ErrorKind::Type, format!("{text:?} is no process id")))
}

/// The advisory lock's key: the first eight bytes of the name's SHA-256.
fn lock_key(name: &str) -> i64 {
    let digest = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

async fn open(
    options: &PgConnectOptions,
    name: &str,
    translate: &Translator,
) -> Result<PgConnection, DbError> {
    session::connect(&options.clone().application_name(name), translate).await
}

/// Runs a query of our own by the simple protocol, which leaves no prepared statement behind and so
/// works through any pooler. All columns must be text; NULL becomes the empty string.
async fn raw(
    connection: &mut PgConnection,
    sql: &str,
    translate: &Translator,
) -> Result<Vec<Vec<String>>, DbError> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .fetch_all(connection)
        .await
        .map_err(|error| translate.translate(error))?;
    rows.iter()
        .map(|row| {
            (0..row.len())
                .map(|index| {
                    let text: Option<String> =
                        row.try_get(index).map_err(|error| translate.translate(error))?;
                    Ok(text.unwrap_or_default())
                })
                .collect()
        })
        .collect()
}
