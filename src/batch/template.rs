//! The user's text, cut where the time is told and where the range goes.

use std::ops::Range;

use super::pin::{Clock, Pin, Tells};
use crate::db::Engine;

/// A part of the rewritten statement.
#[derive(Debug, Clone)]
struct Piece {
    text: String,
    /// Where it stands in the user's text, in characters; ours stands nowhere.
    from: Option<usize>,
    mark: Option<Mark>,
}

/// What stands in place of a part of the user's text.
#[derive(Debug, Clone, Copy)]
enum Mark {
    /// A time, once it is pinned.
    Clock(Tells),
    /// A partition, where the text has the name of the whole.
    Target,
}

/// What is to be put in place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filling<'f> {
    pub pin: Option<&'f Pin>,
    pub target: Option<&'f str>,
}

/// A stretch of the rewritten statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Adds SQL of our own.
    pub fn ours(&mut self, text: &str) {
        self.0.push(Piece { text: text.to_owned(), from: None, mark: None });
    }

    /// Adds a part of the user's text, with these clocks, and its table's name at `target`.
    pub fn theirs(
        &mut self,
        sql: &str,
        range: Range<usize>,
        clocks: &[Clock],
        target: Option<&Range<usize>>,
    ) {
        let mut at = range.start;
        let clocks = clocks.iter().map(|clock| (clock.span.clone(), Mark::Clock(clock.tells)));
        let target = target.map(|span| (span.clone(), Mark::Target));
        let mut marks: Vec<_> = clocks
            .chain(target)
            .filter(|(span, _)| range.start <= span.start && span.end <= range.end)
            .collect();
        marks.sort_by_key(|(span, _)| span.start);
        for (span, mark) in marks {
            self.piece(sql, at..span.start, None);
            self.piece(sql, span.clone(), Some(mark));
            at = span.end;
        }
        self.piece(sql, at..range.end, None);
    }

    fn piece(&mut self, sql: &str, range: Range<usize>, mark: Option<Mark>) {
        let from = Some(sql[..range.start].chars().count());
        self.0.push(Piece { text: sql[range].to_owned(), from, mark });
    }

    /// Whether it tells the time.
    pub fn has_clocks(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece.mark, Some(Mark::Clock(_))))
    }

    /// The text, filled in; without a filling, as it was written.
    pub fn text(&self, filling: Filling<'_>, engine: Engine) -> String {
        self.0.iter().map(|piece| piece.shown(filling, engine)).collect()
    }

    /// From a character of the text to one of the user's.
    pub fn origin(&self, mut at: usize, filling: Filling<'_>, engine: Engine) -> Option<usize> {
        for piece in &self.0 {
            let length = piece.shown(filling, engine).chars().count();
            if at < length {
                let within = if piece.mark.is_some() { 0 } else { at };
                return Some(piece.from? + within);
            }
            at -= length;
        }
        None
    }
}

impl Piece {
    fn shown(&self, filling: Filling<'_>, engine: Engine) -> String {
        match (self.mark, filling.pin, filling.target) {
            (Some(Mark::Clock(tells)), Some(pin), _) => tells.at(pin, engine),
            (Some(Mark::Target), _, Some(target)) => target.to_owned(),
            _ => self.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_behind_a_pinned_clock_is_found_again() {
        let sql = "é now() x";
        let mut template = Template::default();
        let clock = Clock { span: 3..8, tells: Tells::Stamp(None) };
        template.theirs(sql, 0..sql.len(), &[clock], Some(&(9..10)));
        template.ours(" AND 1");
        let pin = Pin::read("2026-11-20 09:14:02.123456");
        let filling = Filling { pin: pin.as_ref(), target: Some("part") };
        let text = template.text(filling, Engine::Postgres);
        let found = |what: &str| {
            let at = text[..text.find(what).unwrap()].chars().count();
            template.origin(at, filling, Engine::Postgres)
        };
        assert_eq!((found("é"), found("09:14"), found("part")), (Some(0), Some(2), Some(8)));
        assert_eq!(found("AND"), None);
        assert_eq!(template.text(Filling::default(), Engine::Postgres), "é now() x AND 1");
    }
}
