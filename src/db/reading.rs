//! How a session reads a statement: facts only, judged elsewhere.

/// What of a session, and of what it finds by bare names, decides what a statement means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Of the names that were asked for, those that functions and operators of the user's own have, where
    /// a bare name may find them. An extension's don't count where they change nothing.
    pub own: Vec<String>,
    /// Whether `"x"` is a name, where it is a text by default (MySQL's ANSI_QUOTES).
    pub quotes_are_names: bool,
    /// Whether a backslash in a text means something else than by default (MySQL's
    /// NO_BACKSLASH_ESCAPES, PostgreSQL's `standard_conforming_strings = off`).
    pub other_backslashes: bool,
}
