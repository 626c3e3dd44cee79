//! Facts of tables for the tests.

use crate::db::{Blocks, Column, Dialect, Engine, Table, TableKind, TableName, Trigger, UniqueKey};

/// `id`, `a`, `b`, … of usual types, with `id` as the primary key, and unique (`slug`) and
/// (`tenant`, `pos`).
pub(super) fn table(dialect: Dialect, name: &str) -> Table {
    let (integer, text, time) = match dialect.engine {
        Engine::Postgres => ("bigint", "text", "timestamp with time zone"),
        Engine::MySql => ("bigint(20)", "varchar(100)", "datetime(6)"),
        Engine::Sqlite => ("INTEGER", "TEXT", "TEXT"),
    };
    let schema = match dialect.engine {
        Engine::Postgres => "public",
        Engine::MySql => "shop",
        Engine::Sqlite => "main",
    };
    let column = |name: &str, type_name: &str, nullable| Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        nullable,
        computed_from: None,
        default: None,
        collation: None,
        nondeterministic: false,
    };
    Table {
        name: TableName { schema: Some(schema.to_owned()), name: name.to_owned() },
        kind: TableKind::Ordinary,
        columns: vec![
            column("id", integer, false),
            column("tenant", integer, false),
            column("pos", integer, false),
            column("slug", text, false),
            column("a", integer, true),
            column("b", integer, true),
            column("c", text, true),
            column("where", text, true),
            column("at", time, true),
            column("some_id", integer, true),
            column("new_column", integer, true),
            column("refered_column", integer, true),
        ],
        unique: vec![
            unique(&["id"], true),
            unique(&["slug"], false),
            unique(&["tenant", "pos"], false),
        ],
        partly_unique: Vec::new(),
        triggers: Vec::new(),
        has_rules: false,
        has_children: false,
        refers_to_itself: false,
        cascades_to: Vec::new(),
        unindexed_children: Vec::new(),
        cascaded_trigger: None,
        engine_without_transactions: None,
        row_security: false,
        resolves_conflicts: false,
        blocks: match dialect.engine {
            Engine::Postgres => Blocks::Ranges,
            Engine::MySql | Engine::Sqlite => Blocks::Unknown,
        },
        partitions: None,
        estimated_rows: Some(1_000_000),
    }
}

pub(super) fn unique(columns: &[&str], primary: bool) -> UniqueKey {
    UniqueKey {
        columns: columns.iter().map(|&name| name.to_owned()).collect(),
        primary,
        deferrable: false,
    }
}

/// A row trigger on UPDATE and DELETE.
pub(super) fn trigger(name: &str) -> Trigger {
    Trigger {
        name: name.to_owned(),
        per_statement: false,
        on_insert: true,
        on_update: true,
        on_delete: true,
        deferrable: false,
    }
}
