//! Lines of a given width.

use console::measure_text_width;

/// The text broken at its spaces: the first line behind `first`, the others behind `rest`. A word
/// that is wider than a line stays whole.
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in words(text) {
        let space = usize::from(!is_empty);
        if !is_empty && measure_text_width(&line) + space + measure_text_width(word) > width {
            lines.push_str(line.trim_end());
            lines.push('\n');
            line = rest.to_owned();
        } else if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push_str(line.trim_end());
    lines.push('\n');
    lines
}

/// The words, a number and its unit as one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let word = rest.split_whitespace().next()?;
        let (mut end, after) = (word.len(), rest[word.len()..].trim_start());
        let unit = after.split_whitespace().next().unwrap_or_default();
        let is_unit = matches!(unit.trim_end_matches([',', ';', ':', '.', ')']), "s" | "%");
        if is_unit && word.ends_with(|c: char| c.is_ascii_digit()) {
            end = rest.len() - after.len() + unit.len();
        }
        let (word, others) = rest.split_at(end);
        rest = others.trim_start();
        Some(word)
    })
}

/// A text from elsewhere, which can't steer a terminal.
pub(super) fn harmless(text: &str) -> String {
    let visible = |c: char| -> String {
        if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(visible).collect()
}
