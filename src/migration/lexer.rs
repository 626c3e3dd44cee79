//! Splitting a file into statements, as each database's own client would.
//!
//! The lexer knows just enough of each dialect to never cut a statement in two and never to join
//! two: strings, quoted names, comments, dollar quotes, and the bodies of functions, triggers and
//! procedures. It runs once over the text, in linear time, and copies none of it.

mod body;
mod scanner;
mod split;
#[cfg(test)]
mod tests;

pub(super) use scanner::{Scanner, TokenKind};
pub(super) use split::{Item, Splitter};
