//! Whether at most one value of a unique column equals a value: not where one of them is converted to
//! another type, or compared under another collation, on the way. MySQL takes `'5a'` and 5 for equal.

use crate::db::{Column, Engine};

/// What values an expression has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    /// Integers and exact decimals, compared exactly.
    Number,
    /// A text that stands there, and takes the type of what it is compared with.
    Literal,
    /// A column's texts, with its collation.
    Text(Option<String>),
    /// Values of this type.
    Other(String),
}

impl Class {
    pub fn of(engine: Engine, column: &Column) -> Class {
        let lower = column.type_name.to_ascii_lowercase();
        let base = lower.split(['(', ' ']).next().unwrap_or(&lower);
        let is_number = match engine {
            Engine::Sqlite => lower.contains("int"),
            _ => matches!(
                base,
                "smallint"
                    | "integer"
                    | "bigint"
                    | "numeric"
                    | "decimal"
                    | "int"
                    | "tinyint"
                    | "mediumint"
            ),
        };
        // Trailing blanks don't count where it is compared, also beside other texts.
        let is_padded = lower == "character" || lower.starts_with("character(") || base == "bpchar";
        if engine == Engine::Postgres && is_padded {
            return Class::Other(format!("character {:?}", column.collation));
        }
        let is_text = ["char", "text", "clob"].iter().any(|word| lower.contains(word));
        match (is_number, is_text) {
            (true, _) => Class::Number,
            (_, true) => Class::Text(column.collation.clone()),
            // Without its length; what is behind, as in `timestamp(3) with time zone`, counts.
            _ => Class::Other(
                lower.split('(').next().unwrap_or(&lower).to_owned()
                    + lower.rsplit_once(')').map_or("", |(_, tail)| tail),
            ),
        }
    }
}

/// Whether at most one value of `column` can equal one of this class. `first` says whether the column
/// stands left of the `=`: SQLite takes the collation of what stands there.
pub(super) fn same_values(engine: Engine, column: &Column, class: &Class, first: bool) -> bool {
    if column.nondeterministic {
        return false;
    }
    match (Class::of(engine, column), class) {
        (Class::Number, Class::Number) => true,
        (Class::Text(_), Class::Literal) => true,
        (Class::Other(_), Class::Literal) => engine == Engine::Postgres,
        (Class::Text(_), Class::Text(_)) if engine == Engine::Sqlite => first,
        (Class::Text(one), Class::Text(other)) => one == *other,
        // Floats are rounded, and SQLite's may be anything.
        (Class::Other(one), Class::Other(other)) => {
            let inexact = ["real", "float", "double", "json"];
            engine != Engine::Sqlite
                && one == *other
                && !inexact.iter().any(|word| one.contains(word))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_text_is_no_text_like_others() {
        let class = |type_name: &str| {
            let column = Column {
                name: "c".to_owned(),
                type_name: type_name.to_owned(),
                nullable: false,
                computed_from: None,
                default: None,
                collation: Some("100".to_owned()),
                nondeterministic: false,
            };
            Class::of(Engine::Postgres, &column)
        };
        assert_eq!(class("character(3)"), class("character(5)"));
        assert_ne!(class("character(3)"), class("character varying(3)"));
        assert_eq!(class("text"), class("character varying(3)"));
    }
}
