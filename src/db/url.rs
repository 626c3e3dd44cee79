//! How to reach a database: from a URL, from its parts, or from the JSON of a secret.

mod convert;
mod error;
mod parse;
mod secret;
mod suspect;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says what fails by failing")]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub(super) use self::convert::folder;
pub use self::error::UrlError;
pub use self::suspect::may_hold_password;
use super::{DbError, Engine, ErrorKind};

/// A password. It can be used, but neither printed nor serialized by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Password(password.into())
    }

    /// The password itself, for the connection alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Password(password)
    }
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Password(password.to_owned())
    }
}

/// How much TLS is asked for, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS when the server offers it, without a look at its certificate.
    Prefer,
    /// TLS or nothing; the certificate is looked at only when a CA is given, then as `verify-full`.
    Require,
    /// TLS, and the certificate must come from a trusted CA; with a CA given, as `verify-full`.
    VerifyCa,
    /// TLS, and the certificate must come from a trusted CA and be the host's own.
    VerifyFull,
}

impl TlsMode {
    /// libpq's word, or MySQL's.
    fn from_word(word: &str) -> Option<TlsMode> {
        Some(match word.to_ascii_lowercase().replace('_', "-").as_str() {
            "disable" | "disabled" => TlsMode::Disable,
            "allow" | "prefer" | "preferred" => TlsMode::Prefer,
            "require" | "required" => TlsMode::Require,
            "verify-ca" => TlsMode::VerifyCa,
            "verify-full" | "verify-identity" => TlsMode::VerifyFull,
            _ => return None,
        })
    }
}

/// What is asked of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The mode, where one was given.
    pub mode: Option<TlsMode>,
    /// A file with trusted CAs, besides the system's.
    pub ca: Option<PathBuf>,
    /// A file with the client's certificate.
    pub cert: Option<PathBuf>,
    /// A file with the client's key.
    pub key: Option<PathBuf>,
}

impl Tls {
    /// The mode that holds. Nobody names a CA in order to ignore it: without a mode it asks for the
    /// whole check, and `require` checks the certificate, as in libpq. The driver trusts the
    /// system's CAs beside the one that is given, and they sign for everybody. So the host's name is
    /// what remains to tell its certificate from a stranger's, and is checked with `require` and
    /// `verify-ca` too.
    pub fn effective(&self) -> TlsMode {
        match (self.mode, &self.ca) {
            (None, None) => TlsMode::Prefer,
            (None | Some(TlsMode::Require | TlsMode::VerifyCa), Some(_)) => TlsMode::VerifyFull,
            (Some(mode), _) => mode,
        }
    }

    /// The same, with what isn't given from libpq's variables: the driver reads them too, but would
    /// not check the name.
    fn with_libpq(&self, variable: impl Fn(&str) -> Option<String>) -> Tls {
        let asked = self.mode.is_some() || self.ca.is_some();
        let given = || variable("PGSSLMODE").and_then(|word| TlsMode::from_word(&word));
        Tls {
            mode: if asked { self.mode } else { Some(given().unwrap_or(TlsMode::Prefer)) },
            ca: self.ca.clone().or_else(|| variable("PGSSLROOTCERT").map(PathBuf::from)),
            ..self.clone()
        }
    }
}

/// How an SQLite file is opened: `?mode=` in its URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileMode {
    /// `rwc`: read and write, made where it doesn't exist.
    #[default]
    Create,
    /// `rw`: read and write; it must exist.
    Write,
    /// `ro`: read only.
    Read,
}

/// How to reach a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The family of databases.
    pub engine: Engine,
    /// The host, without the brackets of an IPv6 address.
    pub host: Option<String>,
    /// The port, where it isn't the engine's own.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// The database's name. PostgreSQL's is the user's name by default.
    pub database: Option<String>,
    /// The folder (PostgreSQL) or the file (MySQL) of a Unix socket, used in place of the host.
    pub socket: Option<PathBuf>,
    /// SQLite's file.
    pub path: Option<PathBuf>,
    /// How SQLite's file is opened.
    pub file_mode: FileMode,
    /// TLS.
    pub tls: Tls,
    /// Settings of the session, from PostgreSQL's `options=-c name=value`.
    pub settings: Vec<(String, String)>,
    /// `connect_timeout` of the URL.
    pub connect_timeout: Option<Duration>,
}

impl ConnectOptions {
    fn new(engine: Engine) -> Self {
        ConnectOptions {
            engine,
            host: None,
            port: None,
            user: None,
            password: None,
            database: None,
            socket: None,
            path: None,
            file_mode: FileMode::default(),
            tls: Tls::default(),
            settings: Vec::new(),
            connect_timeout: None,
        }
    }

