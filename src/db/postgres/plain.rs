//! A statement of our own with its values written into it, for the simple protocol. That leaves no
//! prepared statement behind, which in a pooler's transaction mode another client would stumble
//! over, and takes one trip where a prepared statement takes two.

use crate::db::{Statement, Value};

/// The text; `None` for a value that no literal can hold.
pub(super) fn inlined(statement: &Statement) -> Option<String> {
    if statement.params.is_empty() {
        return Some(statement.sql.clone());
    }
    let mut text = String::with_capacity(statement.sql.len());
    pieces(statement, &mut |_, taken| text.push_str(taken))?;
    Some(text)
}

/// Where in the statement what stands at this place of its text stands, both in characters from 0. Of a
/// value, where its placeholder begins.
pub(super) fn origin(statement: &Statement, position: usize) -> Option<usize> {
    let (mut from, mut to, mut found) = (0, 0, None);
    let mut look = |original: &str, taken: &str| {
        let (before, after) = (original.chars().count(), taken.chars().count());
        if found.is_none() && position < to + after {
            found = Some(if original == taken { from + position - to } else { from });
        }
        (from, to) = (from + before, to + after);
    };
    pieces(statement, &mut look)?;
    found.or(Some(from))
}

/// The pieces of a statement, and what stands for each in its text.
fn pieces(statement: &Statement, each: &mut dyn FnMut(&str, &str)) -> Option<()> {
    let literals: Vec<String> = statement.params.iter().map(literal).collect::<Option<_>>()?;
    let mut rest = statement.sql.as_str();
    while let Some(at) = rest.find(['$', '\'', '"']) {
        let (before, from) = rest.split_at(at);
        each(before, before);
        let (taken, length) = match &from[..1] {
            "$" => {
                let end =
                    from[1..].find(|c: char| !c.is_ascii_digit()).map_or(from.len(), |n| n + 1);
                let number = from[1..end].parse::<usize>().ok();
                match number.and_then(|number| literals.get(number.checked_sub(1)?)) {
                    Some(literal) => (literal.as_str(), end),
                    None => (&from[..1], 1),
                }
            }
            // A name or a text may hold what looks like a placeholder. A doubled quote ends one
            // and begins the next.
            quote => {
                let end = from[1..].find(quote).map_or(from.len(), |n| n + 2);
                (&from[..end], end)
            }
        };
        each(&from[..length], taken);
        rest = &from[length..];
    }
    each(rest, rest);
    Some(())
}

/// With the type that a bound value would have.
fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Int(number) => format!("'{number}'::bigint"),
        // It would end the whole text.
        Value::Text(text) if text.contains('\0') => return None,
        Value::Text(text) => {
            // So that it doesn't depend on standard_conforming_strings.
            let escapes = if text.contains('\\') { "E" } else { "" };
            let text = text.replace('\'', "''").replace('\\', r"\\");
            // A space, since a letter may stand before it.
            format!(" {escapes}'{text}'::text")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_their_placeholders_stood() {
        let text = |sql: &str, params| inlined(&Statement::new(sql, params));
        let cases = [
            ("select 1", vec![], "select 1"),
            (
                "a = $1::oid and $1 < $2",
                vec![7.into(), (-1).into()],
                "a = '7'::bigint::oid and '7'::bigint < '-1'::bigint",
            ),
            ("f($1)", vec!["o'b".into()], "f( 'o''b'::text)"),
            ("f($1)", vec![r"a\'b".into()], r"f( E'a\\''b'::text)"),
            ("f($1)", vec![Value::Null], "f(null)"),
            (
                "\"t$1\" = $1 and a <> '$1''$1'",
                vec![1.into()],
                "\"t$1\" = '1'::bigint and a <> '$1''$1'",
            ),
            // What a value holds is no placeholder.
            ("$1 $2", vec!["$2".into(), 2.into()], " '$2'::text '2'::bigint"),
            ("$11 $3 $", vec![1.into()], "$11 $3 $"),
        ];
        for (sql, params, expected) in cases {
            assert_eq!(text(sql, params).as_deref(), Some(expected), "{sql}");
        }
        assert_eq!(text("$1", vec!["\0".into()]), None);
    }

    #[test]
    fn a_place_is_found_again() {
        let statement = Statement::new("é = $1 and 'x' = $2 + bad", vec![7.into(), "ä".into()]);
        let text = inlined(&statement).unwrap();
        let place =
            |text: &str, word: &str| text.find(word).map(|at| text[..at].chars().count()).unwrap();
        for word in ["é", "and", "'x'", "bad", "d"] {
            let found = origin(&statement, place(&text, word));
            assert_eq!(found, Some(place(&statement.sql, word)), "{word}");
        }
        assert_eq!(origin(&statement, place(&text, "ä")), Some(place(&statement.sql, "$2")));
        assert_eq!(origin(&statement, 1_000), Some(statement.sql.chars().count()));
    }
}
