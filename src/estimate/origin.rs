//! Which database a URL leads to, whatever name it is called by.
//!
//! By text nobody can tell: a host has names, addresses and a socket, and a pooler has its own. So the
//! databases are asked: for what identifies their servers, and whether the one shows a lock that is held in the
//! other. A lock that shows is of the same server. One that doesn't is of another, but that may be a replica: a restored
//! snapshot has its origin's identifier (PostgreSQL's `system_identifier` is of the cluster's files), and so has
//! a standby, which follows what is done to its primary.

use std::path::Path;

use crate::db::{ConnectOptions, Database, DbError, Engine, Purpose, Session, Statement};

use super::EstimateError;

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
            // MariaDB has no server_uuid, and MySQL no server_uid. This is for the reader; a lock decides.
            Engine::MySql => (
                "select concat(@@hostname, ':', @@port, ':', @@datadir)",
                "select lower(database())",
            ),
            // Its file says it.
            Engine::Sqlite => return Ok(Origin { system: None, database: "main".to_owned() }),
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

/// How two databases are related that aren't one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are on one server, so that the one is as fast as the other.
    OneServer,
    /// They are on two.
    Apart,
}

/// Refuses a copy that is the production database, or that production follows.
///
/// # Errors
/// [`EstimateError::IsProduction`], also where nobody can tell; [`EstimateError::OtherEngine`], and the
/// databases'.
pub async fn refuse_production(
    copy: (&dyn Database, &ConnectOptions),
    production: (&dyn Database, &ConnectOptions),
) -> Result<Relation, EstimateError> {
    let engine = copy.0.dialect().engine;
    if engine != production.0.dialect().engine {
        let production = production.0.dialect().engine;
        return Err(EstimateError::OtherEngine { copy: engine, production });
    }
    let is_production = |why: String| Err(EstimateError::IsProduction { why });
    if engine == Engine::Sqlite {
        let (one, other) = (copy.1.path.as_deref(), production.1.path.as_deref());
        return match one.zip(other).is_none_or(|(one, other)| is_same_file(one, other)) {
            true => is_production("both are the same file".to_owned()),
            // Two files of one disk.
            false => Ok(Relation::OneServer),
        };
    }
    let failed =
        |source| EstimateError::Db { what: "can't tell copy and production apart", source };
    let mut here = copy.0.session(Purpose::Watch).await.map_err(failed)?;
    let mut there = production.0.session(Purpose::Watch).await.map_err(failed)?;
    let one = Origin::of(engine, here.as_mut()).await.map_err(failed)?;
    let other = Origin::of(engine, there.as_mut()).await.map_err(failed)?;
    let same_name = one.database == other.database;
    let database = &one.database;
    match shows_lock(engine, here.as_mut(), there.as_mut()).await {
        Ok(true) if same_name => is_production(format!(
            "a lock that is held in the one shows in the other, both being {database}"
        )),
        Ok(true) => Ok(Relation::OneServer),
        Err(error) if same_name => is_production(format!(
            "both are called {database}, and a lock that would tell them apart can't be looked at: {error}"
        )),
        Err(_) => Ok(Relation::Apart),
        Ok(false) => {
            let is_kin = one.system == other.system || engine == Engine::MySql;
            let follows = is_kin
                && same_name
                && (is_replica(engine, here.as_mut()).await.map_err(failed)?
                    || is_replica(engine, there.as_mut()).await.map_err(failed)?);
            match follows {
                true => is_production(format!(
                    "one of the two is a replica, both being {database}; name production's primary"
                )),
                false => Ok(Relation::Apart),
            }
        }
    }
}

/// Whether a server follows another one, as far as it tells.
async fn is_replica(engine: Engine, session: &mut dyn Session) -> Result<bool, DbError> {
    let sql = match engine {
        Engine::Postgres => "select pg_is_in_recovery()",
        Engine::MySql => "select @@read_only",
        Engine::Sqlite => return Ok(false),
    };
    let rows = session.query(&Statement::new(sql, Vec::new())).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.int(0))? != 0)
}

/// Links, hard links and other paths lead to the same.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let number = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok()
    };
    number(one).zip(number(other)).is_some_and(|(one, other)| one == other)
}

/// Whether a lock of this session shows in the other. Locks are of a server's memory, so that not even a physical
/// copy shares them.
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
                let sql = "select count(*) from pg_locks l where l.locktype = 'advisory' and l.granted \
                           and l.objsubid = 1 and l.classid = 0 and l.objid = $1::bigint::oid \
                           and l.pid = $2";
                let own =
                    here.query(&Statement::new("select pg_backend_pid()", Vec::new())).await?;
                let own = own.first().map_or(Ok(0), |row| row.int(0))?;
                let params = vec![number.into(), own.into()];
                let rows = there.query(&Statement::new(sql, params)).await?;
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
