//! The options that name the database, and the way to it.

use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::db::{
    ConnectOptions, Database, DbError, Engine, Parts, Password, TlsMode, connect, connect_once,
};
use crate::error::Error;
use crate::terminal::format::one_line;

/// How to reach the database.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct Connection {
    /// The database: postgres://…, mysql://… or sqlite:FILE; DATABASE_URL serves too
    #[arg(long, env = URL, value_name = "URL")]
    database_url: Option<String>,
    /// The environment variable that holds the secret of RDS or Copilot (JSON with host, port,
    /// dbname, username, password, engine)
    #[arg(long, env = "LOCKKEEPER_DATABASE_SECRET_ENV", value_name = "NAME")]
    database_secret_env: Option<String>,
    /// postgres, mysql (also for MariaDB) or sqlite; where no URL says it
    #[arg(long, env = "LOCKKEEPER_DB_ENGINE", value_name = "ENGINE")]
    db_engine: Option<EngineChoice>,
    /// The server
    #[arg(long, env = "LOCKKEEPER_DB_HOST", value_name = "HOST")]
    db_host: Option<String>,
    /// Its port
    #[arg(long, env = "LOCKKEEPER_DB_PORT", value_name = "PORT")]
    db_port: Option<u16>,
    /// The user; the password comes from LOCKKEEPER_DB_PASSWORD or --db-password-file
    #[arg(long, env = "LOCKKEEPER_DB_USER", value_name = "USER")]
    db_user: Option<String>,
    /// The database's name
    #[arg(long, env = "LOCKKEEPER_DB_NAME", value_name = "NAME")]
    db_name: Option<String>,
    /// A file that holds the password
    #[arg(long, env = "LOCKKEEPER_DB_PASSWORD_FILE", value_name = "FILE",
          value_parser = super::path())]
    db_password_file: Option<PathBuf>,
    /// Whether to use TLS, in libpq's words
    #[arg(long, env = "LOCKKEEPER_TLS_MODE", value_name = "MODE")]
    tls_mode: Option<TlsMode>,
    /// CAs to trust beside the system's (PEM); the host's name is then always checked
    #[arg(long, env = "LOCKKEEPER_TLS_CA", value_name = "FILE", value_parser = super::path())]
    tls_ca: Option<PathBuf>,
    /// How long to try while the database isn't reachable yet
    #[arg(long, env = "LOCKKEEPER_CONNECT_TIMEOUT", value_name = "TIME", default_value = "30s",
          value_parser = super::duration)]
    connect_timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum EngineChoice {
    Postgres,
    #[value(alias = "mariadb")]
    Mysql,
    Sqlite,
}

/// The password isn't an option: what stands in argv, everybody on the machine can read.
pub const PASSWORD: &str = "LOCKKEEPER_DB_PASSWORD";
/// The variable of `--database-url`.
pub const URL: &str = "LOCKKEEPER_DATABASE_URL";

impl Connection {
    /// What the options say, without connecting.
    ///
    /// # Errors
    /// [`Error::NoDatabase`] where they say nothing, and [`Error::Url`].
    pub fn options(&self) -> Result<ConnectOptions, Error> {
        let options = if let Some(url) = self.url()? {
            ConnectOptions::from_url(&url)?
        } else if self.has_parts() || self.database_secret_env.is_some() {
            ConnectOptions::from_parts(self.parts()?)?
        } else {
            return Err(Error::NoDatabase);
        };
        Ok(self.with_tls(options))
    }

