//! MySQL and MariaDB behind the seam.

mod decode;
mod error;
mod locker;
mod orphans;
mod reading;
mod session;
mod table;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions as _, Executor};

use self::locker::NamedLocker;
use self::session::MySqlSession;
use super::{ConnectOptions, Database, DbError, Dialect, Locker, Purpose, Session, Statement};

/// A database on a MySQL or MariaDB server.
pub(super) struct MySql {
    server: Arc<Server>,
    description: String,
}

/// What the database's sessions share. No Debug: the options would print the password.
struct Server {
    options: MySqlConnectOptions,
    lock_name: String,
    schema: String,
    /// `'ann'@'%'`: the account by which the server knows this user.
    account: String,
    /// Whether table names are compared without regard to case.
    folds_case: bool,
    /// MySQL 8 remembers its statistics for a day, unless told otherwise.
    remembers_statistics: bool,
    /// The Work sessions of this process, by connection id, each with its run.
    open: Mutex<HashMap<i64, String>>,
}

impl MySql {
    /// Connects once, to see what there is.
    pub(super) async fn connect(options: &ConnectOptions) -> Result<Self, DbError> {
        let mut server = Server {
            options: options.to_mysql().disable_statement_logging(),
            lock_name: String::new(),
            schema: String::new(),
            account: String::new(),
            folds_case: false,
            remembers_statistics: false,
            open: Mutex::default(),
        };
        let mut connection = server.connection().await?;
        let facts = "select version(), database(), current_user(), @@lower_case_table_names";
        let rows = server.fetch(&mut connection, &Statement::new(facts, vec![])).await?;
        let facts = rows.first().ok_or_else(|| DbError::silent("select version()"))?;
        let (version, database) = (facts.text(0)?, facts.text(1)?);
        server.lock_name = lock_name(database);
        server.schema = database.to_owned();
        let (user, host) = facts.text(2)?.rsplit_once('@').unwrap_or((facts.text(2)?, "%"));
        server.account = format!("'{user}'@'{host}'");
        server.folds_case = facts.int(3)? != 0;
        let number = version.split('-').next().unwrap_or(version);
        let mariadb = version.to_ascii_lowercase().contains("mariadb");
        server.remembers_statistics = !mariadb && !number.starts_with("5.");
        let product = if mariadb { "MariaDB" } else { "MySQL" };
        Ok(MySql {
            description: format!("{product} {number} · {}", options.place()),
            server: Arc::new(server),
        })
    }
}

/// `GET_LOCK` knows no databases, so that the name must tell them apart; it takes 64 characters,
/// eight of which are for [`orphans::mark`].
fn lock_name(database: &str) -> String {
    let name = format!("lockkeeper:{database}");
    if name.chars().count() <= 56 {
        return name;
    }
    let hash = Sha256::digest(database.to_lowercase().as_bytes());
    hash.iter().take(20).fold("lockkeeper:".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

impl Server {
    async fn connection(&self) -> Result<MySqlConnection, DbError> {
        // The driver asks for CLIENT_IGNORE_SPACE, which turns names of functions into reserved
        // words. A script must mean the same here as in the server's own client.
        const MODE: &str = "set session sql_mode = \
            if(find_in_set('IGNORE_SPACE', @@global.sql_mode), @@session.sql_mode, \
            trim(both ',' from \
            replace(concat(',', @@session.sql_mode, ','), ',IGNORE_SPACE,', ',')))";
        let mut connection = self.options.connect().await.map_err(|error| self.error(error, ""))?;
        let set = connection.execute(sqlx::raw_sql(MODE)).await;
        set.map_err(|error| self.error(error, MODE))?;
        Ok(connection)
    }

    fn error(&self, error: sqlx::Error, sql: &str) -> DbError {
        error::of(&error, sql, &self.account)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<i64, String>> {
        // A panic elsewhere leaves the map whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(
        &self,
        connection: &mut MySqlConnection,
        statement: &Statement,
    ) -> Result<Vec<super::Row>, DbError> {
        let rows = session::fetch(connection, statement).await;
        let rows = rows.map_err(|error| self.error(error, &statement.sql))?;
        rows.iter().map(decode::row).collect()
    }
}

impl DbError {
    /// A query that must answer one row answered none.
    fn silent(sql: &str) -> DbError {
        DbError::new(super::ErrorKind::Sql, format!("no answer to `{sql}`"))
    }
}

#[async_trait]
impl Database for MySql {
    fn dialect(&self) -> Dialect {
        Dialect::MYSQL
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn schema(&self) -> &str {
        &self.server.schema
    }

    async fn session(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        Ok(Box::new(MySqlSession::open(&self.server, purpose).await?))
    }

    async fn locker(&self) -> Result<Box<dyn Locker>, DbError> {
        Ok(Box::new(NamedLocker::open(Arc::clone(&self.server)).await?))
    }

    async fn is_locked(&self, session: &mut dyn Session) -> Result<bool, DbError> {
        let name = vec![self.server.lock_name.as_str().into()];
        let asked = Statement::new("select is_used_lock(?)", name);
        let rows = session.query(&asked).await?;
        let row = rows.first().ok_or_else(|| DbError::silent("is_used_lock"))?;
        Ok(row.optional_int(0)?.is_some())
    }

    async fn workers(&self, session: &mut dyn Session) -> Result<Vec<i64>, DbError> {
        orphans::marked(&session.query(&orphans::holders(&self.server)).await?)
    }

    async fn end_orphans(&self, run: &str) -> Result<u64, DbError> {
        orphans::end(&self.server, run).await
    }

    async fn end_sessions(&self, run: &str) -> Result<(), DbError> {
        orphans::end_those_of(&self.server, run).await
    }
}

#[cfg(test)]
mod tests {
    use super::lock_name;

    #[test]
    fn lock_names_fit() {
        assert_eq!(lock_name("shop"), "lockkeeper:shop");
        for length in [45, 46, 64] {
            let name = lock_name(&"ä".repeat(length));
            assert!(name.chars().count() + ".work.63".len() <= 64, "{name}");
        }
        assert_ne!(lock_name(&"a".repeat(63)), lock_name(&"a".repeat(64)));
    }
}
