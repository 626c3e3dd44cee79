//! What one should know of a statement that is batched all the same.

use std::ops::Range;

use crate::place::{Explanation, Place};

/// Something to know about a batched statement: the cause in one sentence, the place, the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The cause, in one sentence.
    pub message: String,
    /// Where, in bytes of the statement's text; `None` when the cause isn't in the text but in the
    /// table.
    pub span: Option<Range<usize>>,
    /// What one can do, if it isn't as it should be.
    pub way_out: String,
}

impl Warning {
    pub(super) fn new(
        message: impl Into<String>,
        span: Option<Range<usize>>,
        way_out: impl Into<String>,
    ) -> Self {
        Warning { message: message.into(), span, way_out: way_out.into() }
    }

    /// What a face needs to show it; `place` turns a span of the statement's text into a place in
    /// its file.
    pub fn explanation(&self, place: impl FnOnce(Range<usize>) -> Place) -> Explanation {
        Explanation {
            place: self.span.clone().map(|span| Box::new(place(span))),
            notes: vec![("next", self.way_out.clone())],
        }
    }
}
