//! Where a statement may end: not at every semicolon.

use std::ops::Range;

use super::scanner::{Scanner, Token, TokenKind};
use crate::db::Engine;
use crate::migration::fault::{Fault, FileError, Opened};

/// What the statement's first words say of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// No word yet.
    Fresh,
    /// `CREATE`, `ALTER`: of what isn't known yet.
    Create,
    /// A function, procedure, trigger or event, whose body may have semicolons.
    Program,
    /// PostgreSQL's COPY.
    Copy,
    /// Anything else.
    Plain,
}

/// What is open in the statement so far.
#[derive(Debug, Clone)]
pub(super) struct Body {
    engine: Engine,
    head: Head,
    /// Open parentheses. Only PostgreSQL has semicolons in them (`CREATE RULE … DO (…; …)`).
    parens: u32,
    /// Open BEGINs and CASEs.
    depth: u32,
    /// What opened the outermost of them.
    opened: Range<usize>,
    last: Last,
}

/// What the last token was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Semicolon,
    /// `; END` closes SQLite's trigger; an END behind anything else is a CASE's.
    End {
        after_semicolon: bool,
    },
    /// `.` or `@`: what follows is a name, whatever it says.
    Qualifier,
    /// FROM or TO.
    Direction,
    Other,
}

impl Body {
    pub fn new(engine: Engine) -> Self {
        let last = Last::Other;
        Body { engine, head: Head::Fresh, parens: 0, depth: 0, opened: 0..0, last }
    }

    /// Takes in a token that isn't a comment; `ahead` stands behind it.
    pub fn take(
        &mut self,
        token: &Token,
        text: &str,
        ahead: &Scanner<'_>,
    ) -> Result<(), FileError> {
        self.parenthesis(token);
        // Most statements, and most of their tokens: there is nothing more to know.
        if self.head == Head::Plain || token.kind == TokenKind::Conditional {
            return Ok(());
        }
        let after_semicolon = self.last == Last::Semicolon;
        let word = if token.kind == TokenKind::Word { &text[token.span.clone()] } else { "" };
        if !word.is_empty() && self.last != Last::Qualifier {
            self.word(word, token, ahead)?;
        } else if self.head == Head::Fresh {
            // It begins with a parenthesis or a string.
            self.head = Head::Plain;
        }
        self.last = match token.kind {
            TokenKind::Punct(b';') => Last::Semicolon,
            TokenKind::Punct(b'.' | b'@') => Last::Qualifier,
            TokenKind::Word if is(word, &["END"]) => Last::End { after_semicolon },
            TokenKind::Word if is(word, &["FROM", "TO"]) => Last::Direction,
            _ => Last::Other,
        };
        Ok(())
    }

    /// Whether a semicolon here ends the statement.
    pub fn may_end(&self, delimited: bool) -> bool {
        match self.engine {
            Engine::Postgres => self.depth == 0 && self.parens == 0,
            // Under a DELIMITER a program ends at that only, however strange its body.
            Engine::MySql => self.depth == 0 && !(delimited && self.head == Head::Program),
            Engine::Sqlite => self.depth == 0 || self.last == Last::End { after_semicolon: true },
        }
    }

    /// What is open where the file ends.
    pub fn unclosed(&self, delimited: bool) -> Option<FileError> {
        if delimited || self.may_end(false) {
            return None;
        }
        let what = if self.depth > 0 { Opened::Body } else { Opened::Parenthesis };
        Some(Fault::Unclosed { what }.at(self.opened.clone()))
    }

    fn parenthesis(&mut self, token: &Token) {
        match token.kind {
            _ if self.engine != Engine::Postgres => {}
            TokenKind::Punct(b'(') => {
                if self.parens == 0 && self.depth == 0 {
                    self.opened = token.span.clone();
                }
                self.parens += 1;
            }
            TokenKind::Punct(b')') => self.parens = self.parens.saturating_sub(1),
            _ => {}
        }
    }

