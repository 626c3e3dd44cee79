//! What no batch may do to the key, or to other unique values.

use super::super::key::{KeyColumn, same_column, usable};
use super::super::refusal::Refusal;
use super::super::shape::Shape;
use crate::db::{Column, Dialect, Engine, Table, UniqueKey};

/// Proves that no batch moves a row along the key, and that no two rows trade unique values.
pub(in crate::batch) fn prove_keys(
    shape: &Shape,
    key: &[KeyColumn],
    target: &Table,
    dialect: Dialect,
) -> Result<(), Refusal> {
    let engine = dialect.engine;
    for set in &shape.sets {
        let hidden = engine == Engine::Sqlite
            && ["rowid", "oid", "_rowid_"].iter().any(|name| set.name.eq_ignore_ascii_case(name))
            && !target.columns.iter().any(|column| same_column(engine, &column.name, &set.name));
        if hidden || key.iter().any(|column| same_column(engine, &column.name, &set.name)) {
            return Err(Refusal::of(
                shape.verb,
                format_args!("it sets {}, and the batches go along that key", set.name),
            )
            .at(set.span.clone(), "rows would move from batch to batch")
            .ways(others(shape, target, dialect)));
        }
        let is_set = |unique: &&UniqueKey| {
            unique.columns.iter().any(|column| same_column(engine, column, &set.name))
        };
        // All rows get the same constant: a conflict on the way is one at the end, too. Not so where
        // an expression or a predicate makes of it what the row's other columns say.
        let whole = target.unique.iter().filter(|unique| !set.constant || unique.deferrable);
        let trades = whole.chain(&target.partly_unique).find(is_set);
        if let Some(unique) = trades {
            return Err(trade(shape, unique, format_args!("it sets {}", set.name))
                .at(set.span.clone(), "a batch could meet a value that a later one gives up"));
        }
    }
    computed_keys(shape, key, target, dialect)
}

/// The same for columns that the database computes from those that the statement sets.
fn computed_keys(
    shape: &Shape,
    key: &[KeyColumn],
    target: &Table,
    dialect: Dialect,
) -> Result<(), Refusal> {
    let touched = touched(shape, target, dialect.engine);
    let computed = |name: &str| {
        touched.iter().any(|column| column.name == name && column.computed_from.is_some())
    };
    if let Some(column) = key.iter().find(|column| computed(&column.name)) {
        return Err(Refusal::of(
            shape.verb,
            format_args!(
                "{} is computed from what it sets, and the batches go along that key",
                column.name
            ),
        )
        .at(shape.target_span.clone(), "rows would move from batch to batch")
        .ways(others(shape, target, dialect)));
    }
    let column_of = |unique: &UniqueKey| unique.columns.iter().find(|name| computed(name)).cloned();
    let mut uniqueness = target.unique.iter().chain(&target.partly_unique);
    let trades = uniqueness.find_map(|unique| Some((unique, column_of(unique)?)));
    if let Some((unique, column)) = trades {
        return Err(trade(shape, unique, format_args!("what it sets changes {column}")).at(
            shape.target_span.clone(),
            "a batch could meet a value that a later one gives up",
        ));
    }
    Ok(())
}

fn trade(shape: &Shape, unique: &UniqueKey, what: std::fmt::Arguments<'_>) -> Refusal {
    Refusal::of(
        shape.verb,
        format_args!(
            "{what}, a column of the unique key ({}), and rows could trade values",
            unique.columns.join(", ")
        ),
    )
    .way(
        "drop the unique index in an earlier migration and create it again in a later one, if \
         nobody else needs it in between",
    )
}

/// The columns that the statement changes: those that it sets, and those that the database computes
/// from them, all the way down.
fn touched<'t>(shape: &Shape, target: &'t Table, engine: Engine) -> Vec<&'t Column> {
    let set = |column: &&Column| {
        shape.sets.iter().any(|set| same_column(engine, &set.name, &column.name))
    };
    let (mut touched, mut rest): (Vec<_>, Vec<_>) = target.columns.iter().partition(set);
    loop {
        let follows = |column: &&Column| {
            let from = column.computed_from.iter().flatten();
            touched.iter().any(|it| from.clone().any(|name| same_column(engine, name, &it.name)))
        };
        let (more, left): (Vec<_>, Vec<_>) = rest.into_iter().partition(follows);
        if more.is_empty() {
            return touched;
        }
        touched.extend(more);
        rest = left;
    }
}

/// Other keys to go along, of columns that the statement leaves alone.
fn others(shape: &Shape, target: &Table, dialect: Dialect) -> Option<String> {
    let touched = touched(shape, target, dialect.engine);
    let left_alone = |name: &String| !touched.iter().any(|column| column.name == *name);
    let key = usable(target, dialect).into_iter().find(|key| key.columns.iter().all(left_alone))?;
    Some(format!("go along another key: `-- lockkeeper: batch key={}`", key.columns.join(",")))
}
