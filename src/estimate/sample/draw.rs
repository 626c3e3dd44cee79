//! One draw: a batch somewhere along the key, run and taken back.
//!
//! The engine does a [block of keys in two halves](crate::batch::Part): the rows of the first go to the end of the table, and
//! once that is committed, the second finds room where they were, and needs no entry in any index. Here
//! nothing is committed. So for the second half its rows are moved before, by themselves, into pages that are left
//! half empty (a fill factor, in the same savepoint); and then they have that room beside them.

use std::time::{Duration, Instant};

use crate::backfill::Prepared;
use crate::batch::{Batch, Part, Spot};
use crate::db::{DbError, Dialect, ErrorKind, Statement, TableName};

use super::desk::{CLOCKS, Desk};
use super::tally::Draw;

/// No draw takes longer; the engine ends its batches much sooner.
const LIMIT: Duration = Duration::from_secs(5);

/// Where a backfill's draws leave their traces.
#[derive(Debug, Clone, Default)]
pub(super) struct Ground {
    /// The table that grows, where it isn't the one that is gone along.
    pub(super) grows: Option<TableName>,
    /// Indexes whose growth isn't seen by draws: their numbers, with commas between them.
    pub(super) others: String,
}

/// What the server has counted so far.
struct Counted {
    log: f64,
    bytes: f64,
    hot: f64,
}

impl Ground {
    async fn counted(&self, desk: &mut Desk, source: &Batch) -> Result<Counted, DbError> {
        let grows = qualified(self.grows.as_ref().unwrap_or(source.table()));
        let others = format!("{{{}}}", self.others);
        let params = vec![grows.into(), others.into(), qualified(source.table()).into()];
        let rows = desk.query(&Statement::new(COUNTED, params)).await?;
        let number = |at| Ok::<_, DbError>(rows.first().map_or(Ok(0), |row| row.int(at))? as f64);
        Ok(Counted { log: number(0)?, bytes: number(1)?, hot: number(2)? })
    }
}

/// Bytes of log so far, and of the table with its indexes, and rows that found room beside themselves.
const COUNTED: &str = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, \
    (coalesce(sum(pg_table_size(relid)), 0) + (select coalesce(sum(pg_relation_size(indexrelid)), 0) \
    from pg_index where indrelid = any(array_agg(relid)) and indexrelid <> all($2::text::oid[])))::bigint, \
    coalesce(pg_stat_get_xact_tuples_hot_updated(to_regclass($3::text)), 0) \
    from (select relid::oid from pg_partition_tree(to_regclass($1::text)) \
    union select to_regclass($1::text)::oid) leaves";

/// A range of keys.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) after: Option<Vec<String>>,
    pub(super) through: Vec<String>,
    pub(super) keys: u64,
    /// How long it took to find its end.
    pub(super) seconds: f64,
}

/// Finds the end of a batch, as the engine does.
pub(super) async fn span(
    desk: &mut Desk,
    prepared: &Prepared,
    source: &Batch,
    after: Option<&[String]>,
    last: &[String],
    rows: u64,
) -> Result<Span, DbError> {
    let start = after.map(<[_]>::to_vec);
    if source.is_by_block() {
        let first = after.map_or(0, |after| Spot::of(after).block + 1);
        let end = (first + rows.max(1) as u32 - 1).min(Spot::of(last).block);
        let keys = u64::from((end + 1).saturating_sub(first));
        let through = Spot { pass: 1, block: end }.key();
        return Ok(Span { after: start, through, keys, seconds: 0.0 });
    }
    let began = Instant::now();
    let found = desk.query(&source.boundary(after, last, rows)).await?;
    let seconds = began.elapsed().as_secs_f64();
    if let Some(row) = found.first() {
        let through = prepared.key_in(row)?;
        return Ok(Span { after: start, through, keys: rows, seconds });
    }
    let counted = desk.query(&source.count(after, last)).await?;
    let keys = counted.first().map_or(Ok(0), |row| row.int(0))?.max(0) as u64;
    Ok(Span { after: start, through: last.to_vec(), keys, seconds })
}

