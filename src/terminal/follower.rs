//! A deployment command on standard error: news as lines, and what changes in one row below them.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::ProgressDrawTarget;
use time::OffsetDateTime;
use time::macros::format_description;

use super::bars::Bars;
use super::rows::{self, Paper};
use super::{EVERY, LogFormat, is_dumb, json, lines, news, stderr_has_color};
use crate::deploy::news::{Listener, News};
use crate::deploy::sight::Sight;
use crate::progress::{Current, Eta, LeaderStep, Progress, State};

/// Draws news as they come.
pub struct Follower {
    surface: Surface,
    /// What is at work, as a run's progress, so that it looks as there.
    progress: Progress,
    /// Since when it is at this step.
    step: Option<(i64, u32, Instant)>,
    /// When a position was last told in lines.
    told: Option<Instant>,
}

enum Surface {
    Rows { bars: Bars, terminal: console::Term, color: bool, standing: String },
    Lines,
    Json,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// On standard error.
    pub fn stderr(format: LogFormat) -> Self {
        let terminal = console::Term::stderr();
        let surface = match format {
            LogFormat::Json => Surface::Json,
            LogFormat::Auto if terminal.is_term() && !is_dumb() => {
                let color = stderr_has_color();
                let bars = Bars::new(ProgressDrawTarget::term(terminal.clone(), 20), color);
                Surface::Rows { bars, terminal, color, standing: String::new() }
            }
            LogFormat::Auto | LogFormat::Text => Surface::Lines,
        };
        let mut progress = Progress::default();
        progress.state = State::Migrating;
        Follower { surface, progress, step: None, told: None }
    }

    /// Takes the changing row away, for what is printed next.
    pub fn finish(&mut self) {
        if let Surface::Rows { bars, .. } = &mut self.surface {
            bars.draw(&[], &[]);
        }
    }

    fn see(&mut self, sight: &Sight) {
        let Some(version) = sight.version else {
            self.progress.current = None;
            return;
        };
        let now = Instant::now();
        let began = match self.step {
            Some((at, step, began)) if (at, step) == (version, sight.step) => began,
            _ => now,
        };
        self.step = Some((version, sight.step, began));
        self.progress.elapsed_seconds = began.elapsed().as_secs_f64();
        self.progress.current = Some(current(version, sight));
    }

    fn draw(&mut self, news: &News) {
        let text = news::text(news);
        match &mut self.surface {
            Surface::Json => say(&[json::news(news, OffsetDateTime::now_utc())]),
            Surface::Lines => {
                let position = matches!(news, News::Progress { .. }) && self.is_due();
                let position = position.then(|| lines::position(&self.progress)).flatten();
                say(&stamped(text.or(position)));
            }
            Surface::Rows { bars, terminal, color, standing } => {
                if let Some(text) = news::standing(news) {
                    *standing = text.into_owned();
                }
                let width = usize::from(terminal.size().1).saturating_sub(1);
                let paper = Paper { width, color: *color };
                let lines: Vec<_> = text.iter().flat_map(|text| text.lines()).collect();
                let lines: Vec<_> = lines.into_iter().map(str::to_owned).collect();
                let mut rows = vec![paper.standing(standing)];
                if self.progress.current.is_some() {
                    rows.extend(rows::changing(&self.progress, paper));
                }
                bars.draw(&lines, &rows);
            }
        }
    }

    /// Whether a position is to be told in lines: every few seconds.
    fn is_due(&mut self) -> bool {
        let due = self.told.is_none_or(|told| told.elapsed() + Duration::from_millis(100) > EVERY);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }
}

impl Listener for Follower {
    fn tell(&mut self, news: News) {
        match &news {
            News::Progress { sight } => self.see(sight),
            News::TaskStatus { status, .. } if status == "STOPPED" => self.progress.current = None,
            News::Started { .. } | News::Adopted { .. } | News::Phase { .. } => {
                self.progress.current = None;
            }
            _ => {}
        }
        self.draw(&news);
    }
}

/// The step, as a run's own face shows it.
fn current(version: i64, sight: &Sight) -> Current {
    let mut current = Current::elsewhere(&LeaderStep {
        version,
        name: sight.name.clone(),
        step: sight.step,
        steps: sight.steps,
        kind: sight.kind.clone(),
        keys: None,
    });
    current.table.clone_from(&sight.table);
    current.rows_done = sight.rows_done;
    current.rows_total = sight.rows_total;
    current.fraction = sight.fraction;
    current.rate = sight.rate;
    current.throttle.clone_from(&sight.reason);
    if let Some(p50_seconds) = sight.eta_seconds {
        let p90_seconds = sight.eta_p90_seconds.unwrap_or(p50_seconds);
        current.eta = match sight.eta_state {
            Some(_) => Eta::Estimated { p50_seconds, p90_seconds },
            None => Eta::Left { p50_seconds, p90_seconds },
        };
    } else if sight.eta_state.is_some() {
        current.eta = Eta::Overdue;
    }
    current
}

/// With the time of day before each line.
fn stamped(text: Option<String>) -> Vec<String> {
    let now = OffsetDateTime::now_utc();
    let stamp = now.format(format_description!("[hour]:[minute]:[second]")).unwrap_or_default();
    text.iter().flat_map(|text| text.lines()).map(|line| format!("{stamp} {line}")).collect()
}

fn say(lines: &[String]) {
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
        // Who closed the log doesn't want to read it; the deployment goes on.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
