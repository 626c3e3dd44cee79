//! The timeline as a picture: a row a moment, so that no label can lie on another.

use std::fmt::Write;

use super::headline;
use super::html::escaped;
use super::moment::{Kind, Moment, all, end};
use crate::deploy::doctor::Diagnosis;

/// Units of the picture.
const WIDTH: f64 = 800.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 690.0;
const ROW: f64 = 26.0;
const TOP: f64 = 12.0;

/// Colours for light and for dark; nothing is fetched.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}\
.grid{stroke:#ddd}.axis{fill:#666}.neutral{fill:#667}.failure{fill:#c60}.end{fill:#c22}\
.good{fill:#283}.ground{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.axis{fill:#999}\
.neutral{fill:#99a}.failure{fill:#e93}.end{fill:#f66}.good{fill:#5c7}.ground{fill:#161616}}";

/// As SVG, for itself or within a page; `None` where there is no timeline to be drawn.
pub fn svg(diagnosis: &Diagnosis) -> Option<String> {
    let moments = all(diagnosis.timeline.as_ref()?);
    let (_, verdict) = headline(diagnosis);
    let title = escaped(&format!("{}: {verdict}", diagnosis.subject.name()));
    let last = end(&moments);
    let bottom = TOP + ROW * moments.len() as f64;
    let height = bottom + 28.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{title}</title>\n\
         <desc>The life of a new task, in seconds after its start</desc>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    let mut tick = 0.0;
    while tick <= last {
        let x = place(tick, last);
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"axis\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick} s</text>",
            bottom + 18.0
        );
        tick += step(last);
    }
    for (number, moment) in moments.iter().enumerate() {
        row(&mut text, moment, TOP + ROW * number as f64, last);
    }
    text.push_str("</svg>\n");
    Some(text)
}

fn row(text: &mut String, moment: &Moment, y: f64, last: f64) {
    let (from, to) = (place(moment.span.earliest, last), place(moment.span.latest, last));
    let class = match moment.kind {
        Kind::Neutral => "neutral",
        Kind::Failure => "failure",
        Kind::End => "end",
        Kind::Good => "good",
    };
    // A moment that is known to the second is still to be seen.
    let (x, width) = (from - 2.0, to - from + 4.0);
    let middle = y + ROW / 2.0 + 4.5;
    let _ = writeln!(
        text,
        "<text x=\"8\" y=\"{middle}\">{}</text>\
         <rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"12\" rx=\"2\"/>\
         <text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
        escaped(&moment.label),
        y + 7.0,
        WIDTH - 8.0,
        moment.span
    );
}

fn place(moment: f64, last: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * moment / last
}

/// The least of 1, 2, 5, 10, … seconds with at most eight labels.
fn step(last: f64) -> f64 {
    let mut power = 1.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if last / (factor * power) <= 8.0 {
                return factor * power;
            }
        }
        power *= 10.0;
    }
}
