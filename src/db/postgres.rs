//! PostgreSQL behind the seam.

mod error;
mod locker;
mod session;
mod table;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Row as _};

use super::{
    ConnectOptions, Database, DbError, Dialect, ErrorKind, Locker, Purpose, Session, Statement,
};
use error::Translator;
use locker::PostgresLocker;
use session::PostgresSession;

/// How long a terminated backend may take to roll back and go.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL server and database.
pub struct Postgres {
    options: PgConnectOptions,
    translate: Translator,
    description: String,
    schema: String,
    lock_name: String,
}

impl Postgres {
    /// Connects once, to learn the version and the schema that unqualified names are created in.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, DbError> {
        options.check_files()?;
        let place = options.place();
        // Floats never cross the seam, and PgBouncer refuses this start-up parameter.
        let options = options.to_postgres().extra_float_digits(None);
        let translate = Translator::new(options.get_username());
        let mut connection = open(&options, "lockkeeper", &translate).await?;
        let rows = raw(
            &mut connection,
            "select current_setting('server_version'), coalesce(current_schema()::text, ''), \
             current_database()::text",
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
        let postgres = Postgres {
            description: format!("PostgreSQL {version} · {place}"),
            lock_name: format!("lockkeeper {} {schema}", row[2]),
            schema: schema.clone(),
            options,
            translate,
        };
        // The reply to Terminate isn't waited for, and nothing depends on it.
        connection.close().await.ok();
        Ok(postgres)
    }

    /// What `pg_stat_activity` shows for a session that writes for run `run`. The lock's digest
    /// keeps runs on other schemas of the same database apart; 63 bytes are the limit.
    fn work_name(&self, run: &str) -> String {
        format!("{}{run}", self.work_prefix())
    }

    fn work_prefix(&self) -> String {
        format!("lockkeeper work {:08x} ", lock_key(&self.lock_name) as u32)
    }

    async fn orphans(
        &self,
        session: &mut dyn Session,
        run: &str,
        terminate: bool,
    ) -> Result<u64, DbError> {
        let action = if terminate { "pg_terminate_backend(pid)" } else { "true" };
        let rows = session
            .query(&Statement::new(
                format!(
                    "select {action} from pg_stat_activity where datname = current_database() \
                     and starts_with(application_name, $1) and application_name <> $2"
                ),
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
        let name = match &purpose {
            Purpose::Watch => "lockkeeper".to_owned(),
            Purpose::Work { run } => self.work_name(run),
        };
        let connection = open(&self.options, &name, &self.translate).await?;
        let session =
            PostgresSession::start(connection, self.options.clone(), self.translate.clone());
        Ok(Box::new(session.await?))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        let locker =
            PostgresLocker::open(&self.options, self.translate.clone(), lock_key(&self.lock_name));
        Ok(Box::new(locker.await?))
    }

    async fn end_orphans(&self, run: &str) -> Result<u64, DbError> {
        let mut session = self.session(Purpose::Watch).await?;
        let found = self.orphans(session.as_mut(), run, true).await?;
        let started = Instant::now();
        while found > 0 && self.orphans(session.as_mut(), run, false).await? > 0 {
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
