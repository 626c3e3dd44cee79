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
/// PostgreSQL's syntax error.
const SYNTAX: &str = "42601";
/// How long our own sessions may take to be gone from there.
const LEAVING: Duration = Duration::from_secs(5);
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Words in names that people give to what mustn't be tried out.
const NAMES: [&str; 4] = ["prod", "production", "prd", "live"];

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
    /// [`EstimateError::NoCopy`] on MySQL and MariaDB, which have no way to, and the database's.
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
                // As nobody else may read the one, so the other; SQLite takes an empty file.
                private(&copy)
                    .map_err(|source| EstimateError::File { path: copy.clone(), source })?;
                let into = copy.display().to_string().replace('\'', "''");
                let database = connect(source, PATIENCE, &mut |_, _| {}).await.map_err(failed)?;
                let mut session = database.session(Purpose::Watch).await.map_err(failed)?;
                options.path = Some(copy);
                if let Err(error) = session.bare(&format!("vacuum into '{into}'")).await {
                    OwnCopy { options, source: source.clone() }.remove().await?;
                    return Err(failed(error));
                }
            }
        }
        Ok(OwnCopy { options, source: source.clone() })
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
                let name = self.name();
                let drop = format!("drop database if exists {}", Dialect::POSTGRES.quote(&name));
                // Nobody else's sessions are there; a pooler may keep ours. Before version 13 one waits.
                let forced = unless_in_use(&self.source, &format!("{drop} with (force)")).await;
                match forced {
                    Err(error) if error.code.as_deref() == Some(SYNTAX) => {
                        unless_in_use(&self.source, &drop).await
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

/// The name that people give to what mustn't be tried out, where a host, a database or a file has one.
pub fn sounds_like_production(options: &ConnectOptions) -> Option<String> {
    let file = options.path.as_deref().and_then(Path::file_name);
    let file = file.map(|name| name.to_string_lossy().into_owned());
    let mut names = [options.host.clone(), options.database.clone(), file].into_iter().flatten();
    names.find(|name| is_productive(name))
}

/// `shop_prod`, `prod2`, `live.example.com`; not `products`.
fn is_productive(name: &str) -> bool {
    let lower = name.to_lowercase();
    let mut parts = lower.split(|c: char| !c.is_ascii_alphabetic());
    parts.any(|part| NAMES.contains(&part))
}

/// Why a database looks like production, where it does.
///
/// # Errors
/// The database's.
pub async fn looks_like_production(
    options: &ConnectOptions,
) -> Result<Option<String>, EstimateError> {
    if let Some(name) = sounds_like_production(options) {
        return Ok(Some(format!("{name} sounds like it")));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_no_production() {
        for name in ["shop_prod", "prod2", "Live.example.com", "shop-production.db"] {
            assert!(is_productive(name), "{name}");
        }
        for name in ["products", "olive", "delivery", "reproduction"] {
            assert!(!is_productive(name), "{name}");
        }
    }
}
