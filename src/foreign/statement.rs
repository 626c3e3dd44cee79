//! A statement, as it may be shown to everybody.
//!
//! What stands in quotes may be a password, as of `CREATE ROLE`, or somebody's address, and a number may
//! be somebody's, too. So all of it goes, and so do comments. The server has cut long statements, perhaps within quotes.

use std::iter::Peekable;
use std::str::Chars;

use crate::db::Engine;

/// As many characters as one line of a page has room for.
const LONGEST: usize = 160;
/// What stands for what is left out.
const HIDDEN: &str = "'…'";
/// The same for a number.
const HIDDEN_NUMBER: char = '…';

/// The statement on one line, cut.
pub fn shown(sql: &str, engine: Engine) -> String {
    let mut folded = masked(sql, engine).split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = folded.char_indices().nth(LONGEST) {
        folded.truncate(at);
        folded.push('…');
    }
    folded
}

/// All of it, without what may not be shown.
pub fn masked(sql: &str, engine: Engine) -> String {
    Masking { rest: sql.chars().peekable(), engine, text: String::new() }.mask()
}

struct Masking<'a> {
    rest: Peekable<Chars<'a>>,
    engine: Engine,
    text: String,
}

impl Masking<'_> {
    fn mask(mut self) -> String {
        while let Some(c) = self.rest.next() {
            match c {
                '\'' => self.literal('\''),
                '"' if self.engine == Engine::MySql => self.literal('"'),
                '"' => self.name('"'),
                '`' if self.engine == Engine::MySql => self.name('`'),
                c if c.is_ascii_digit() && !self.is_in_word() => self.number(),
                '$' if self.engine == Engine::Postgres => self.dollar(),
                '-' if self.rest.peek() == Some(&'-') => self.line_comment(),
                '#' if self.engine == Engine::MySql => self.line_comment(),
                '/' if self.rest.peek() == Some(&'*') => self.comment(),
                c => self.text.push(c),
            }
        }
        self.text
    }

    /// Whether a backslash escapes depends on the server's settings. So behind one in front of a quote
    /// nothing is shown any more, but where it is known to escape.
    fn literal(&mut self, quote: char) {
        let escapes = self.engine == Engine::MySql || self.is_escape_string();
        self.text.push_str(HIDDEN);
        while let Some(c) = self.rest.next() {
            if c == '\\' && escapes {
                self.rest.next();
            } else if c == '\\' && self.rest.peek() == Some(&quote) {
                self.rest.by_ref().for_each(drop);
            } else if c == quote {
                // A doubled quote goes on.
                if self.rest.next_if_eq(&quote).is_none() {
                    return;
                }
            }
        }
    }

    /// `E'…'` of PostgreSQL.
    fn is_escape_string(&self) -> bool {
        let mut before = self.text.chars().rev();
        let is_e = before.next().is_some_and(|c| c.eq_ignore_ascii_case(&'e'));
        is_e && !before.next().is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// A name in quotes stays.
    fn name(&mut self, quote: char) {
        self.text.push(quote);
        for c in self.rest.by_ref() {
            self.text.push(c);
            if c == quote {
                return;
            }
        }
    }

    /// `item2` is a name.
    fn is_in_word(&self) -> bool {
        self.text.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
    }

    /// `12.5e-3`, `0x1F`, `1_000`.
    fn number(&mut self) {
        let mut before = '0';
        while let Some(c) = self.rest.next_if(|c| {
            let is_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
            c.is_alphanumeric() || matches!(c, '_' | '.') || is_sign
        }) {
            before = c;
        }
        self.text.push(HIDDEN_NUMBER);
    }

    /// `$1` stays; `$body$ … $body$` goes.
    fn dollar(&mut self) {
        let mut tag = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            tag.push(c);
        }
        if self.rest.next_if_eq(&'$').is_none() {
            self.text.push('$');
            self.text.push_str(&tag);
            return;
        }
        self.text.push_str(HIDDEN);
        let end = format!("${tag}$");
        let mut body = String::new();
        for c in self.rest.by_ref() {
            body.push(c);
            if body.ends_with(&end) {
                return;
            }
        }
    }

    fn line_comment(&mut self) {
        self.text.push(' ');
        let _ = self.rest.by_ref().find(|c| *c == '\n');
    }

    /// On PostgreSQL they nest; elsewhere, what follows a nested one is hidden with it.
    fn comment(&mut self) {
        self.text.push(' ');
        let (mut depth, mut before) = (0_u32, '/');
        for c in self.rest.by_ref() {
            match (before, c) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    before = c;
                    continue;
                }
            }
            if depth == 0 {
                return;
            }
            // `*/*` is an end and no begin, and `/*/` no end.
            before = ' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_and_numbers_are_hidden() {
        for (sql, expected) in [
            ("UPDATE t\n   SET a = 1", "UPDATE t SET a = …"),
            ("ALTER ROLE ann PASSWORD 'hunter2'", "ALTER ROLE ann PASSWORD '…'"),
            ("CREATE USER u PASSWORD 'it''s hunter2' LOGIN", "CREATE USER u PASSWORD '…' LOGIN"),
            (r"select E'it\'s hunter2', b", "select E'…', b"),
            // Whether the quote ends there, the server alone knows.
            (r"select 'a\' || hunter2 || 'b', c", "select '…'"),
            (r"select 'C:\dir', c", "select '…', c"),
            ("do $$ begin hunter2 end $$ language plpgsql", "do '…' language plpgsql"),
            ("do $a$ hunter2 $$ $b$ hunter2 $a$; x", "do '…'; x"),
            ("update t set a = $1 where b = $2", "update t set a = $1 where b = $2"),
            ("update \"a 'b\" set c = 'hunter2'", "update \"a 'b\" set c = '…'"),
            ("select 1 -- hunter2\n+ 2 /* hunter2 /* x */ hunter2 */ + 3", "select … + … + …"),
            (
                "update item2 set n_1 = -4111.50, b = 1.5e-3*.5",
                "update item2 set n_1 = -…, b = …*.…",
            ),
            ("select 0x1F,1_000, \"a 1\" limit 10;", "select …,…, \"a 1\" limit …;"),
            // The server has cut it.
            ("alter role ann password 'hunt", "alter role ann password '…'"),
            ("do $x$ hunt", "do '…'"),
        ] {
            assert_eq!(shown(sql, Engine::Postgres), expected);
        }
    }

    #[test]
    fn on_mysql_both_quotes_hide_and_backslashes_escape() {
        for (sql, expected) in [
            (r"set password = 'a\'hunter2', b", "set password = '…', b"),
            (r#"alter user u identified by "a\"hunter2" x"#, "alter user u identified by '…' x"),
            ("select 1 # hunter2\n, `a 1`, $$", "select … , `a 1`, $$"),
            ("/*!50000 hunter2 */ select 1", "select …"),
        ] {
            assert_eq!(shown(sql, Engine::MySql), expected);
        }
    }

    #[test]
    fn it_is_cut() {
        let long = shown(&format!("select {}", "ä, ".repeat(100)), Engine::Postgres);
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
    }
}
