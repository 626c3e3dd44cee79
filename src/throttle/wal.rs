//! The log that PostgreSQL can't let go of yet: for a replication slot, or until it is archived.

use async_trait::async_trait;

use crate::db::{DbError, Session, Statement};

use super::{Line, Reading, Signal, SignalError, Unit};

/// At so many limits the work stands still.
const CRITICAL: f64 = 1.5;

const SLOT: &str = "select slot_name::text, \
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint \
    from pg_replication_slots where restart_lsn is not null order by 2 desc limit 1";
const ARCHIVE: &str = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, \
    (select setting::bigint from pg_settings where name = 'wal_segment_size'), \
    (select last_archived_wal::text from pg_stat_archiver) \
    where current_setting('archive_mode') <> 'off'";

/// PostgreSQL's backlog of log.
pub struct Wal {
    limit: u64,
    /// What the archiver has stored last, if anything, and how far the archive is.
    archived: Option<(Option<String>, i64)>,
}

impl Wal {
    /// At most so many bytes.
    pub fn new(limit: u64) -> Self {
        Wal { limit, archived: None }
    }

    /// What isn't in the archive yet.
    async fn unarchived(&mut self, session: &mut dyn Session) -> Result<Option<i64>, DbError> {
        let rows = session.query(&Statement::new(ARCHIVE, Vec::new())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (position, size) = (row.int(0)?, row.int(1)?.max(1));
        let stored = row.optional_text(2)?;
        let known = self.archived.take().filter(|(last, _)| last.as_deref() == stored);
        // Where nothing is stored yet, or what isn't a segment (a timeline's history, a backup's label),
        // nobody knows how far it is; an archiver that fails is noticed by what is written from then on.
        let known = known.map(|(_, archived)| archived);
        let archived = stored.and_then(|name| end(name, size)).or(known);
        let archived = archived.unwrap_or(position - position % size);
        self.archived = Some((stored.map(str::to_owned), archived));
        Ok(Some((position - archived).max(0)))
    }
}

/// Where a segment of this name ends: the name has its timeline, and its number in two parts.
fn end(name: &str, size: i64) -> Option<i64> {
    let digits = name.strip_suffix(".partial").unwrap_or(name);
    if digits.len() != 24 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let part = |from: usize| i64::from_str_radix(&digits[from..from + 8], 16).ok();
    part(8)?.checked_mul(1 << 32)?.checked_add((part(16)? + 1).checked_mul(size)?)
}

#[async_trait]
impl Signal for Wal {
    fn name(&self) -> &'static str {
        "wal"
    }

    async fn read(&mut self, line: &mut Line) -> Result<Option<Reading>, SignalError> {
        let session = line.session().await?;
        let rows = session.query(&Statement::new(SLOT, Vec::new())).await?;
        let slot = rows.first().map(|row| Ok::<_, DbError>((row.int(1)?, row.text(0)?)));
        let slot = slot.transpose()?.map(|(kept, name)| (kept, format!("slot {name}")));
        let archive = self.unarchived(session).await?;
        let archive = archive.map(|kept| (kept, "the archive".to_owned()));
        let Some((value, subject)) = slot.into_iter().chain(archive).max() else { return Ok(None) };
        let (limit, value) = (self.limit as f64, value as f64);
        let (critical, unit) = (CRITICAL * limit, Unit::Bytes);
        Ok(Some(Reading { value, limit, critical, unit, subject: Some(subject) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_its_end_in_its_name() {
        const SIZE: i64 = 16 << 20;
        assert_eq!(end("000000010000000000000002", SIZE), Some(3 * SIZE));
        assert_eq!(end("0000000B00000001000000FF.partial", SIZE), Some((1 << 32) + 256 * SIZE));
        for other in ["000000FF.history", "000000010000000000000002.00000028.backup", "", "0é"] {
            assert_eq!(end(other, SIZE), None, "{other}");
        }
    }
}
