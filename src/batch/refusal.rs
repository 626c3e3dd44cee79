//! Why a statement isn't batched, and what to do instead.

use std::ops::Range;

use super::shape::Verb;
use crate::place::{Explanation, Place};

/// The way out that is always there.
const WHOLE: &str =
    "say `-- lockkeeper: batch off` instead, and let it run whole, in one transaction";

/// Why a statement can't be batched: the cause in one sentence, the place, and the ways out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The cause, in one sentence.
    pub message: String,
    /// Where, in bytes of the statement's text; `None` when the cause isn't in the text but in the
    /// table.
    pub span: Option<Range<usize>>,
    /// What there is to say about this spot; may be empty.
    pub label: String,
    /// What one can do, as labelled lines: `next` when there is one way, `either` and `or` when
    /// there are more.
    pub ways_out: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal whose only way out, so far, is to run the statement whole.
    pub(super) fn new(message: impl Into<String>) -> Self {
        let refusal =
            Refusal { message: message.into(), span: None, label: String::new(), ways_out: vec![] };
        refusal.relabel(vec![WHOLE.to_owned()])
    }

    /// A refusal of a statement with this verb, for this cause.
    pub(super) fn of(verb: Verb, cause: impl std::fmt::Display) -> Self {
        Refusal::new(format!("this {verb} can't be split into batches: {cause}"))
    }

    /// At a place.
    #[must_use]
    pub(super) fn at(mut self, span: Option<Range<usize>>, label: impl Into<String>) -> Self {
        self.span = span;
        self.label = label.into();
        self
    }

    /// With one more way out, before the last one.
    #[must_use]
    pub(super) fn way(self, way: impl Into<String>) -> Self {
        let mut ways: Vec<String> = self.ways_out.iter().map(|(_, way)| way.clone()).collect();
        ways.insert(ways.len().saturating_sub(1), way.into());
        self.relabel(ways)
    }

    /// With the ways there are, before the last one.
    #[must_use]
    pub(super) fn ways(self, ways: impl IntoIterator<Item = String>) -> Self {
        ways.into_iter().fold(self, Refusal::way)
    }

    /// With this as the only way out: where running the statement whole would be no help.
    #[must_use]
    pub(super) fn only_way(self, way: impl Into<String>) -> Self {
        self.relabel(vec![way.into()])
    }

    fn relabel(mut self, ways: Vec<String>) -> Self {
        let single = ways.len() == 1;
        let label = |index| match index {
            _ if single => "next",
            0 => "either",
            _ => "or",
        };
        self.ways_out =
            ways.into_iter().enumerate().map(|(index, way)| (label(index), way)).collect();
        self
    }

    /// What a face needs to show it; `place` turns a span of the statement's text into a place in
    /// its file.
    pub fn explanation(&self, place: impl FnOnce(Range<usize>, &str) -> Place) -> Explanation {
        Explanation {
            place: self.span.clone().map(|span| Box::new(place(span, &self.label))),
            notes: self.ways_out.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_out_are_labelled_by_their_number() {
        let refusal = Refusal::new("no");
        assert_eq!(refusal.ways_out, [("next", WHOLE.to_owned())]);
        let labels: Vec<_> =
            refusal.way("a").way("b").ways_out.into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels, ["either", "or", "or"]);
    }
}
