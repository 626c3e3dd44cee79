//! What the server says that it has written and read, asked from within the transaction.

use crate::db::{DbError, Statement};
use crate::estimate::tables::{Changes, Scans, Tables};

use super::desk::Desk;

/// What a step has done so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    log: i64,
    tables: Tables,
    locks: Vec<(String, String)>,
}

/// The difference of two.
#[derive(Debug, Clone, Default)]
pub(super) struct Since {
    pub(super) log: u64,
    pub(super) size: i64,
    pub(super) changes: Changes,
    /// Locks that weren't held before: on which table, and in which mode.
    pub(super) locks: Vec<(String, String)>,
}

const LOCKS: &str = "select l.relation::regclass::text, l.mode from pg_locks l \
    join pg_class c on c.oid = l.relation where l.pid = pg_backend_pid() and l.granted \
    and l.locktype = 'relation' and l.mode <> 'AccessShareLock' and c.relkind in ('r', 'm', 'p') \
    and c.relname !~ '^(lockkeeper_|pg_|refinery_schema_history$)'";

impl Written {
    pub(super) async fn read(desk: &mut Desk) -> Result<Self, DbError> {
        // First, since what follows takes locks of its own.
        let locks = desk.query(&Statement::new(LOCKS, Vec::new())).await?;
        let mut written = Written { log: desk.log().await? as i64, ..Written::default() };
        for row in &locks {
            written.locks.push((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
        }
        let tables = desk.query(&Tables::question(Scans::Own)).await?;
        written.tables = Tables::answered(&tables)?;
        Ok(written)
    }

    pub(super) fn since(&self, before: &Written) -> Since {
        let mut changes = Changes::default();
        changes.add(&self.tables, &before.tables);
        let is_new = |lock: &&(String, String)| !before.locks.contains(lock);
        Since {
            log: (self.log - before.log).max(0) as u64,
            size: self.tables.size() - before.tables.size(),
            changes,
            locks: self.locks.iter().filter(is_new).cloned().collect(),
        }
    }
}
