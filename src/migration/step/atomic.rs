//! Whether a bare statement happens whole or not at all.

use super::repeat::Repeat;
use super::statement::Statement;
use crate::db::Engine;

/// Whether an error means that nothing of it was committed, but for what running it again makes
/// good. What isn't known here may, as a procedure, commit one part of its work and fail at the
/// next.
pub(super) fn is_atomic(statement: &Statement<'_>, repeat: &Repeat, engine: Engine) -> bool {
    match engine {
        Engine::Postgres => in_postgres(statement, repeat),
        Engine::MySql => in_mysql(statement),
        Engine::Sqlite => true,
    }
}

fn in_postgres(statement: &Statement<'_>, repeat: &Repeat) -> bool {
    let concurrently = || statement.contains("CONCURRENTLY");
    match () {
        // A slot on another server stays.
        () if statement.starts(&["CREATE", "ALTER", "DROP"])
            && statement.is(1, &["SUBSCRIPTION"]) =>
        {
            false
        }
        // An invalid index stays. Where its name is known it can be looked for.
        () if statement.starts(&["CREATE"]) && concurrently() => {
            matches!(repeat, Repeat::AskIndex(_)) || !statement.is_concurrent_index()
        }
        () if statement.starts(&["REINDEX"]) => !concurrently(),
        // A partition that is half detached stays, and must be finished in another way.
        () if statement.starts(&["ALTER"]) => !concurrently() || !statement.contains("DETACH"),
        () => statement.starts(&[
            "(",
            "ANALYZE",
            "CHECKPOINT",
            "CLUSTER",
            "COMMENT",
            "COMMIT",
            "COPY",
            "CREATE",
            "DEALLOCATE",
            "DELETE",
            "DISCARD",
            "DROP",
            "EXECUTE",
            "EXPLAIN",
            "GRANT",
            "IMPORT",
            "INSERT",
            "LISTEN",
            "LOAD",
            "LOCK",
            "MERGE",
            "NOTIFY",
            "PREPARE",
            "REASSIGN",
            "REFRESH",
            "RESET",
            "REVOKE",
            "ROLLBACK",
            "SECURITY",
            "SELECT",
            "SET",
            "SHOW",
            "TABLE",
            "TRUNCATE",
            "UNLISTEN",
            "UPDATE",
            "VACUUM",
            "VALUES",
            "WITH",
        ]),
    }
}

fn in_mysql(statement: &Statement<'_>) -> bool {
    let several = || statement.contains(",");
    match () {
        // Each table for itself.
        () if statement.starts(&["DROP"]) => !several(),
        () if statement.starts(&["CREATE", "ALTER", "RENAME"])
            && statement.is(1, &["USER", "ROLE"]) =>
        {
            !several()
        }
        // SET STATEMENT … FOR any other.
        () if statement.starts(&["SET"]) => !statement.is(1, &["STATEMENT"]),
        () => statement.starts(&[
            "(", "ALTER", "ANALYZE", "CHECK", "CREATE", "DELETE", "DESC", "DESCRIBE", "EXPLAIN",
            "FLUSH", "GRANT", "INSERT", "LOAD", "LOCK", "OPTIMIZE", "RENAME", "REPAIR", "REPLACE",
            "REVOKE", "SELECT", "SHOW", "TABLE", "TRUNCATE", "UNLOCK", "UPDATE", "USE", "VALUES",
            "WITH",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Engine::{MySql, Postgres, Sqlite};

    #[test]
    fn what_may_commit_a_part_is_told_from_what_cant() {
        for (engine, sql, expected) in [
            (Postgres, "call p()", false),
            (Postgres, "do $$ begin commit; end $$", false),
            (Postgres, "create subscription s connection 'c' publication p", false),
            (Postgres, "alter table t detach partition p concurrently", false),
            (Postgres, "create index concurrently on t (a)", false),
            (Postgres, "reindex (verbose, concurrently) table t", false),
            (Postgres, "something new", false),
            (Postgres, "create index concurrently i on t (a)", true),
            (Postgres, "create table concurrently (a int)", true),
            (Postgres, "drop index concurrently i", true),
            (Postgres, "reindex index i", true),
            (Postgres, "alter type e add value 'x'", true),
            (Postgres, "alter system set work_mem = '1MB'", true),
            (Postgres, "vacuum t", true),
            (Postgres, "update t set a = 1", true),
            (MySql, "call p()", false),
            (MySql, "/*!50001 call p() */", false),
            (MySql, "do f()", false),
            (MySql, "begin not atomic select 1; end", false),
            (MySql, "execute immediate 'call p()'", false),
            (MySql, "set statement max_statement_time = 1 for call p()", false),
            (MySql, "drop table a, b", false),
            (MySql, "create user a, b", false),
            (MySql, "something new", false),
            (MySql, "create table t (a int, b int)", true),
            (MySql, "create procedure p() begin commit; end", true),
            (MySql, "alter table t add a int, add b int", true),
            (MySql, "drop table a", true),
            (MySql, "update t set a = 1, b = 2", true),
            (Sqlite, "vacuum", true),
        ] {
            let statement = Statement::new(sql, engine);
            let repeat = Repeat::of(&statement, engine);
            assert_eq!(is_atomic(&statement, &repeat, engine), expected, "{engine}: {sql}");
        }
    }
}
