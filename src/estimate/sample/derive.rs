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
/// The share of a table that stands for the whole, in percent.
const SHARE: f64 = 4.0;

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

    /// The statement on a part of its table that takes its name, and what that makes of the whole.
    pub(super) async fn part(
        &mut self,
        table: &str,
        facts: &TableFacts,
        sql: &str,
        limit: Duration,
        sorts: bool,
    ) -> Result<Priced, DbError> {
        self.desk.mark().await?;
        let took = match self.replace(table, limit).await {
            Ok(()) => self.desk.within(limit, sql).await?,
            Err(error) if error.is_lost() || self.stop.is_requested() => return Err(error),
            Err(error) => Ended::Failed(error),
        };
        let size = "select pg_total_relation_size(to_regclass($1::text))";
        let grown = match &took {
            Ended::Done(_) => {
                let sized = Statement::new(size, vec![quoted(table).into()]);
                let rows = self.desk.query(&sized).await?;
                rows.first().map(|row| row.optional_int(0)).transpose()?.flatten()
            }
            _ => None,
        };
        self.desk.back().await?;
        let least = limit.as_secs_f64();
        let whole = 100.0 / SHARE;
        let Ended::Done(seconds) = took else {
            let note = format!(
                "it was given up after {least:.1} s; nobody can tell how long all of it takes"
            );
            return Ok(Priced::derived(3.0 * least, 1.0, note));
        };
        let rows = facts.rows.unwrap_or(1_000_000).max(1_000) as f64;
        let depth = if sorts { rows.ln() / (rows / whole).ln() } else { 1.0 };
        let seconds = (seconds * whole * depth).max(least);
        let note = format!(
            "it was given up after {least:.1} s, and run on {SHARE:.0} % of {table} instead"
        );
        let more = grown.map_or(0.0, |grown| grown as f64 * whole) - facts.all_bytes() as f64;
        let written = if sorts { more.max(0.0) } else { facts.all_bytes() as f64 };
        let priced = Priced::derived(seconds, 0.35, note);
        Ok(Priced { grown: more.max(0.0), log: written, ..priced })
    }

    /// Puts a part of the table's rows in its place, with the same indexes.
    async fn replace(&mut self, table: &str, limit: Duration) -> Result<(), DbError> {
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
             select {columns} from {kept} tablesample system ({SHARE})"
        );
        self.desk.bare(&insert).await.map(drop)
    }
}

/// A table of the [facts](crate::estimate::Facts), as SQL names it.
pub(super) fn quoted(table: &str) -> String {
    match table.split_once('.') {
        Some((schema, name)) => Dialect::POSTGRES.qualified(Some(schema), name),
        None => Dialect::POSTGRES.quote(table),
    }
}