    /// The variables by which another process of ours reaches the same database, beside those that it
    /// inherits.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |path: &Option<PathBuf>| Some(path.as_ref()?.to_str()?.to_owned());
        [
            ("LOCKKEEPER_DATABASE_URL", self.database_url.clone()),
            ("LOCKKEEPER_DATABASE_SECRET_ENV", self.database_secret_env.clone()),
            ("LOCKKEEPER_DB_ENGINE", self.db_engine.and_then(word)),
            ("LOCKKEEPER_DB_HOST", self.db_host.clone()),
            ("LOCKKEEPER_DB_PORT", self.db_port.map(|port| port.to_string())),
            ("LOCKKEEPER_DB_USER", self.db_user.clone()),
            ("LOCKKEEPER_DB_NAME", self.db_name.clone()),
            ("LOCKKEEPER_DB_PASSWORD_FILE", file(&self.db_password_file)),
            ("LOCKKEEPER_TLS_MODE", self.tls_mode.and_then(word)),
            ("LOCKKEEPER_TLS_CA", file(&self.tls_ca)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// The same, with TLS as the options ask for it.
    pub fn with_tls(&self, options: ConnectOptions) -> ConnectOptions {
        options.with_tls(self.tls_mode, self.tls_ca.clone())
    }

    /// Connects, and tells `on_retry` while it has to wait.
    ///
    /// # Errors
    /// As [`Connection::options`], and [`Error::Connect`].
    pub async fn connect(
        &self,
        mut on_retry: impl FnMut(&DbError) + Send,
    ) -> Result<Arc<dyn Database>, Error> {
        let options = self.options()?;
        connect(&options, self.connect_timeout, &mut |error, _| on_retry(error))
            .await
            .map_err(|source| Error::Connect { place: options.place(), source })
    }

    /// Tries to connect once, for who has a loop of its own.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub async fn connect_once(&self, timeout: Duration) -> Result<Arc<dyn Database>, Error> {
        let options = self.options()?;
        connect_once(&options, timeout)
            .await
            .map_err(|source| Error::Connect { place: options.place(), source })
    }

    /// How long one attempt may take where the patience is longer.
    pub fn one_attempt(&self) -> Duration {
        self.connect_timeout
    }

    /// [`Connection::connect`] for a command that has no face: it says so once, on standard error,
    /// in JSON where the answer is.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub async fn reach(&self, json: bool) -> Result<Arc<dyn Database>, Error> {
        let options = self.options()?;
        // The answer in JSON says it by itself.
        if options.makes_a_file() && !json {
            eprintln!("{} does not exist yet: `up` would make it", one_line(&options.place()));
        }
        let mut said = false;
        self.connect(|error| {
            if !std::mem::replace(&mut said, true) {
                let reason = error.to_string();
                match json {
                    true => super::tell_unreachable_as_json(&reason),
                    false => {
                        eprintln!(
                            "database not reachable yet, trying again: {}",
                            one_line(&reason)
                        );
                    }
                }
            }
        })
        .await
    }

    fn url(&self) -> Result<Option<String>, Error> {
        if let Some(url) = &self.database_url {
            return Ok(Some(url.clone()).filter(|url| !url.is_empty()));
        }
        match self.has_parts() || self.database_secret_env.is_some() {
            true => Ok(None),
            false => variable("DATABASE_URL"),
        }
    }

    fn has_parts(&self) -> bool {
        self.db_host.is_some() || self.db_name.is_some()
    }

    /// Parts given one by one go before the secret's.
    fn parts(&self) -> Result<Parts, Error> {
        let parts = Parts {
            engine: self.db_engine.map(|engine| match engine {
                EngineChoice::Postgres => Engine::Postgres,
                EngineChoice::Mysql => Engine::MySql,
                EngineChoice::Sqlite => Engine::Sqlite,
            }),
            host: self.db_host.clone(),
            port: self.db_port,
            user: self.db_user.clone(),
            password: self.password()?,
            database: self.db_name.clone(),
        };
        let Some(name) = &self.database_secret_env else { return Ok(parts) };
        let secret = named_variable("--database-secret-env", name)?;
        Ok(parts.or(Parts::from_secret(&secret)?))
    }

    fn password(&self) -> Result<Option<Password>, Error> {
        let Some(file) = &self.db_password_file else {
            return Ok(variable(PASSWORD)?.map(Password::new));
        };
        let text = std::fs::read_to_string(file).map_err(|source| Error::File {
            what: format!("can't read the password file{}", shown(file)),
            source,
            next: "give --db-password-file the path of a file that holds the password, and let the \
                   user that runs lockkeeper read it",
        })?;
        // Editors and `echo` end a file with a newline; a password does not.
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(Some(Password::new(text.strip_suffix('\r').unwrap_or(text))))
    }
}

/// A choice as the command line has it.
fn word(choice: impl ValueEnum) -> Option<String> {
    Some(choice.to_possible_value()?.get_name().to_owned())
}

/// The secret in the environment variable that an option names.
///
/// # Errors
/// Where that is no name, or not set.
pub fn named_variable(option: &str, name: &str) -> Result<String, Error> {
    // Who gives the secret itself must not find it in the log.
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Error::Usage {
            message: format!("{option} takes the name of an environment variable"),
            next: "put the secret into a variable, and name that: DB_SECRET".to_owned(),
        });
    }
    variable(name)?.ok_or_else(|| Error::Usage {
        message: format!("the environment variable {name} is not set"),
        next: "let the task definition inject the secret under that name".to_owned(),
    })
}

/// An environment variable, where it is set to something.
fn variable(name: &str) -> Result<Option<String>, Error> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::Usage {
            message: format!("the environment variable {name} is not UTF-8"),
            next: "set it in UTF-8".to_owned(),
        }),
    }
}

/// A path in a message, if it surely is one: the password itself may have been given as the file's.
fn shown(path: &Path) -> String {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && folder.is_dir() => {
            format!(" {}", path.display())
        }
        _ => String::new(),
    }
}
