//! The ledger's tables, and how an older ledger becomes this one.

use crate::db::{Session, Statement, TableName};

use super::{Ledger, LedgerError};

/// The newest version of the ledger that this program knows.
pub const VERSION: i64 = 7;

/// Our tables, without their prefix.
pub const TABLES: [&str; 8] =
    ["control", "run", "step", "range", "request", "member", "mark", "estimate"];

/// What one version of the ledger added to the one before. Each change is made only where the
/// catalog doesn't show it yet, so that an upgrade that died in the middle can be run again even
/// where DDL commits by itself.
enum Change {
    Table { name: &'static str, columns: &'static str },
    Column { table: &'static str, name: &'static str, definition: &'static str },
}

/// The changes by version; the first entry makes version 1. `{text}` and `{key}` stand for the
/// dialect's types.
const CHANGES: [&[Change]; VERSION as usize] = [
    &[
        Change::Table {
            name: "control",
            columns: "id int not null primary key, ledger_version bigint not null, \
                      epoch bigint not null",
        },
        Change::Table {
            name: "run",
            columns: "run {key} not null primary key, epoch bigint not null, host {text} not null, \
                      pid bigint not null, started_at {key} not null, ended_at {key}, \
                      outcome {key}",
        },
        Change::Table {
            name: "step",
            columns: "version bigint not null, step int not null, kind {key} not null, \
                      checksum {key} not null, state {key} not null, run {key} not null, \
                      began_at {key} not null, primary key (version, step)",
        },
        Change::Table {
            name: "range",
            columns: "version bigint not null, step int not null, number int not null, \
                      cursor_key {text} not null, through_key {text} not null, \
                      epoch bigint not null, keys_done bigint not null, keys_total bigint, \
                      primary key (version, step, number)",
        },
    ],
    // How long a step took over all its runs, for `status`.
    &[Change::Column { table: "step", name: "took_ms", definition: "bigint not null default 0" }],
    // Which key a cursor is of: the table may have got another one since.
    &[Change::Column { table: "range", name: "key_columns", definition: "{text}" }],
    &[
        // Where a range begins, by which those of one backfill are put in order. An older ledger has one
        // for each backfill, from the start.
        Change::Column { table: "range", name: "start_key", definition: "{text}" },
        // The one time that a backfill's clocks tell.
        Change::Column { table: "step", name: "pinned_at", definition: "{key}" },
        // What an operator asks for. Not in `control`, whose row a script holds for as long as it takes.
        Change::Table {
            name: "request",
            columns: "name {key} not null primary key, value bigint, asked_by {text} not null, \
                      asked_at {key} not null, met_epoch bigint",
        },
    ],
    &[
        // Which process works on a range: a member's id, or nothing for the run's own.
        Change::Column { table: "range", name: "owner", definition: "{key} not null default ''" },
        // What the run at work has made of a backfill's statement: who helps must have made the same.
        Change::Column { table: "step", name: "prepared_as", definition: "{key}" },
        // Who helps the run at work.
        Change::Table {
            name: "member",
            columns: "member {key} not null primary key, epoch bigint not null, \
                      host {text} not null, pid bigint not null, joined_at {key} not null, \
                      beats bigint not null, workers int not null, wants int not null, \
                      rests int not null, asked int not null",
        },
    ],
    // What a release has done by a tool that isn't ours.
    &[Change::Table {
        name: "mark",
        columns: "digest {key} not null primary key, of_release {text} not null, \
                  run {key} not null, marked_at {key} not null",
    }],
    // What steps were estimated to take, and what they took.
    &[Change::Table {
        name: "estimate",
        columns: "version bigint not null, step int not null, kind {key} not null, \
                  how {key} not null, p10_ms bigint not null, p50_ms bigint not null, \
                  p90_ms bigint not null, model_ms bigint not null, \
                  model_spread bigint not null, actual_ms bigint not null, \
                  held_ms bigint not null, run {key} not null, entered_at {key} not null, \
                  primary key (version, step)",
    }],
];

impl Ledger {
    /// The version of the ledger in the database; `None` where there is none.
    ///
    /// # Errors
    /// [`LedgerError::Newer`] when it isn't ours to touch.
    pub async fn version(&self, session: &mut dyn Session) -> Result<Option<i64>, LedgerError> {
        match self.entered(session).await? {
            Some(found) => Ok(Some(found)),
            None => self.version_of_tables(session).await,
        }
    }

