//! Literals that are no constants, and types whose casts are known.

use sqlparser::ast::{ArrayElemTypeDef, DataType, Expr, UnaryOperator, Value};

/// Whether PostgreSQL would read the text, as a date or a time, relative to now: `'now'`,
/// `'tomorrow'`, `'today 12:00 Asia/Tokyo'`. It skips punctuation: `'now()'` is now, `'[now,)'` a
/// range, and `'{now}'` an array.
pub(super) fn moves_with_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words = |chunk: &'_ str| -> Vec<String> {
        let words = chunk.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let moving = |word: &String| matches!(&**word, "now" | "today" | "tomorrow" | "yesterday");
    // Beside such a word only a time, a time zone and a few words make sense; elsewhere it is a
    // sentence. Short words may be abbreviations of time zones.
    let fits = |word: &String| {
        moving(word)
            || word.chars().any(|c| c.is_ascii_digit())
            || matches!(&**word, "allballs" | "infinity" | "epoch")
            || word.chars().count() <= 4
    };
    words(&lower).iter().any(moving)
        && lower
            .split_whitespace()
            .all(|chunk| chunk.contains('/') || words(chunk).iter().all(fits))
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
    fn a_date_relative_to_now_is_told_from_a_sentence() {
        for text in [
            "now",
            " NOW() ",
            "today",
            "Tomorrow 12:00",
            "yesterday allballs",
            "today 12:00 Asia/Tokyo",
            "[now,)",
            "{2026-01-01,today}",
        ] {
            assert!(moves_with_time(text), "{text}");
        }
        for text in
            ["", "2026-01-01", "known", "see you again today", "yesterday's events", "nowhere"]
        {
            assert!(!moves_with_time(text), "{text}");
        }
    }
}
