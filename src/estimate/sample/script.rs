//! Scripts and bare statements by sample: run whole, in the transaction, as far as that can be.

use std::time::{Duration, Instant};

use crate::db::DbError;
use crate::estimate::EstimateError;
use crate::estimate::extent::{Work, extent};
use crate::estimate::measured::{Held, How, Measured};
use crate::estimate::outline::Outline;
use crate::plan::Upcoming;
use crate::runner::{At, failed_at};

use super::derive::{Filled, Priced};
use super::desk::Ended;
use super::written::Written;
use super::{Sample, failed};

/// `CREATE INDEX CONCURRENTLY` beside `CREATE INDEX`, with its second look at the table. By measurement: 1.2 to 1.5.
const CONCURRENTLY: f64 = 1.3;
/// What depends on who else is at work: it waits for all transactions that are open.
const WAITS: f64 = 0.25;
/// A vacuum beside a reading of the table: it reads indexes, and writes.
const VACUUM: f64 = 4.0;
/// Nobody can tell, but for the order of magnitude.
const UNKNOWN: f64 = 1.0;

/// SQLSTATEs of statements that don't run in a transaction.
const OUTSIDE: [&str; 3] = ["25001", "2D000", "0A000"];

impl Sample<'_> {
    /// Measures a script.
    pub(super) async fn script(
        &mut self,
        upcoming: &Upcoming<'_>,
        outline: &Outline,
    ) -> Result<Measured, EstimateError> {
        let text = &upcoming.pending.migration.text;
        let statements = upcoming.step.statements.iter().map(|span| &text[span.clone()]);
        self.statements(At::of(upcoming), outline, statements).await
    }

    /// Measures a statement that a run has outside of any transaction.
    pub(super) async fn bare(
        &mut self,
        upcoming: &Upcoming<'_>,
        outline: &Outline,
    ) -> Result<Measured, EstimateError> {
        let (at, sql) = (At::of(upcoming), upcoming.pending.migration.sql(upcoming.step));
        let Some(blocking) = without_concurrently(sql) else {
            return self.statements(at, outline, std::iter::once(sql)).await;
        };
        let mut measured = self.statements(at, outline, std::iter::once(blocking.as_str())).await?;
        if outline.builds_index() {
            measured.seconds *= CONCURRENTLY;
            measured.spread = measured.spread.hypot(WAITS);
            measured.notes.push(
                "measured without CONCURRENTLY, whose second look at the table is added".to_owned(),
            );
        }
        measured.how = How::Derived;
        // They are those of the other statement.
        measured.locks.clear();
        Ok(measured)
    }

    async fn statements(
        &mut self,
        at: At<'_>,
        outline: &Outline,
        statements: impl Iterator<Item = &str>,
    ) -> Result<Measured, EstimateError> {
        self.aside = 0.0;
        let before = Written::read(&mut self.desk).await.map_err(failed)?;
        let ends = Instant::now() + self.share();
        let mut sum = Priced::default();
        let mut notes = Vec::new();
        for (index, sql) in statements.enumerate() {
            let left =
                ends.saturating_duration_since(Instant::now()).max(Duration::from_millis(500));
            let priced = self.statement(outline, sql, left).await;
            let priced = priced.map_err(|source| failed_at(at, source, index))?;
            // The one that takes the most time says how well the whole is known.
            let all = sum.seconds + priced.seconds;
            if all > 0.0 {
                sum.spread = (sum.spread * sum.seconds).hypot(priced.spread * priced.seconds) / all;
            }
            sum.seconds = all;
            sum.is_derived |= priced.is_derived;
            sum.log += priced.log;
            sum.grown += priced.grown;
            notes.extend(priced.note);
        }
        self.fire(&mut sum).await.map_err(failed)?;
        let since = Written::read(&mut self.desk).await.map_err(failed)?.since(&before);
        let held = |(table, mode): &(String, String)| Held {
            table: table.clone(),
            mode: mode.clone(),
            // Until the commit, and from when on isn't seen.
            seconds: sum.seconds,
        };
        let locks: Vec<_> = since.locks.iter().map(held).collect();
        let aside = std::mem::take(&mut self.aside);
        let log = (since.log as f64 - aside + sum.log).max(0.0) as u64;
        let rewrites = outline.rewritten(since.changes.rewrites);
        let work = Work {
            seconds: sum.seconds,
            wal: Some(log),
            rewrites: &rewrites,
            built: &since.changes.built,
            read: &since.changes.read,
            held: &locks,
            // What was only derived wasn't done.
            shows: !sum.is_derived,
        };
        let (extent, others) = extent(outline, work, self.facts);
        Ok(Measured {
            how: if sum.is_derived { How::Derived } else { How::Sampled },
            seconds: sum.seconds,
            spread: sum.spread,
            wal_bytes: Some(log),
            size_bytes: Some(since.size + sum.grown as i64),
            extent,
            others,
            locks,
            rewrites,
            scans: since.changes.scans,
            notes,
            ..outline.measured(How::Sampled)
        })
    }

    /// What a script has put off to its commit belongs to it, and would keep later ones from changing its tables.
    async fn fire(&mut self, sum: &mut Priced) -> Result<(), DbError> {
        match self.desk.within(self.share(), "set constraints all immediate").await? {
            Ended::Done(seconds) => sum.seconds += seconds,
            Ended::OutOfTime | Ended::Failed(_) => self.has_gaps = true,
        }
        Ok(())
    }

    async fn statement(
        &mut self,
        outline: &Outline,
        sql: &str,
        limit: Duration,
    ) -> Result<Priced, DbError> {
        let filled = self.filled(outline, sql, limit).await?;
        let before = self.desk.log().await?;
        let error = match self.desk.within(limit, sql).await? {
            Ended::Done(seconds) => {
                let Some(filled) = filled else { return Ok(self.seen(outline, sql, seconds)) };
                return self.as_filled(filled, seconds).await;
            }
            Ended::OutOfTime => {
                // What it has written until then it will write again.
                self.aside += self.desk.log().await? - before;
                return self.given_up(outline, sql, limit).await;
            }
            Ended::Failed(error) => error,
        };
        let code = error.code.clone().unwrap_or_default();
        if OUTSIDE.contains(&code.as_str()) {
            return self.outside(outline, sql).await;
        }
        let violates = code.starts_with("23");
        if !(violates && self.is_incomplete || self.has_gaps) {
            return Err(error);
        }
        let Some(table) = self.table_of(outline, sql) else {
            let note = "it fails here, where the steps before it were only sampled".to_owned();
            return Ok(Priced::derived(0.01, UNKNOWN, note));
        };
        if self.is_proved(&table, sql).await? {
            return Ok(Priced::derived(
                0.005,
                0.3,
                format!("a CHECK of {table} spares it its scan"),
            ));
        }
        if let Some(plain) = without_unique(sql)
            && let Ended::Done(seconds) = self.desk.within(limit, &plain).await?
        {
            if let Some(filled) = filled {
                return self.as_filled(filled, seconds).await;
            }
            let note = "measured without UNIQUE, as the rows are those of before".to_owned();
            return Ok(Priced { note: Some(note), ..Priced::derived(seconds, 0.2, String::new()) });
        }
        self.scan(&table, "it fails here, where the fill before it was only sampled").await
    }

    /// What was built on the rows of before their fill, in so many seconds, as it will be on those behind it.
    async fn as_filled(&mut self, filled: Filled, seconds: f64) -> Result<Priced, DbError> {
        let bytes = self.desk.bytes(&super::derive::quoted(&filled.table)).await?;
        Ok(filled.priced(bytes, seconds))
    }

    /// An index on a table whose fill was only sampled.
    async fn filled(
        &mut self,
        outline: &Outline,
        sql: &str,
        limit: Duration,
    ) -> Result<Option<Filled>, DbError> {
        let table = self.table_of(outline, sql).filter(|table| self.fills.contains_key(table));
        let Some(table) = table.filter(|_| outline.with(sql).builds_index()) else {
            return Ok(None);
        };
        self.of_filled(&table, sql, limit).await.map(Some)
    }

    /// A scan of a table that a sampled fill would have made larger.
    fn seen(&self, outline: &Outline, sql: &str, seconds: f64) -> Priced {
        let scans = first_word(sql) == "alter" && seconds > 0.02;
        let Some(table) = self.table_of(outline, sql).filter(|_| scans) else {
            return Priced::seen(seconds);
        };
        let bytes = self.facts.table(&table).map_or(0, |facts| facts.bytes) as f64;
        Priced::seen(seconds * (1.0 + self.fresh(&table) / bytes.max(1.0)))
    }

    async fn given_up(
        &mut self,
        outline: &Outline,
        sql: &str,
        limit: Duration,
    ) -> Result<Priced, DbError> {
        self.is_incomplete = true;
        self.has_gaps = true;
        let facts = self.facts;
        let table = self.table_of(outline, sql);
        let Some((table, known)) = table.and_then(|name| Some((name.clone(), facts.table(&name)?)))
        else {
            let least = limit.as_secs_f64();
            let note =
                format!("it was given up after {least:.1} s; nobody can tell how long it takes");
            return Ok(Priced::derived(3.0 * least, UNKNOWN, note));
        };
        let sorts = outline.with(sql).builds_index();
        self.instead(&table, known, sql, limit, sorts).await
    }

    async fn outside(&mut self, outline: &Outline, sql: &str) -> Result<Priced, DbError> {
        let table = self.table_of(outline, sql);
        match (first_word(sql).as_str(), table) {
            ("vacuum" | "cluster" | "reindex", Some(table)) => {
                let priced = self.scan(&table, "it can't be run within a transaction").await?;
                Ok(Priced { seconds: VACUUM * priced.seconds, spread: UNKNOWN, ..priced })
            }
            _ => {
                let note = "it can't be run within a transaction, so nobody can tell".to_owned();
                Ok(Priced::derived(0.1, 2.0 * UNKNOWN, note))
            }
        }
    }

    /// The table that a statement is mostly about: the first that an ALTER names, else the largest.
    fn table_of(&self, outline: &Outline, sql: &str) -> Option<String> {
        let outline = outline.with(sql);
        let mut tables = outline.tables(self.facts);
        let bytes = |table: &&str| self.facts.table(table).map_or(0, |facts| facts.bytes);
        let table = match first_word(sql).as_str() {
            "alter" => tables.next(),
            _ => tables.max_by_key(bytes),
        };
        table.map(str::to_owned)
    }

    /// Whether a SET NOT NULL has a CHECK that proves it, which will have been validated by then.
    async fn is_proved(&mut self, table: &str, sql: &str) -> Result<bool, DbError> {
        let lower = sql.to_lowercase();
        let words: Vec<_> = lower.split_whitespace().collect();
        let at = words.windows(3).position(|words| words == ["set", "not", "null"]);
        let Some(column) = at.and_then(|at| at.checked_sub(1)).and_then(|at| words.get(at)) else {
            return Ok(false);
        };
        let checks = "select count(*) from pg_constraint where conrelid = to_regclass($1::text) \
                      and contype = 'c' and lower(pg_get_constraintdef(oid)) like $2::text";
        let like = format!("check (({} is not null))%", column.trim_matches('"'));
        let name = super::derive::quoted(table);
        let asked = crate::db::Statement::new(checks, vec![name.into(), like.into()]);
        let rows = self.desk.query(&asked).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.int(0))? > 0)
    }
}

