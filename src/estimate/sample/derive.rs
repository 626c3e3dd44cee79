//! What can't be run whole in the sample's transaction, from what can.

use std::time::{Duration, Instant};

use crate::db::{DbError, Dialect, Statement};
use crate::estimate::facts::TableFacts;

use super::Sample;
use super::desk::Ended;

/// Blocks that are read to know how fast a table is.
const BLOCKS: f64 = 4_000.0;
/// Rows that were written since their last reading have their transactions looked up and noted with them.
const FRESH: f64 = 1.5;
/// The share of a table that stands for the whole, in percent, and how many rows it has at least.
const SHARE: f64 = 4.0;
const LEAST_ROWS: f64 = 20_000.0;

/// What a statement on a part of its table makes of the whole.
struct Part {
    /// Of its rows, in percent.
    percent: f64,
    seconds: f64,
    /// Of the table and its indexes.
    bytes: f64,
    /// By which they have grown.
    index: f64,
}

/// What is thought of a statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Priced {
    pub(super) seconds: f64,
    /// The standard deviation of the logarithm of that.
    pub(super) spread: f64,
    pub(super) is_derived: bool,
    /// Bytes of log and growth that weren't seen.
    pub(super) log: f64,
    pub(super) grown: f64,
    pub(super) note: Option<String>,
}

impl Priced {
    pub(super) fn seen(seconds: f64) -> Self {
        Priced { seconds, ..Priced::default() }
    }

    pub(super) fn derived(seconds: f64, spread: f64, note: String) -> Self {
        Priced { seconds, spread, is_derived: true, note: Some(note), ..Priced::default() }
    }
}

/// What is known of an index on a table whose fill was only sampled.
pub(super) struct Filled {
    pub(super) table: String,
    /// Bytes that the table has without it.
    before: f64,
    part: Option<Part>,
}

impl Filled {
    /// The index was built, too, on the rows of before the fill, for the steps to come: that took so many seconds, and made
    /// the table so large.
    pub(super) fn priced(self, bytes: f64, seconds: f64) -> Priced {
        let Filled { table, before, part } = self;
        let Some(part) = part else {
            let note = format!("measured on the rows that {table} has before its fill");
            return Priced::derived(seconds, 0.35, note);
        };
        let note = format!("measured on {:.0} % of {table}, once filled", part.percent);
        // What it has built here is counted as well.
        let more = part.index - (bytes - before);
        Priced { grown: more, log: more, ..Priced::derived(part.seconds, 0.25, note) }
    }
}

