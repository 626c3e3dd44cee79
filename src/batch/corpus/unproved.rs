//! Statements that are refused for what the catalog says.

use crate::batch::facts::{trigger, unique};
use crate::db::{Blocks, Partitions, Table, TableKind, Trigger};

/// A word of the cause, a statement, and how its tables differ from the usual ones.
pub(super) type Fact = (&'static str, &'static str, fn(&mut Table, &mut Vec<Table>));

pub(super) const FACTS: &[Fact] = &[
    ("no ordinary table", "UPDATE t SET a = 1", |t, _| t.kind = TableKind::Other),
    ("another server's", "UPDATE t SET a = 1", |t, _| {
        let foreign = Some(t.name.clone());
        t.partitions = Some(Partitions { foreign, ..Partitions::default() });
    }),
    ("rewrite rules", "UPDATE t SET a = 1", |t, _| t.has_rules = true),
    ("inherit", "UPDATE t SET a = 1", |t, _| t.has_children = true),
    ("once a statement", "UPDATE t SET a = 1", |t, _| {
        let mut it = trigger("audit");
        it.per_statement = true;
        t.triggers.push(it);
    }),
    ("at the commit", "DELETE FROM t", |t, _| {
        let mut it = trigger("audit");
        it.deferrable = true;
        t.triggers.push(it);
    }),
    ("the trigger audit", "UPDATE t SET a = (SELECT a FROM r WHERE r.id = t.id)", |t, _| {
        t.triggers.push(trigger("audit"));
    }),
    // It may change other rows, the key included
    ("the trigger audit", "UPDATE t SET a = 1 WHERE b = 2", |t, _| {
        t.triggers.push(trigger("audit"));
    }),
    ("the trigger audit", "DELETE FROM t WHERE b = 2", |t, _| t.triggers.push(trigger("audit"))),
    ("sets off the trigger log", "DELETE FROM t WHERE b = 2", |t, _| {
        t.cascaded_trigger = Some(("log".to_owned(), t.name.clone()));
    }),
    ("is computed", "UPDATE t SET b = b + 6, a = 1", |t, _| {
        t.columns[0].computed_from = Some(vec!["b".to_owned()]);
    }),
    // By way of another one
    ("is computed", "UPDATE t SET b = b + 6, a = 1", |t, _| {
        t.columns[0].computed_from = Some(vec!["c".to_owned(), "where".to_owned()]);
        t.columns[7].computed_from = Some(vec!["id".to_owned(), "b".to_owned()]);
    }),
    ("trade values", "UPDATE t SET b = b + 6", |t, _| {
        t.columns[3].computed_from = Some(vec!["b".to_owned()]);
    }),
    ("refers to itself", "DELETE FROM t", |t, _| t.refers_to_itself = true),
    ("refers to itself", "UPDATE t SET tenant = 5", |t, _| t.refers_to_itself = true),
    ("refers to itself", "DELETE FROM t", |t, _| t.cascades_to.push(t.name.clone())),
    ("foreign key's action", "DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM r)", |t, read| {
        t.cascades_to.push(read[0].name.clone());
    }),
    ("may read", "UPDATE t SET a = (SELECT max(a) FROM r)", |_, read| {
        read[0].kind = TableKind::Other;
    }),
    ("may read", "UPDATE t SET a = (SELECT max(a) FROM r)", |_, read| {
        read[0].kind = TableKind::Partitioned;
    }),
    ("may read", "UPDATE t SET a = (SELECT max(a) FROM r)", |_, read| read[0].has_children = true),
    ("policies choose the rows", "DELETE FROM t", |t, _| t.row_security = true),
    ("policies choose the rows", "UPDATE t SET a = (SELECT max(a) FROM r)", |_, read| {
        read[0].row_security = true;
    }),
    ("lockkeeper's own", "DELETE FROM t", |t, _| t.name.name = "lockkeeper_range".to_owned()),
    ("changes with each batch", "UPDATE t SET a = (SELECT max(a) FROM r)", |_, read| {
        read[0].name.name = "lockkeeper_range".to_owned();
    }),
    ("changes with each batch", "UPDATE t SET a = (SELECT max(a) FROM r)", |_, read| {
        read[0].name.schema = Some("pg_catalog".to_owned());
    }),
    ("ON CONFLICT REPLACE", "UPDATE t SET a = 1", |t, _| t.resolves_conflicts = true),
    // A name of both a table that has such a column and one that hasn't
    (
        "has no column b",
        "UPDATE t SET a = (SELECT max(r.b) FROM r) WHERE a = (SELECT max(r.b) FROM s r)",
        |_, read| {
            read[1].columns.retain(|column| column.name != "b");
        },
    ),
    // A synonym that resolves to the target
    ("reads the table that it changes", "UPDATE t SET a = (SELECT max(a) FROM r)", |t, read| {
        read[0].name = t.name.clone();
    }),
    ("doesn't exist", "UPDATE t SET a = (SELECT max(a) FROM r)", |_, read| read.clear()),
    ("no primary key", "UPDATE t SET a = 1", |t, _| t.unique.clear()),
    ("before its version 14", "DELETE FROM t WHERE a = 1", |t, _| {
        t.unique.clear();
        t.blocks = Blocks::TooOld;
    }),
    // Of another storage, or partitioned
    ("that it leaves alone", "DELETE FROM t WHERE a = 1", |t, _| {
        t.unique.clear();
        t.blocks = Blocks::Unknown;
    }),
    ("by which rows are put into partitions", "UPDATE t SET a = 1, b = 2", |t, _| {
        t.partitions = Some(Partitions { by: vec!["b".to_owned()], ..Partitions::default() });
    }),
    ("the schema of the whole", "UPDATE public.t SET a = 1 WHERE public.t.b = 2", |t, _| {
        t.partitions = Some(Partitions::default());
    }),
    ("lacks the right DELETE", "DELETE FROM t", |t, _| {
        let lacking = vec![("DELETE".to_owned(), t.name.clone())];
        t.partitions = Some(Partitions { lacking, ..Partitions::default() });
    }),
    ("are in another order", "UPDATE t SET c = CAST(row_to_json(t) AS text)", |t, _| {
        let reordered = Some(t.name.clone());
        t.partitions = Some(Partitions { reordered, ..Partitions::default() });
    }),
    ("fires once a statement", "DELETE FROM t", |t, _| {
        t.partitions = Some(Partitions::default());
        t.triggers.push(Trigger { per_statement: true, ..trigger("audit") });
    }),
    ("no primary key", "UPDATE t SET slug = 'x', pos = 1", |t, _| {
        t.unique.remove(0);
    }),
    ("no primary key", "UPDATE t SET a = 1", |t, _| t.unique = vec![unique(&["a"], false)]),
    ("texts that differ may be equal", "UPDATE t SET a = 1", |t, _| {
        t.columns[0].nondeterministic = true;
    }),
    ("may be NULL", "UPDATE t SET a = 1", |t, _| t.columns[0].nullable = true),
    ("double precision", "UPDATE t SET a = 1", |t, _| {
        t.columns[0].type_name = "double precision".to_owned();
    }),
    ("trade values", "UPDATE t SET tenant = 5", |t, _| t.unique[2].deferrable = true),
    ("trade values", "UPDATE t SET b = 5", |t, _| t.partly_unique.push(unique(&["a", "b"], false))),
];
