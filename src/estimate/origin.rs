//! Which database a URL leads to, whatever name it is called by.
//!
//! By text nobody can tell: a host has names, addresses and a socket, and a pooler has its own. So the
//! databases are asked: for what identifies their server, and whether the one shows a lock that is held in the
//! other. The lock decides. A restored snapshot has its origin's identifier (PostgreSQL's `system_identifier` is
//! of the cluster's files), and yet is another database.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::db::{Database, DbError, Engine, Purpose, Session, Statement};

use super::EstimateError;

/// How long a session that was closed may still be shown.
const LEAVING: Duration = Duration::from_secs(1);

/// What identifies a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The server's identifier, where it tells one.
    pub system: Option<String>,
    /// The database's name there.
    pub database: String,
}

impl Origin {
    /// Asks for it.
    ///
    /// # Errors
    /// The server's.
    pub async fn of(engine: Engine, session: &mut dyn Session) -> Result<Self, DbError> {
        let (system, database) = match engine {
            Engine::Postgres => (
                "select system_identifier::text from pg_control_system()",
                "select current_database()::text",
            ),
            // MariaDB has no server_uuid, and MySQL no server_uid.
            Engine::MySql => (
                "select concat(@@hostname, ':', @@port, ':', @@datadir)",
                "select lower(database())",
            ),
            Engine::Sqlite => {
                let files = "select file from pragma_database_list where name = 'main'";
                let file = text(session, files).await?.unwrap_or_default();
                return Ok(Origin { system: file_number(&file), database: "main".to_owned() });
            }
        };
        // Who may not read it learns less; the lock tells all the same.
        let system = text(session, system).await.unwrap_or_default();
        Ok(Origin { system, database: text(session, database).await?.unwrap_or_default() })
    }
}

/// The first value of the first row.
async fn text(session: &mut dyn Session, sql: &str) -> Result<Option<String>, DbError> {
    let rows = session.query(&Statement::new(sql, Vec::new())).await?;
    let value = rows.first().map(|row| row.optional_text(0)).transpose()?.flatten();
    Ok(value.map(str::to_owned))
}

/// Device and inode: links and paths of a file lead to the same.
fn file_number(path: &str) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(PathBuf::from(path)).ok()?;
    Some(format!("{}:{}", file.dev(), file.ino()))
}

/// Refuses a copy that is the production database.
///
/// # Errors
/// [`EstimateError::IsProduction`], also where nobody can tell; [`EstimateError::OtherEngine`], and the
/// databases'.
pub async fn refuse_production(
    copy: &dyn Database,
    production: &dyn Database,
) -> Result<(), EstimateError> {
    let engine = copy.dialect().engine;
    if engine != production.dialect().engine {
        let production = production.dialect().engine;
        return Err(EstimateError::OtherEngine { copy: engine, production });
    }
    let failed =
        |source| EstimateError::Db { what: "can't tell copy and production apart", source };
    let mut here = copy.session(Purpose::Watch).await.map_err(failed)?;
    let mut there = production.session(Purpose::Watch).await.map_err(failed)?;
    let one = Origin::of(engine, here.as_mut()).await.map_err(failed)?;
    let other = Origin::of(engine, there.as_mut()).await.map_err(failed)?;
    if one.database != other.database {
        return Ok(());
    }
    let known = one.system.is_some() && other.system.is_some();
    if engine == Engine::Sqlite {
        return match one.system == other.system && known {
            true => Err(EstimateError::IsProduction { why: "both are the same file".to_owned() }),
            false => Ok(()),
        };
    }
    if known && one.system != other.system {
        return Ok(());
    }
    let database = &one.database;
    match shows_lock(engine, here.as_mut(), there.as_mut()).await {
        Ok(true) => Err(EstimateError::IsProduction {
            why: format!(
                "a lock that is held in the one shows in the other, both being {database}"
            ),
        }),
        Ok(false) => Ok(()),
        Err(error) => Err(EstimateError::IsProduction {
            why: format!(
                "both are {database} of the same server, as far as they tell, and a lock that would \
                 tell them apart can't be looked at: {error}"
            ),
        }),
    }
}

/// Whether a lock of this session shows in the other, in the same database. Locks are of a server's memory,
/// so that not even a physical copy shares them.
async fn shows_lock(
    engine: Engine,
    here: &mut dyn Session,
    there: &mut dyn Session,
) -> Result<bool, DbError> {
    let number = i64::from(fastrand::i32(1..));
    match engine {
        Engine::Postgres => {
            // In a transaction, so that a pooler keeps the server's session for as long.
            here.bare("begin").await?;
            let seen = async {
                let take = format!("select pg_advisory_xact_lock({number})");
                here.bare(&take).await?;
                let sql = "select count(*) from pg_locks l join pg_database d on d.oid = l.database \
                           where l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
                           and l.classid = 0 and l.objid = $1::bigint::oid \
                           and d.datname = current_database()";
                let rows = there.query(&Statement::new(sql, vec![number.into()])).await?;
                rows.first().map_or(Ok(0), |row| row.int(0))
            };
            let seen = seen.await;
            here.bare("rollback").await?;
            Ok(seen? > 0)
        }
        Engine::MySql => {
            let name = format!("lockkeeper-origin-{number}");
            let of = |function: &str| format!("select {function}('{name}')");
            let take = format!("select get_lock('{name}', 0)");
            here.query(&Statement::new(take, Vec::new())).await?;
            let sql = format!("select is_used_lock('{name}') is not null");
            let seen = there.query(&Statement::new(sql, Vec::new())).await;
            here.query(&Statement::new(of("release_lock"), Vec::new())).await?;
            let seen = seen?;
            Ok(seen.first().map_or(Ok(0), |row| row.int(0))? != 0)
        }
        // Its file says it.
        Engine::Sqlite => Ok(false),
    }
}

/// Refuses a copy to which others are connected, where nobody has said which database is production.
///
/// # Errors
/// [`EstimateError::MayBeProduction`], and the database's.
pub async fn refuse_in_use(copy: &dyn Database) -> Result<(), EstimateError> {
    let failed = |source| EstimateError::Db { what: "can't tell whether the copy is one", source };
    let sql = match copy.dialect().engine {
        Engine::Postgres => {
            "select count(*) from pg_stat_activity where datname = current_database() \
             and backend_type = 'client backend' and application_name not like 'lockkeeper%'"
        }
        // Without the right to see others one sees one's own account's.
        Engine::MySql => {
            "select count(*) from information_schema.processlist \
             where db = database() and id <> connection_id()"
        }
        Engine::Sqlite => return Ok(()),
    };
    let mut session = copy.session(Purpose::Watch).await.map_err(failed)?;
    let statement = Statement::new(sql, Vec::new());
    let asked = Instant::now();
    loop {
        let rows = session.query(&statement).await.map_err(failed)?;
        let others = rows.first().map_or(Ok(0), |row| row.int(0)).map_err(failed)?;
        match others {
            ..=0 => return Ok(()),
            // Who has just left is shown a moment longer; so are we ourselves.
            _ if asked.elapsed() < LEAVING => tokio::time::sleep(LEAVING / 10).await,
            1 => return Err(in_use(copy, "somebody else is connected to it")),
            others => return Err(in_use(copy, &format!("{others} others are connected to it"))),
        }
    }
}

fn in_use(copy: &dyn Database, why: &str) -> EstimateError {
    EstimateError::MayBeProduction { database: copy.description().to_owned(), why: why.to_owned() }
}
