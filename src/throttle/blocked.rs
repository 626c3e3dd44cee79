//! Sessions that wait for a lock of ours: on PostgreSQL of any kind, on MySQL and MariaDB for rows.

mod innodb;

use std::time::Duration;

use async_trait::async_trait;

use crate::db::{Dialect, Engine, ErrorKind, Session, Statement};

use super::{Line, Reading, Signal, SignalError, Unit};

const INTERVAL: Duration = Duration::from_millis(500);
/// At so many limits the work stands still: below that, smaller batches hold their locks for less.
const CRITICAL: f64 = 4.0;

/// `pg_locks`, not `pg_stat_activity`, says who waits: there it is hidden from other users. What our
/// sessions are called is not. `pg_blocking_pids` halts all locking for a moment: it is asked of those
/// alone that wait, where a worker of ours is there, and of no more than it takes to stand still.
const POSTGRES: &str = "with ours as materialized \
    (select array_agg(pid) pids, array_agg(pid) filter \
     (where application_name like 'lockkeeper work %' and datname = current_database()) workers \
     from pg_stat_activity where application_name like 'lockkeeper%'), \
    waiting as materialized (select distinct l.pid from ours, pg_locks l \
     where not l.granted and ours.workers is not null and l.pid <> all (ours.pids)) \
    select count(*) from (select from ours, waiting \
     where pg_blocking_pids(waiting.pid) && ours.workers limit $1::bigint) blocked";

/// How many sessions wait for us.
pub struct Blocked {
    limit: u32,
    engine: Engine,
    /// Somebody has asked for it: then it is no way out not to be allowed to see them.
    asked_for: bool,
    /// On MySQL and MariaDB: what this user may ask, once it is known.
    may: Option<May>,
}

/// What a user of MySQL or MariaDB may ask to see who waits.
#[derive(Debug, Clone, Copy)]
enum May {
    Nothing,
    /// InnoDB's old table, or the new one.
    Ask {
        old: bool,
    },
}

impl Blocked {
    /// With a limit that somebody has asked for, or ours.
    pub fn new(limit: u32, dialect: Dialect, asked_for: bool) -> Self {
        Blocked { limit, engine: dialect.engine, asked_for, may: None }
    }

    /// Counts them, up to `most`. None where they can't be seen and nobody has asked for them.
    async fn on_mysql(
        &mut self,
        session: &mut dyn Session,
        ours: &[i64],
        most: i64,
    ) -> Result<Option<i64>, SignalError> {
        let old = match self.may {
            Some(May::Nothing) => return Ok(None),
            // Between two sessions of a worker there is nobody to wait for.
            _ if ours.is_empty() => return Ok(Some(0)),
            Some(May::Ask { old }) => old,
            None => innodb::has_old(session).await?,
        };
        match session.query(&innodb::waiting(old, ours, most)).await {
            Ok(rows) => {
                self.may = Some(May::Ask { old });
                Ok(Some(rows.first().map_or(Ok(0), |row| row.int(0))?))
            }
            Err(error) if error.kind != ErrorKind::Permission => Err(error.into()),
            Err(_) if self.asked_for => {
                let right = if old { "PROCESS" } else { "SELECT ON performance_schema.*" };
                let fault = format!("this user may not see who waits: GRANT {right} to it");
                Err(SignalError::Other(fault))
            }
            Err(_) => {
                self.may = Some(May::Nothing);
                Ok(None)
            }
        }
    }
}

#[async_trait]
impl Signal for Blocked {
    fn name(&self) -> &'static str {
        "blocked"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn left_out_by(&self) -> Option<&'static str> {
        Some("--max-blocked off")
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let (limit, unit) = (f64::from(self.limit), Unit::Number);
        let critical = CRITICAL * limit;
        let most = critical as i64;
        let count = if self.engine == Engine::Postgres {
            let counted = Statement::new(POSTGRES, vec![most.into()]);
            let rows = line.session().await?.query(&counted).await?;
            Some(rows.first().map_or(Ok(0), |row| row.int(0))?)
        } else {
            let ours = line.workers().await?;
            self.on_mysql(line.session().await?, &ours, most).await?
        };
        let reading = |count| {
            let value = count as f64;
            Reading { value, limit, critical, unit, subject: None }
        };
        Ok(count.map(reading))
    }
}
