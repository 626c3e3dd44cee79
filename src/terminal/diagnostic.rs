//! An error with its place in a migration file and what to do about it.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use console::Style;

use super::format;
use crate::place::{Explanation, Place};

/// At most so many lines of a file are shown.
const LINES: usize = 6;
/// At most so many bytes of a line around the spot: a file may be 50 MB on one line.
const BEFORE: usize = 80;
const AFTER: usize = 120;

/// The error as lines, each ended: the message, the excerpt with a caret, the notes.
pub fn render(message: &str, explanation: &Explanation, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let message = format::lines(message);
    let group = Group::with_title(Level::ERROR.primary_title(message));
    let excerpt = explanation.place.as_deref().map(Excerpt::of);
    let group = match (&explanation.place, excerpt) {
        (Some(place), Some(excerpt)) => excerpt.show(group, place),
        _ => group,
    };
    let mut text = renderer.decor_style(DecorStyle::Unicode).render(&[group]);
    text.push('\n');
    text.push_str(&notes(&explanation.notes, color));
    text
}

/// The labelled lines, their texts below each other.
fn notes(notes: &[(&str, String)], color: bool) -> String {
    let bold = Style::new().bold().force_styling(color);
    let width = notes.iter().map(|(label, _)| label.chars().count() + 1).max().unwrap_or(0);
    let mut text = String::new();
    for (label, note) in notes {
        let label = format!("{label}:");
        let padding = " ".repeat(width - label.chars().count());
        let next_line = format!("\n{}", " ".repeat(4 + width + 1));
        let note = format::lines(note).replace('\n', &next_line);
        text.push_str(&format!("    {}{padding} {note}\n", bold.apply_to(label)));
    }
    text
}

/// The few lines around a place.
struct Excerpt {
    line: usize,
    /// The true column, where the begin of the line was cut off and the excerpt's is another.
    column: Option<usize>,
    text: String,
    span: Range<usize>,
}

impl Excerpt {
    fn of(place: &Place) -> Self {
        let text = &*place.text;
        let start = text.floor_char_boundary(place.span.start.min(text.len()));
        let end = text.floor_char_boundary(place.span.end.clamp(start, text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let from = text.ceil_char_boundary(line_start.max(start.saturating_sub(BEFORE)));
        let shown = shown(&text[from..], end - from);
        let span = (start - from).min(shown.len())..(end - from).min(shown.len());
        let line = text[..start].matches('\n').count() + 1;
        if from == line_start {
            return Excerpt { line, column: None, text: shown, span };
        }
        Excerpt {
            line,
            column: Some(text[line_start..start].chars().count() + 1),
            text: format!("…{shown}"),
            span: shifted(span, '…'.len_utf8()),
        }
    }

    fn show<'a>(&self, group: Group<'a>, place: &Place) -> Group<'a> {
        let path = format::one_line(&place.path.to_string_lossy()).into_owned();
        let annotation = AnnotationKind::Primary.span(self.span.clone());
        let annotation = match place.label.is_empty() {
            true => annotation,
            false => annotation.label(format::one_line(&place.label).into_owned()),
        };
        let snippet = Snippet::source(self.text.clone()).line_start(self.line);
        let snippet = snippet.annotation(annotation);
        match self.column {
            None => group.element(snippet.path(path)),
            Some(column) => {
                let origin = Origin::path(path).line(self.line).char_column(column);
                group.element(origin).element(snippet)
            }
        }
    }
}

fn shifted(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// The lines that a span of `length` bytes at the text's start touches, in moderation.
fn shown(text: &str, length: usize) -> String {
    let mut shown = String::new();
    let mut rest = text;
    for number in 0..LINES {
        let line = rest.split('\n').next().unwrap_or_default();
        let limit = if number == 0 { BEFORE + AFTER } else { AFTER };
        let kept = &line[..line.floor_char_boundary(limit)];
        shown.push_str(kept.trim_end_matches('\r'));
        let passed = text.len() - rest.len() + line.len();
        if kept.len() < line.len() {
            // Offsets past a cut would no longer fit, so it is the last line.
            shown.push('…');
            break;
        }
        if passed >= length || kept.ends_with('\r') || passed == text.len() {
            break;
        }
        shown.push('\n');
        rest = &rest[line.len() + 1..];
    }
    shown
}

#[cfg(test)]
mod tests;
