//! Large statements that no directive speaks of: cut out of their scripts where that is asked for, and
//! warned of where it isn't.

use std::fmt;
use std::ops::Range;

use crate::backfill::{count_up_to, prepare};
use crate::batch::{Verb, parse};
use crate::db::{Dialect, Session, TableName};
use crate::migration::{Bulk, Migration, StepKind};
use crate::place::Explanation;
use crate::plan::{Plan, Selection, Upcoming};
use crate::progress::Warning;

use super::Survey;

/// A statement over more rows than this is worth a word, where nothing else is said: at a usual pace it
/// holds its locks for seconds.
const LARGE: u64 = 100_000;

/// A statement that could be batched, and is over many rows.
struct Large {
    version: i64,
    /// From 0.
    step: usize,
    bulk: Bulk,
    /// Its place in the file, in bytes.
    span: Range<usize>,
    verb: Verb,
    table: TableName,
    rows: Rows,
}

/// How many rows a table has.
#[derive(Debug, Clone, Copy)]
enum Rows {
    About(u64),
    MoreThan(u64),
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, rows) = match *self {
            Rows::About(rows) => ("about", rows),
            Rows::MoreThan(rows) => ("more than", rows),
        };
        match rows {
            0..10_000 => write!(f, "{word} {rows} rows"),
            10_000..1_000_000 => write!(f, "{word} {} thousand rows", rows / 1_000),
            _ => write!(f, "{word} {:.1} million rows", rows as f64 / 1e6),
        }
    }
}

/// Looks at the pending scripts' statements, in a session that only reads. With `auto`, those over more
/// rows than that become steps of their own; the others are entered in [`Survey::large`].
pub async fn cut_bulk(
    session: &mut dyn Session,
    dialect: Dialect,
    survey: &mut Survey<'_>,
    selection: Selection,
    auto: Option<u64>,
) {
    let is_pending = |migration: &Migration| survey.history.find(migration.version).is_none();
    if !survey.catalog.migrations.iter().any(is_pending) {
        return;
    }
    // What is wrong with the plan is told by whoever works by it.
    let Ok(plan) = Plan::new(&survey.catalog, &survey.history, &survey.steps, selection) else {
        return;
    };
    let limit = auto.unwrap_or(LARGE);
    let mut scales = Scales { session, dialect, limit, seen: Vec::new() };
    let mut found = Vec::new();
    for upcoming in plan.steps() {
        for bulk in upcoming.pending.migration.bulk(upcoming.step, dialect.engine) {
            found.extend(scales.weigh(upcoming, bulk).await);
        }
    }
    if auto.is_some() {
        cut(survey, &found);
    }
    let whole = found.iter().filter(|large| auto.is_none() || !large.bulk.is_loose);
    survey.large = whole.filter_map(|large| warning(survey, large, auto.is_some())).collect();
}

fn cut(survey: &mut Survey<'_>, found: &[Large]) {
    // From the last to the first, so that the numbers of those to come stay.
    for of_one in
        found.chunk_by(|one, other| (one.version, one.step) == (other.version, other.step)).rev()
    {
        let loose = of_one.iter().filter(|large| large.bulk.is_loose);
        let indices: Vec<_> = loose.map(|large| large.bulk.index).collect();
        let (version, step) = (of_one[0].version, of_one[0].step);
        let migrations = &survey.catalog.migrations;
        let at = migrations.binary_search_by_key(&version, |migration| migration.version);
        if let (Ok(at), false) = (at, indices.is_empty()) {
            survey.catalog.to_mut().migrations[at].cut(step, &indices);
        }
    }
}

fn warning(survey: &Survey<'_>, large: &Large, auto: bool) -> Option<Warning> {
    let migration = survey.catalog.find(large.version)?;
    // Another statement of its script may have been cut out.
    let mut steps = (1..).zip(&migration.steps);
    let (number, _) = steps.find(|(_, step)| step.statements.contains(&large.span))?;
    let Large { verb, table, rows, span, .. } = large;
    let message = format!("{verb} of {table} ({rows}) runs whole, in one transaction");
    let place = Some(Box::new(migration.place(span.clone(), "")));
    let explanation = Explanation { place, ..Explanation::default() };
    let (why, next) = if auto {
        let why = "something else in its script, such as a SET, may be meant for the transaction that \
                   they share";
        (Some(why), "put `-- lockkeeper: batch` before it")
    } else {
        (None, "put `-- lockkeeper: batch` before it, or say --auto-batch")
    };
    let explanation = why.into_iter().fold(explanation, |one, why| one.note("why", why));
    let next = format!("{next}; `-- lockkeeper: batch off` says that it is meant so");
    Some(Warning::new(large.version, number, &message, &explanation.note("next", next)))
}

/// Weighs statements, and asks for each table once.
struct Scales<'a> {
    session: &'a mut dyn Session,
    dialect: Dialect,
    limit: u64,
    seen: Vec<(TableName, Option<Rows>)>,
}

impl Scales<'_> {
    /// `None` for what can't be batched, for small tables, and for what can't be known: the run tells
    /// what is wrong when it gets there.
    async fn weigh(&mut self, upcoming: Upcoming<'_>, bulk: Bulk) -> Option<Large> {
        let Upcoming { pending, step, number, is_settled } = upcoming;
        let migration = pending.migration;
        let alone = migration.alone(step, bulk.index);
        let shape = parse(migration.sql(&alone), self.dialect).ok()?;
        let table = shape.relations().target;
        let rows = self.rows(&table).await?;
        let StepKind::Backfill(directive) = &alone.kind else { return None };
        if is_settled && bulk.is_settled {
            let prepared = prepare(self.session, self.dialect, migration, &alone, directive);
            prepared.await.ok()??;
        }
        Some(Large {
            version: migration.version,
            step: number as usize - 1,
            bulk,
            span: alone.span,
            verb: shape.verb(),
            table,
            rows,
        })
    }

    /// How many rows it has, if those are more than the limit.
    async fn rows(&mut self, name: &TableName) -> Option<Rows> {
        if let Some((_, rows)) = self.seen.iter().find(|(seen, _)| seen == name) {
            return *rows;
        }
        let rows = self.ask(name).await;
        self.seen.push((name.clone(), rows));
        rows
    }

    async fn ask(&mut self, name: &TableName) -> Option<Rows> {
        let table = self.session.table(name).await.ok()??;
        if let Some(rows) = table.estimated_rows {
            return (rows > self.limit).then_some(Rows::About(rows));
        }
        match count_up_to(self.session, self.dialect, &table.name, self.limit).await {
            Ok(None) => Some(Rows::MoreThan(self.limit)),
            Ok(Some(_)) | Err(_) => None,
        }
    }
}
