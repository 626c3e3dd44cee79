//! What the session must be like for the statement to mean what was read in it.

use sqlparser::tokenizer::Token;

use super::refusal::Refusal;
use super::shape::Shape;
use super::source::Source;
use crate::db::{Dialect, Engine, Reading};

/// Proves that the session means what the proof has read: `reading` is that of [`Shape::called`].
///
/// # Errors
/// When a function or an operator of the user's own may be what a name means, or when texts and names are
/// written otherwise than by default.
pub fn prove_reading(shape: &Shape, reading: &Reading, dialect: Dialect) -> Result<(), Refusal> {
    let is_own = |bare: &String| reading.own.contains(bare);
    if let Some(call) = shape.calls.iter().find(|it| it.bare.as_ref().is_some_and(is_own)) {
        let is_function = call.name.contains(char::is_alphabetic);
        let what = if is_function { "a function" } else { "an operator" };
        return Err(Refusal::of(
            shape.verb,
            format_args!("{} may be {what} of your own, of which nothing is known", call.name),
        )
        .at(call.span.clone(), "could read the table, and see what earlier batches changed")
        .ways(
            (is_function && dialect.engine == Engine::Postgres)
                .then(|| format!("write `pg_catalog.{}`, if that is meant", call.name)),
        ));
    }
    let source = Source::read(&shape.sql, dialect.engine)?;
    for spot in &source.spots {
        let refuse = |cause: &str, way: &str| {
            Err(Refusal::of(shape.verb, cause).at(Some(spot.span.clone()), "").way(way))
        };
        if reading.quotes_are_names && matches!(spot.token, Token::DoubleQuotedString(_)) {
            return refuse(
                "with ANSI_QUOTES in sql_mode this is a name, and was read as a text",
                "write texts in single quotes, and names in backticks",
            );
        }
        let is_text =
            matches!(spot.token, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_));
        if reading.other_backslashes && is_text && shape.sql[spot.span.clone()].contains('\\') {
            return refuse(
                "what its backslash means is set otherwise than by default",
                "write the text without a backslash",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::parse;

    fn own(names: &[&str]) -> Reading {
        let own = names.iter().map(|&name| name.to_owned()).collect();
        Reading { own, ..Reading::default() }
    }

    #[test]
    fn what_is_called_without_being_written_as_a_call_is_asked_for() {
        let shape = parse(
            "UPDATE t SET a = Floor(b) + pg_catalog.abs(b), c = substring(LOWER(c), 2) \
             WHERE c LIKE 'x' AND a IN (1, 2)",
            Dialect::POSTGRES,
        );
        let called = shape.unwrap().called();
        assert_eq!(called, ["+", "<>", "=", "AND", "floor", "lower", "substring", "~~"]);
    }

    #[test]
    fn the_place_and_the_way_out_are_told() {
        let sql = "UPDATE t SET a = abs(b) + 1, c = \"x\\y\"";
        let refusal = |dialect, reading: &Reading| {
            let refusal = prove_reading(&parse(sql, dialect).unwrap(), reading, dialect);
            refusal.map_err(|it| (sql[it.span.unwrap()].to_owned(), it.ways_out[0].1.clone()))
        };
        let (place, way) = refusal(Dialect::POSTGRES, &own(&["abs"])).unwrap_err();
        assert_eq!(place, "abs");
        assert!(way.contains("`pg_catalog.abs`"), "{way}");
        let (place, way) = refusal(Dialect::MYSQL, &own(&["+"])).unwrap_err();
        assert_eq!(place, "abs(b) + 1");
        assert!(way.contains("batch off"), "{way}");
        let quotes = Reading { quotes_are_names: true, ..Reading::default() };
        assert_eq!(refusal(Dialect::MYSQL, &quotes).unwrap_err().0, "\"x\\y\"");
        let backslashes = Reading { other_backslashes: true, ..Reading::default() };
        assert_eq!(refusal(Dialect::MYSQL, &backslashes).unwrap_err().0, "\"x\\y\"");
        // There it is a name.
        refusal(Dialect::POSTGRES, &backslashes).unwrap();
        refusal(Dialect::MYSQL, &own(&["floor"])).unwrap();
    }
}