fn first_word(sql: &str) -> String {
    sql.split_whitespace().next().unwrap_or_default().to_lowercase()
}

/// The same statement, as it can be run within a transaction.
fn without_concurrently(sql: &str) -> Option<String> {
    let first = first_word(sql);
    let begin: Vec<_> = sql.split_whitespace().take(4).collect();
    let word = begin.iter().find(|word| word.eq_ignore_ascii_case("concurrently"))?;
    ["create", "drop", "reindex"].contains(&first.as_str()).then(|| sql.replacen(word, "", 1))
}

fn without_unique(sql: &str) -> Option<String> {
    let mut words = sql.split_whitespace();
    let is_create = words.next()?.eq_ignore_ascii_case("create");
    let word = words.next().filter(|word| is_create && word.eq_ignore_ascii_case("unique"))?;
    Some(sql.replacen(word, "", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_in_a_transaction_is_left_out() {
        let without = |sql| without_concurrently(sql).unwrap_or_default();
        assert_eq!(
            without("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"),
            "CREATE UNIQUE INDEX  i ON t (a)"
        );
        assert_eq!(without("drop index concurrently i"), "drop index  i");
        assert_eq!(without("vacuum t"), "");
        assert_eq!(without("create index i on concurrently (a)"), "");
        assert_eq!(
            without_unique("create unique index i on t (a)").unwrap(),
            "create  index i on t (a)"
        );
        assert_eq!(without_unique("create index i on t (a)"), None);
    }
}
