//! What a partitioned table of PostgreSQL's must be like. Batches go to its partitions, one after the other,
//! each by its own name: what holds for the whole alone would be left out.

use sqlparser::ast::Expr;

use super::super::insert::Item;
use super::super::key::same_column;
use super::super::refusal::Refusal;
use super::super::shape::{Shape, Verb};
use super::super::walk::find;
use super::same_table;
use crate::db::{Engine, Table, TableName};

/// Proves that the partitions, one by one, are what the whole is to this statement.
pub(super) fn partitions(shape: &Shape, target: &Table) -> Result<(), Refusal> {
    let Some(partitions) = &target.partitions else { return Ok(()) };
    let refuse = |cause: String| Refusal::of(shape.verb, cause).at(shape.target_span.clone(), "");
    let right = match shape.verb {
        Verb::Update => "UPDATE",
        Verb::Delete => "DELETE",
        Verb::Insert => "SELECT",
    };
    let mut lacking = partitions.lacking.iter();
    if let Some((right, leaf)) =
        lacking.find(|(lacking, _)| lacking == right || lacking == "SELECT")
    {
        return Err(refuse(format!(
            "batches go partition by partition, and this user lacks the right {right} on {leaf}"
        ))
        .way(format!("GRANT {right} ON {leaf} to this user, or migrate as its owner")));
    }
    let mut by_schema = shape.qualified.iter().filter(|it| it.has_schema);
    if let Some(column) = by_schema.find(|it| it.table == shape.known_as()) {
        return Err(Refusal::of(
            shape.verb,
            "batches go partition by partition, and a column has the schema of the whole before it",
        )
        .at(column.span.clone(), "")
        .way(format!("write {}.{} there", column.table, column.column)));
    }
    for set in &shape.sets {
        if partitions.by.iter().any(|column| same_column(Engine::Postgres, column, &set.name)) {
            return Err(Refusal::of(
                shape.verb,
                format_args!("it sets {}, by which rows are put into partitions", set.name),
            )
            .at(set.span.clone(), "rows would move to partitions that are still to come")
            .way("insert such rows anew in one migration, and delete the old ones in the next"));
        }
    }
    let of_whole = |trigger: &&crate::db::Trigger| {
        trigger.per_statement
            && match shape.verb {
                Verb::Update => trigger.on_update,
                Verb::Delete => trigger.on_delete,
                // It is only read.
                Verb::Insert => false,
            }
    };
    if let Some(trigger) = target.triggers.iter().find(of_whole) {
        return Err(refuse(format!(
            "the trigger {} fires once a statement, and for the whole or for a partition alone, \
             whichever is named",
            trigger.name
        ))
        .way(
            "disable the trigger in an earlier migration and enable it again in a later one, if nobody \
             else needs it in between",
        ));
    }
    if let Some(leaf) = partitions.reordered.as_ref().filter(|_| takes_all_columns(shape, target)) {
        return Err(refuse(format!(
            "the columns of the partition {leaf} are in another order, and it takes them as they stand"
        ))
        .way("name the columns one by one"));
    }
    Ok(())
}

/// Whether it selects `*`, or takes a row as one value.
fn takes_all_columns(shape: &Shape, target: &Table) -> bool {
    let name = shape.known_as();
    let is_own = |of: &Option<String>| of.as_ref().is_none_or(|of| of == name);
    let mut items = shape.into.iter().flat_map(|into| &into.items);
    let is_row = |expr: &Expr| match expr {
        Expr::Identifier(ident) => ident.value.eq_ignore_ascii_case(name),
        Expr::QualifiedWildcard(..) | Expr::Wildcard(_) => true,
        _ => false,
    };
    items.any(|item| matches!(item, Item::All(of) if is_own(of)))
        || target.column(name).is_none()
            && find(&shape.statement, |expr| is_row(expr).then_some(())).is_some()
}

/// Whether `name` is a partition of the table.
pub(super) fn is_part_of(name: &TableName, table: &Table) -> bool {
    table.partitions.iter().any(|partitions| {
        let leaves = partitions.leaves.iter().map(|(_, leaf)| leaf);
        leaves.chain(&partitions.inner).any(|part| same_table(Engine::Postgres, part, name))
    })
}
