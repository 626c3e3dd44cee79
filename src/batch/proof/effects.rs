//! What a change sets off: triggers, and the actions of foreign keys.

use super::super::key::same_column;
use super::super::refusal::Refusal;
use super::super::shape::{Shape, Verb};
use super::super::survey::Read;
use super::same_table;
use crate::db::{Engine, Table, TableName, Trigger};

pub(super) fn triggers(shape: &Shape, trusted: bool, target: &Table) -> Result<(), Refusal> {
    let fires = |trigger: &&Trigger| match shape.verb {
        Verb::Update => trigger.on_update,
        Verb::Delete => trigger.on_delete,
        Verb::Insert => trigger.on_insert,
    };
    let place = shape.into.as_ref().map_or(&shape.target_span, |into| &into.span);
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
        .at(place.clone(), "")
        .ways((!once).then(|| VOUCH.to_owned()))
        .way(DISABLE));
    }
    Ok(())
}

const VOUCH: &str = "if it changes neither the key nor anything that the statement reads (it only \
                     sets updated_at, say), vouch for it: `-- lockkeeper: batch trust-triggers`";
const DISABLE: &str = "disable the trigger in an earlier migration and enable it again in a later \
                       one, if nobody else needs it in between";

pub(super) fn foreign_keys(
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
