//! From our options to sqlx's. Those print passwords in Debug: never print them.

use std::path::Path;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnectOptions;

use super::{ConnectOptions, FileMode, TlsMode};
use crate::db::Engine;

impl ConnectOptions {
    /// For PostgreSQL. What isn't given comes from libpq's environment (`PGUSER`, `PGPASSWORD`, …).
    pub fn to_postgres(&self) -> PgConnectOptions {
        let mut options = PgConnectOptions::new_without_pgpass();
        if let Some(socket) = &self.socket {
            options = options.socket(socket);
        } else if let Some(host) = &self.host {
            options = options.host(host);
        }
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        if self.socket.is_some() {
            // As in libpq: nothing travels over a socket that TLS could protect.
            options = options.ssl_mode(PgSslMode::Disable);
        } else {
            let tls = self.tls.with_libpq(|name| std::env::var(name).ok());
            options = options.ssl_mode(match tls.effective() {
                TlsMode::Disable => PgSslMode::Disable,
                TlsMode::Prefer => PgSslMode::Prefer,
                TlsMode::Require => PgSslMode::Require,
                TlsMode::VerifyCa => PgSslMode::VerifyCa,
                TlsMode::VerifyFull => PgSslMode::VerifyFull,
            });
        }
        if let Some(ca) = &self.tls.ca {
            options = options.ssl_root_cert(ca);
        }
        if let (Some(cert), Some(key)) = (&self.tls.cert, &self.tls.key) {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        if !self.settings.is_empty() {
            options = options.options(self.settings.iter().map(|(name, value)| (name, value)));
        }
        options
    }

    /// For MySQL and MariaDB. The server's `sql_mode` and time zone stay as its administrator set
    /// them: migrations must behave as in the `mysql` client.
    pub fn to_mysql(&self) -> MySqlConnectOptions {
        let mut options = MySqlConnectOptions::new()
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .charset("utf8mb4");
        if let Some(socket) = &self.socket {
            options = options.socket(socket).ssl_mode(MySqlSslMode::Disabled);
        } else {
            options = options.ssl_mode(match self.tls.effective() {
                TlsMode::Disable => MySqlSslMode::Disabled,
                TlsMode::Prefer => MySqlSslMode::Preferred,
                TlsMode::Require => MySqlSslMode::Required,
                TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
                TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
            });
        }
        if let Some(host) = &self.host {
            options = options.host(host);
        }
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        if let Some(ca) = &self.tls.ca {
            options = options.ssl_ca(ca);
        }
        if let (Some(cert), Some(key)) = (&self.tls.cert, &self.tls.key) {
            options = options.ssl_client_cert(cert).ssl_client_key(key);
        }
        options
    }

    /// For SQLite. Foreign keys are on, as sqlx has them; the journal mode stays the file's own.
    pub fn to_sqlite(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.path.as_deref().unwrap_or_else(|| Path::new("")))
            .create_if_missing(self.file_mode == FileMode::Create)
            .read_only(self.file_mode == FileMode::Read)
    }

    /// Whether it is an SQLite file that doesn't exist, and that a run would make: in a folder that
    /// does exist, for none makes that.
    pub fn makes_a_file(&self) -> bool {
        let Some(path) = self.path.as_ref().filter(|_| self.engine == Engine::Sqlite) else {
            return false;
        };
        // A link to nowhere may lead to a folder that isn't there either.
        let is_free = path.symlink_metadata().is_err();
        self.file_mode == FileMode::Create && is_free && folder(path).is_dir()
    }

    /// Whether it is an SQLite file that doesn't exist, whoever may make it.
    pub fn is_missing_file(&self) -> bool {
        self.engine == Engine::Sqlite && self.path.as_ref().is_some_and(|path| !path.exists())
    }

    /// Where it is, for people: `shop at db:5432`, `demo.db`.
    pub fn place(&self) -> String {
        let (database, host, port) = match self.engine {
            Engine::Sqlite => {
                return self
                    .path
                    .as_ref()
                    .map(|path| path.display().to_string())
                    .unwrap_or_default();
            }
            Engine::Postgres => {
                let options = self.to_postgres();
                let database = options.get_database().unwrap_or(options.get_username()).to_owned();
                (database, options.get_host().to_owned(), options.get_port())
            }
            Engine::MySql => (
                self.database.clone().unwrap_or_default(),
                self.host.clone().unwrap_or_else(|| "localhost".to_owned()),
                self.port.unwrap_or(3306),
            ),
        };
        match &self.socket {
            Some(socket) => format!("{database} at {}", socket.display()),
            None if host.starts_with('/') => format!("{database} at {host}"),
            None if host.contains(':') => format!("{database} at [{host}]:{port}"),
            None => format!("{database} at {host}:{port}"),
        }
    }
}

/// The folder that a file is in.
pub(in crate::db) fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
