//! What the server says that it has written and read, asked from within the transaction.

use std::collections::BTreeMap;

use crate::db::{DbError, Statement};

use super::desk::Desk;

/// What a step has done so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    log: i64,
    size: i64,
    tables: BTreeMap<i64, Files>,
    locks: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Files {
    name: String,
    file: i64,
    scans: i64,
    pages: i64,
    /// Those of its indexes.
    indexes: Vec<String>,
}

/// The difference of two.
#[derive(Debug, Clone, Default)]
pub(super) struct Since {
    pub(super) log: u64,
    pub(super) size: i64,
    pub(super) rewrites: Vec<String>,
    pub(super) scans: Vec<String>,
    /// Small ones too.
    pub(super) read: Vec<String>,
    /// Tables that have got indexes.
    pub(super) built: Vec<String>,
    /// Locks that weren't held before: on which table, and in which mode.
    pub(super) locks: Vec<(String, String)>,
}

/// To read fewer pages from end to end is nothing to tell: a megabyte.
const LARGE: i64 = 128;

/// Scans of the transaction itself are counted at once, and what is to be dropped is gone from the sizes.
const TABLES: &str = "select c.oid::bigint, c.oid::regclass::text, \
    coalesce(pg_relation_filenode(c.oid), 0)::bigint, coalesce(pg_stat_get_xact_numscans(c.oid), 0), \
    coalesce(pg_relation_size(c.oid), 0) / 8192, coalesce(pg_total_relation_size(c.oid), 0), \
    (select string_agg(pg_relation_filenode(i.indexrelid)::text, ' ') from pg_index i \
     where i.indrelid = c.oid) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'm') and n.nspname !~ '^(pg_|information_schema)' \
    and c.relname !~ '^lockkeeper_'";

const LOCKS: &str = "select l.relation::regclass::text, l.mode from pg_locks l \
    join pg_class c on c.oid = l.relation where l.pid = pg_backend_pid() and l.granted \
    and l.locktype = 'relation' and l.mode <> 'AccessShareLock' and c.relkind in ('r', 'm', 'p') \
    and c.relname !~ '^(lockkeeper_|pg_|refinery_schema_history$)'";

const LOG: &str = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";

impl Written {
    pub(super) async fn read(desk: &mut Desk) -> Result<Self, DbError> {
        // First, since what follows takes locks of its own.
        let locks = desk.query(&Statement::new(LOCKS, Vec::new())).await?;
        let mut written = Written { log: desk.number(LOG).await? as i64, ..Written::default() };
        for row in &locks {
            written.locks.push((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
        }
        for row in desk.query(&Statement::new(TABLES, Vec::new())).await? {
            let name = row.text(1)?.to_owned();
            let (file, scans, pages) = (row.int(2)?, row.int(3)?, row.int(4)?);
            written.size += row.int(5)?;
            let indexes = row.optional_text(6)?.unwrap_or_default();
            let indexes = indexes.split_whitespace().map(str::to_owned).collect();
            written.tables.insert(row.int(0)?, Files { name, file, scans, pages, indexes });
        }
        Ok(written)
    }

    pub(super) fn since(&self, before: &Written) -> Since {
        let mut since = Since {
            log: (self.log - before.log).max(0) as u64,
            size: self.size - before.size,
            ..Since::default()
        };
        for (number, table) in &self.tables {
            let Some(old) = before.tables.get(number) else { continue };
            if old.file != table.file {
                since.rewrites.push(table.name.clone());
                continue;
            }
            if table.scans > old.scans {
                since.read.push(table.name.clone());
                if old.pages >= LARGE {
                    since.scans.push(table.name.clone());
                }
            }
            if table.indexes.iter().any(|index| !old.indexes.contains(index)) {
                since.built.push(table.name.clone());
            }
        }
        let is_new = |lock: &&(String, String)| !before.locks.contains(lock);
        since.locks = self.locks.iter().filter(is_new).cloned().collect();
        since
    }
}
