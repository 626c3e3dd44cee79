//! What the text of a trigger or a table says: the catalog keeps nothing else of it.

/// The event of `CREATE [TEMP] TRIGGER [IF NOT EXISTS] [schema.]name [BEFORE|AFTER|INSTEAD OF] …`.
pub(super) fn event(sql: &str) -> Option<&'static str> {
    let mut words = words(sql).skip_while(|word| !word.eq_ignore_ascii_case("TRIGGER")).skip(1);
    let mut word = words.next()?;
    if word.eq_ignore_ascii_case("IF") {
        word = words.nth(2)?;
    }
    // The name; it may be `update`, and so may its schema.
    let mut next = words.next()?;
    while next == "." {
        word = words.next()?;
        next = words.next()?;
    }
    let _name = word;
    std::iter::once(next).chain(words).find_map(|word| {
        ["UPDATE", "DELETE", "INSERT"].into_iter().find(|event| word.eq_ignore_ascii_case(event))
    })
}

/// Whether a table's constraint deals with a conflict by deleting or skipping a row.
pub(super) fn resolves_conflicts(sql: &str) -> bool {
    let words: Vec<_> = words(sql).map(str::to_ascii_uppercase).collect();
    words.windows(3).any(|words| {
        words[0] == "ON"
            && words[1] == "CONFLICT"
            && (words[2] == "REPLACE" || words[2] == "IGNORE")
    })
}

/// Words, quoted names with their quotes, and single characters; without comments.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let length = match first {
                '-' if rest.starts_with("--") => {
                    rest = rest.split_once('\n').map_or("", |(_, after)| after);
                    continue;
                }
                '/' if rest.starts_with("/*") => {
                    rest = rest.split_once("*/").map_or("", |(_, after)| after);
                    continue;
                }
                '"' | '`' | '\'' => quoted_length(rest, first),
                '[' => rest.find(']').map_or(rest.len(), |at| at + 1),
                c if c.is_alphanumeric() || c == '_' => rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            let (word, after) = rest.split_at(length);
            rest = after;
            return Some(word);
        }
    })
}

/// Up to the closing quote; a doubled one stands for itself.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(next) = text[at..].find(quote) {
        at += next + 1;
        if !text[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{event, resolves_conflicts};

    #[test]
    fn the_event_is_found_behind_any_name() {
        for (sql, expected) in [
            ("CREATE TRIGGER a AFTER UPDATE ON t BEGIN DELETE FROM u; END", "UPDATE"),
            ("CREATE TRIGGER \"update\" delete on t begin select 1; end", "DELETE"),
            ("create temp trigger if not exists main.\"a\"\"b\" -- update\n insert on t", "INSERT"),
            ("CREATE TRIGGER update_it /* delete */ BEFORE UPDATE OF n ON t", "UPDATE"),
            ("CREATE TRIGGER [x y] INSTEAD OF DELETE ON v", "DELETE"),
        ] {
            assert_eq!(event(sql), Some(expected), "{sql}");
        }
    }

    #[test]
    fn a_conflict_that_deletes_or_skips_rows_is_found() {
        for (sql, expected) in [
            ("CREATE TABLE t (id integer primary key, n int unique on\nconflict Replace)", true),
            ("CREATE TABLE t (id int, n int, unique (n) ON CONFLICT /* so */ IGNORE)", true),
            (
                "CREATE TABLE t (n int UNIQUE ON CONFLICT ROLLBACK, m int UNIQUE ON CONFLICT FAIL)",
                false,
            ),
            (
                "CREATE TABLE t (n int /* ON CONFLICT REPLACE */, c text DEFAULT 'ON CONFLICT IGNORE')",
                false,
            ),
            ("CREATE TABLE \"on conflict replace\" (n int UNIQUE)", false),
        ] {
            assert_eq!(resolves_conflicts(sql), expected, "{sql}");
        }
    }
}
