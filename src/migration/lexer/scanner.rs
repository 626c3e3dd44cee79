//! Text to tokens.

use std::ops::Range;

use crate::db::Engine;
use crate::migration::fault::{Fault, FileError, Opened};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::migration) enum TokenKind {
    /// An unquoted name, a keyword or a number.
    Word,
    /// A string or a quoted name.
    Quoted,
    /// `-- …`, and MySQL's `# …`.
    LineComment,
    /// `/* … */`.
    BlockComment,
    /// The beginning or the end of MySQL's `/*!50003 … */`: what is between is code.
    Conditional,
    /// The delimiter that a DELIMITER line set.
    Delimiter,
    /// Any other character.
    Punct(u8),
}

/// A token and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::migration) struct Token {
    pub kind: TokenKind,
    pub span: Range<usize>,
}

/// Reads tokens, one after the other. Cheap to clone, which is how one looks ahead.
#[derive(Debug, Clone)]
pub(in crate::migration) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    engine: Engine,
    /// Empty for the semicolon, which is a `Punct`.
    delimiter: &'a str,
    /// Where the open `/*!` stands.
    conditional: Option<usize>,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str, engine: Engine) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Scanner { text, at, engine, delimiter: "", conditional: None }
    }

    /// Whether a DELIMITER other than the semicolon is set.
    pub fn delimited(&self) -> bool {
        !self.delimiter.is_empty()
    }

    /// The next word, past comments, or `""` when something else comes.
    pub fn peek_word(&self) -> &'a str {
        self.clone().take_word()
    }

    /// The two words ahead.
    pub fn peek_words(&self) -> (&'a str, &'a str) {
        let mut ahead = self.clone();
        (ahead.take_word(), ahead.take_word())
    }

    fn take_word(&mut self) -> &'a str {
        // What is wrong further on is told when the reading gets there.
        while let Ok(Some(token)) = self.next() {
            match token.kind {
                TokenKind::Word => return &self.text[token.span],
                TokenKind::LineComment | TokenKind::BlockComment | TokenKind::Conditional => {}
                _ => break,
            }
        }
        ""
    }

    /// Reads the rest of a line that begins with `DELIMITER`, as the mysql client does.
    pub fn set_delimiter(&mut self) -> Result<(), FileError> {
        let start = self.at;
        self.at = self.line_end(start);
        let line = self.text[start..self.at].trim();
        let delimiter = line.split_whitespace().next().unwrap_or("");
        if delimiter.is_empty() || delimiter.contains('\\') {
            return Err(Fault::BadDelimiter.at(start..self.at));
        }
        self.delimiter = if delimiter == ";" { "" } else { delimiter };
        Ok(())
    }

    /// The next token, or `None` at the end.
    // Called for each few bytes of a file: handing the result over cost as much as the reading.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<Token>, FileError> {
        while self.byte(0).is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0x0b) {
            self.at += 1;
        }
        let start = self.at;
        let Some(byte) = self.byte(0) else {
            return match self.conditional {
                Some(open) => Err(unclosed(Opened::Comment, open, 3)),
                None => Ok(None),
            };
        };
        let kind = if self.at_delimiter() {
            self.at += self.delimiter.len();
            TokenKind::Delimiter
        } else {
            self.token(byte)?
        };
        Ok(Some(Token { kind, span: start..self.at }))
    }

    fn token(&mut self, byte: u8) -> Result<TokenKind, FileError> {
        let mysql = self.engine == Engine::MySql;
        match byte {
            b'-' if self.dashes() => Ok(self.line_comment()),
            b'#' if mysql => Ok(self.line_comment()),
            b'/' if self.byte(1) == Some(b'*') => self.block_comment(),
            b'*' if self.conditional.is_some() && self.byte(1) == Some(b'/') => {
                self.conditional = None;
                self.at += 2;
                Ok(TokenKind::Conditional)
            }
            b'\'' => self.quoted(b'\'', Opened::String, mysql),
            b'"' if mysql => self.quoted(b'"', Opened::String, true),
            b'"' => self.quoted(b'"', Opened::Identifier, false),
            b'`' if self.engine != Engine::Postgres => self.quoted(b'`', Opened::Identifier, false),
            b'[' if self.engine == Engine::Sqlite => self.quoted(b']', Opened::Identifier, false),
            b'$' if self.engine == Engine::Postgres => self.dollar(),
            _ if is_word(byte) => self.word(),
            _ => {
                self.at += 1;
                Ok(TokenKind::Punct(byte))
            }
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn at_delimiter(&self) -> bool {
        self.delimited() && self.text.as_bytes()[self.at..].starts_with(self.delimiter.as_bytes())
    }

    /// Whether a `--` here begins a comment. In MySQL only before white space; but `--lockkeeper`
    /// is read as one too, so that the directive's reader can say what is wrong with it.
    fn dashes(&self) -> bool {
        self.byte(1) == Some(b'-')
            && (self.engine != Engine::MySql
                || self.byte(2).is_none_or(|byte| byte <= b' ')
                || self.text.as_bytes()[self.at + 2..]
                    .get(..10)
                    .is_some_and(|name| name.eq_ignore_ascii_case(b"lockkeeper")))
    }

    fn line_end(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        let length = match self.engine {
            Engine::Postgres => rest.find(['\n', '\r']),
            _ => rest.find('\n'),
        };
        start + length.unwrap_or(rest.len())
    }

    fn line_comment(&mut self) -> TokenKind {
        self.at = self.line_end(self.at);
        TokenKind::LineComment
    }

    fn block_comment(&mut self) -> Result<TokenKind, FileError> {
        let start = self.at;
        if self.engine == Engine::MySql && self.conditional_opens() {
            self.conditional.get_or_insert(start);
            return Ok(TokenKind::Conditional);
        }
        let mut depth = 0_u32;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) if depth == 0 || self.engine == Engine::Postgres => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(TokenKind::BlockComment);
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unclosed(Opened::Comment, start, 2)),
            }
        }
    }

    /// Steps over `/*!`, `/*!50003` or MariaDB's `/*M!100203`. Not over `/*M!999999\-`, by which
    /// mariadb-dump speaks to its client only.
    fn conditional_opens(&mut self) -> bool {
        let head = match (self.byte(2), self.byte(3)) {
            (Some(b'!'), _) => 3,
            (Some(b'M'), Some(b'!')) => 4,
            _ => return false,
        };
        let rest = &self.text.as_bytes()[self.at + head..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if rest.get(digits) == Some(&b'\\') {
            return false;
        }
        self.at += head + digits;
        true
    }

    /// A doubled closing quote stands for itself, but in SQLite's brackets.
    fn quoted(&mut self, close: u8, what: Opened, backslash: bool) -> Result<TokenKind, FileError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.byte(0) {
                Some(b'\\') if backslash => self.at += 2,
                Some(byte) if byte == close => {
                    self.at += 1;
                    if close == b']' || self.byte(0) != Some(close) {
                        return Ok(TokenKind::Quoted);
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
                None => return Err(unclosed(what, start, 1)),
            }
        }
    }

    fn word(&mut self) -> Result<TokenKind, FileError> {
        let start = self.at;
        if self.delimited() {
            while self.byte(0).is_some_and(is_word) && !self.at_delimiter() {
                self.at += 1;
            }
        } else {
            let rest = &self.text.as_bytes()[start..];
            self.at += rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        }
        let escapes = self.engine == Engine::Postgres
            && matches!(&self.text[start..self.at], "e" | "E")
            && self.byte(0) == Some(b'\'');
        if escapes { self.escape_string() } else { Ok(TokenKind::Word) }
    }

    /// PostgreSQL's `E'…'`, which goes on with its escapes when only white space with a line break
    /// stands before another quote.
    fn escape_string(&mut self) -> Result<TokenKind, FileError> {
        loop {
            self.quoted(b'\'', Opened::String, true)?;
            let rest = &self.text[self.at..];
            let next = rest.trim_ascii_start();
            let space = &rest[..rest.len() - next.len()];
            if !next.starts_with('\'') || !space.contains(['\n', '\r']) {
                return Ok(TokenKind::Quoted);
            }
            self.at += space.len();
        }
    }

    /// PostgreSQL's `$tag$ … $tag$`, or a parameter's `$`.
    fn dollar(&mut self) -> Result<TokenKind, FileError> {
        let start = self.at;
        let bytes = &self.text.as_bytes()[start + 1..];
        let length = bytes.iter().take_while(|byte| is_word(**byte) && **byte != b'$').count();
        let is_tag =
            bytes.get(length) == Some(&b'$') && !bytes.first().is_some_and(u8::is_ascii_digit);
        if !is_tag {
            self.at += 1;
            return Ok(TokenKind::Punct(b'$'));
        }
        let body = start + length + 2;
        let tag = &self.text[start..body];
        match self.text[body..].find(tag) {
            Some(found) => {
                self.at = body + found + tag.len();
                Ok(TokenKind::Quoted)
            }
            None => Err(unclosed(Opened::DollarQuote, start, tag.len())),
        }
    }
}

fn unclosed(what: Opened, start: usize, length: usize) -> FileError {
    Fault::Unclosed { what }.at(start..start + length)
}

fn is_word(byte: u8) -> bool {
    WORD[usize::from(byte)]
}

/// A table, since most of a file's bytes are asked.
const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let ascii = byte as u8;
        table[byte] = byte >= 0x80 || ascii.is_ascii_alphanumeric() || matches!(ascii, b'_' | b'$');
        byte += 1;
    }
    table
};
