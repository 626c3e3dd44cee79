//! What can be known of a bare statement whose reply was lost, and what to do then.

use super::statement::Statement;
use crate::db::{Engine, TableName};

/// What to do about a bare statement that was begun, and of which nobody knows whether it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Repeat {
    /// Only a human can tell.
    #[default]
    AskHuman,
    /// Running it twice is as good as running it once.
    Freely,
    /// The catalog tells: that index, if valid, is the proof that it happened, and if not, what its
    /// death left behind.
    AskIndex(ConcurrentIndex),
}

/// The index of a `CREATE INDEX CONCURRENTLY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrentIndex {
    /// Its name. Its schema is the table's.
    pub name: String,
    /// The table, as it was written.
    pub table: TableName,
}

impl Repeat {
    pub(super) fn of(statement: &Statement<'_>, engine: Engine) -> Self {
        match engine {
            Engine::Postgres if statement.starts(&["VACUUM"]) => Repeat::Freely,
            Engine::Postgres => {
                concurrent_index(statement).map_or(Repeat::AskHuman, Repeat::AskIndex)
            }
            Engine::Sqlite if statement.starts(&["VACUUM", "PRAGMA"]) => Repeat::Freely,
            Engine::MySql if is_conditional(statement) => Repeat::Freely,
            Engine::MySql | Engine::Sqlite => Repeat::AskHuman,
        }
    }
}

/// `CREATE TABLE IF NOT EXISTS …`, `DROP INDEX IF EXISTS …`, `CREATE OR REPLACE VIEW …`, but not a
/// table that is filled as it is made.
fn is_conditional(statement: &Statement<'_>) -> bool {
    match () {
        () if statement.starts(&["CREATE"]) => {
            let replaces = statement.is(1, &["OR"]) && statement.is(2, &["REPLACE"]);
            let if_not_exists = statement.is(2, &["IF"]) && statement.is(3, &["NOT"]);
            (replaces || if_not_exists) && !statement.contains("SELECT")
        }
        () if statement.starts(&["DROP"]) => statement.is(2, &["IF"]),
        () => statement.starts(&["ANALYZE", "OPTIMIZE"]),
    }
}

/// The index of `CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] name ON [ONLY] [schema.]table`.
/// Without a name PostgreSQL finds one, a new one each time.
fn concurrent_index(statement: &Statement<'_>) -> Option<ConcurrentIndex> {
    if !statement.is_concurrent_index() {
        return None;
    }
    let mut at = if statement.is(1, &["UNIQUE"]) { 2 } else { 1 };
    at += if statement.is(at + 2, &["IF"]) { 5 } else { 2 };
    if statement.is(at, &["ON"]) || !statement.is(at + 1, &["ON"]) {
        return None;
    }
    let name = fold(statement.token(at));
    at += if statement.is(at + 2, &["ONLY"]) { 3 } else { 2 };
    let first = fold(statement.token(at));
    let table = match statement.token(at + 1) {
        "." => TableName { schema: Some(first), name: fold(statement.token(at + 2)) },
        _ => TableName { schema: None, name: first },
    };
    (!table.name.is_empty()).then_some(ConcurrentIndex { name, table })
}

/// An identifier as PostgreSQL folds it.
fn fold(identifier: &str) -> String {
    match identifier.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => identifier.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeat(sql: &str, engine: Engine) -> Repeat {
        Repeat::of(&Statement::new(sql, engine), engine)
    }

    #[test]
    fn an_index_made_concurrently_can_be_looked_up() {
        let index = |schema: Option<&str>, table: &str, name: &str| {
            let table = TableName { schema: schema.map(str::to_owned), name: table.to_owned() };
            Repeat::AskIndex(ConcurrentIndex { name: name.to_owned(), table })
        };
        for (sql, expected) in [
            ("create index concurrently Foo on t (a)", index(None, "t", "foo")),
            (
                "CREATE UNIQUE INDEX CONCURRENTLY \"A b\" ON shop.t (a)",
                index(Some("shop"), "t", "A b"),
            ),
            (
                "create index concurrently if not exists i on only s . \"T t\" (a)",
                index(Some("s"), "T t", "i"),
            ),
            ("create index concurrently on t (a)", Repeat::AskHuman),
            ("drop index concurrently i", Repeat::AskHuman),
            ("reindex index concurrently i", Repeat::AskHuman),
            ("vacuum (analyze) t", Repeat::Freely),
        ] {
            assert_eq!(repeat(sql, Engine::Postgres), expected, "{sql}");
        }
    }

    #[test]
    fn conditional_ddl_may_run_twice() {
        for sql in [
            "create table if not exists t (a int)",
            "create or replace view v as values (1)",
            "drop table if exists t",
            "analyze table t",
        ] {
            assert_eq!(repeat(sql, Engine::MySql), Repeat::Freely, "{sql}");
        }
        for sql in ["create table if not exists t as select 1", "alter table t add column a int"] {
            assert_eq!(repeat(sql, Engine::MySql), Repeat::AskHuman, "{sql}");
        }
    }
}
