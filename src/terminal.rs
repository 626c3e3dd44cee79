//! The run on standard error: bars on a terminal, lines elsewhere.
//!
//! Standard output stays free for what commands answer.

mod bars;
pub mod diagnostic;
pub mod follower;
pub mod format;
mod journal;
pub mod json;
mod lines;
mod moment;
mod news;
mod rows;
pub mod table;
mod tool;
mod words;

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressDrawTarget, TermLike};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::progress::Progress;
use bars::Bars;
use journal::Journal;
use rows::Paper;

/// How often a line tells the position, unless told otherwise.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// How often a face looks; eyes want more than logs.
const GLANCE: Duration = Duration::from_millis(100);
/// How long the end may take to be written: a stuck terminal must not keep the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a run is told on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Bars on a terminal, text elsewhere.
    #[default]
    Auto,
    /// A line every few seconds and at each change.
    Text,
    /// The same as JSON, an object a line.
    Json,
}

/// Where a run is drawn, and how.
pub struct Face {
    surface: Surface,
    every: Duration,
}

enum Surface {
    Bars { bars: Bars, width: Box<dyn Fn() -> u16 + Send>, color: bool },
    Lines { sink: Box<dyn Write + Send>, json: bool },
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Face").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Face {
    /// On standard error.
    pub fn stderr(format: LogFormat) -> Self {
        let terminal = console::Term::stderr();
        if format != LogFormat::Auto || !terminal.is_term() || is_dumb() {
            return Face::to(Box::new(io::stderr()), format);
        }
        let color = stderr_has_color();
        let target = ProgressDrawTarget::term(terminal.clone(), 20);
        let width = move || terminal.size().1;
        let bars = Bars::new(target, color);
        Face { surface: Surface::Bars { bars, width: Box::new(width), color }, every: EVERY }
    }

    /// As lines to `sink`.
    pub fn to(sink: Box<dyn Write + Send>, format: LogFormat) -> Self {
        let json = format == LogFormat::Json;
        Face { surface: Surface::Lines { sink, json }, every: EVERY }
    }

    /// As bars on something that behaves like a terminal of this width.
    pub fn on(terminal: Box<dyn TermLike>, width: u16, color: bool) -> Self {
        let bars = Bars::new(ProgressDrawTarget::term_like(terminal), color);
        Face {
            surface: Surface::Bars { bars, width: Box::new(move || width), color },
            every: EVERY,
        }
    }

    /// How often a line tells the position while nothing else happens.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }
}

/// Whether what is written to standard error may be coloured: a terminal, and neither `NO_COLOR`
/// nor `CLICOLOR=0` nor `TERM=dumb`; `CLICOLOR_FORCE` overrules.
pub fn stderr_has_color() -> bool {
    console::colors_enabled_stderr()
}

/// The same for standard output.
pub fn stdout_has_color() -> bool {
    console::colors_enabled()
}

/// How many columns a page on standard output has: the terminal's, or 80.
pub fn stdout_width() -> u16 {
    stdout_columns().unwrap_or(80)
}

/// The same; none where it isn't one.
pub fn stdout_columns() -> Option<u16> {
    console::Term::stdout().size_checked().map(|(_, columns)| columns.max(40))
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// A face at work.
#[derive(Debug)]
pub struct FaceHandle {
    done: CancellationToken,
    task: JoinHandle<()>,
}

impl FaceHandle {
    /// Draws the last state and ends; the run's own last words come after it.
    pub async fn finish(self) {
        self.done.cancel();
        let _ = tokio::time::timeout(FAREWELL, self.task).await;
    }
}

/// Starts drawing a run. Ends by [`FaceHandle::finish`], or when the reporter is gone.
pub fn start(progress: watch::Receiver<Progress>, face: Face) -> FaceHandle {
    let done = CancellationToken::new();
    let every = matches!(face.surface, Surface::Lines { .. }).then_some(face.every);
    let painter = Painter { progress, surface: face.surface, journal: Journal::new(every) };
    FaceHandle { task: tokio::spawn(draw(painter, done.clone())), done }
}

async fn draw(mut painter: Painter, done: CancellationToken) {
    loop {
        tokio::select! {
            () = done.cancelled() => {}
            // Of a run that has ended only the gate before it has something to tell, perhaps after weeks.
            _ = painter.progress.changed(), if painter.journal.rests() => {}
            () = tokio::time::sleep(GLANCE), if !painter.journal.rests() => {}
        }
        // What is true before the look is in it.
        let last = done.is_cancelled() || painter.progress.has_changed().is_err();
        // Writing may block for as long as a reader doesn't read; that must not stop the run.
        let looked = tokio::task::spawn_blocking(move || {
            painter.look(last);
            painter
        });
        match looked.await {
            Ok(looked) if !last => painter = looked,
            _ => return,
        }
    }
}

/// Looks, and draws what is new.
struct Painter {
    progress: watch::Receiver<Progress>,
    surface: Surface,
    journal: Journal,
}

impl Painter {
    fn look(&mut self, last: bool) {
        match &mut self.surface {
            Surface::Lines { sink, json } => {
                let text = written(&self.progress, &mut self.journal, *json);
                // Who closed the log doesn't want to read it; the run goes on.
                let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
            }
            Surface::Bars { bars, width, color } => {
                let paper = Paper { width: usize::from(width()).saturating_sub(1), color: *color };
                let (lines, mut rows) = drawn(&self.progress, &mut self.journal, paper);
                if last {
                    rows.clear();
                }
                bars.draw(&lines, &rows);
            }
        }
    }
}

/// The new lines. The progress is borrowed only for as long as texts are made, never while they
/// are written: the engine waits for it.
fn written(progress: &watch::Receiver<Progress>, journal: &mut Journal, json: bool) -> String {
    let progress = progress.borrow();
    let began = moment::began(&progress);
    let mut text = String::new();
    for entry in journal.look(&progress) {
        if json {
            text.push_str(&json::render(&progress, &entry, began));
            text.push('\n');
            continue;
        }
        for line in lines::render(&progress, &entry, began) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

fn drawn(
    progress: &watch::Receiver<Progress>,
    journal: &mut Journal,
    paper: Paper,
) -> (Vec<String>, Vec<rows::Row>) {
    let progress = progress.borrow();
    let entries = journal.look(&progress);
    let lines = entries.iter().flat_map(|entry| rows::told(&progress, entry, paper)).collect();
    (lines, rows::changing(&progress, paper))
}

#[cfg(test)]
mod tests;