    /// From a database URL. Any character may stand in the password as it is: what belongs to it
    /// ends at the `@` before the host. Percent escapes are decoded; a `%` that starts none stands
    /// for itself.
    ///
    /// # Errors
    /// [`UrlError`], which never contains the URL or the password.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        parse::url(url)?.checked()
    }

    /// From single parts, each taken as it is.
    ///
    /// # Errors
    /// [`UrlError`] names the part that is missing, or that holds a whole URL or a secret: its
    /// password would be shown with the place.
    pub fn from_parts(parts: Parts) -> Result<Self, UrlError> {
        for (part, text) in
            [("host", &parts.host), ("user", &parts.user), ("database", &parts.database)]
        {
            let Some(text) = text else { continue };
            if text.contains("://") {
                return Err(UrlError::UrlAsPart { part });
            }
            if may_hold_password(text) {
                return Err(UrlError::SecretAsPart { part });
            }
        }
        // A password in the host's place is shown as readily, and has other characters as a rule.
        if parts.host.as_ref().is_some_and(|host| !host.starts_with('/') && !is_host(host)) {
            return Err(UrlError::HostPart);
        }
        let mut options = ConnectOptions::new(parts.engine.ok_or(UrlError::NoEngine)?);
        if options.engine == Engine::Sqlite {
            options.path = parts.database.map(PathBuf::from);
        } else {
            options.set_host(parts.host.filter(|host| !host.is_empty()));
            options.port = parts.port;
            options.user = parts.user.filter(|user| !user.is_empty());
            options.password = parts.password;
            options.database = parts.database.filter(|name| !name.is_empty());
        }
        options.checked()
    }

    /// From the JSON that RDS, Secrets Manager and Copilot write. It must hold everything;
    /// [`Parts::from_secret`] takes one that doesn't.
    ///
    /// # Errors
    /// [`UrlError`] names the field that is missing or wrong, and never prints the secret.
    pub fn from_secret(json: &str) -> Result<Self, UrlError> {
        let parts = Parts::from_secret(json)?;
        for (field, missing) in [
            ("engine", parts.engine.is_none()),
            ("host", parts.host.is_none()),
            ("username", parts.user.is_none()),
            ("password", parts.password.is_none()),
        ] {
            if missing {
                return Err(UrlError::NoSecretField { field });
            }
        }
        ConnectOptions::from_parts(parts)
    }

    /// The same, with TLS as the command line asks for it; `None` leaves what the URL says.
    #[must_use]
    pub fn with_tls(mut self, mode: Option<TlsMode>, ca: Option<PathBuf>) -> Self {
        self.tls.mode = mode.or(self.tls.mode);
        self.tls.ca = ca.or(self.tls.ca);
        self
    }

    /// Looks at the files that TLS needs: the driver would take a missing one for an unreachable
    /// server, and one without a certificate for an empty list.
    pub(super) fn check_files(&self) -> Result<(), DbError> {
        let files = [
            ("the CA file", &self.tls.ca, "CERTIFICATE-----"),
            ("the client's certificate", &self.tls.cert, "CERTIFICATE-----"),
            ("the client's key", &self.tls.key, "PRIVATE KEY-----"),
        ];
        for (what, path, mark) in files {
            let Some(path) = path else { continue };
            let shown = path.display();
            let text = std::fs::read(path).map_err(|error| {
                DbError::new(ErrorKind::Tls, format!("{what} {shown}: {error}"))
            })?;
            if !String::from_utf8_lossy(&text).contains(mark) {
                let message = format!("{what} {shown} holds no `-----BEGIN {mark}` (PEM)");
                return Err(DbError::new(ErrorKind::Tls, message));
            }
        }
        Ok(())
    }

    /// A host that starts with `/` is a socket, as in libpq.
    fn set_host(&mut self, host: Option<String>) {
        match host {
            Some(host) if host.starts_with('/') => self.socket = Some(PathBuf::from(host)),
            host => self.host = host,
        }
    }

    /// What must be there, is.
    fn checked(self) -> Result<Self, UrlError> {
        match self.engine {
            Engine::Sqlite => match &self.path {
                None => return Err(UrlError::NoPath),
                Some(path) if path.as_os_str().is_empty() => return Err(UrlError::NoPath),
                Some(path) if path.as_os_str().to_string_lossy().contains(":memory:") => {
                    return Err(UrlError::InMemory);
                }
                Some(_) => {}
            },
            Engine::MySql => {
                if self.user.is_none() {
                    return Err(UrlError::NoUser);
                }
                if self.database.is_none() {
                    return Err(UrlError::NoDatabase);
                }
            }
            // PostgreSQL's user is the operating system's by default, and the database the user's.
            Engine::Postgres => {}
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            return Err(UrlError::HalfCertificate);
        }
        Ok(self)
    }
}

/// Whether all characters are such as stand in a host's name or address.
fn is_host(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
}

/// Where a database is, each part by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The family of databases.
    pub engine: Option<Engine>,
    /// The host, or the path of a Unix socket.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// The database's name; SQLite's file.
    pub database: Option<String>,
}

impl Parts {
    /// These parts, with those of `other` where one is missing. RDS's own secrets hold no more
    /// than user and password: the rest comes from the command line.
    #[must_use]
    pub fn or(self, other: Parts) -> Parts {
        Parts {
            engine: self.engine.or(other.engine),
            host: self.host.or(other.host),
            port: self.port.or(other.port),
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            database: self.database.or(other.database),
        }
    }

    /// From the JSON of a secret, with whatever it holds.
    ///
    /// # Errors
    /// [`UrlError`] names the field that is wrong, and never prints the secret.
    pub fn from_secret(json: &str) -> Result<Self, UrlError> {
        secret::parts(json)
    }
}

impl FromStr for Engine {
    type Err = UrlError;

    /// The words of URLs and of AWS: `postgres`, `aurora-mysql`, …
    fn from_str(word: &str) -> Result<Self, UrlError> {
        let word = word.to_ascii_lowercase();
        Ok(match word.strip_prefix("aurora-").unwrap_or(&word) {
            "postgres" | "postgresql" => Engine::Postgres,
            "mysql" | "mariadb" => Engine::MySql,
            "sqlite" | "sqlite3" => Engine::Sqlite,
            _ => return Err(UrlError::Engine),
        })
    }
}
