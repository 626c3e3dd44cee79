//! The key that the batches go along.

use super::blocks::{columns, prove_blocks};
use super::refusal::Refusal;
use super::shape::{Shape, Verb};
use crate::db::{Dialect, Engine, Table, UniqueKey};

/// A column of the key that the batches go along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name, as the catalog has it.
    pub name: String,
    /// Its type, in the catalog's own spelling.
    pub type_name: String,
}

/// Whether two names mean the same column.
pub(super) fn same_column(engine: Engine, one: &str, other: &str) -> bool {
    match engine {
        Engine::Postgres => one == other,
        Engine::MySql | Engine::Sqlite => one.eq_ignore_ascii_case(other),
    }
}

/// What the batches go along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// A key.
    Key,
    /// The blocks that the rows lie in.
    Blocks,
}

/// Chooses the key: the one that the directive names, else the primary key, else a unique one; and
/// where there is none, the table's blocks.
pub(super) fn choose(
    shape: &Shape,
    directive: Option<&[String]>,
    target: &Table,
    dialect: Dialect,
) -> Result<(Along, Vec<KeyColumn>), Refusal> {
    let verb = shape.verb;
    let key = match directive {
        Some(names) => named(verb, names, target, dialect.engine)?,
        None => match by_itself(shape, target, dialect) {
            Some(key) => key,
            None => return prove_blocks(shape, target).map(|()| (Along::Blocks, columns())),
        },
    };
    let mut columns = Vec::new();
    for name in &key.columns {
        let found = target.columns.iter().find(|column| column.name == *name);
        let Some(column) = found else {
            return Err(Refusal::of(verb, format_args!("its key column {name} can't be seen")));
        };
        if column.nullable {
            let cause = format!(
                "its key column {name} may be NULL, and a range of keys passes such rows by"
            );
            return Err(other_key(Refusal::of(verb, cause), key, target, dialect)
                .way(format!("make {name} NOT NULL in an earlier migration")));
        }
        if column.nondeterministic {
            let cause = format!(
                "its key column {name} has a collation under which texts that differ may be equal"
            );
            return Err(other_key(Refusal::of(verb, cause), key, target, dialect));
        }
        if !crosses(&column.type_name, dialect) {
            let cause = format!(
                "its key column {name} is of type {}, whose values don't survive the way through \
                 text for certain",
                if column.type_name.is_empty() { "(none)" } else { &column.type_name },
            );
            return Err(other_key(Refusal::of(verb, cause), key, target, dialect));
        }
        columns.push(KeyColumn { name: name.clone(), type_name: column.type_name.clone() });
    }
    Ok((Along::Key, columns))
}

/// The primary key, or the first of the other unique keys that can be gone along. Which one it was, is
/// noted with the checkpoint.
fn by_itself<'t>(shape: &Shape, target: &'t Table, dialect: Dialect) -> Option<&'t UniqueKey> {
    let is_set =
        |name: &String| shape.sets.iter().any(|set| same_column(dialect.engine, &set.name, name));
    let fits = |key: &&UniqueKey| !key.deferrable && !key.columns.iter().any(is_set);
    let primary = target.unique.iter().find(|key| key.primary);
    primary.or_else(|| usable(target, dialect).into_iter().find(fits))
}

fn named<'t>(
    verb: Verb,
    names: &[String],
    target: &'t Table,
    engine: Engine,
) -> Result<&'t UniqueKey, Refusal> {
    let fits = |key: &&UniqueKey, same: fn(Engine, &str, &str) -> bool| {
        key.columns.len() == names.len()
            && names.iter().all(|name| key.columns.iter().any(|column| same(engine, column, name)))
            && key.columns.iter().all(|column| names.iter().any(|name| same(engine, column, name)))
    };
    // A directive has no quotes: `key=Id` may mean id in PostgreSQL, too.
    let loosely = |_, one: &str, other: &str| one.eq_ignore_ascii_case(other);
    target
        .unique
        .iter()
        .find(|key| fits(key, same_column))
        .or_else(|| target.unique.iter().find(|key| fits(key, loosely)))
        .ok_or_else(|| {
            let refusal = Refusal::of(
                verb,
                format_args!("key={} is no unique key of {}", names.join(","), target.name),
            );
            let keys: Vec<_> = target
                .unique
                .iter()
                .map(|key| format!("`key={}`", key.columns.join(",")))
                .collect();
            if keys.is_empty() {
                refusal.way("create a unique index on these columns in an earlier migration")
            } else {
                refusal.way(format!("name one that is: {}", keys.join(", ")))
            }
        })
}

/// Adds the way over another key, where there is one.
fn other_key(refusal: Refusal, key: &UniqueKey, target: &Table, dialect: Dialect) -> Refusal {
    match usable(target, dialect).into_iter().find(|other| other.columns != key.columns) {
        Some(other) => {
            refusal.way(format!("go along another key: `key={}`", other.columns.join(",")))
        }
        None => refusal,
    }
}

/// Keys whose columns can all be gone along.
pub(super) fn usable(target: &Table, dialect: Dialect) -> Vec<&UniqueKey> {
    let fine = |name: &String| {
        let mut columns = target.columns.iter();
        columns.any(|it| {
            let is_sure = !it.nullable && !it.nondeterministic;
            it.name == *name && is_sure && crosses(&it.type_name, dialect)
        })
    };
    target.unique.iter().filter(|key| key.columns.iter().all(fine)).collect()
}

fn crosses(type_name: &str, dialect: Dialect) -> bool {
    dialect.key_in("$", type_name).is_some() && dialect.key_out("k", type_name).is_some()
}
