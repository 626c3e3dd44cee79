//! The changing rows of a terminal, redrawn in place by indicatif.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::rows::Row;

/// The finest part of a bar that is drawn.
const PARTS: u64 = 1_000;

/// The rows on the terminal.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    bars: Vec<(ProgressBar, Option<Row>)>,
    color: bool,
}

impl Bars {
    pub(super) fn new(target: ProgressDrawTarget, color: bool) -> Self {
        Bars { all: MultiProgress::with_draw_target(target), bars: Vec::new(), color }
    }

    /// Puts `lines` above, for good, and draws the rows anew where they differ.
    pub(super) fn draw(&mut self, lines: &[String], rows: &[Row]) {
        while self.bars.len() > rows.len() {
            if let Some((bar, _)) = self.bars.pop() {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
        for line in lines {
            // A terminal that is gone gets nothing, and the run doesn't mind.
            let _ = self.all.println(line);
        }
        for (index, row) in rows.iter().enumerate() {
            if self.bars.len() == index {
                self.bars.push((self.all.add(ProgressBar::new(PARTS)), None));
            }
            let (bar, drawn) = &mut self.bars[index];
            if drawn.as_ref() != Some(row) {
                show(bar, row, self.color);
                *drawn = Some(row.clone());
            }
        }
    }
}

fn show(bar: &ProgressBar, row: &Row, color: bool) {
    let style = row.bar.map_or_else(
        || "{prefix}{msg}".to_owned(),
        |(_, width)| {
            let colors = if color { ".cyan/dim" } else { "" };
            format!("{{prefix}}{{bar:{width}{colors}}}{{msg}}")
        },
    );
    // The templates are ours; one that didn't parse would leave the row as it was.
    if let Ok(style) = ProgressStyle::with_template(&style) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    if let Some((fraction, _)) = row.bar {
        bar.set_position((fraction * PARTS as f64) as u64);
    }
    bar.set_prefix(row.before.clone());
    bar.set_message(row.after.clone());
    bar.tick();
}
