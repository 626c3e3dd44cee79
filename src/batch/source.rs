//! A statement's text as tokens, with their places in bytes.
//!
//! The rewriting splices into the user's own text, never into a reprinted syntax tree: comments
//! stay, and what the parser doesn't keep can't get lost.

use std::ops::Range;

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::{Dialect as SqlDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::refusal::Refusal;
use crate::db::Engine;

/// A token that means something (no blank, no comment, no closing semicolon).
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub token: Token,
    pub span: Range<usize>,
    /// How many brackets stand open before it.
    pub depth: usize,
}

impl Spot {
    /// Whether it is this word, unquoted.
    pub fn is(&self, keyword: &str) -> bool {
        matches!(&self.token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(keyword))
    }

    /// Its keyword, when it is an unquoted word.
    pub fn keyword(&self) -> Keyword {
        match &self.token {
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        }
    }
}

/// A statement's text and its tokens.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub sql: &'a str,
    pub tokens: Vec<TokenWithSpan>,
    pub spots: Vec<Spot>,
    lines: Vec<usize>,
}

/// The parser's dialect for an engine.
pub(super) fn sql_dialect(engine: Engine) -> &'static dyn SqlDialect {
    match engine {
        Engine::Postgres => &PostgreSqlDialect {},
        Engine::MySql => &MySqlDialect {},
        Engine::Sqlite => &SQLiteDialect {},
    }
}

impl<'a> Source<'a> {
    /// Tokenizes `sql`.
    pub fn read(sql: &'a str, engine: Engine) -> Result<Self, Refusal> {
        let lines = std::iter::once(0)
            .chain(sql.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
            .collect();
        let mut source = Source { sql, tokens: Vec::new(), spots: Vec::new(), lines };
        source.refuse_hidden_code(engine)?;
        source.tokens =
            Tokenizer::new(sql_dialect(engine), sql).tokenize_with_location().map_err(|error| {
                unreadable(&error.message).at(source.point(error.location), error.message)
            })?;
        source.spots = source.significant()?;
        Ok(source)
    }

    /// `/*! … */` is code to MySQL, and `/*M! … */` to MariaDB, and depends on the server's
    /// version: nothing can be proved of it.
    fn refuse_hidden_code(&self, engine: Engine) -> Result<(), Refusal> {
        let found = ["/*!", "/*M!"].iter().find_map(|open| Some((self.sql.find(open)?, open)));
        match found {
            Some((at, open)) if engine == Engine::MySql => Err(Refusal::new(format!(
                "this statement can't be split into batches: what stands in `{open} … */` runs or \
                 not, depending on the server's version"
            ))
            .at(Some(at..at + open.len()), "")
            .way("write it without the versioned comment")),
            _ => Ok(()),
        }
    }

    fn significant(&self) -> Result<Vec<Spot>, Refusal> {
        let mut spots: Vec<Spot> = Vec::new();
        let mut depth = 0_usize;
        let mut end = 0;
        for token in &self.tokens {
            let span =
                self.bytes(token.span).filter(|span| span.start == end).ok_or_else(|| {
                    // Tokens that don't tile the text would let the splice land in the wrong place.
                    unreadable("a place got lost").at(Some(end..end), "")
                })?;
            end = span.end;
            if matches!(token.token, Token::RParen | Token::RBracket | Token::RBrace) {
                depth = depth.saturating_sub(1);
            }
            if !matches!(token.token, Token::Whitespace(_) | Token::EOF) {
                spots.push(Spot { token: token.token.clone(), span, depth });
            }
            if matches!(token.token, Token::LParen | Token::LBracket | Token::LBrace) {
                depth += 1;
            }
        }
        while spots.last().is_some_and(|spot| spot.token == Token::SemiColon) {
            spots.pop();
        }
        Ok(spots)
    }

    /// The end of the last token that means something.
    pub fn end(&self) -> usize {
        self.spots.last().map_or(0, |spot| spot.span.end)
    }

    /// The index of the first spot outside all brackets that is this keyword, unquoted, and no
    /// column's name after a dot.
    pub fn clause(&self, keyword: &str) -> Option<usize> {
        self.spots.iter().enumerate().position(|(index, spot)| {
            spot.depth == 0 && spot.is(keyword) && !self.follows(index, Token::Period)
        })
    }

    /// The index of the ON of `ON CONFLICT` or `ON DUPLICATE KEY`, in a statement that has it: the last
    /// one, as what is joined may have such a name.
    pub fn on_conflict(&self) -> Option<usize> {
        let mut triples = self.spots.windows(3);
        triples.rposition(|triple| {
            let [on, what, next] = triple else { return false };
            let conflict = what.is("conflict")
                && (next.token == Token::LParen || next.is("do") || next.is("on"));
            let duplicate = what.is("duplicate") && next.is("key");
            on.depth == 0 && on.is("on") && (conflict || duplicate)
        })
    }

    /// The place from one spot to another, both by index.
    pub fn span(&self, first: usize, last: usize) -> Option<Range<usize>> {
        Some(self.spots.get(first)?.span.start..self.spots.get(last)?.span.end)
    }

    /// The place of a call whose name is at `name`, with its brackets if it has any.
    pub fn call(&self, name: Range<usize>) -> Range<usize> {
        let behind = self.spots.iter().position(|spot| spot.span.start >= name.end);
        let open = behind.filter(|at| self.spots[*at].token == Token::LParen);
        let close = open.and_then(|open| {
            let depth = self.spots[open].depth;
            let mut rest = self.spots[open..].iter();
            rest.find(|spot| spot.token == Token::RParen && spot.depth == depth)
        });
        name.start..close.map_or(name.end, |close| close.span.end)
    }

    /// Whether the spot before `index` is this token.
    pub fn follows(&self, index: usize, token: Token) -> bool {
        index > 0 && self.spots[index - 1].token == token
    }

    /// The place of a span of the parser's, in bytes; `None` for an empty or a false one.
    pub fn bytes(&self, span: Span) -> Option<Range<usize>> {
        let range = self.byte(span.start)?..self.byte(span.end)?;
        (range.start <= range.end).then_some(range)
    }

    /// The token at a location, in bytes, or the character where no token begins there.
    pub fn point(&self, location: Location) -> Option<Range<usize>> {
        let start = self.byte(location)?;
        if let Some(spot) = self.spots.iter().find(|spot| spot.span.start == start) {
            return Some(spot.span.clone());
        }
        let width = self.sql[start..].chars().next().map_or(0, char::len_utf8);
        Some(start..start + width)
    }

    fn byte(&self, location: Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column).ok()?.checked_sub(1)?;
        let start = *self.lines.get(line)?;
        let rest = &self.sql[start..];
        let offset = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column)?;
        Some(start + offset)
    }
}

