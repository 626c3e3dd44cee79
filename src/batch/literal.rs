//! Literals that are no constants, and types whose casts are known.

use sqlparser::ast::{ArrayElemTypeDef, DataType, Expr, UnaryOperator, Value};

/// Whether PostgreSQL could read the text, as a date or a time, relative to now: `'now'`,
/// `'tomorrow'`, `'today 12:00 Japan'`, `'today monday'`. It skips punctuation: `'now()'` is now,
/// `'[now,)'` a range, and `'{now}'` an array. What may stand beside such a word is a matter of the
/// server's time zones, so that a sentence with one counts as well.
pub(super) fn moves_with_time(text: &str) -> bool {
    let moving = ["now", "today", "tomorrow", "yesterday"];
    text.split(|c: char| !c.is_ascii_alphabetic())
        .any(|word| moving.iter().any(|moving| word.eq_ignore_ascii_case(moving)))
}

/// The text of a string literal.
pub(super) fn text(value: &Value) -> Option<&str> {
    Some(match value {
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text)
        | Value::NationalStringLiteral(text) => text,
        Value::DollarQuotedString(quoted) => &quoted.value,
        _ => return None,
    })
}

/// Whether the expression is one value for all rows, written down.
pub(super) fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        Expr::TypedString(_) => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_constant(expr),
        _ => false,
    }
}

/// Whether a cast to this type runs no code of the user's own, as one to a domain may.
pub(super) fn is_built_in(data_type: &DataType) -> bool {
    match data_type {
        DataType::Custom(name, _) => {
            let name = name.to_string().to_ascii_lowercase();
            let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
            BUILT_IN.contains(&name)
        }
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(inner)
            | ArrayElemTypeDef::SquareBracket(inner, _)
            | ArrayElemTypeDef::Parenthesis(inner)
            | ArrayElemTypeDef::Qualified(inner, _),
        ) => is_built_in(inner),
        DataType::Table(_)
        | DataType::NamedTable { .. }
        | DataType::Regclass
        | DataType::Array(ArrayElemTypeDef::None)
        | DataType::Map(..)
        | DataType::Tuple(_)
        | DataType::Nested(_)
        | DataType::Struct(..)
        | DataType::Union(_)
        | DataType::Nullable(_)
        | DataType::LowCardinality(_)
        | DataType::Trigger
        | DataType::AnyType => false,
        _ => true,
    }
}

/// Built-in types that the parser knows by name only.
const BUILT_IN: &[&str] = &[
    "bool",
    "bpchar",
    "char",
    "cidr",
    "datemultirange",
    "daterange",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int4range",
    "int8",
    "int8range",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "numrange",
    "oid",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "uuid",
    "varbit",
    "varchar",
    "xml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_relative_to_now_is_told_by_its_word() {
        for text in [
            "now",
            " NOW() ",
            "today",
            "Tomorrow 12:00",
            "yesterday allballs",
            "today 12:00 Asia/Tokyo",
            "[now,)",
            "{2026-01-01,today}",
            "today 12:00 Japan",
            "tomorrow Singapore",
            "today monday",
            "today12:00",
            "see you again today",
        ] {
            assert!(moves_with_time(text), "{text}");
        }
        for text in ["", "2026-01-01", "known", "todays events", "nowhere", "2026-01-01 monday"] {
            assert!(!moves_with_time(text), "{text}");
        }
    }
}
