//! A test's own database, empty at first.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

use super::connection::{Connection, Row};
use super::server::{Kind, Server};

/// Where on a server a database is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The database's name.
    pub name: String,
}

/// A database.
#[derive(Debug)]
pub struct Database {
    /// The URL under which the server's administrator reaches it.
    pub url: String,
    kind: Kind,
    place: Option<Place>,
    folder: Option<TempDir>,
    /// Where to leave the name for the server to drop.
    dropped: Option<Arc<Mutex<Vec<String>>>>,
}

impl Database {
    /// A new database on the shared server of this kind, or an SQLite file.
    pub async fn of(kind: Kind) -> Database {
        match kind {
            Kind::Sqlite => Database::sqlite(),
            _ => Server::shared(kind).database().await,
        }
    }

    /// A new database of every kind.
    pub async fn every() -> [Database; 4] {
        std::thread::scope(|scope| {
            for kind in &Kind::ALL[1..] {
                scope.spawn(|| Server::shared(*kind));
            }
        });
        let [sqlite, postgres15, postgres18, mariadb] = Kind::ALL.map(Database::of);
        tokio::join!(sqlite, postgres15, postgres18, mariadb).into()
    }

    /// An SQLite database in a folder of its own: an empty file, which is an empty database.
    pub fn sqlite() -> Database {
        let folder = super::folder::new();
        let path = folder.path().join("test.db");
        std::fs::write(&path, "").expect("a file");
        Database {
            url: format!("sqlite://{}", path.display()),
            kind: Kind::Sqlite,
            place: None,
            folder: Some(folder),
            dropped: None,
        }
    }

    /// A database on a server.
    pub(super) fn at(
        kind: Kind,
        place: Place,
        dropped: Option<Arc<Mutex<Vec<String>>>>,
    ) -> Database {
        let url = url(kind, place.port, &place.name);
        Database { url, kind, place: Some(place), folder: None, dropped }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.place.as_ref().expect("a database on a server").name
    }

    /// Its server's port.
    pub fn port(&self) -> u16 {
        self.place.as_ref().expect("a database on a server").port
    }

    /// SQLite's file.
    pub fn path(&self) -> PathBuf {
        self.folder.as_ref().expect("an SQLite database").path().join("test.db")
    }

    /// The URL through another port: a proxy's, a pooler's.
    pub fn url_through(&self, port: u16) -> String {
        url(self.kind, port, self.name())
    }