/// Runs a part of a span. `None` where it took far too long. Of a `moved` one, its rows have room beside them.
/// What it did stays until it is taken [back](Desk::back).
pub(super) async fn apply(
    desk: &mut Desk,
    source: &Batch,
    ground: &Ground,
    span: &Span,
    part: Part,
) -> Result<Option<Draw>, DbError> {
    let statement = source.apply(span.after.as_deref(), &span.through, part);
    let explain = "explain (analyze, wal, timing off, costs off, summary off) ";
    let statement = Statement { sql: format!("{explain}{}", statement.sql), ..statement };
    desk.limit(Some(LIMIT)).await?;
    let before = ground.counted(desk, source).await?;
    let began = Instant::now();
    let told = async {
        let told = desk.query(&statement).await?;
        // What is put off to the commit belongs to the batch.
        desk.bare("set constraints all immediate").await?;
        Ok(told)
    };
    let told = match told.await {
        Ok(told) => told,
        Err(DbError { kind: ErrorKind::Cancelled, .. }) if began.elapsed() + CLOCKS >= LIMIT => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let seconds = began.elapsed().as_secs_f64();
    let after = ground.counted(desk, source).await?;
    let mut lines = Vec::new();
    for row in &told {
        lines.push(row.text(0)?.to_owned());
    }
    let keys = match part {
        Part::Whole => span.keys,
        Part::First => Part::first_of(span.keys),
        Part::Second => span.keys - Part::first_of(span.keys),
    };
    Ok(Some(Draw {
        stratum: 0,
        keys: keys as f64,
        seconds,
        changed: changed(&lines),
        checks: has_triggers(&lines),
        hot: after.hot - before.hot,
        log: own_log(&lines).unwrap_or(after.log - before.log),
        pages: whole_pages(&lines),
        grown: after.bytes - before.bytes,
    }))
}

/// Moves the rows of a part of a span to where they have room beside them: into pages that are filled up to so many percent.
pub(super) async fn make_room(
    desk: &mut Desk,
    source: &Batch,
    span: &Span,
    part: Part,
    fill_factor: u32,
    checks: bool,
) -> Result<(), DbError> {
    let name = qualified(source.table());
    if !checks {
        spare_checks(desk, &name).await?;
    }
    desk.bare(&format!("alter table {name} set (fillfactor = {fill_factor})")).await?;
    desk.limit(Some(LIMIT)).await?;
    let moved = source.move_rows(span.after.as_deref(), &span.through, part);
    desk.query(&moved).await.map(drop)
}

/// Takes the table's foreign keys away, in the savepoint, where the statement sets none of their columns: a row that this
/// very transaction has written is looked for in the other table all the same (`RI_FKey_fk_upd_check_required` in
/// PostgreSQL's sources), and locked there.
async fn spare_checks(desk: &mut Desk, name: &str) -> Result<(), DbError> {
    let keys = "select quote_ident(conname) from pg_constraint \
                where conrelid = to_regclass($1::text) and contype = 'f' and conparentid = 0";
    let keys = desk.query(&Statement::new(keys, vec![name.into()])).await?;
    for key in &keys {
        desk.bare(&format!("alter table {name} drop constraint {}", key.text(0)?)).await?;
    }
    Ok(())
}

fn qualified(table: &TableName) -> String {
    Dialect::POSTGRES.qualified(table.schema.as_deref(), &table.name)
}

/// A figure of `  WAL: records=21 fpi=7 bytes=51234`, of the first node that has such a line, which sums up the others.
fn of_log(lines: &[String], name: &str) -> Option<f64> {
    let line = lines.iter().find_map(|line| line.trim_start().strip_prefix("WAL:"))?;
    let mut figures = line.split_whitespace().filter_map(|word| word.split_once('='));
    figures.find(|(known, _)| *known == name)?.1.parse().ok()
}

/// Pages that went into it whole.
fn whole_pages(lines: &[String]) -> f64 {
    of_log(lines, "fpi").unwrap_or(0.0)
}

/// Bytes of log of the statement itself, whatever others write meanwhile: autovacuum, on a copy that has just been made. `None`
/// where triggers and cascades write as well, behind the plan.
fn own_log(lines: &[String]) -> Option<f64> {
    if has_triggers(lines) { None } else { of_log(lines, "bytes") }
}

/// Whether triggers, cascades or checks of foreign keys have followed upon it.
fn has_triggers(lines: &[String]) -> bool {
    lines.iter().any(|line| line.trim_start().starts_with("Trigger "))
}

/// The rows of the node below the one that writes: `-> Index Scan … (actual rows=20 loops=1)`.
fn changed(lines: &[String]) -> f64 {
    let below = lines.iter().find(|line| line.trim_start().starts_with("->"));
    let rows = below.and_then(|line| line.split_once("rows=")).map(|(_, rest)| rest);
    let rows = rows.and_then(|rest| rest.split([' ', ')']).next());
    rows.and_then(|rows| rows.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_rows_and_whole_pages() {
        let text = "Update on t (actual rows=0 loops=1)\n  WAL: records=40 fpi=7 bytes=51234\n  \
                    ->  Index Scan using t_pkey on t (actual rows=20 loops=1)\n        \
                    Index Cond: ((id > 1) AND (id <= 21))\nTrigger x: calls=20";
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert!((changed(&lines) - 20.0).abs() < 1e-9 && (whole_pages(&lines) - 7.0).abs() < 1e-9);
        assert_eq!((own_log(&lines), own_log(&lines[..3])), (None, Some(51234.0)));
        let newer =
            ["Update on t (actual rows=0.00 loops=1)", "  ->  Scan (actual rows=3.00 loops=1)"];
        let newer = newer.map(str::to_owned);
        assert!((changed(&newer) - 3.0).abs() < 1e-9 && whole_pages(&newer) < 1e-9);
    }
}
