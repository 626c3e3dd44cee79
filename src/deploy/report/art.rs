//! The timeline as text: one axis where it fits, else a line a moment.

use console::measure_text_width;

use super::wrap::wrap;
use crate::deploy::timeline::{Span, Timeline, Verdict, of_10};

/// The room between two labels.
const GAP: usize = 2;

/// A labelled place on the axis.
#[derive(Debug)]
struct Mark {
    span: Span,
    symbol: char,
    /// Beside the symbol.
    tag: String,
    /// Under it.
    below: String,
    /// Whether the task has come to its end here.
    ends: bool,
}

/// The timeline in at most this many columns, but for words that are longer.
pub(super) fn art(timeline: &Timeline, width: usize) -> String {
    let marks = marks(timeline);
    match places(&marks, width) {
        Some(places) => axis(timeline, &marks, &places),
        None => list(&marks, width),
    }
}

fn marks(timeline: &Timeline) -> Vec<Mark> {
    let mark =
        |span, symbol, tag: String, below: String| Mark { span, symbol, tag, below, ends: false };
    let none = String::new;
    let mut marks = vec![mark(Span::at(0.0), '├', none(), "start".to_owned())];
    if timeline.grace > 0.0 {
        marks.push(mark(Span::at(timeline.grace), '┼', none(), "grace ends".to_owned()));
    }
    let is_lost = timeline.verdict == Verdict::Fails;
    let course = timeline.decisive();
    let unhealthy = course.and_then(|course| Some((course.unhealthy?, course.threshold)));
    let tag = match timeline.verdict {
        Verdict::Tight { share } => format!("{} stopped", of_10(share)),
        _ => "stopped".to_owned(),
    };
    match (unhealthy, timeline.stop) {
        (Some((unhealthy, failures)), Some(stop)) if unhealthy == stop => {
            let below = format!("{failures} failures in a row");
            let tag = format!("unhealthy: {tag}");
            marks.push(Mark { ends: is_lost, ..mark(stop, '┤', tag, below) });
        }
        (unhealthy, stop) => {
            if let Some((unhealthy, failures)) = unhealthy {
                let below = format!("{failures} failures in a row");
                marks.push(mark(unhealthy, '┼', "unhealthy".to_owned(), below));
            }
            if let Some(stop) = stop {
                marks.push(Mark { ends: is_lost, ..mark(stop, '┤', none(), tag) });
            }
        }
    }
    marks.push(answer(timeline, is_lost));
    if let Some(healthy) = timeline.healthy {
        marks.push(mark(healthy, '┤', none(), timeline.healthy_word().to_owned()));
    }
    marks.sort_by(|a, b| a.span.middle().total_cmp(&b.span.middle()));
    marks
}

fn answer(timeline: &Timeline, is_lost: bool) -> Mark {
    let span = Span::at(timeline.startup);
    let (symbol, tag, below) = match timeline.stop.filter(|_| is_lost) {
        Some(stop) if stop.middle() < timeline.startup => {
            let late = Span::new(timeline.startup - stop.latest, timeline.startup - stop.earliest);
            let late = match late.earliest > 0.0 {
                true => late.to_string(),
                false => format!("up to {:.0} s", late.latest),
            };
            ('┊', "would be ready".to_owned(), format!("{late} too late"))
        }
        _ => ('┼', String::new(), "first answer".to_owned()),
    };
    Mark { span, symbol, tag, below, ends: false }
}

impl Mark {
    fn above(&self) -> String {
        self.span.to_string()
    }

    fn width(&self) -> usize {
        let tag = if self.tag.is_empty() { 1 } else { measure_text_width(&self.tag) + 2 };
        tag.max(measure_text_width(&self.above())).max(measure_text_width(&self.below))
    }
}

/// The column of each mark: as its time is, but never over another label. `None` where they don't
/// all fit.
fn places(marks: &[Mark], width: usize) -> Option<Vec<usize>> {
    let last = marks.last()?;
    let room = width.checked_sub(last.width())?;
    let end = last.span.middle().max(1.0);
    let mut places = Vec::with_capacity(marks.len());
    let mut free = 0;
    for mark in marks {
        let wanted = (mark.span.middle() / end * room as f64).round() as usize;
        places.push(wanted.max(free));
        free = wanted.max(free) + mark.width() + GAP;
    }
    // What was pushed beyond the end pushes back.
    let mut limit = room;
    for (index, place) in places.iter_mut().enumerate().rev() {
        *place = (*place).min(limit);
        if let Some(before) = index.checked_sub(1) {
            limit = place.checked_sub(marks[before].width() + GAP)?;
        }
    }
    Some(places)
}

fn axis(timeline: &Timeline, marks: &[Mark], places: &[usize]) -> String {
    let (mut above, mut line, mut below) = (Vec::new(), Vec::new(), Vec::new());
    let end = marks.iter().position(|mark| mark.ends).unwrap_or(marks.len() - 1);
    put(&mut line, 0, &"─".repeat(places[end] + 1));
    for (mark, place) in marks.iter().zip(places) {
        put(&mut above, *place, &mark.above());
        put(&mut below, *place, &mark.below);
        put(&mut line, *place, &mark.symbol.to_string());
        if !mark.tag.is_empty() {
            put(&mut line, place + 1, &format!(" {}", mark.tag));
            let after = place + 2 + measure_text_width(&mark.tag);
            if line.get(after) == Some(&'─') {
                line[after] = ' ';
            }
        }
    }
    for failure in timeline.decisive().iter().flat_map(|course| &course.failing) {
        let place = column(failure.middle(), marks, places);
        // Only where the axis is free on both sides.
        let free = place.checked_sub(1).and_then(|from| line.get_mut(from..from + 3));
        if let Some(free) = free.filter(|free| free.iter().all(|c| *c == '─')) {
            free.copy_from_slice(&[' ', '✘', ' ']);
        }
    }
    let row = |row: Vec<char>| row.into_iter().collect::<String>().trim_end().to_owned() + "\n";
    [above, line, below].map(row).concat()
}

fn put(row: &mut Vec<char>, place: usize, text: &str) {
    let letters: Vec<char> = text.chars().collect();
    if row.len() < place + letters.len() {
        row.resize(place + letters.len(), ' ');
    }
    row[place..place + letters.len()].copy_from_slice(&letters);
}

/// The column of a moment: between the marks before and after it, as its time is between theirs.
fn column(moment: f64, marks: &[Mark], places: &[usize]) -> usize {
    let next = marks.iter().position(|mark| mark.span.middle() > moment);
    let Some(next) = next.filter(|next| *next > 0) else { return 0 };
    let (from, to) = (marks[next - 1].span.middle(), marks[next].span.middle());
    let share = (moment - from) / (to - from);
    let (left, right) = (places[next - 1] as f64, places[next] as f64);
    (left + share * (right - left)).round() as usize
}

fn list(marks: &[Mark], width: usize) -> String {
    let widest = marks.iter().map(|mark| measure_text_width(&mark.above())).max().unwrap_or(0);
    let line = |mark: &Mark| {
        let above = mark.above();
        let pad = " ".repeat(widest - measure_text_width(&above));
        let words = match mark.tag.is_empty() {
            true => mark.below.clone(),
            false => format!("{}, {}", mark.tag, mark.below),
        };
        let first = format!("{pad}{above} {} ", mark.symbol);
        let rest = " ".repeat(measure_text_width(&first));
        wrap(&words, width, &first, &rest)
    };
    marks.iter().map(line).collect()
}
