//! Which functions are known, by engine: what isn't on a list is refused.
//!
//! On the lists are built-in functions whose result depends on their arguments alone (and on
//! settings of the session, which are the same for each batch). A function that isn't listed may
//! be of the user's own, and read anything.

mod list;
#[cfg(test)]
mod tests;

use crate::db::Engine;
use crate::nearest::nearest;
use list::{
    AGGREGATES, ASKER, CLOCK, COMMON, MATHS, MYSQL, MYSQL_AGGREGATES, MYSQL_VARYING, POSTGRES,
    POSTGRES_AGGREGATES, POSTGRES_VARYING, SQLITE, SQLITE_AGGREGATES, SQLITE_UNPROVED,
    SQLITE_VARYING, VOLATILE, WINDOW,
};

/// What is known of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Depends on its arguments alone.
    RowLocal,
    /// Sees many rows: fine in a subquery over other tables only.
    Aggregate,
    /// Sees neighbouring rows: likewise, with or without `OVER`.
    Window,
    /// Tells the time: pinned for the whole step.
    Clock,
    /// Tells who asks: may differ from batch to batch.
    Asker,
    /// Another answer at each call, for each row: it differs from row to row in the whole statement as
    /// well.
    Varying,
    /// Another answer at each call, or one that depends on what the session did before.
    Volatile,
    /// Not known.
    Unknown,
    /// Not there: SQLite's functions are all known, and lockkeeper brings its own SQLite.
    Absent,
}

/// What is known of `name` (in lower case, without a schema), called with so many arguments.
pub(super) fn nature(engine: Engine, name: &str, arguments: usize) -> Nature {
    if clock_without_argument(engine, name, arguments) || lists(CLOCK, name) {
        return Nature::Clock;
    }
    if lists(ASKER, name) {
        return Nature::Asker;
    }
    if lists(varying(engine), name) {
        // MySQL's rand(5) begins the same numbers anew with each statement.
        let is_seeded = engine == Engine::MySql && name == "rand" && arguments > 0;
        return if is_seeded { Nature::Volatile } else { Nature::Varying };
    }
    if lists(VOLATILE, name) {
        return Nature::Volatile;
    }
    if lists(WINDOW, name) {
        return Nature::Window;
    }
    // SQLite's min(a, b) compares its arguments, and min(a) is the aggregate.
    if engine == Engine::Sqlite && matches!(name, "min" | "max") && arguments > 1 {
        return Nature::RowLocal;
    }
    if lists(AGGREGATES, name) || lists(aggregates(engine), name) {
        return Nature::Aggregate;
    }
    if row_local(engine).any(|known| known == name) {
        return Nature::RowLocal;
    }
    if engine == Engine::Sqlite && !lists(SQLITE_UNPROVED, name) {
        return Nature::Absent;
    }
    Nature::Unknown
}

/// The function that may have been meant by an unknown name, of those that are safe anywhere.
pub(super) fn nearest_safe(engine: Engine, name: &str) -> Option<&'static str> {
    nearest(name, row_local(engine))
}

/// The functions that depend on their arguments alone.
fn row_local(engine: Engine) -> impl Iterator<Item = &'static str> {
    let lists = match engine {
        Engine::Postgres => [COMMON, MATHS, POSTGRES],
        Engine::MySql => [COMMON, MATHS, MYSQL],
        Engine::Sqlite => [COMMON, SQLITE, ""],
    };
    lists.into_iter().flat_map(str::split_ascii_whitespace)
}

/// The engine's aggregates beside those that all engines have.
fn aggregates(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => POSTGRES_AGGREGATES,
        Engine::MySql => MYSQL_AGGREGATES,
        Engine::Sqlite => SQLITE_AGGREGATES,
    }
}

/// The engine's functions with another answer for each row.
fn varying(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => POSTGRES_VARYING,
        Engine::MySql => MYSQL_VARYING,
        Engine::Sqlite => SQLITE_VARYING,
    }
}

/// Whether the list, of words, has the name.
fn lists(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|word| word == name)
}

/// Functions that take "now" for an argument that isn't given.
fn clock_without_argument(engine: Engine, name: &str, arguments: usize) -> bool {
    match (engine, name) {
        (Engine::Postgres, "age") => arguments < 2,
        (Engine::MySql, "unix_timestamp") => arguments == 0,
        (Engine::Sqlite, "strftime") => arguments < 2,
        (Engine::Sqlite, _) => arguments == 0 && lists(SQLITE_DATES, name),
        _ => false,
    }
}

/// Whether a literal `'now'` among the arguments means the time.
pub(super) fn reads_now(engine: Engine, name: &str) -> bool {
    engine == Engine::Sqlite && (lists(SQLITE_DATES, name) || name == "timediff")
}

const SQLITE_DATES: &str = "date time datetime julianday unixepoch strftime";
