//! PostgreSQL behind the seam.

mod error;
mod locker;
mod plain;
mod reading;
mod session;
mod table;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::{
    ConnectOptions, Database, DbError, Dialect, ErrorKind, Locker, Purpose, Session, Statement,
};
use error::Translator;
use locker::PostgresLocker;
use session::PostgresSession;

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
    lock_name: String,
    /// The connection that asked for the facts, until the first watching session takes it over: a
    /// new one would be a third of the time of an `up` with nothing to do.
    first: Mutex<Option<(PgConnection, i32)>>,
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
             current_database()::text, pg_backend_pid()::text",
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
            options,
            translate,
            first: Mutex::new(Some((connection, pid(row)?))),
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
                 and starts_with(application_name, $1) and application_name <> $2",
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
        let locker =
            PostgresLocker::open(&self.options, self.translate.clone(), lock_key(&self.lock_name));
        Ok(Box::new(locker.await?))
    }

    async fn is_locked(&self, session: &mut dyn Session) -> Result<bool, DbError> {
        let rows = session.query(&locker::held(lock_key(&self.lock_name))).await?;
        Ok(!rows.is_empty())
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
                   where datname = current_database() and application_name = $1";
        let ending = Statement::new(sql, vec![self.work_name(run).into()]);
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
    let options = options.clone().application_name(name);
    PgConnection::connect_with(&options).await.map_err(|error| translate.translate(error))
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