impl Sample<'_> {
    /// As if the table was read from end to end, with what sampled steps would have added to it.
    pub(super) async fn scan(&mut self, table: &str, why: &str) -> Result<Priced, DbError> {
        let name = quoted(table);
        let size = "select pg_relation_size(to_regclass($1::text))";
        let rows = self.desk.query(&Statement::new(size, vec![name.as_str().into()])).await?;
        let bytes = rows.first().map(|row| row.optional_int(0)).transpose()?.flatten();
        let bytes = bytes.unwrap_or(0) as f64;
        let percent = (100.0 * BLOCKS * 8_192.0 / bytes.max(1.0)).clamp(0.000_1, 100.0);
        let few = format!("select count(*) from {name} tablesample system ({percent:.4})");
        // Once for the caches: what a fill has just written is in them.
        self.desk.number(&few).await?;
        let began = Instant::now();
        self.desk.number(&few).await?;
        let each = began.elapsed().as_secs_f64() / (bytes * percent / 100.0).max(1.0);
        let fresh = self.fresh(table);
        let seconds = each * (bytes + fresh) * if fresh > 0.0 { FRESH } else { 1.0 };
        let note = format!("{why}; taken as a reading of all of {table}");
        Ok(Priced::derived(seconds, 0.4, note))
    }

    /// Bytes that sampled steps would have added to the table itself, its indexes aside.
    pub(super) fn fresh(&self, table: &str) -> f64 {
        let grown = self.grown.get(table).copied().unwrap_or(0.0);
        let share = self
            .facts
            .table(table)
            .map_or(1.0, |facts| facts.bytes as f64 / (facts.all_bytes() as f64).max(1.0));
        grown * share
    }

    /// What was given up, on a part of its table, and what that makes of the whole.
    pub(super) async fn instead(
        &mut self,
        table: &str,
        facts: &TableFacts,
        sql: &str,
        limit: Duration,
        sorts: bool,
    ) -> Result<Priced, DbError> {
        let least = limit.as_secs_f64();
        let Some(part) = self.part(table, facts, sql, limit, sorts).await? else {
            let note = format!(
                "it was given up after {least:.1} s; nobody can tell how long all of it takes"
            );
            return Ok(Priced::derived(3.0 * least, 1.0, note));
        };
        let note = format!(
            "it was given up after {least:.1} s, and run on {:.0} % of {table} instead",
            part.percent
        );
        let more = part.bytes - facts.all_bytes() as f64;
        let written = if sorts { more.max(0.0) } else { facts.all_bytes() as f64 };
        let priced = Priced::derived(part.seconds.max(least), 0.35, note);
        Ok(Priced { grown: more.max(0.0), log: written, ..priced })
    }

    /// An index on a table whose fill was only sampled, on a part of the table that is filled for it.
    pub(super) async fn of_filled(
        &mut self,
        table: &str,
        sql: &str,
        limit: Duration,
    ) -> Result<Filled, DbError> {
        let (facts, table) = (self.facts.table(table), table.to_owned());
        let before = self.bytes(&table).await?;
        let part = match facts {
            Some(facts) => self.part(&table, facts, sql, limit, true).await?,
            None => None,
        };
        Ok(Filled { table, before, part })
    }

    /// The statement on a part of its table that takes its name, filled as steps before it would have. `None` where
    /// that can't be had within the time.
    async fn part(
        &mut self,
        table: &str,
        facts: &TableFacts,
        sql: &str,
        limit: Duration,
        sorts: bool,
    ) -> Result<Option<Part>, DbError> {
        let rows = facts.rows.unwrap_or(1_000_000).max(1_000) as f64;
        let percent = (100.0 * LEAST_ROWS / rows).clamp(SHARE, 100.0);
        self.desk.mark().await?;
        let took = match self.replace(table, percent, limit).await {
            Ok(before) => (self.desk.within(limit, sql).await?, before),
            Err(error) if error.is_lost() || self.stop.is_requested() => return Err(error),
            Err(error) => (Ended::Failed(error), 0.0),
        };
        let part = match took {
            (Ended::Done(seconds), before) => {
                let whole = 100.0 / percent;
                let depth = if sorts { rows.ln() / (rows / whole).ln() } else { 1.0 };
                let bytes = self.bytes(table).await?;
                Some(Part {
                    percent,
                    seconds: seconds * whole * depth,
                    bytes: bytes * whole,
                    index: (bytes - before) * whole,
                })
            }
            _ => None,
        };
        self.desk.back().await?;
        Ok(part)
    }

    /// Bytes of a table and its indexes.
    pub(super) async fn bytes(&mut self, table: &str) -> Result<f64, DbError> {
        let size = "select pg_total_relation_size(to_regclass($1::text))";
        let rows = self.desk.query(&Statement::new(size, vec![quoted(table).into()])).await?;
        let bytes = rows.first().map(|row| row.optional_int(0)).transpose()?.flatten();
        Ok(bytes.unwrap_or(0) as f64)
    }

    /// Puts a part of the table's rows in its place, with the same indexes, and says how many bytes that is.
    async fn replace(
        &mut self,
        table: &str,
        percent: f64,
        limit: Duration,
    ) -> Result<f64, DbError> {
        let (name, whole) = (quoted(table), "lockkeeper_whole");
        let kept = match table.rsplit_once('.') {
            Some((schema, _)) => Dialect::POSTGRES.qualified(Some(schema), whole),
            None => whole.to_owned(),
        };
        let columns = "select string_agg(quote_ident(attname), ', ' order by attnum) \
                       from pg_attribute where attrelid = to_regclass($1::text) and attnum > 0 \
                       and not attisdropped and attgenerated = ''";
        let rows = self.desk.query(&Statement::new(columns, vec![name.as_str().into()])).await?;
        let columns = rows.first().map(|row| row.optional_text(0)).transpose()?.flatten();
        let columns = columns.unwrap_or_default().to_owned();
        self.desk.limit(Some(limit)).await?;
        self.desk.bare(&format!("alter table {name} rename to {whole}")).await?;
        self.desk.bare(&format!("create table {name} (like {kept} including all)")).await?;
        let insert = format!(
            "insert into {name} ({columns}) overriding system value \
             select {columns} from {kept} tablesample system ({percent:.4})"
        );
        self.desk.bare(&insert).await?;
        for fill in self.fills.get(table).cloned().unwrap_or_default() {
            self.desk.bare(&fill).await?;
        }
        self.bytes(table).await
    }
}

/// A table of the [facts](crate::estimate::Facts), as SQL names it.
pub(super) fn quoted(table: &str) -> String {
    match table.split_once('.') {
        Some((schema, name)) => Dialect::POSTGRES.qualified(Some(schema), name),
        None => Dialect::POSTGRES.quote(table),
    }
}
