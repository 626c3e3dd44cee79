//! Large statements that no directive speaks of: cut out of their scripts where that is asked for, and
//! warned of where it isn't.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use tokio::time::timeout;

use crate::backfill::{PrepareError, count_up_to, prepare};
use crate::batch::{Verb, is_of_one_row, parse};
use crate::db::{Database, Dialect, Engine, Purpose, Session, Table, TableKind, TableName};
use crate::migration::{Bulk, Migration, Step, StepKind};
use crate::place::Explanation;
use crate::plan::{Plan, Selection, Upcoming};
use crate::progress::Warning;

use super::Survey;

/// A statement on a table with more rows than this is worth a word, where nothing else is said: at a
/// usual pace it holds its locks for seconds.
const LARGE: u64 = 100_000;
/// How long a table may take to tell its size. One that somebody has locked isn't waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A statement that could be batched, and whose table is large.
struct Large {
    version: i64,
    /// From 0.
    step: usize,
    bulk: Bulk,
    /// Its place in the file, in bytes.
    span: Range<usize>,
    verb: Verb,
    table: TableName,
    size: Size,
    /// Why it can't be batched, where that was looked at.
    refused: Option<String>,
}

impl Large {
    /// Whether it becomes a step of its own where that is asked for.
    fn is_to_be_cut(&self) -> bool {
        self.bulk.is_loose && self.refused.is_none()
    }
}

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// No more than the limit, or it isn't there.
    Small,
    About(u64),
    MoreThan(u64),
    /// It didn't tell in time.
    Unknown,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, rows) = match *self {
            Size::About(rows) => ("about", rows),
            Size::MoreThan(rows) => ("more than", rows),
            Size::Small => return f.write_str("few rows"),
            Size::Unknown => return f.write_str("an unknown number of rows"),
        };
        match rows {
            0..10_000 => write!(f, "{word} {rows} rows"),
            10_000..1_000_000 => write!(f, "{word} {} thousand rows", rows / 1_000),
            _ => write!(f, "{word} {:.1} million rows", rows as f64 / 1e6),
        }
    }
}

/// Looks at the pending scripts' statements. With `auto`, those on tables with more rows than that become
/// steps of their own, where nothing stands against it; the others are entered in [`Survey::large`].
///
/// In sessions of its own, which nobody else waits for. `plan` may be behind a pooler, so that unlike a
/// watch's they set no time limit in the server, and cancel nothing, which could be somebody else's by
/// then: what doesn't answer is left alone. Such a table counts as large where that is for safety: with
/// `auto`.
pub async fn cut_bulk(
    database: &dyn Database,
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
    let mut scales = Scales { database, session: None, auto, seen: Vec::new() };
    let mut found = Vec::new();
    for upcoming in plan.steps() {
        found.extend(scales.weigh_step(upcoming).await);
    }
    if auto.is_some() {
        cut(survey, &found);
    }
    let whole = found.iter().filter(|large| auto.is_none() || !large.is_to_be_cut());
    survey.large = whole.filter_map(|large| warning(survey, large, auto.is_some())).collect();
}

fn cut(survey: &mut Survey<'_>, found: &[Large]) {
    // From the last to the first, so that the numbers of those to come stay.
    for large in found.iter().rev().filter(|large| large.is_to_be_cut()) {
        if let Some(migration) = survey.catalog.to_mut().find_mut(large.version) {
            migration.cut(large.step, large.bulk.index);
        }
    }
}

fn warning(survey: &Survey<'_>, large: &Large, auto: bool) -> Option<Warning> {
    let migration = survey.catalog.find(large.version)?;
    // Another script of the file may have been cut.
    let mut steps = (1..).zip(&migration.steps);
    let (number, _) = steps.find(|(_, step)| step.statements.contains(&large.span))?;
    let Large { verb, table, size, span, .. } = large;
    let message = format!("{verb} of {table}, which has {size}, runs whole, in one transaction");
    let place = Some(Box::new(migration.place(span.clone(), "")));
    let explanation = Explanation { place, ..Explanation::default() };
    let shared = "something else in its script may be meant for the transaction that they share";
    let (why, way) = match &large.refused {
        Some(refused) => (Some(refused.as_str()), ""),
        None if auto => (Some(shared), "put `-- lockkeeper: batch` before it; "),
        None => (None, "put `-- lockkeeper: batch` before it, or say --auto-batch; "),
    };
    let explanation = why.into_iter().fold(explanation, |one, why| one.note("why", why));
    let next = format!("{way}`-- lockkeeper: batch off` says that it is meant so");
    Some(Warning::new(large.version, number, &message, &explanation.note("next", next)))
}

