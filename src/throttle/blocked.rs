//! Sessions that wait for a lock of ours.

use std::time::Duration;

use async_trait::async_trait;

use crate::db::Statement;

use super::{Line, Reading, Signal, SignalError, Unit};

const INTERVAL: Duration = Duration::from_millis(500);
/// At so many limits the work stands still: below that, smaller batches hold their locks for less.
const CRITICAL: f64 = 4.0;

/// `pg_locks`, not `pg_stat_activity`, says who waits: there it is hidden from other users. What our
/// sessions are called is not. `pg_blocking_pids` halts all locking for a moment: it is asked of those
/// alone that wait, where a worker of ours is there, and of no more than it takes to stand still.
const BLOCKED: &str = "with ours as materialized \
    (select array_agg(pid) pids, array_agg(pid) filter \
     (where application_name like 'lockkeeper work %' and datname = current_database()) workers \
     from pg_stat_activity where application_name like 'lockkeeper%'), \
    waiting as materialized (select distinct l.pid from ours, pg_locks l \
     where not l.granted and ours.workers is not null and l.pid <> all (ours.pids)) \
    select count(*) from (select from ours, waiting \
     where pg_blocking_pids(waiting.pid) && ours.workers limit $1::bigint) blocked";

/// How many sessions of PostgreSQL wait for us.
pub struct Blocked {
    limit: u32,
}

impl Blocked {
    /// At most so many.
    pub fn new(limit: u32) -> Self {
        Blocked { limit }
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
        let session = line.session().await?;
        let (limit, unit) = (f64::from(self.limit), Unit::Number);
        let critical = CRITICAL * limit;
        let most = vec![(critical as i64).into()];
        let rows = session.query(&Statement::new(BLOCKED, most)).await?;
        let value = rows.first().map_or(Ok(0), |row| row.int(0))? as f64;
        Ok(Some(Reading { value, limit, critical, unit, subject: None }))
    }
}
