//! What the tables must be like: which one may be changed, and which ones read.

use std::ops::Range;

use super::super::refusal::Refusal;
use super::super::shape::{Shape, Verb};
use super::super::survey::Read;
use super::is_part_of;
use crate::db::{Engine, Table, TableKind, TableName};

pub(super) fn plain_table(
    verb: Verb,
    span: Option<Range<usize>>,
    target: &Table,
) -> Result<(), Refusal> {
    let refuse = |cause: String| Err(Refusal::of(verb, cause).at(span.clone(), ""));
    let name = &target.name;
    if is_ledger(name) {
        return refuse(format!("{name} is lockkeeper's own, and each batch writes to it"));
    }
    match target.kind {
        // Elsewhere a partition is no table of its own.
        TableKind::Ordinary | TableKind::Partitioned => {}
        TableKind::Other => return refuse(format!("{name} is no ordinary table")),
    }
    let foreign = target.partitions.as_ref().and_then(|partitions| partitions.foreign.as_ref());
    if let Some(leaf) = foreign {
        return Err(Refusal::of(
            verb,
            format_args!(
                "the partition {leaf} of {name} is no ordinary table, but another server's"
            ),
        )
        .at(span.clone(), "")
        .way("write one statement for each partition"));
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
pub(super) fn no_resolved_conflicts(
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

pub(super) fn other_tables(
    shape: &Shape,
    target: &Table,
    reads: &[(&Read, &Table)],
    engine: Engine,
) -> Result<(), Refusal> {
    for (read, table) in reads {
        let refuse = |cause: String, label: &str| {
            Refusal::of(shape.verb, cause).at(read.span.clone(), label)
        };
        if same_table(engine, &table.name, &target.name) || is_part_of(&table.name, target) {
            return Err(refuse(
                "it reads the table that it changes".to_owned(),
                "later batches would see what earlier ones changed",
            )
            .way("put what it reads into a table of its own first, and read it from there"));
        }
        if moves_along(engine, &table.name) {
            return Err(refuse(
                format!("{}, which it reads, changes with each batch", table.name),
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

/// Whether two names mean, or may mean, the same table.
pub(super) fn same_table(engine: Engine, one: &TableName, other: &TableName) -> bool {
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

/// Whether it is one of lockkeeper's own tables, in which each batch notes how far it came.
fn is_ledger(name: &TableName) -> bool {
    name.name.to_lowercase().starts_with("lockkeeper_")
}

/// Whether a table changes by the work itself: the ledger, and what a database keeps of its tables.
fn moves_along(engine: Engine, name: &TableName) -> bool {
    let schema = name.schema.as_deref().unwrap_or_default().to_lowercase();
    let is_catalog = match engine {
        Engine::Postgres => schema == "pg_catalog",
        Engine::MySql => ["mysql", "performance_schema"].contains(&&*schema),
        // `sqlite_sequence` has the highest numbers given so far.
        Engine::Sqlite => name.name.to_lowercase().starts_with("sqlite_"),
    };
    is_catalog || is_ledger(name)
}
