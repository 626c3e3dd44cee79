//! Sessions that wait for a lock of ours.

use std::time::Duration;

use async_trait::async_trait;

use crate::db::Statement;

use super::{Line, Reading, Signal, SignalError, Unit};

const INTERVAL: Duration = Duration::from_millis(500);
/// At so many limits the work stands still: below that, smaller batches hold their locks for less.
const CRITICAL: f64 = 4.0;

/// `pg_locks`, not `pg_stat_activity`, says who waits: there it is hidden from other users. What our
/// sessions are called is not.
const BLOCKED: &str = "select count(distinct waiting.pid) from pg_locks waiting \
    where not waiting.granted and exists \
    (select 1 from unnest(pg_blocking_pids(waiting.pid)) blocking join pg_stat_activity ours \
     on ours.pid = blocking where ours.application_name like 'lockkeeper work %' \
     and ours.datname = current_database()) \
    and not exists (select 1 from pg_stat_activity own where own.pid = waiting.pid \
     and own.application_name like 'lockkeeper%')";

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
        let rows = session.query(&Statement::new(BLOCKED, Vec::new())).await?;
        let value = rows.first().map_or(Ok(0), |row| row.int(0))? as f64;
        let limit = f64::from(self.limit);
        let (critical, unit) = (CRITICAL * limit, Unit::Number);
        Ok(Some(Reading { value, limit, critical, unit, subject: None }))
    }
}
