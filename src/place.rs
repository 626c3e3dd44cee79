//! A place in a migration file, for errors that point at it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// The file's text.
    pub text: Arc<str>,
    /// Where in the text, in bytes.
    pub span: Range<usize>,
    /// What there is to say about this spot; may be empty.
    pub label: String,
}

impl Place {
    /// Line and column of the start, both from 1, the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.text[..self.span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// What an error says beyond its message; a face renders it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Where in a migration file.
    pub place: Option<Box<Place>>,
    /// Labelled lines below: `kept`, `rolled back`, `next`, `either`, `or`, …
    pub notes: Vec<(&'static str, String)>,
}

impl Explanation {
    /// An explanation at a place.
    pub fn at(place: Place) -> Self {
        Explanation { place: Some(Box::new(place)), notes: Vec::new() }
    }

    /// With one more labelled line.
    #[must_use]
    pub fn note(mut self, label: &'static str, text: impl Into<String>) -> Self {
        self.notes.push((label, text.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let place = Place {
            path: "V1__a.sql".into(),
            text: "é\näö x".into(),
            span: 8..9,
            label: String::new(),
        };
        assert_eq!(place.line_column(), (2, 4));
    }
}
