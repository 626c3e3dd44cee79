//! A copy of our own making, on the same server, for as long as the estimate takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::{
    ConnectOptions, Database, DbError, Dialect, Engine, ErrorKind, Purpose, Statement, connect,
};

use super::EstimateError;

/// PostgreSQL's "object in use": somebody is connected to the template.
const IN_USE: &str = "55006";
/// How long our own sessions may take to be gone from there.
const LEAVING: Duration = Duration::from_secs(5);
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Parts of names that people give to what mustn't be tried out.
const NAMES: [&str; 2] = ["prod", "live"];

/// A copy that was made, and has to be removed.
#[derive(Debug)]
pub struct OwnCopy {
    options: ConnectOptions,
    source: ConnectOptions,
}

impl OwnCopy {
    /// Makes it.
    ///
    /// # Errors
    /// [`EstimateError::NoCopy`] where this engine has no way to, and the database's.
    pub async fn make(source: &ConnectOptions) -> Result<Self, EstimateError> {
        let failed = |source| EstimateError::Db { what: "the copy can't be made", source };
        let number = format!("{:08x}", fastrand::u32(..));
        let mut options = source.clone();
        match source.engine {
            Engine::MySql => return Err(EstimateError::NoCopy),
            Engine::Postgres => {
                let name = format!("lockkeeper_copy_{number}");
                options.database = Some(name.clone());
                let template = source.database.as_deref().unwrap_or_default();
                let [name, template] = [&name, template].map(|name| Dialect::POSTGRES.quote(name));
                let create = format!("create database {name} template {template}");
                unless_in_use(source, &create).await.map_err(failed)?;
            }
            Engine::Sqlite => {
                let path = source.path.clone().unwrap_or_default();
                let copy = beside(&path, &format!(".copy-{number}"));
                // It reads a snapshot, while others may write.
                let into = copy.display().to_string().replace('\'', "''");
                let database = connect(source, PATIENCE, &mut |_, _| {}).await.map_err(failed)?;
                let mut session = database.session(Purpose::Watch).await.map_err(failed)?;
                session.bare(&format!("vacuum into '{into}'")).await.map_err(failed)?;
                options.path = Some(copy);
            }
        }
        Ok(OwnCopy { options, source: source.clone() })
    }

    /// The way to it.
    pub fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Removes it.
    ///
    /// # Errors
    /// The server's. Its message names what is left.
    pub async fn remove(self) -> Result<(), EstimateError> {
        match &self.options.path {
            Some(path) => {
                for file in ["", "-wal", "-shm", "-journal", ".lock"] {
                    // What there is of them.
                    let _ = std::fs::remove_file(beside(path, file));
                }
                Ok(())
            }
            None => {
                let name = self.options.database.as_deref().unwrap_or_default();
                let drop = format!("drop database if exists {}", Dialect::POSTGRES.quote(name));
                unless_in_use(&self.source, &drop)
                    .await
                    .map_err(|source| EstimateError::Left { name: name.to_owned(), source })
            }
        }
    }
}

/// A file with this end to its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Runs what nobody may be connected for, from another database of the same server.
async fn unless_in_use(source: &ConnectOptions, sql: &str) -> Result<(), DbError> {
    let database = from_elsewhere(source).await?;
    let mut session = database.session(Purpose::Watch).await?;
    let asked = Instant::now();
    loop {
        match session.bare(sql).await {
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

/// Why a database looks like production, where it does.
///
/// # Errors
/// The database's.
pub async fn looks_like_production(
    options: &ConnectOptions,
) -> Result<Option<String>, EstimateError> {
    let names = [&options.host, &options.database].into_iter().flatten();
    for name in names {
        let lower = name.to_lowercase();
        if NAMES.iter().any(|part| lower.contains(part)) {
            return Ok(Some(format!("{name} sounds like it")));
        }
    }
    let failed = |source| EstimateError::Db { what: "can't tell what the database is for", source };
    let database = connect(options, PATIENCE, &mut |_, _| {}).await.map_err(failed)?;
    match super::refuse_in_use(database.as_ref()).await {
        Err(EstimateError::MayBeProduction { why, .. }) => return Ok(Some(why)),
        result => result?,
    }
    if options.engine != Engine::Postgres {
        return Ok(None);
    }
    let mut session = database.session(Purpose::Watch).await.map_err(failed)?;
    let followed = Statement::new("select count(*) from pg_stat_replication", Vec::new());
    let rows = session.query(&followed).await.map_err(failed)?;
    let followers = rows.first().map_or(Ok(0), |row| row.int(0)).map_err(failed)?;
    Ok((followers > 0).then(|| "replicas follow its server".to_owned()))
}
