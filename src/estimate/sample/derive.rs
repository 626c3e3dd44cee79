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
    grown: f64,
}

/// Which part of a table, and in which state.
#[derive(Clone, Copy)]
struct Taken {
    percent: f64,
    /// As steps before would have filled it.
    is_filled: bool,
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
    /// On a part of the table once filled, and where that can be, on the same as it is.
    part: Option<Part>,
    plain: Option<Part>,
}

impl Filled {
    /// The index was built, too, on the rows of before the fill, for the steps to come: that took so many seconds, and made
    /// the table so large.
    pub(super) fn priced(self, bytes: f64, seconds: f64) -> Priced {
        let Filled { table, before, part, plain } = self;
        let Some(filled) = part else {
            let note = format!("measured on the rows that {table} has before its fill");
            return Priced::derived(seconds, 0.35, note);
        };
        let note = format!("measured on {:.0} % of {table}, once filled", filled.percent);
        // All of it may be built by more processes than a part, or on the disk; and equal values, of which a part has fewer, share
        // their entries. So the part tells by how much the fill changes both.
        let built = bytes - before;
        let (seconds, index) = match plain {
            Some(plain) => {
                let longer = (filled.seconds / plain.seconds.max(1e-6)).clamp(0.3, 10.0);
                let larger = (filled.grown / plain.grown.max(1.0)).clamp(0.1, 100.0);
                (seconds * longer, built * larger)
            }
            None => (filled.seconds, filled.grown),
        };
        // What it has built here is counted as well.
        let more = index - built;
        Priced { grown: more, log: more, ..Priced::derived(seconds, 0.25, note) }
    }
}

