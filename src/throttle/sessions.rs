//! Sessions that are at work, ours among them.

use async_trait::async_trait;

use crate::db::{Dialect, Engine, Statement};

use super::{Line, Reading, Signal, SignalError, Unit};

/// At so many limits the work stands still.
const CRITICAL: f64 = 1.5;

/// What other users' sessions are at is NULL to who may not see it, and so is of what kind they are; but
/// only those that clients have, and their helpers, have a user in a database. A replica's is always at
/// work, and no load of that sort.
const POSTGRES: &str = "select count(*) filter (where state = 'active' \
     and backend_type = 'client backend'), \
    count(*) filter (where backend_type is null and usesysid is not null and datid is not null) \
    from pg_stat_activity";
const MYSQL: &str = "show global status like 'Threads_running'";

/// How many sessions of the server are at work.
pub struct Sessions {
    limit: u32,
    engine: Engine,
}

impl Sessions {
    /// At most so many.
    pub fn new(limit: u32, dialect: Dialect) -> Self {
        Sessions { limit, engine: dialect.engine }
    }
}

#[async_trait]
impl Signal for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let session = line.session().await?;
        let sql = if self.engine == Engine::Postgres { POSTGRES } else { MYSQL };
        let rows = session.query(&Statement::new(sql, Vec::new())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let value = match self.engine {
            Engine::Postgres if row.int(1)? > 0 => {
                let fault = "this user may not see what others do: GRANT pg_monitor to it";
                return Err(SignalError::Other(fault.into()));
            }
            Engine::Postgres => row.int(0)? as f64,
            _ => row.text(1)?.parse().map_err(|_| SignalError::Other("no number".into()))?,
        };
        let limit = f64::from(self.limit);
        let (critical, unit) = (CRITICAL * limit, Unit::Number);
        Ok(Some(Reading { value, limit, critical, unit, subject: None }))
    }
}