    /// The URL for another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let [user, password] =
            [user, password].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let (_, address) = rest.split_once('@').expect("a user");
        format!("{scheme}://{user}:{password}@{address}")
    }

    /// A new user with this password, who owns the database and nothing else; returns its name,
    /// for [`Database::url_as`].
    pub async fn owner(&self, password: &str) -> String {
        let user = self.stranger(password).await;
        let name = self.name();
        let grant = if self.kind.is_postgres() {
            format!("alter database {name} owner to {user}")
        } else {
            format!("grant all on {name}.* to {user}@'127.0.0.1'")
        };
        self.execute(&grant).await;
        user
    }

    /// A new user with this password, who can connect and has no right to anything.
    pub async fn stranger(&self, password: &str) -> String {
        let user = format!("{}_user_{:08x}", self.name(), fastrand::u32(..));
        let password = password.replace('\'', "''");
        if self.kind.is_postgres() {
            // Members of this role need their password: see the server's pg_hba.conf.
            let group = "do $$ begin create role scram; \
                         exception when duplicate_object or unique_violation then null; end $$";
            self.execute(group).await;
            let create = format!("create role {user} login password '{password}' in role scram");
            self.execute(&create).await;
        } else {
            let password = password.replace('\\', r"\\");
            let name = self.name();
            let create = format!("create user {user}@'127.0.0.1' identified by '{password}'");
            self.execute(&create).await;
            self.execute(&format!(
                "grant create temporary tables on {name}.* to {user}@'127.0.0.1'"
            ))
            .await;
        }
        user
    }

    /// Opens a connection as the server's administrator, for what needs a session: a lock, an open
    /// transaction.
    pub async fn connect(&self) -> Connection {
        Connection::open(self).await.unwrap_or_else(|error| panic!("{}: {error}", self.url))
    }

    /// Runs a script.
    pub async fn execute(&self, sql: &str) {
        self.connect().await.execute(sql).await;
    }

    /// Runs a script that may fail.
    ///
    /// # Errors
    /// The server's, or that it can't be reached.
    pub async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        Connection::open(self).await?.try_execute(sql).await
    }

    /// The one integer that a query answers.
    pub async fn query_i64(&self, sql: &str) -> i64 {
        self.connect().await.query_i64(sql).await
    }

    /// The one value that a query answers, as text.
    pub async fn query_text(&self, sql: &str) -> String {
        self.connect().await.query_text(sql).await
    }

    /// The first column of a query, as text.
    pub async fn query_column(&self, sql: &str) -> Vec<String> {
        self.connect().await.query_column(sql).await
    }

    /// All rows of a query, as text.
    pub async fn query_rows(&self, sql: &str) -> Vec<Row> {
        self.connect().await.query_rows(sql).await
    }

    /// Waits until a query answers a number other than 0. Until then it may fail, since what it
    /// asks for need not exist yet.
    pub async fn wait_for(&self, sql: &str) {
        let holds = async || {
            let Ok(mut connection) = Connection::open(self).await else { return false };
            let rows = connection.try_query_rows(sql).await.unwrap_or_default();
            let first = rows.first().and_then(|row| row.first()?.as_deref()?.parse::<i64>().ok());
            first.is_some_and(|number| number != 0)
        };
        super::wait_until(sql, Duration::from_secs(60), holds).await;
    }

    /// Its tables, views included, in the order of their names.
    pub async fn tables(&self) -> Vec<String> {
        let sql = match self.kind {
            Kind::Sqlite => "select name from sqlite_master where type in ('table', 'view')",
            Kind::MariaDb => {
                "select table_name from information_schema.tables where table_schema = database()"
            }
            Kind::Postgres15 | Kind::Postgres18 => {
                "select case table_schema when 'public' then '' else table_schema || '.' end \
                     || table_name from information_schema.tables \
                 where table_schema not in ('pg_catalog', 'information_schema')"
            }
        };
        let mut tables = self.query_column(sql).await;
        tables.sort();
        tables
    }

    /// Its columns and indexes as text, those of lockkeeper's own tables included.
    pub async fn schema(&self) -> String {
        let schema = match self.kind {
            Kind::Sqlite => "select type, name, sql from sqlite_master order by 1, 2",
            Kind::MariaDb => {
                "select table_name, column_name, column_type, is_nullable, column_key \
                 from information_schema.columns where table_schema = database() \
                 order by table_name, ordinal_position"
            }
            Kind::Postgres15 | Kind::Postgres18 => {
                "(select c.oid::regclass::text, a.attname::text, format_type(atttypid, atttypmod), \
                         attnotnull::text \
                  from pg_class c join pg_attribute a on a.attrelid = c.oid and attnum > 0 \
                       join pg_namespace n on n.oid = relnamespace \
                  where nspname not like 'pg\\_%' and nspname <> 'information_schema') \
                 union all \
                 (select indexname::text, indexdef, '', '' from pg_indexes \
                  where schemaname not like 'pg\\_%') order by 1, 2, 3"
            }
        };
        self.query_rows(schema).await.iter().map(|row| format!("{row:?}\n")).collect()
    }

    /// Everything in it as text, columns, indexes and rows, to see that nothing has changed.
    pub async fn contents(&self) -> String {
        let mut contents = self.schema().await;
        let mut connection = self.connect().await;
        for table in self.tables().await {
            let mut rows = connection.query_rows(&format!("select * from {table}")).await;
            rows.sort();
            let _ = writeln!(contents, "{table}: {rows:#?}");
        }
        contents
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let (Some(dropped), Some(place)) = (&self.dropped, &self.place) {
            dropped
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(place.name.clone());
        }
    }
}

fn url(kind: Kind, port: u16, name: &str) -> String {
    match kind {
        Kind::MariaDb => format!("mysql://root@127.0.0.1:{port}/{name}"),
        _ => format!("postgres://postgres@127.0.0.1:{port}/{name}"),
    }
}
