//! What a change sets off: triggers, and the actions of foreign keys.

use super::super::key::same_column;
use super::super::refusal::Refusal;
use super::super::rewrite::Said;
use super::super::shape::{Shape, Verb};
use super::super::survey::Read;
use super::super::warning::Warning;
use super::same_table;
use crate::db::{Engine, Table, TableName, Trigger};

pub(super) fn triggers(shape: &Shape, said: Said<'_>, target: &Table) -> Result<(), Refusal> {
    let fires = |trigger: &&Trigger| match shape.verb {
        Verb::Update => trigger.on_update,
        Verb::Delete => trigger.on_delete,
        Verb::Insert => trigger.on_insert,
    };
    let place = shape.into.as_ref().map_or(&shape.target_span, |into| &into.span);
    for trigger in target.triggers.iter().filter(fires) {
        let once = trigger.per_statement || trigger.deferrable;
        let trusted = if once { said.trust_per_batch } else { said.trust_triggers };
        let cause = if trusted {
            continue;
        } else if trigger.per_statement {
            "fires once a statement, so once a batch"
        } else if trigger.deferrable {
            "may fire at the commit, so at each batch's"
        } else {
            "could change the key, or rows that later batches read"
        };
        return Err(Refusal::of(
            shape.verb,
            format_args!("the trigger {} of {} {cause}", trigger.name, target.name),
        )
        .at(place.clone(), "")
        .way(if once { VOUCH_PER_BATCH } else { VOUCH })
        .way(DISABLE));
    }
    Ok(())
}

const VOUCH: &str = "if it changes neither the key nor anything that the statement reads (it only \
                     sets updated_at, say), vouch for it: `-- lockkeeper: batch trust-triggers`";
const VOUCH_PER_BATCH: &str = "if it may as well happen in each batch, and changes neither the key nor \
                               anything that the statement reads, vouch for it: `-- lockkeeper: \
                               batch trust-per-batch`";
const DISABLE: &str = "disable the trigger in an earlier migration and enable it again in a later \
                       one, if nobody else needs it in between";

pub(super) fn foreign_keys(
    shape: &Shape,
    trust_triggers: bool,
    target: &Table,
    reads: &[(&Read, &Table)],
    engine: Engine,
) -> Result<Vec<Warning>, Refusal> {
    // A foreign key refers to unique columns (InnoDB takes others, too). Where none of these
    // changes, no foreign key acts, and each row's own reference can be checked on its own.
    let touched =
        |column: &String| shape.sets.iter().any(|set| same_column(engine, &set.name, column));
    let refers = target.unique.iter().flat_map(|unique| &unique.columns).any(touched);
    if shape.verb == Verb::Update && engine != Engine::MySql && !refers {
        return Ok(Vec::new());
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
    Ok(if shape.verb == Verb::Delete || refers { referring(shape, target) } else { Vec::new() })
}

/// What tables that refer to this one add to the work on each row.
fn referring(shape: &Shape, target: &Table) -> Vec<Warning> {
    let names = |tables: &[TableName]| {
        tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let span = || shape.target_span.clone();
    let mut warnings = Vec::new();
    if !target.unindexed_children.is_empty() {
        warnings.push(Warning::new(
            format!(
                "each row is looked for in the whole of {}, whose foreign key to {} has no index",
                names(&target.unindexed_children),
                target.name.name
            ),
            span(),
            "create an index on the columns of the foreign key in an earlier migration",
        ));
    }
    if !target.cascades_to.is_empty() {
        warnings.push(Warning::new(
            format!(
                "the actions of foreign keys change rows of {} as well, in the same batches",
                names(&target.cascades_to)
            ),
            span(),
            "say `rows=` with a small number where a row has many that refer to it",
        ));
    }
    warnings
}
