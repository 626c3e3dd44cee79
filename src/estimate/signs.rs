//! What speaks for a database being production: its name, who is connected to it, and who follows its server.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::db::{ConnectOptions, Database, DbError, Engine, Purpose, Session, Statement};

use super::EstimateError;

/// Words in names that people give to what mustn't be tried out.
const NAMES: [&str; 4] = ["prod", "production", "prd", "live"];
/// How long a session that was closed may still be shown.
const LEAVING: Duration = Duration::from_secs(1);

/// Why a database looks like production, where it does.
///
/// # Errors
/// The database's.
pub async fn looks_like_production(
    database: &dyn Database,
    options: &ConnectOptions,
) -> Result<Option<String>, EstimateError> {
    if let Some(name) = sounds_like_production(options) {
        return Ok(Some(format!("{name} sounds like it")));
    }
    let failed = |source| EstimateError::Db { what: "can't tell what the database is for", source };
    let mut session = database.session(Purpose::Watch).await.map_err(failed)?;
    let session = session.as_mut();
    match connected(options.engine, session).await.map_err(failed)? {
        Some(why) => Ok(Some(why)),
        None => followed(options.engine, session).await.map_err(failed),
    }
}

/// The name that people give to what mustn't be tried out, where a host, a database or a file has one.
fn sounds_like_production(options: &ConnectOptions) -> Option<String> {
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

/// Who is connected to it beside us, where anybody is, or may be.
async fn connected(engine: Engine, session: &mut dyn Session) -> Result<Option<String>, DbError> {
    let sql = match engine {
        // Who may not see others' sessions sees that they are there, and not of which type.
        Engine::Postgres => {
            "select count(*) from pg_stat_activity where datname = current_database() \
             and coalesce(backend_type, 'client backend') = 'client backend' \
             and coalesce(application_name, '') not like 'lockkeeper%'"
        }
        // Without that right one sees one's own account's only.
        Engine::MySql if !may_see_all(session).await? => {
            let why = "who is connected to it isn't shown to this user, who lacks PROCESS";
            return Ok(Some(why.to_owned()));
        }
        Engine::MySql => {
            "select count(*) from information_schema.processlist \
             where db = database() and id <> connection_id()"
        }
        Engine::Sqlite => return Ok(None),
    };
    let asked = Instant::now();
    loop {
        match count(session, sql).await? {
            ..=0 => return Ok(None),
            // Who has just left is shown a moment longer; so are we ourselves.
            _ if asked.elapsed() < LEAVING => tokio::time::sleep(LEAVING / 10).await,
            1 => return Ok(Some("somebody else is connected to it".to_owned())),
            others => return Ok(Some(format!("{others} others are connected to it"))),
        }
    }
}

/// Whether replicas follow its server: nobody keeps them for a copy.
async fn followed(engine: Engine, session: &mut dyn Session) -> Result<Option<String>, DbError> {
    let sql = match engine {
        Engine::Postgres => "select count(*) from pg_stat_replication",
        Engine::MySql => {
            "select count(*) from information_schema.processlist where command like 'Binlog Dump%'"
        }
        Engine::Sqlite => return Ok(None),
    };
    let followers = count(session, sql).await?;
    Ok((followers > 0).then(|| "replicas follow its server".to_owned()))
}

async fn may_see_all(session: &mut dyn Session) -> Result<bool, DbError> {
    let sql = "select count(*) from information_schema.user_privileges where privilege_type = 'PROCESS' \
               and grantee = concat('''', replace(current_user(), '@', '''@'''), '''')";
    Ok(count(session, sql).await? > 0)
}

async fn count(session: &mut dyn Session, sql: &str) -> Result<i64, DbError> {
    let rows = session.query(&Statement::new(sql, Vec::new())).await?;
    rows.first().map_or(Ok(0), |row| row.int(0))
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
