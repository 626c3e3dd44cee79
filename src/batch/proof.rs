//! What the catalog must say for a statement to be safe in batches.
//!
//! The claim is: the batches, one after the other, leave what the whole statement would leave. It
//! holds when the work on each row depends on that row, and on tables that no batch changes, alone.

mod comparable;
mod effects;
mod insert;
mod joins;
mod keys;
mod level;

use std::ops::Range;

use super::refusal::Refusal;
use super::rewrite::Said;
use super::shape::{Shape, Verb};
use super::survey::Read;
use super::warning::Warning;
use crate::db::{Engine, Table, TableKind, TableName};
use effects::{foreign_keys, triggers};
use insert::insert;
use joins::joins;
use level::levels;

pub(super) use keys::prove_keys;

/// Proves all that doesn't depend on the choice of the key. What there is to know is returned.
pub(super) fn prove(
    shape: &Shape,
    said: Said<'_>,
    target: &Table,
    into: Option<&Table>,
    read: &[Table],
    engine: Engine,
) -> Result<Vec<Warning>, Refusal> {
    let wanted = shape.relations().read;
    if wanted.len() != read.len() {
        return Err(Refusal::of(shape.verb, "a table that it reads doesn't exist")
            .only_way("check the names of the tables"));
    }
    let reads: Vec<(&Read, &Table)> = wanted
        .iter()
        .zip(read)
        .filter_map(|(name, table)| {
            Some((shape.reads.iter().find(|read| read.table == *name)?, table))
        })
        .collect();
    plain_table(shape.verb, shape.target_span.clone(), target)?;
    let mut warnings = Vec::new();
    if let (Some(named), Some(into)) = (&shape.into, into) {
        insert(shape, named, said, (target, into), &reads, engine)?;
        other_tables(shape, into, &reads, engine)?;
    } else {
        if shape.verb == Verb::Update {
            no_resolved_conflicts(shape.verb, shape.target_span.clone(), target)?;
        }
        other_tables(shape, target, &reads, engine)?;
        triggers(shape, said, target)?;
        warnings = foreign_keys(shape, said.trust_triggers, target, &reads, engine)?;
    }
    if engine == Engine::Postgres {
        texts_are_no_dates(shape, target)?;
        columns_are_no_functions(shape, target, read, &wanted)?;
    }
    warnings.extend(levels(shape, target, &reads, engine)?);
    warnings.extend(joins(shape, target, &reads, engine));
    Ok(warnings)
}

fn plain_table(verb: Verb, span: Option<Range<usize>>, target: &Table) -> Result<(), Refusal> {
    let refuse = |cause: String| Err(Refusal::of(verb, cause).at(span.clone(), ""));
    let name = &target.name;
    match target.kind {
        TableKind::Ordinary => {}
        TableKind::Partitioned => {
            return Err(Refusal::of(
                verb,
                format_args!("{name} is partitioned; a later release goes partition by partition"),
            )
            .at(span.clone(), "")
            .way("write one statement for each partition"));
        }
        TableKind::Other => return refuse(format!("{name} is no ordinary table")),
    }
    if let Some(engine) = &target.engine_without_transactions {
        // Whole, it would be no safer: what fails in the middle stays half done.
        return Err(Refusal::of(
            verb,
            format_args!(
                "{name} is kept by the storage engine {engine}, which has no transactions: rows \
                 and checkpoint could come apart"
            ),
        )
        .at(span.clone(), "")
        .only_way(format!("ALTER TABLE {name} ENGINE=InnoDB, before this is applied")));
    }
    if target.has_rules {
        return refuse(format!("{name} has rewrite rules, which change what the statement does"));
    }
    if target.has_children {
        return Err(Refusal::of(
            verb,
            format_args!("other tables inherit from {name}, and their rows have keys of their own"),
        )
        .at(span.clone(), "")
        .way("write one statement for each of the tables, children first"));
    }
    no_row_security(verb, span, target)
}

/// A policy may read any table, and hides rows from the statement, not from their key.
fn no_row_security(verb: Verb, span: Option<Range<usize>>, table: &Table) -> Result<(), Refusal> {
    if !table.row_security {
        return Ok(());
    }
    Err(Refusal::of(
        verb,
        format_args!(
            "policies choose the rows of {} that it sees, and may read any table",
            table.name
        ),
    )
    .at(span, "row-level security is in force for this user")
    .way("migrate as the table's owner, or as a role with BYPASSRLS"))
}

