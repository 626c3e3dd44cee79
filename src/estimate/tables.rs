//! What PostgreSQL shows of each table: which file it is in, which indexes it has, how often it was read from end to
//! end.

use std::collections::BTreeMap;

use crate::db::{DbError, Row, Statement};

/// To read fewer pages from end to end is nothing to tell: a megabyte.
const LARGE: i64 = 128;

/// All tables, by their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables(BTreeMap<i64, Table>);

#[derive(Debug, Clone)]
struct Table {
    name: String,
    /// The number of its file, which is another once it was written anew.
    file: i64,
    scans: i64,
    pages: i64,
    /// Bytes, with its indexes and what lies beside it.
    size: i64,
    /// The files of its indexes.
    indexes: Vec<String>,
}

/// What was done to tables between two looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) rewrites: Vec<String>,
    /// Those that aren't small.
    pub(super) scans: Vec<String>,
    /// Small ones too.
    pub(super) read: Vec<String>,
    /// Those that have got indexes.
    pub(super) built: Vec<String>,
}

/// Whose scans count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scans {
    /// Those of all sessions, once they have told of them.
    All,
    /// Those of this transaction.
    Own,
}

impl Tables {
    /// The question for them; what is to be dropped is gone from the sizes.
    pub(super) fn question(scans: Scans) -> Statement {
        let scans = match scans {
            Scans::All => "pg_stat_get_numscans",
            Scans::Own => "pg_stat_get_xact_numscans",
        };
        let sql = format!(
            "select c.oid::bigint, c.oid::regclass::text, \
             coalesce(pg_relation_filenode(c.oid), 0)::bigint, coalesce({scans}(c.oid), 0), \
             coalesce(pg_relation_size(c.oid), 0) / 8192, coalesce(pg_total_relation_size(c.oid), 0), \
             (select string_agg(pg_relation_filenode(i.indexrelid)::text, ' ') from pg_index i \
             where i.indrelid = c.oid) \
             from pg_class c join pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'm') and n.nspname !~ '^(pg_|information_schema)' \
             and c.relname !~ '^lockkeeper_'"
        );
        Statement::new(sql, Vec::new())
    }

    /// The answer to it.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn answered(rows: &[Row]) -> Result<Self, DbError> {
        let table = |row: &Row| {
            let indexes = row.optional_text(6)?.unwrap_or_default();
            let table = Table {
                name: row.text(1)?.to_owned(),
                file: row.int(2)?,
                scans: row.int(3)?,
                pages: row.int(4)?,
                size: row.int(5)?,
                indexes: indexes.split_whitespace().map(str::to_owned).collect(),
            };
            Ok((row.int(0)?, table))
        };
        rows.iter().map(table).collect::<Result<_, _>>().map(Tables)
    }

    /// Bytes of all of them.
    pub(super) fn size(&self) -> i64 {
        self.0.values().map(|table| table.size).sum()
    }
}

impl Changes {
    /// Adds what has changed since `before`.
    pub(super) fn add(&mut self, now: &Tables, before: &Tables) {
        for (number, table) in &now.0 {
            let Some(old) = before.0.get(number) else { continue };
            if old.file != table.file {
                self.rewrites.push(table.name.clone());
                continue;
            }
            if table.scans > old.scans {
                self.read.push(table.name.clone());
                if table.pages.max(old.pages) >= LARGE {
                    self.scans.push(table.name.clone());
                }
            }
            if table.indexes.iter().any(|index| !old.indexes.contains(index)) {
                self.built.push(table.name.clone());
            }
        }
    }
}
