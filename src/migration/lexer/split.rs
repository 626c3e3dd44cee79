//! Tokens to statements.

use std::ops::Range;

use super::body::Body;
use super::scanner::{Scanner, Token, TokenKind};
use crate::db::Engine;
use crate::migration::fault::{Fault, FileError};

/// What a file consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::migration) enum Item {
    /// A statement, from its first token to its last, without the delimiter.
    Statement {
        span: Range<usize>,
        /// Whether nothing but a semicolon, white space and comments stands between it and the
        /// statement before, so that the server can take both in one text.
        joins: bool,
    },
    /// A comment, which may be a directive or meant as one.
    Comment { span: Range<usize>, inside_statement: bool },
}

/// The items of a file, in order. A comment inside a statement comes before it.
pub(in crate::migration) struct Splitter<'a> {
    text: &'a str,
    engine: Engine,
    scanner: Scanner<'a>,
    open: Option<(Range<usize>, Body)>,
    joins: bool,
}

impl<'a> Splitter<'a> {
    pub fn new(text: &'a str, engine: Engine) -> Self {
        let scanner = Scanner::new(text, engine);
        Splitter { text, engine, scanner, open: None, joins: false }
    }

    /// The next item, or `None` at the end.
    pub fn next(&mut self) -> Result<Option<Item>, FileError> {
        while let Some(token) = self.scanner.next()? {
            let ended = match token.kind {
                TokenKind::LineComment | TokenKind::BlockComment => {
                    let inside_statement = self.open.is_some();
                    return Ok(Some(Item::Comment { span: token.span, inside_statement }));
                }
                TokenKind::Delimiter => {
                    let ended = self.end();
                    self.joins = false;
                    ended
                }
                TokenKind::Punct(b';') if self.may_end() => self.end(),
                _ => {
                    self.take(token)?;
                    None
                }
            };
            if ended.is_some() {
                return Ok(ended);
            }
        }
        let delimited = self.scanner.delimited();
        match self.open.as_ref().and_then(|(_, body)| body.unclosed(delimited)) {
            Some(error) => Err(error),
            None => Ok(self.end()),
        }
    }

    fn may_end(&self) -> bool {
        self.open.as_ref().is_none_or(|(_, body)| body.may_end(self.scanner.delimited()))
    }

    fn end(&mut self) -> Option<Item> {
        let (span, _) = self.open.take()?;
        let joins = std::mem::replace(&mut self.joins, true);
        Some(Item::Statement { span, joins })
    }

    fn take(&mut self, token: Token) -> Result<(), FileError> {
        self.refuse_client_command(&token)?;
        if self.open.is_none() && self.is_delimiter_line(&token) {
            self.joins = false;
            return self.scanner.set_delimiter();
        }
        let engine = self.engine;
        let (span, body) = self.open.get_or_insert_with(|| (token.span.clone(), Body::new(engine)));
        span.end = token.span.end;
        body.take(&token, self.text, &self.scanner)
    }

    fn is_delimiter_line(&self, token: &Token) -> bool {
        self.engine == Engine::MySql
            && token.kind == TokenKind::Word
            && self.text[token.span.clone()].eq_ignore_ascii_case("delimiter")
    }

    /// A backslash has no meaning in PostgreSQL's SQL; in MySQL's, `\N` is NULL, so that only the
    /// beginning of a statement tells, as it does with sqlite3's dot.
    fn refuse_client_command(&self, token: &Token) -> Result<(), FileError> {
        let first = self.open.is_none();
        let client = match (self.engine, token.kind) {
            (Engine::Postgres, TokenKind::Punct(b'\\')) => "psql",
            (Engine::MySql, TokenKind::Punct(b'\\')) if first => "the mysql client",
            (Engine::MySql, TokenKind::Word)
                if first && self.text[token.span.clone()].eq_ignore_ascii_case("source") =>
            {
                "the mysql client"
            }
            (Engine::Sqlite, TokenKind::Punct(b'.')) if first => "sqlite3",
            _ => return Ok(()),
        };
        let rest = &self.text[token.span.start..];
        let command = rest.split([' ', '\t', '\r', '\n', ';']).next().unwrap_or(rest);
        let span = token.span.start..token.span.start + command.len();
        Err(Fault::ClientCommand { command: command.to_owned(), client }.at(span))
    }
}
