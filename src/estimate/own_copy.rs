//! A copy of our own making, on the same server, for as long as the estimate takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::{ConnectOptions, Database, DbError, Dialect, Engine, ErrorKind, Purpose, connect};
use crate::stop::Stop;

use super::EstimateError;
use super::guard::guarded;

/// PostgreSQL's "object in use": somebody is connected to the template.
const IN_USE: &str = "55006";
/// PostgreSQL's syntax error.
const SYNTAX: &str = "42601";
/// How long our own sessions may take to be gone from there.
const LEAVING: Duration = Duration::from_secs(5);
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A copy of our own, which has to be removed once it is made.
#[derive(Debug)]
pub struct OwnCopy {
    options: ConnectOptions,
    source: ConnectOptions,
}

impl OwnCopy {
    /// One that isn't made yet.
    ///
    /// # Errors
    /// [`EstimateError::NoCopy`] on MySQL and MariaDB, which have no way to.
    pub fn of(source: &ConnectOptions) -> Result<Self, EstimateError> {
        let number = format!("{:08x}", fastrand::u32(..));
        let mut options = source.clone();
        match source.engine {
            Engine::MySql => return Err(EstimateError::NoCopy),
            Engine::Postgres => options.database = Some(format!("lockkeeper_copy_{number}")),
            Engine::Sqlite => {
                let path = source.path.clone().unwrap_or_default();
                options.path = Some(beside(&path, &format!(".copy-{number}")));
            }
        }
        Ok(OwnCopy { options, source: source.clone() })
    }

    /// Makes it. A stop cancels that.
    ///
    /// # Errors
    /// [`EstimateError::InUse`], [`EstimateError::MayNotCopy`], and the database's.
    pub async fn make(&self, stop: &Stop) -> Result<(), EstimateError> {
        let failed = |source: DbError| {
            let database = self.source.place();
            match (source.code.as_deref(), source.kind) {
                (Some(IN_USE), _) => EstimateError::InUse { database },
                (Some(_), ErrorKind::Permission) if self.source.engine == Engine::Postgres => {
                    EstimateError::MayNotCopy { database, source }
                }
                _ => EstimateError::Db { what: "the copy can't be made", source },
            }
        };
        let Some(copy) = &self.options.path else {
            let template = self.source.database.as_deref().unwrap_or_default();
            let [name, template] =
                [&self.name(), template].map(|name| Dialect::POSTGRES.quote(name));
            let create = format!("create database {name} template {template}");
            return unless_in_use(&self.source, &create, stop).await.map_err(failed);
        };
        // It reads a snapshot, while others may write.
        // As nobody else may read the one, so the other; SQLite takes an empty file.
        private(copy).map_err(|source| EstimateError::File { path: copy.clone(), source })?;
        let into = copy.display().to_string().replace('\'', "''");
        let database = connect(&self.source, PATIENCE, &mut |_, _| {}).await.map_err(failed)?;
        let mut session = database.session(Purpose::Watch).await.map_err(failed)?;
        let canceller = session.canceller();
        let vacuum = format!("vacuum into '{into}'");
        guarded(stop, canceller, session.bare(&vacuum)).await.map(drop).map_err(failed)
    }

    /// What is left of it where nobody removes it.
    pub fn name(&self) -> String {
        match &self.options.path {
            Some(path) => path.display().to_string(),
            None => self.options.database.clone().unwrap_or_default(),
        }
    }

    /// The way to it.
    pub fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Removes what there is of it.
    ///
    /// # Errors
    /// The server's. Its message names what is left.
    pub async fn remove(&self) -> Result<(), EstimateError> {
        match &self.options.path {
            Some(path) => {
                for file in ["", "-wal", "-shm", "-journal", ".lock"] {
                    // What there is of them.
                    let _ = std::fs::remove_file(beside(path, file));
                }
                Ok(())
            }
            None => {
                let name = self.name();
                let drop = format!("drop database if exists {}", Dialect::POSTGRES.quote(&name));
                // Nobody else's sessions are there; a pooler may keep ours. Before version 13 one waits.
                let (forced, never) = (format!("{drop} with (force)"), Stop::default());
                match unless_in_use(&self.source, &forced, &never).await {
                    Err(error) if error.code.as_deref() == Some(SYNTAX) => {
                        unless_in_use(&self.source, &drop, &never).await
                    }
                    forced => forced,
                }
                .map_err(|source| EstimateError::Left { name, source })
            }
        }
    }
}

/// A new file that only this user may read.
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// A file with this end to its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Runs what nobody may be connected for, from another database of the same server.
async fn unless_in_use(source: &ConnectOptions, sql: &str, stop: &Stop) -> Result<(), DbError> {
    let database = from_elsewhere(source).await?;
    let mut session = database.session(Purpose::Watch).await?;
    let asked = Instant::now();
    loop {
        let canceller = session.canceller();
        match guarded(stop, canceller, session.bare(sql)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code.as_deref() == Some(IN_USE) && asked.elapsed() < LEAVING => {
                tokio::time::sleep(LEAVING / 50).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn from_elsewhere(source: &ConnectOptions) -> Result<Arc<dyn Database>, DbError> {
    let named = |name: &str| ConnectOptions { database: Some(name.to_owned()), ..source.clone() };
    match connect(&named("postgres"), PATIENCE, &mut |_, _| {}).await {
        Err(error) if error.kind == ErrorKind::NoDatabase => {
            connect(&named("template1"), PATIENCE, &mut |_, _| {}).await
        }
        database => database,
    }
}
