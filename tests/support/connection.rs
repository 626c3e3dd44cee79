//! A connection of the tests' own, straight through sqlx: what the tests look at must not come
//! through the code that they test.

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::time::Duration;

use super::database::Database;
use super::server::Kind;

/// A row's values as text, whatever their types; `None` for NULL.
pub type Row = Vec<Option<String>>;

/// An open connection.
#[derive(Debug)]
pub enum Connection {
    /// To PostgreSQL.
    Postgres(PgConnection),
    /// To MariaDB.
    MySql(MySqlConnection),
    /// To SQLite.
    Sqlite(SqliteConnection),
}

/// The same for each kind of connection: they share no trait that would do.
macro_rules! on_each {
    ($connection:expr, $inner:ident => $body:expr) => {
        match $connection {
            Connection::Postgres($inner) => $body,
            Connection::MySql($inner) => $body,
            Connection::Sqlite($inner) => $body,
        }
    };
}

impl Connection {
    /// Opens one as the server's administrator.
    ///
    /// # Errors
    /// sqlx's.
    pub async fn open(database: &Database) -> Result<Connection, sqlx::Error> {
        Ok(match database.kind() {
            Kind::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(database.path())
                    .create_if_missing(true)
                    .busy_timeout(Duration::from_secs(30));
                Connection::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
            Kind::MariaDb => {
                // As the server is by default, not as sqlx would have it.
                let options = MySqlConnectOptions::new()
                    .host("127.0.0.1")
                    .port(database.port())
                    .username("root")
                    .database(database.name())
                    .pipes_as_concat(false)
                    .no_engine_substitution(false)
                    .timezone(None);
                Connection::MySql(MySqlConnection::connect_with(&options).await?)
            }
            Kind::Postgres15 | Kind::Postgres18 => {
                let options = PgConnectOptions::new_without_pgpass()
                    .host("127.0.0.1")
                    .port(database.port())
                    .username("postgres")
                    .database(database.name());
                Connection::Postgres(PgConnection::connect_with(&options).await?)
            }
        })
    }

    /// Runs a script.
    pub async fn execute(&mut self, sql: &str) {
        self.try_execute(sql).await.unwrap_or_else(|error| panic!("{error}\nin: {sql}"));
    }

    /// Runs a script that may fail.
    ///
    /// # Errors
    /// The server's.
    pub async fn try_execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        on_each!(self, inner => sql.execute(inner).await.map(drop))
    }

    /// All rows of a query.
    pub async fn query_rows(&mut self, sql: &str) -> Vec<Row> {
        self.try_query_rows(sql).await.unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
    }

    /// All rows of a query that may fail.
    ///
    /// # Errors
    /// The server's.
    pub async fn try_query_rows(&mut self, sql: &str) -> Result<Vec<Row>, sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        // A plain query answers in text, and text is what an unchecked String takes.
        on_each!(self, inner => {
            let rows = sql.fetch_all(inner).await?;
            rows.iter()
                .map(|row| (0..row.len()).map(|at| row.try_get_unchecked(at)).collect())
                .collect()
        })
    }

    /// The first column of a query.
    pub async fn query_column(&mut self, sql: &str) -> Vec<String> {
        let rows = self.query_rows(sql).await;
        rows.into_iter()
            .map(|mut row| row.swap_remove(0).unwrap_or_else(|| "NULL".to_owned()))
            .collect()
    }

    /// The one value that a query answers.
    pub async fn query_text(&mut self, sql: &str) -> String {
        let mut column = self.query_column(sql).await;
        assert_eq!(column.len(), 1, "one row expected from: {sql}");
        column.remove(0)
    }

    /// The one integer that a query answers.
    pub async fn query_i64(&mut self, sql: &str) -> i64 {
        let text = self.query_text(sql).await;
        text.parse().unwrap_or_else(|_| panic!("{text:?} is no integer, from: {sql}"))
    }
}