/// Weighs statements, and asks for each table once.
struct Scales<'a> {
    database: &'a dyn Database,
    session: Option<Box<dyn Session>>,
    auto: Option<u64>,
    seen: Vec<(TableName, Size, Option<Table>)>,
}

impl Scales<'_> {
    /// One statement of each table, if the step is a script.
    async fn weigh_step(&mut self, upcoming: Upcoming<'_>) -> Vec<Large> {
        let mut found: Vec<Large> = Vec::new();
        let migration = upcoming.pending.migration;
        for bulk in migration.bulk(upcoming.step, self.dialect().engine) {
            let large = self.weigh(upcoming, bulk).await;
            found.extend(large.filter(|large| found.iter().all(|one| one.table != large.table)));
        }
        found
    }

    /// `None` for what can't be batched or is of one row, and for small tables.
    async fn weigh(&mut self, upcoming: Upcoming<'_>, bulk: Bulk) -> Option<Large> {
        let Upcoming { pending, step, number, is_settled } = upcoming;
        let migration = pending.migration;
        let alone = migration.alone(step, bulk.index);
        let shape = parse(migration.sql(&alone), self.dialect()).ok()?;
        let target = shape.relations().target;
        self.look_up(&target).await;
        let (_, size, table) = self.seen.iter().find(|(seen, ..)| *seen == target)?;
        let (size, table) = (*size, table.as_ref());
        if size == Size::Small
            || size == Size::Unknown && self.auto.is_none()
            || table
                .is_some_and(|table| is_of_one_row(&shape, table, self.database.dialect().engine))
        {
            return None;
        }
        let refused = match self.auto.is_some() && bulk.is_loose && is_settled && bulk.is_first {
            true => self.prove(migration, &alone).await?,
            false => None,
        };
        Some(Large {
            version: migration.version,
            step: number as usize - 1,
            bulk,
            span: alone.span,
            verb: shape.verb(),
            table: target,
            size,
            refused,
        })
    }

    /// Why it is refused, if it is; `None` where its table is none. Without an answer, that is left for when
    /// its turn comes.
    async fn prove(&mut self, migration: &Migration, alone: &Step) -> Option<Option<String>> {
        let StepKind::Backfill(directive) = &alone.kind else { return None };
        let dialect = self.dialect();
        let session = self.session().await?;
        let proof = prepare(session, dialect, migration, alone, directive);
        match timeout(PATIENCE, proof).await {
            Ok(Ok(Some(_))) => Some(None),
            Ok(Ok(None)) => None,
            Ok(Err(PrepareError::Refused { refusal, .. })) => Some(Some(refusal.message)),
            Ok(Err(_)) | Err(_) => {
                self.session = None;
                Some(None)
            }
        }
    }

    async fn look_up(&mut self, name: &TableName) {
        if self.seen.iter().any(|(seen, ..)| seen == name) {
            return;
        }
        let (size, table) = match timeout(PATIENCE, self.ask(name)).await {
            Ok(Some(told)) => told,
            Ok(None) | Err(_) => {
                self.session = None;
                (Size::Unknown, None)
            }
        };
        self.seen.push((name.clone(), size, table));
    }

    async fn ask(&mut self, name: &TableName) -> Option<(Size, Option<Table>)> {
        let (dialect, limit) = (self.dialect(), self.auto.unwrap_or(LARGE));
        let session = self.session().await?;
        let Some(table) = session.table(name).await.ok()? else { return Some((Size::Small, None)) };
        // What a view does to be counted, nobody knows.
        if table.kind == TableKind::Other {
            return Some((Size::Small, None));
        }
        // SQLite's is the span of its row numbers, which may be of two rows.
        let estimate = table.estimated_rows.filter(|_| dialect.engine != Engine::Sqlite);
        let size = match estimate {
            Some(rows) if rows > limit => Size::About(rows),
            Some(_) => Size::Small,
            None => match count_up_to(session, dialect, &table.name, limit).await.ok()? {
                Some(_) => Size::Small,
                None => Size::MoreThan(limit),
            },
        };
        Some((size, Some(table)))
    }

    fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    async fn session(&mut self) -> Option<&mut (dyn Session + 'static)> {
        if self.session.is_none() {
            self.session = self.database.session(Purpose::Watch).await.ok();
        }
        self.session.as_deref_mut()
    }
}