impl Sample<'_> {
    /// As if the table was read from end to end, with what sampled steps would have added to it.
    pub(super) async fn scan(&mut self, table: &str, why: &str) -> Result<Priced, DbError> {
        let name = quoted(table);
        let bytes = self.desk.sized("pg_relation_size", &name).await?;
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
        let filled = Taken { percent: SHARE, is_filled: self.fills.contains_key(table) };
        let mut part = self.part(table, facts, sql, limit, filled, sorts).await?;
        if part.is_none() && filled.is_filled {
            let plain = Taken { is_filled: false, ..filled };
            part = self.part(table, facts, sql, limit, plain, sorts).await?;
        }
        let Some(part) = part else {
            let note = format!(
                "it was given up after {least:.1} s; nobody can tell how long all of it takes"
            );
            return Ok(Priced::derived(3.0 * least, 1.0, note));
        };
        let note = format!(
            "it was given up after {least:.1} s, and run on {SHARE:.0} % of {table} instead"
        );
        let all = facts.all_bytes() as f64;
        let grown = if sorts { part.grown } else { part.bytes - all }.max(0.0);
        let written = if sorts { grown } else { all };
        let priced = Priced::derived(part.seconds.max(least), 0.35, note);
        Ok(Priced { grown, log: written, ..priced })
    }

    /// An index on a table whose fill was only sampled, on a part of the table that is filled for it.
    pub(super) async fn of_filled(
        &mut self,
        table: &str,
        sql: &str,
        limit: Duration,
    ) -> Result<Filled, DbError> {
        let (facts, table) = (self.facts.table(table), table.to_owned());
        let before = self.desk.bytes(&quoted(&table)).await?;
        let (mut part, mut plain) = (None, None);
        if let Some(facts) = facts {
            let percent = (100.0 * LEAST_ROWS / rows(facts)).clamp(SHARE, 100.0);
            let filled = Taken { percent, is_filled: true };
            part = self.part(&table, facts, sql, limit, filled, true).await?;
            // What is unique once filled may not be so before.
            let as_it_is = Taken { is_filled: false, ..filled };
            plain = self.part(&table, facts, sql, limit, as_it_is, true).await?;
        }
        Ok(Filled { table, before, part, plain })
    }

    /// The statement on a part of its table that takes its name. `None` where that can't be had within the time. Its log
    /// isn't the step's.
    async fn part(
        &mut self,
        table: &str,
        facts: &TableFacts,
        sql: &str,
        limit: Duration,
        taken: Taken,
        sorts: bool,
    ) -> Result<Option<Part>, DbError> {
        let before = self.desk.log().await?;
        let ends = Instant::now() + limit;
        self.desk.mark().await?;
        let taken_bytes = match self.replace(table, taken, ends).await {
            Err(error) if error.is_lost() || self.stop.is_requested() => return Err(error),
            taken => taken.ok().flatten(),
        };
        let mut part = None;
        if let Some(bytes) = taken_bytes
            && let Ended::Done(seconds) = self.desk.within(left(ends), sql).await?
        {
            let whole = 100.0 / taken.percent;
            let rows = rows(facts);
            let depth = if sorts { rows.ln() / (rows / whole).ln() } else { 1.0 };
            let after = self.desk.bytes(&quoted(table)).await?;
            part = Some(Part {
                percent: taken.percent,
                seconds: seconds * whole * depth,
                bytes: after * whole,
                grown: (after - bytes) * whole,
            });
        }
        self.desk.back().await?;
        self.aside += self.desk.log().await? - before;
        Ok(part)
    }

    /// Puts a part of the table's rows in its place, with the same indexes, and says how many bytes that is. `None` where it
    /// can't be filled.
    async fn replace(
        &mut self,
        table: &str,
        taken: Taken,
        ends: Instant,
    ) -> Result<Option<f64>, DbError> {
        let (name, whole) = (quoted(table), beside(table, "lockkeeper_whole"));
        let columns = "select string_agg(quote_ident(attname), ', ' order by attnum) \
                       from pg_attribute where attrelid = to_regclass($1::text) and attnum > 0 \
                       and not attisdropped and attgenerated = ''";
        let rows = self.desk.query(&Statement::new(columns, vec![name.as_str().into()])).await?;
        let columns = rows.first().map(|row| row.optional_text(0)).transpose()?.flatten();
        let columns = columns.unwrap_or_default().to_owned();
        let insert =
            format!("insert into {name} ({columns}) overriding system value select {columns} from");
        self.desk.limit(Some(left(ends))).await?;
        self.desk.bare(&format!("alter table {name} rename to lockkeeper_whole")).await?;
        self.desk.bare(&format!("create table {name} (like {whole} including all)")).await?;
        let percent = taken.percent;
        self.desk.bare(&format!("{insert} {whole} tablesample system ({percent:.4})")).await?;
        if taken.is_filled {
            for fill in self.fills.get(table).cloned().unwrap_or_default() {
                let Ended::Done(_) = self.desk.within(left(ends), &fill).await? else {
                    return Ok(None);
                };
            }
            // Without the rows of before, which an index of this transaction would have, too.
            let filled = beside(table, "lockkeeper_filled");
            self.desk.limit(Some(left(ends))).await?;
            self.desk.bare(&format!("alter table {name} rename to lockkeeper_filled")).await?;
            self.desk.bare(&format!("create table {name} (like {whole} including all)")).await?;
            self.desk.bare(&format!("{insert} {filled}")).await?;
        }
        self.desk.bytes(&name).await.map(Some)
    }
}

/// A table's rows, or a guess.
fn rows(facts: &TableFacts) -> f64 {
    facts.rows.unwrap_or(1_000_000).max(1_000) as f64
}

/// What is left until then; something, so that a limit can be set.
fn left(ends: Instant) -> Duration {
    ends.saturating_duration_since(Instant::now()).max(Duration::from_millis(10))
}

/// Another name in the schema of a table of the facts, as SQL names it.
fn beside(table: &str, name: &str) -> String {
    match table.split_once('.') {
        Some((schema, _)) => Dialect::POSTGRES.qualified(Some(schema), name),
        None => name.to_owned(),
    }
}

/// A table of the [facts](crate::estimate::Facts), as SQL names it.
pub(super) fn quoted(table: &str) -> String {
    match table.split_once('.') {
        Some((schema, name)) => Dialect::POSTGRES.qualified(Some(schema), name),
        None => Dialect::POSTGRES.quote(table),
    }
}