    fn word(&mut self, word: &str, token: &Token, ahead: &Scanner<'_>) -> Result<(), FileError> {
        match self.head {
            Head::Plain => {}
            Head::Fresh => self.first_word(word, token, ahead),
            Head::Create => self.head = self.create_what(word),
            Head::Copy => {
                let client = is(word, &["STDIN", "STDOUT"]);
                if client && self.last == Last::Direction && self.parens == 0 {
                    return Err(Fault::CopyStdin.at(token.span.clone()));
                }
            }
            Head::Program => match self.engine {
                Engine::Postgres => self.atomic(word, token, ahead),
                Engine::MySql => self.compound(word, token, ahead),
                Engine::Sqlite => {
                    if self.depth == 0 && is(word, &["BEGIN"]) {
                        self.open(token);
                    }
                }
            },
        }
        Ok(())
    }

    fn first_word(&mut self, word: &str, token: &Token, ahead: &Scanner<'_>) {
        let mysql = self.engine == Engine::MySql;
        self.head = if is(word, &["CREATE"]) || (mysql && is(word, &["ALTER"])) {
            Head::Create
        } else if self.engine == Engine::Postgres && is(word, &["COPY"]) {
            Head::Copy
        } else if mysql && is(word, &["BEGIN"]) && is(ahead.peek_word(), &["NOT"]) {
            self.open(token);
            Head::Program
        } else if mysql && is(word, &["IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"]) {
            // MariaDB takes these as statements; without BEGIN they need a DELIMITER around.
            Head::Program
        } else {
            Head::Plain
        };
    }

    /// What a CREATE creates, as far as `word` tells.
    fn create_what(&self, word: &str) -> Head {
        let (program, before): (&[&str], &[&str]) = match self.engine {
            Engine::Postgres => (&["FUNCTION", "PROCEDURE"], &["OR", "REPLACE"]),
            Engine::Sqlite => (&["TRIGGER"], &["TEMP", "TEMPORARY"]),
            Engine::MySql => {
                let program = ["FUNCTION", "PROCEDURE", "TRIGGER", "EVENT", "PACKAGE"];
                // A DEFINER may stand before, whose name may be any word: only these decide.
                let plain = [
                    "TABLE",
                    "VIEW",
                    "INDEX",
                    "DATABASE",
                    "SCHEMA",
                    "USER",
                    "ROLE",
                    "SERVER",
                    "SEQUENCE",
                    "TABLESPACE",
                    "LOGFILE",
                    "INSTANCE",
                ];
                return if is(word, &program) {
                    Head::Program
                } else if is(word, &plain) {
                    Head::Plain
                } else {
                    Head::Create
                };
            }
        };
        if is(word, program) {
            Head::Program
        } else if is(word, before) {
            Head::Create
        } else {
            Head::Plain
        }
    }

    /// PostgreSQL's `BEGIN ATOMIC … END`. Any other body is a string.
    fn atomic(&mut self, word: &str, token: &Token, ahead: &Scanner<'_>) {
        if self.depth == 0 {
            if is(word, &["BEGIN"]) && is(ahead.peek_word(), &["ATOMIC"]) {
                self.open(token);
            }
        } else if is(word, &["BEGIN", "CASE"]) {
            self.depth += 1;
        } else if is(word, &["END"]) {
            self.depth -= 1;
        }
    }

    /// MySQL's BEGIN … END. IF, LOOP, WHILE, REPEAT and FOR needn't be counted, since their END
    /// names them; IF and REPEAT couldn't, being functions too.
    fn compound(&mut self, word: &str, token: &Token, ahead: &Scanner<'_>) {
        let after_end = matches!(self.last, Last::End { .. });
        if is(word, &["BEGIN"]) || (is(word, &["CASE"]) && !after_end) {
            self.open(token);
        } else if is(word, &["END"]) {
            let (next, after) = ahead.peek_words();
            // `ORDER BY CASE … END FOR UPDATE` closes a CASE; `END FOR` closes a FOR.
            let names_a_loop = is(next, &["IF", "LOOP", "WHILE", "REPEAT"])
                || (is(next, &["FOR"]) && !is(after, &["UPDATE", "SHARE"]));
            if !names_a_loop {
                self.depth = self.depth.saturating_sub(1);
            }
        }
    }

    fn open(&mut self, token: &Token) {
        if self.depth == 0 {
            self.opened = token.span.clone();
        }
        self.depth += 1;
    }
}

fn is(word: &str, any: &[&str]) -> bool {
    any.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}
