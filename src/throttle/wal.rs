//! The log that PostgreSQL can't let go of yet: for a replication slot, or until it is archived.

use async_trait::async_trait;

use crate::db::Statement;

use super::{Line, Reading, Signal, SignalError, Unit};

/// At so many limits the work stands still.
const CRITICAL: f64 = 1.5;

/// A slot's backlog, and that of the archiver: what was written since the end of the last segment
/// that it has stored. A segment's name has its number in the last 16 digits.
const BACKLOG: &str = "select 'slot ' || slot_name, \
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint \
    from pg_replication_slots where restart_lsn is not null \
    union all select 'the archive', (pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') \
     - ('x' || substr(last_archived_wal, 9, 8))::bit(32)::bigint * 4294967296 \
     - (('x' || substr(last_archived_wal, 17, 8))::bit(32)::bigint + 1) * size)::bigint \
    from pg_stat_archiver, \
     (select setting::bigint as size from pg_settings where name = 'wal_segment_size') segment \
    where current_setting('archive_mode') <> 'off' and last_archived_wal ~ '^[0-9A-F]{24}' \
    order by 2 desc limit 1";

/// PostgreSQL's backlog of log.
pub struct Wal {
    limit: u64,
}

impl Wal {
    /// At most so many bytes.
    pub fn new(limit: u64) -> Self {
        Wal { limit }
    }
}

#[async_trait]
impl Signal for Wal {
    fn name(&self) -> &'static str {
        "wal"
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let session = line.session().await?;
        let rows = session.query(&Statement::new(BACKLOG, Vec::new())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (limit, value) = (self.limit as f64, row.int(1)? as f64);
        let (critical, unit) = (CRITICAL * limit, Unit::Bytes);
        let subject = Some(row.text(0)?.to_owned());
        Ok(Some(Reading { value, limit, critical, unit, subject }))
    }
}
