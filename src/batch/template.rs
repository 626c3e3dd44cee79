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
    tells: Option<Tells>,
}

/// A stretch of the rewritten statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Adds SQL of our own.
    pub fn ours(&mut self, text: &str) {
        self.0.push(Piece { text: text.to_owned(), from: None, tells: None });
    }

    /// Adds a part of the user's text.
    pub fn theirs(&mut self, sql: &str, range: Range<usize>, clocks: &[Clock]) {
        let mut at = range.start;
        let mut clocks: Vec<_> = clocks
            .iter()
            .filter(|clock| range.start <= clock.span.start && clock.span.end <= range.end)
            .collect();
        clocks.sort_by_key(|clock| clock.span.start);
        for clock in clocks {
            self.piece(sql, at..clock.span.start, None);
            self.piece(sql, clock.span.clone(), Some(clock.tells));
            at = clock.span.end;
        }
        self.piece(sql, at..range.end, None);
    }

    fn piece(&mut self, sql: &str, range: Range<usize>, tells: Option<Tells>) {
        let from = Some(sql[..range.start].chars().count());
        self.0.push(Piece { text: sql[range].to_owned(), from, tells });
    }

    /// Whether it tells the time.
    pub fn has_clocks(&self) -> bool {
        self.0.iter().any(|piece| piece.tells.is_some())
    }

    /// The text, with the time as pinned; or as it was written.
    pub fn text(&self, pin: Option<&Pin>, engine: Engine) -> String {
        self.0.iter().map(|piece| piece.shown(pin, engine)).collect()
    }

    /// From a character of the text to one of the user's.
    pub fn origin(&self, mut at: usize, pin: Option<&Pin>, engine: Engine) -> Option<usize> {
        for piece in &self.0 {
            let length = piece.shown(pin, engine).chars().count();
            if at < length {
                let within = if piece.tells.is_some() { 0 } else { at };
                return Some(piece.from? + within);
            }
            at -= length;
        }
        None
    }
}

impl Piece {
    fn shown(&self, pin: Option<&Pin>, engine: Engine) -> String {
        match (self.tells, pin) {
            (Some(tells), Some(pin)) => tells.at(pin, engine),
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
        template.theirs(sql, 0..sql.len(), &[clock]);
        template.ours(" AND 1");
        let pin = Pin::read("2026-11-20 09:14:02.123456");
        let text = template.text(pin.as_ref(), Engine::Postgres);
        let found = |what: &str| {
            let at = text[..text.find(what).unwrap()].chars().count();
            template.origin(at, pin.as_ref(), Engine::Postgres)
        };
        assert_eq!((found("é"), found("09:14"), found("x")), (Some(0), Some(2), Some(8)));
        assert_eq!(found("AND"), None);
        assert_eq!(template.text(None, Engine::Postgres), "é now() x AND 1");
    }
}
