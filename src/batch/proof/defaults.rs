//! What a row that is inserted gets in columns that the INSERT doesn't give: their DEFAULTs, computed in
//! each batch, and not pinned.

use sqlparser::ast::{Expr, FunctionArguments};

use super::super::function::{Nature, nature};
use super::super::insert::{Into, Item};
use super::super::key::same_column;
use super::super::literal::{moves_with_time, text};
use super::super::refusal::Refusal;
use super::super::shape::Shape;
use super::super::source::expression;
use super::super::survey::identifiers;
use super::super::unnamed::tells_time;
use super::super::walk::find;
use super::super::warning::Warning;
use crate::db::{Column, Engine, Table};

/// What a DEFAULT is made of.
enum Made {
    /// What tells the time.
    Clock,
    /// What gives another answer at each call.
    Varying,
    /// A function of which nothing is known.
    Unknown(String),
}

/// Warns of DEFAULTs that differ from row to row or batch to batch, and refuses those that call what
/// isn't known.
pub(super) fn defaults(
    shape: &Shape,
    into: &Into,
    source: &Table,
    table: &Table,
    engine: Engine,
) -> Result<Vec<Warning>, Refusal> {
    let mut warnings = Vec::new();
    for column in left_out(shape, into, source, table, engine) {
        let Some(default) = &column.default else { continue };
        let warning = |cause: &str, way: &str| {
            let cause = format!("the DEFAULT of {}, {default}, {cause}", column.name);
            Warning::new(cause, into.span.clone(), way)
        };
        match made(default, engine) {
            None => {}
            Some(Made::Clock) => warnings.push(warning(
                "tells the time of each batch",
                "name the column, and give it CURRENT_TIMESTAMP, which is pinned to one time",
            )),
            Some(Made::Varying) => warnings.push(warning(
                "gives another answer for each row, so that no two runs leave the same",
                "nothing, if that is meant: each row still gets one value, once",
            )),
            Some(Made::Unknown(name)) => {
                return Err(Refusal::of(
                    shape.verb,
                    format_args!(
                        "the DEFAULT of {} calls {name}(), which isn't known to be safe",
                        column.name
                    ),
                )
                .at(
                    into.span.clone(),
                    "could read the tables, and see what earlier batches changed",
                )
                .way("name the column, and select its value"));
            }
        }
    }
    Ok(warnings)
}

/// The columns that get their DEFAULTs. PostgreSQL alone takes fewer values than columns without
/// their names.
fn left_out<'t>(
    shape: &Shape,
    into: &Into,
    source: &Table,
    table: &'t Table,
    engine: Engine,
) -> Vec<&'t Column> {
    let named =
        |column: &&Column| into.columns.iter().any(|name| same_column(engine, name, &column.name));
    if !into.columns.is_empty() {
        return table.columns.iter().filter(|column| !named(column)).collect();
    }
    if engine != Engine::Postgres {
        return Vec::new();
    }
    // Of the columns of joined tables at least one is there.
    let values = into.items.iter().map(|item| match item {
        Item::All(None) => source.columns.len(),
        Item::All(Some(name)) if name == shape.known_as() => source.columns.len(),
        Item::All(Some(_)) | Item::One => 1,
    });
    table.columns.iter().skip(values.sum()).collect()
}

fn made(default: &str, engine: Engine) -> Option<Made> {
    // Nothing is known of what can't be read, but that it isn't a literal.
    let Some(default) = expression(default, engine) else { return Some(Made::Varying) };
    // A text is one, whatever it says; what casts it again may make a date of it.
    if let Expr::Cast { expr, .. } = &default
        && matches!(**expr, Expr::Value(_))
    {
        return None;
    }
    // Whatever stands before it, what isn't known is what counts.
    let unknown = |made: &Made| matches!(made, Made::Unknown(_));
    find(&default, |expr| part(expr, engine).filter(unknown))
        .or_else(|| find(&default, |expr| part(expr, engine)))
}

fn part(expr: &Expr, engine: Engine) -> Option<Made> {
    if tells_time(engine, expr) {
        return Some(Made::Clock);
    }
    match expr {
        // `('now'::text)::date`: the text alone is none.
        Expr::Value(value) if engine == Engine::Postgres => {
            text(&value.value).is_some_and(moves_with_time).then_some(Made::Clock)
        }
        Expr::Identifier(ident) if ident.quote_style.is_none() => {
            let nature = nature(engine, &ident.value.to_ascii_lowercase(), 1);
            matches!(nature, Nature::Asker).then_some(Made::Varying)
        }
        Expr::Function(function) => {
            let arguments = match &function.args {
                FunctionArguments::List(list) => list.args.len(),
                _ => 0,
            };
            let known = match identifiers(&function.name).as_slice() {
                [name] => Some(name.value.to_ascii_lowercase()),
                [schema, name] if schema.value == "pg_catalog" => Some(name.value.clone()),
                // An extension's, in a schema of its own.
                [_, name] => Some(name.value.clone()).filter(|name| {
                    engine == Engine::Postgres && nature(engine, name, 0) == Nature::Volatile
                }),
                _ => None,
            };
            match known.map_or(Nature::Unknown, |name| nature(engine, &name, arguments)) {
                Nature::RowLocal | Nature::Clock => None,
                Nature::Varying | Nature::Volatile | Nature::Asker => Some(Made::Varying),
                _ => Some(Made::Unknown(function.name.to_string())),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(default: &str, engine: Engine) -> &'static str {
        match made(default, engine) {
            None => "same",
            Some(Made::Clock) => "clock",
            Some(Made::Varying) => "varying",
            Some(Made::Unknown(_)) => "unknown",
        }
    }

    #[test]
    fn a_default_is_known_by_what_it_calls() {
        use Engine::{MySql, Postgres, Sqlite};
        for (engine, default, expected) in [
            (Postgres, "'today'::character varying", "same"),
            (Postgres, "('now'::text)::date", "clock"),
            (Postgres, "CURRENT_TIMESTAMP", "clock"),
            (Postgres, "timezone('utc'::text, now())", "clock"),
            (Postgres, "nextval('q_id_seq'::regclass)", "varying"),
            (Postgres, "public.uuid_generate_v4()", "varying"),
            (Postgres, "CURRENT_USER", "varying"),
            (Postgres, "upper('x'::text)", "same"),
            (Postgres, "other.upper('x'::text)", "unknown"),
            (Postgres, "next_number()", "unknown"),
            (Postgres, "(nextval('s'::regclass) * 0) + next_number()", "unknown"),
            (Postgres, "EXTRACT(epoch FROM now()) + next_number()", "unknown"),
            (MySql, "current_timestamp()", "clock"),
            (MySql, "uuid()", "varying"),
            (MySql, "NULL", "same"),
            (MySql, "'now()'", "same"),
            (Sqlite, "strftime('%s', 'now')", "clock"),
            (Sqlite, "date('2026-01-01')", "same"),
            (Sqlite, "\"red\"", "same"),
            (Sqlite, "random() % 6", "varying"),
            (Sqlite, "what ? is [this", "varying"),
        ] {
            assert_eq!(told(default, engine), expected, "{engine}: {default}");
        }
    }
}