    /// The version that the control row has; `None` where there is no such row.
    async fn entered(&self, session: &mut dyn Session) -> Result<Option<i64>, LedgerError> {
        if session.columns(&self.table_name("control")).await?.is_empty() {
            return Ok(None);
        }
        let sql = self.sql("select ledger_version from [control] where id = 1");
        let rows = session.query(&Statement::new(sql, Vec::new())).await?;
        match rows.first().map(|row| row.int(0)).transpose()? {
            Some(found) if found > VERSION => Err(LedgerError::Newer { found }),
            found => Ok(found),
        }
    }

    /// Without the control row, what the tables look like. Somebody may have deleted it "to unlock";
    /// what the others say of half-done work still holds.
    async fn version_of_tables(
        &self,
        session: &mut dyn Session,
    ) -> Result<Option<i64>, LedgerError> {
        let mut version = None;
        for (number, changes) in (1..).zip(CHANGES) {
            for change in changes {
                if !self.is_made(session, change).await? {
                    return Ok(version);
                }
            }
            version = Some(number);
        }
        Ok(version)
    }

    /// Creates the ledger, or raises an older one to [`VERSION`]. Only under the run lock.
    ///
    /// # Errors
    /// [`LedgerError::Newer`], or the database's.
    pub async fn ensure(&self, session: &mut dyn Session) -> Result<(), LedgerError> {
        let entered = self.entered(session).await?;
        if entered == Some(VERSION) {
            return Ok(());
        }
        for changes in CHANGES.iter().skip(entered.unwrap_or(0) as usize) {
            for change in *changes {
                self.make(session, change).await?;
            }
        }
        let sql = match entered {
            // Not 0 when the row was lost: an epoch of an earlier run must never come again.
            None => {
                "insert into [control] (ledger_version, id, epoch) \
                 select {1}, 1, coalesce(max(epoch), 0) from \
                 (select epoch from [run] union all select epoch from [range]) epochs"
            }
            Some(_) => "update [control] set ledger_version = {1} where id = 1",
        };
        let statement = Statement::new(self.sql(sql), vec![VERSION.into()]).must_affect(1);
        session.transact(&[statement]).await?;
        Ok(())
    }

    async fn is_made(
        &self,
        session: &mut dyn Session,
        change: &Change,
    ) -> Result<bool, LedgerError> {
        Ok(match change {
            Change::Table { name, .. } => {
                !session.columns(&self.table_name(name)).await?.is_empty()
            }
            Change::Column { table, name, .. } => {
                let found = session.columns(&self.table_name(table)).await?;
                found.iter().any(|found| found.name == *name)
            }
        })
    }

    async fn make(&self, session: &mut dyn Session, change: &Change) -> Result<(), LedgerError> {
        if self.is_made(session, change).await? {
            return Ok(());
        }
        let sql = match change {
            Change::Table { name, columns } => {
                let table = self.sql(&format!("[{name}]"));
                let options = self.dialect.table_options;
                format!("create table {table} ({}){options}", self.types(columns))
            }
            Change::Column { table, name, definition } => {
                let table = self.sql(&format!("[{table}]"));
                format!("alter table {table} add column {name} {}", self.types(definition))
            }
        };
        session.bare(&sql).await?;
        Ok(())
    }

    fn types(&self, columns: &str) -> String {
        columns.replace("{text}", self.dialect.text).replace("{key}", self.dialect.key_text)
    }

    pub(super) fn table_name(&self, name: &str) -> TableName {
        TableName { schema: Some(self.schema.clone()), name: format!("lockkeeper_{name}") }
    }
}