/// Parses the text as one statement.
pub(super) fn statement(source: &Source<'_>, engine: Engine) -> Result<Statement, Refusal> {
    let parsed = Parser::new(sql_dialect(engine))
        .with_tokens_with_locations(source.tokens.clone())
        .parse_statements();
    let mut statements = parsed.map_err(|error| {
        let (ParserError::ParserError(text) | ParserError::TokenizerError(text)) = error else {
            return unreadable("it is nested too deeply");
        };
        let (reason, location) = located(&text);
        // At the end of the text the parser names no place.
        let last = || source.spots.last().map(|spot| spot.span.clone());
        let place = location.and_then(|location| source.point(location));
        unreadable(reason).at(place.or_else(last), "")
    })?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        _ => Err(unreadable("more than one statement")),
    }
}

/// An expression that the catalog tells; `None` where the parser can't read it.
pub(super) fn expression(text: &str, engine: Engine) -> Option<Expr> {
    Parser::new(sql_dialect(engine)).try_with_sql(text).ok()?.parse_expr().ok()
}

/// The parser tells the place in its message only: `… at Line: 1, Column: 10`.
fn located(text: &str) -> (&str, Option<Location>) {
    let parse = || {
        let (reason, place) = text.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((reason, Location { line: line.parse().ok()?, column: column.trim().parse().ok()? }))
    };
    parse().map_or((text, None), |(reason, location)| (reason, Some(location)))
}

/// The refusal of a text that the parser can't read.
pub(super) fn unreadable(reason: &str) -> Refusal {
    Refusal::new(format!(
        "this statement can't be split into batches: lockkeeper can't read it ({})",
        reason.trim()
    ))
    .way("write it as a plain UPDATE, DELETE or INSERT … SELECT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bytes_also_behind_wide_characters_and_line_ends() {
        let sql = "UPDATE t\r\nSET ä = 'ö' -- ü\r\nWHERE é = 1 ; ";
        let source = Source::read(sql, Engine::Postgres).unwrap();
        let index = source.clause("where").unwrap();
        assert_eq!(&sql[source.spots[index].span.clone()], "WHERE");
        assert_eq!(&sql[..source.end()], "UPDATE t\r\nSET ä = 'ö' -- ü\r\nWHERE é = 1");
    }

    #[test]
    fn only_a_keyword_outside_of_all_brackets_is_a_clause() {
        for sql in [
            "UPDATE t SET a = 'where' -- where",
            "UPDATE t SET a = (SELECT b FROM r WHERE r.id = t.id) /* where */",
            "UPDATE t SET \"where\" = t.where",
            "UPDATE t SET a = $$ where $$",
            "UPDATE t SET a = b[(SELECT 1 WHERE true)]",
        ] {
            let source = Source::read(sql, Engine::Postgres).unwrap();
            assert_eq!(source.clause("where"), None, "{sql}");
        }
    }

    #[test]
    fn hidden_code_is_refused() {
        let refusal =
            Source::read("UPDATE t SET a = 1 /*!80000 , id = 5 */", Engine::MySql).unwrap_err();
        assert!(refusal.message.contains("depending on the server's version"));
        assert_eq!(refusal.span, Some(19..22));
    }
}
