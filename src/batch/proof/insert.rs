//! What the table must be like that rows are inserted into.

use super::super::insert::Into;
use super::super::refusal::Refusal;
use super::super::rewrite::Said;
use super::super::shape::Shape;
use super::super::survey::Read;
use super::effects::triggers;
use super::{is_part_of, no_resolved_conflicts, plain_table, same_table};
use crate::db::{Engine, Table};

pub(super) fn insert(
    shape: &Shape,
    into: &Into,
    said: Said<'_>,
    tables: (&Table, &Table),
    reads: &[(&Read, &Table)],
    engine: Engine,
) -> Result<(), Refusal> {
    let (source, table) = tables;
    let read = reads.iter().map(|(read, table)| (&read.span, *table));
    for (span, other) in read.chain([(&shape.target_span, source)]) {
        let is_same = same_table(engine, &other.name, &table.name);
        if is_same || is_part_of(&other.name, table) || is_part_of(&table.name, other) {
            return Err(Refusal::of(shape.verb, "it reads the table that it inserts into")
                .at(span.clone(), "later batches would see what earlier ones have inserted")
                .way(
                    "leave the look at it out, if it is there to insert no row twice: each batch is \
                     done once",
                ));
        }
    }
    plain_table(shape.verb, into.span.clone(), table)?;
    no_resolved_conflicts(shape.verb, into.span.clone(), table)?;
    if table.refers_to_itself {
        return Err(Refusal::of(
            shape.verb,
            format_args!(
                "{} refers to itself by a foreign key, and a row may come before the one that it \
                 refers to",
                table.name
            ),
        )
        .at(into.span.clone(), "")
        .way(
            "drop the foreign key in an earlier migration and add it again in a later one, if \
             nobody else needs it in between",
        ));
    }
    triggers(shape, said, table)
}