/// A row that gives way to another one, or is left out, may be of another batch.
fn no_resolved_conflicts(
    verb: Verb,
    span: Option<Range<usize>>,
    table: &Table,
) -> Result<(), Refusal> {
    if !table.resolves_conflicts {
        return Ok(());
    }
    Err(Refusal::of(
        verb,
        format_args!(
            "{} is defined with ON CONFLICT REPLACE or IGNORE, by which rows of different batches may \
             delete or hold back each other",
            table.name
        ),
    )
    .at(span, "")
    .way("make the table anew in an earlier migration, without that clause"))
}

fn other_tables(
    shape: &Shape,
    target: &Table,
    reads: &[(&Read, &Table)],
    engine: Engine,
) -> Result<(), Refusal> {
    for (read, table) in reads {
        let refuse = |cause: String, label: &str| {
            Refusal::of(shape.verb, cause).at(read.span.clone(), label)
        };
        if same_table(engine, &table.name, &target.name) {
            return Err(refuse(
                "it reads the table that it changes".to_owned(),
                "later batches would see what earlier ones changed",
            )
            .way("put what it reads into a table of its own first, and read it from there"));
        }
        let may_hold = |how: &str| {
            refuse(
                format!("{} {how}, and may read {}", table.name, target.name),
                "later batches could see what earlier ones changed",
            )
        };
        match table.kind {
            TableKind::Other => {
                return Err(may_hold("is no ordinary table (a view, say)")
                    .way("read the tables behind it directly"));
            }
            // Elsewhere a partition is no table of its own.
            TableKind::Partitioned if engine == Engine::Postgres => {
                return Err(may_hold("is partitioned").way("read its partitions directly"));
            }
            TableKind::Ordinary | TableKind::Partitioned => {}
        }
        if table.has_children {
            return Err(may_hold("has tables that inherit from it").way("read those directly"));
        }
        no_row_security(shape.verb, read.span.clone(), table)?;
    }
    Ok(())
}

/// `'now'` is a text, unless it becomes a date.
fn texts_are_no_dates(shape: &Shape, target: &Table) -> Result<(), Refusal> {
    for dated in &shape.dated {
        let type_name = dated
            .column
            .as_deref()
            .and_then(|name| target.column(name))
            .map(|column| column.type_name.as_str());
        let text = type_name.is_some_and(|name| {
            let base = name.split('(').next().unwrap_or(name).trim();
            matches!(base, "text" | "character varying" | "character" | "citext" | "name")
        });
        if !text {
            return Err(Refusal::of(
                shape.verb,
                "this text may become a date, and could differ from batch to batch",
            )
            .at(dated.span.clone(), "")
            .way("write now() or current_date, which are pinned to one time, or the date as a literal"));
        }
    }
    Ok(())
}

/// In PostgreSQL `t.f` calls the function f with a row of t, where t has no column f.
fn columns_are_no_functions(
    shape: &Shape,
    target: &Table,
    read: &[Table],
    wanted: &[TableName],
) -> Result<(), Refusal> {
    const SYSTEM: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
    for qualified in &shape.qualified {
        if SYSTEM.contains(&qualified.column.as_str()) {
            continue;
        }
        let mut meant = Vec::new();
        if qualified.table == shape.known_as() {
            meant.push(target.column(&qualified.column).is_some());
        }
        for named in shape.reads.iter().filter(|read| read.known_as == qualified.table) {
            let facts = wanted.iter().position(|name| *name == named.table);
            let has = facts.is_some_and(|at| read[at].column(&qualified.column).is_some());
            meant.push(has || named.columns.contains(&qualified.column));
        }
        if meant.contains(&false) {
            return Err(Refusal::of(
                shape.verb,
                format_args!("{} has no column {}", qualified.table, qualified.column),
            )
            .at(qualified.span.clone(), "PostgreSQL would look for a function of this name")
            .way("check the column's name"));
        }
    }
    Ok(())
}

/// Whether two names mean, or may mean, the same table.
fn same_table(engine: Engine, one: &TableName, other: &TableName) -> bool {
    let same = |one: &str, other: &str| match engine {
        Engine::Postgres => one == other,
        // By the server's settings, MySQL's names may differ in case; better one refusal too many.
        Engine::MySql | Engine::Sqlite => one.to_lowercase() == other.to_lowercase(),
    };
    let schemas = match (&one.schema, &other.schema) {
        (Some(one), Some(other)) => same(one, other),
        _ => true,
    };
    schemas && same(&one.name, &other.name)
}
