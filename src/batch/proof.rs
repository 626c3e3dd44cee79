//! What the catalog must say for a statement to be safe in batches.
//!
//! The claim is: the batches, one after the other, leave what the whole statement would leave. It
//! holds when the work on each row depends on that row, and on tables that no batch changes, alone.

mod comparable;
mod defaults;
mod effects;
mod insert;
mod joins;
mod keys;
mod level;
mod partitions;
mod tables;

use super::refusal::Refusal;
use super::rewrite::Said;
use super::shape::{Shape, Verb};
use super::survey::Read;
use super::warning::Warning;
use crate::db::{Engine, Table, TableName};
use defaults::defaults;
use effects::{foreign_keys, triggers};
use insert::insert;
use joins::joins;
use level::levels;
use partitions::{is_part_of, partitions};
use tables::{no_resolved_conflicts, other_tables, plain_table, same_table};

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
    partitions(shape, target)?;
    let mut warnings = if let (Some(named), Some(into)) = (&shape.into, into) {
        insert(shape, named, said, (target, into), &reads, engine)?;
        other_tables(shape, into, &reads, engine)?;
        defaults(shape, named, target, into, engine)?
    } else {
        if shape.verb == Verb::Update {
            no_resolved_conflicts(shape.verb, shape.target_span.clone(), target)?;
        }
        other_tables(shape, target, &reads, engine)?;
        triggers(shape, said, target)?;
        foreign_keys(shape, said.trust_triggers, target, &reads, engine)?
    };
    if engine == Engine::Postgres {
        texts_are_no_dates(shape, target)?;
        columns_are_no_functions(shape, target, read, &wanted)?;
    }
    warnings.extend(levels(shape, target, &reads, engine)?);
    warnings.extend(joins(shape, target, &reads, engine));
    Ok(warnings)
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
