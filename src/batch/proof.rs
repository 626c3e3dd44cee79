//! What the catalog must say for a statement to be safe in batches.
//!
//! The claim is: the batches, one after the other, leave what the whole statement would leave. It
//! holds when the work on each row depends on that row, and on tables that no batch changes, alone.

use super::key::{KeyColumn, same_column, usable};
use super::refusal::Refusal;
use super::shape::{Shape, Verb};
use super::survey::Read;
use crate::db::{Column, Dialect, Engine, Table, TableKind, TableName, Trigger, UniqueKey};

/// Proves all that doesn't depend on the choice of the key.
pub(super) fn prove(
    shape: &Shape,
    trust_triggers: bool,
    target: &Table,
    read: &[Table],
    engine: Engine,
) -> Result<(), Refusal> {
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
    plain_target(shape, target)?;
    other_tables(shape, target, &reads, engine)?;
    triggers(shape, trust_triggers, target)?;
    foreign_keys(shape, trust_triggers, target, &reads, engine)?;
    if engine == Engine::Postgres {
        texts_are_no_dates(shape, target)?;
        columns_are_no_functions(shape, target, read, &wanted)?;
    }
    Ok(())
}

/// Proves that no batch moves a row along the key, and that no two rows trade unique values.
pub(super) fn prove_keys(
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
        // All rows get the same constant: a conflict on the way is one at the end, too.
        let trades = target.unique.iter().find(|unique| {
            (!set.constant || unique.deferrable)
                && unique.columns.iter().any(|column| same_column(engine, column, &set.name))
        });
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
    let trades = target.unique.iter().find_map(|unique| Some((unique, column_of(unique)?)));
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

fn plain_target(shape: &Shape, target: &Table) -> Result<(), Refusal> {
    let refuse =
        |cause: String| Err(Refusal::of(shape.verb, cause).at(shape.target_span.clone(), ""));
    let name = &target.name;
    match target.kind {
        TableKind::Ordinary => {}
        TableKind::Partitioned => {
            return Err(Refusal::of(
                shape.verb,
                format_args!("{name} is partitioned; a later release goes partition by partition"),
            )
            .at(shape.target_span.clone(), "")
            .way("write one statement for each partition"));
        }
        TableKind::Other => return refuse(format!("{name} is no ordinary table")),
    }
    if let Some(engine) = &target.engine_without_transactions {
        // Whole, it would be no safer: what fails in the middle stays half done.
        return Err(Refusal::of(
            shape.verb,
            format_args!(
                "{name} is kept by the storage engine {engine}, which has no transactions: rows \
                 and checkpoint could come apart"
            ),
        )
        .at(shape.target_span.clone(), "")
        .only_way(format!("ALTER TABLE {name} ENGINE=InnoDB, before this is applied")));
    }
    if target.has_rules {
        return refuse(format!("{name} has rewrite rules, which change what the statement does"));
    }
    if target.has_children {
        return Err(Refusal::of(
            shape.verb,
            format_args!("other tables inherit from {name}, and their rows have keys of their own"),
        )
        .at(shape.target_span.clone(), "")
        .way("write one statement for each of the tables, children first"));
    }
    Ok(())
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
    }
    Ok(())
}

fn triggers(shape: &Shape, trusted: bool, target: &Table) -> Result<(), Refusal> {
    let fires = |trigger: &&Trigger| match shape.verb {
        Verb::Update => trigger.on_update,
        Verb::Delete => trigger.on_delete,
    };
    for trigger in target.triggers.iter().filter(fires) {
        let once = trigger.per_statement || trigger.deferrable;
        let cause = if trigger.per_statement {
            "fires once a statement, so once a batch"
        } else if trigger.deferrable {
            "may fire at the commit, so at each batch's"
        } else if trusted {
            continue;
        } else {
            "could change the key, or rows that later batches read"
        };
        return Err(Refusal::of(
            shape.verb,
            format_args!("the trigger {} of {} {cause}", trigger.name, target.name),
        )
        .at(shape.target_span.clone(), "")
        .ways((!once).then(|| VOUCH.to_owned()))
        .way(DISABLE));
    }
    Ok(())
}

const VOUCH: &str = "if it changes neither the key nor anything that the statement reads (it only \
                     sets updated_at, say), vouch for it: `-- lockkeeper: batch trust-triggers`";
const DISABLE: &str = "disable the trigger in an earlier migration and enable it again in a later \
                       one, if nobody else needs it in between";

fn foreign_keys(
    shape: &Shape,
    trust_triggers: bool,
    target: &Table,
    reads: &[(&Read, &Table)],
    engine: Engine,
) -> Result<(), Refusal> {
    // A foreign key refers to unique columns (InnoDB takes others, too). Where none of these
    // changes, no foreign key acts, and each row's own reference can be checked on its own.
    let touched =
        |column: &String| shape.sets.iter().any(|set| same_column(engine, &set.name, column));
    let refers = target.unique.iter().flat_map(|unique| &unique.columns).any(touched);
    if shape.verb == Verb::Update && engine != Engine::MySql && !refers {
        return Ok(());
    }
    let to_itself = |table: &TableName| same_table(engine, table, &target.name);
    if target.refers_to_itself || target.cascades_to.iter().any(to_itself) {
        return Err(Refusal::of(
            shape.verb,
            format_args!(
                "{} refers to itself by a foreign key, which ties rows of different batches",
                target.name
            ),
        )
        .at(shape.target_span.clone(), "")
        .way(
            "drop the foreign key in an earlier migration and add it again in a later one, if \
             nobody else needs it in between",
        ));
    }
    if let (Some((trigger, of)), false) = (&target.cascaded_trigger, trust_triggers) {
        return Err(Refusal::of(
            shape.verb,
            format_args!(
                "a foreign key's action sets off the trigger {trigger} of {of}, which could change \
                 rows that later batches read"
            ),
        )
        .at(shape.target_span.clone(), "")
        .way(VOUCH)
        .way(DISABLE));
    }
    for (read, table) in reads {
        if target.cascades_to.iter().any(|name| same_table(engine, name, &table.name)) {
            return Err(Refusal::of(
                shape.verb,
                format_args!(
                    "a foreign key's action changes {}, which the statement reads",
                    table.name
                ),
            )
            .at(read.span.clone(), "later batches would see what earlier ones changed")
            .way("put what it reads into a table of its own first, and read it from there"));
        }
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
            .at(dated.span.clone(), "a later release pins it to the start")
            .way("write the date as a literal"));
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
        if !meant.is_empty() && !meant.contains(&true) {
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
