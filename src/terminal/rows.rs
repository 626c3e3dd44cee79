//! The rows of a terminal: what ended, what runs, what comes.

use console::{Style, measure_text_width, truncate_str};

use super::journal::Entry;
use super::{format, lines, tool, words};
use crate::progress::{Current, Foreign, MigrationState, Progress, State, Warning};

/// Pending migrations shown below the current one.
const AHEAD: usize = 3;
/// The longest column of names, and that of what a step is.
const NAME: usize = 32;
const WHAT: usize = 26;
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A row that changes, cut to the terminal's width, with a bar in its middle if any.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) before: String,
    /// Part done, and the bar's width.
    pub(super) bar: Option<(f64, usize)>,
    pub(super) after: String,
}

/// How wide the terminal is, and whether it takes colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paper {
    pub(super) width: usize,
    pub(super) color: bool,
}

impl Paper {
    fn paint(&self, style: Style, text: &str) -> String {
        style.force_styling(self.color).apply_to(text).to_string()
    }

    fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dim(), text)
    }

    fn cut(&self, text: &str) -> String {
        truncate_str(text, self.width, "…").into_owned()
    }

    /// A dim row, for what is so for the time being.
    pub(super) fn standing(&self, text: &str) -> Row {
        self.row(&self.dim(text))
    }

    fn row(&self, text: &str) -> Row {
        Row { before: self.cut(text), bar: None, after: String::new() }
    }
}

/// The lines that one entry leaves above the changing rows.
pub(super) fn told(progress: &Progress, entry: &Entry, paper: Paper) -> Vec<String> {
    if matches!(entry, Entry::Stopping) && progress.own_tool().is_some() {
        return vec![words::stopping(progress)];
    }
    let lines = match entry {
        Entry::Opening => vec![words::opening(progress)],
        Entry::Listening { address } => vec![words::listening(progress, *address)],
        Entry::LockTaken => vec![words::lock_taken(progress), String::new()],
        Entry::StepDone { migration, finished } => {
            step_done(progress, *migration, *finished, paper).into_iter().collect()
        }
        Entry::MigrationDone { migration } => {
            step_less(progress, *migration, paper).into_iter().collect()
        }
        Entry::Warning { warning } => warned(progress, *warning, paper),
        Entry::Phase { phase } => words::phase(progress, *phase).into_iter().collect(),
        Entry::Ready => ready(progress, paper),
        Entry::Interrupted => vec![
            String::new(),
            paper.paint(Style::new().yellow(), &words::interrupted(progress)),
            words::go_on(progress),
        ],
        Entry::Failed => failed(progress, paper),
        Entry::Foreign { session } => foreign(progress, *session),
        // These are seen in the changing rows, for as long as they last.
        Entry::Unreachable
        | Entry::Waiting
        | Entry::StepBegan
        | Entry::Throttled
        | Entry::Unthrottled
        | Entry::Position
        | Entry::Stopping => Vec::new(),
    };
    // Warnings and the closing sentences may break: nothing is drawn over them, and they must be read whole.
    if matches!(entry, Entry::Ready | Entry::Interrupted | Entry::Warning { .. }) {
        return lines;
    }
    lines.iter().map(|line| paper.cut(line)).collect()
}

fn warned(progress: &Progress, warning: usize, paper: Paper) -> Vec<String> {
    let mut lines = progress.warnings.get(warning).map(Warning::lines).unwrap_or_default();
    if let Some(first) = lines.first_mut() {
        *first = paper.paint(Style::new().yellow(), first);
    }
    lines
}

fn ready(progress: &Progress, paper: Paper) -> Vec<String> {
    let ready = words::ready(progress);
    if progress.migrations.iter().any(|one| one.state == MigrationState::Applied) {
        let mut lines = vec![String::new(), paper.paint(Style::new().green(), &ready)];
        lines.extend(words::compared(progress));
        return lines;
    }
    vec![ready]
}

fn failed(progress: &Progress, paper: Paper) -> Vec<String> {
    if let Some(foreign) = progress.own_tool() {
        let ended = tool::ended(progress, foreign);
        return ended.map(|text| paper.paint(Style::new().red(), &text)).into_iter().collect();
    }
    let Some(current) = &progress.current else { return Vec::new() };
    let columns = Columns::of(progress);
    let failed = paper.paint(Style::new().red(), &words::failed(progress, current));
    vec![format!("{}  {failed}", columns.at_work(current)), String::new()]
}

/// The tool itself writes to the same terminal, over what is redrawn there: so all about it is in lines
/// that stay. While another run's is only waited for, the changing rows show it.
fn foreign(progress: &Progress, session: usize) -> Vec<String> {
    match progress.own_tool() {
        Some(_) => lines::foreign(progress, session).into_iter().collect(),
        None => Vec::new(),
    }
}

fn step_done(
    progress: &Progress,
    migration: usize,
    finished: usize,
    paper: Paper,
) -> Option<String> {
    let migration = progress.migrations.get(migration)?;
    let step = migration.finished.get(finished)?;
    let kind = migration.steps.get((step.step as usize).checked_sub(1)?).copied().unwrap_or("step");
    let what = words::what(kind, step.table.as_deref(), &step.key);
    let name = words::name(&migration.name, step.step, migration.steps.len() as u32);
    let changed = step.rows_changed.map(|rows| format!("  {} rows", format::whole(rows)));
    let done = paper.paint(Style::new().green(), "done");
    let took = format::seconds(step.took_seconds);
    let columns = Columns::of(progress);
    let long = columns.head(migration.version, &name, &what);
    let short = columns.brief(migration.version, &name);
    let all = format!("{long}  {done}  {took}{}", changed.unwrap_or_default());
    // On a narrow terminal, that it is done says more than what it was.
    let fits = |line: &String| measure_text_width(line) <= paper.width;
    let lines = [all, format!("{long}  {done}  {took}"), format!("{short}  {done}  {took}")];
    lines.clone().into_iter().find(fits).or(lines.into_iter().next_back())
}

/// A migration all of whose steps an earlier run had done, or that has none.
fn step_less(progress: &Progress, migration: usize, paper: Paper) -> Option<String> {
    let migration = progress.migrations.get(migration).filter(|one| one.finished.is_empty())?;
    let name = format::one_line(&migration.name);
    let head = Columns::of(progress).head(migration.version, &name, "");
    Some(format!("{head}  {}", paper.paint(Style::new().green(), "applied")))
}

/// The rows that change.
pub(super) fn changing(progress: &Progress, paper: Paper) -> Vec<Row> {
    let mut rows = Vec::new();
    let spinner = SPINNER[(progress.elapsed().as_millis() / 100 % 10) as usize];
    match progress.state {
        State::Starting | State::Connecting => {
            let text = match progress.reason {
                Some(_) => words::unreachable(progress),
                None => "reaching the database".to_owned(),
            };
            rows.push(paper.row(&format!("{spinner} {text}")));
        }
        State::Waiting => {
            let waiting = words::waiting(&progress.lock);
            rows.push(paper.row(&format!("{spinner} {waiting}")));
            rows.extend(
                progress.current.as_ref().map(|now| at_work(progress, now, spinner, paper)),
            );
            let theirs = progress.foreign.as_ref().map(Foreign::busy).unwrap_or_default();
            rows.extend(theirs.into_iter().map(|one| paper.standing(&tool::session(one))));
        }
        State::Migrating | State::Stopping if progress.own_tool().is_some() => {}
        State::Migrating | State::Stopping => migrating(progress, spinner, paper, &mut rows),
        State::Ready | State::Interrupted | State::Failed => {}
    }
    rows
}

fn migrating(progress: &Progress, spinner: char, paper: Paper, rows: &mut Vec<Row>) {
    let indent = " ".repeat(Columns::of(progress).version + 2);
    let aside =
        |text: &str| paper.row(&format!("{indent}{}", paper.paint(Style::new().yellow(), text)));
    match &progress.current {
        // A step that is done has its line above, and the next one begins at once.
        Some(current) if current.fraction == Some(1.0) => {}
        Some(current) => {
            rows.push(at_work(progress, current, spinner, paper));
            rows.extend(words::waiting_so_far(progress, current).map(|text| aside(&text)));
        }
        None => rows.push(paper.row(&format!("{spinner} lock taken"))),
    }
    if progress.state == State::Stopping {
        rows.push(aside(&words::stopping(progress)));
        rows.extend(words::impatience(progress).map(|text| aside(&text)));
    } else if progress.reason.is_some() {
        rows.push(aside(&words::unreachable(progress)));
    }
    if progress.current.is_some() {
        ahead(progress, paper, rows);
    }
}

/// What comes next, as far as there is room.
fn ahead(progress: &Progress, paper: Paper, rows: &mut Vec<Row>) {
    let columns = Columns::of(progress);
    let pending = || progress.migrations.iter().filter(|one| one.state == MigrationState::Pending);
    for migration in pending().take(AHEAD) {
        let name = format::one_line(&migration.name);
        let mut kinds = migration.steps.clone();
        kinds.dedup();
        let head = columns.head(migration.version, &name, &kinds.join(", "));
        rows.push(paper.row(&paper.dim(head.trim_end())));
    }
    let more = pending().count().saturating_sub(AHEAD);
    if more > 0 {
        let indent = " ".repeat(columns.version + 2);
        rows.push(
            paper.row(&paper.dim(&format!("{indent}and {} more", format::whole(more as u64)))),
        );
    }
}

/// The row of a step at work: as much as fits, what matters less left out first.
fn at_work(progress: &Progress, current: &Current, spinner: char, paper: Paper) -> Row {
    let columns = Columns::of(progress);
    let long = columns.at_work(current);
    let name = words::name(&current.name, current.step, current.steps);
    let short = columns.head(current.version, &name, "").trim_end().to_owned();
    let version = format!(" {:>width$}", current.version, width = columns.version);
    let Some(fraction) = current.fraction else {
        let age = format::ticking(words::age(progress, current));
        let rows = words::rows(current).map(|rows| format!(" · {rows} so far")).unwrap_or_default();
        let tail = |left: Option<String>| {
            let left = left.map(|left| format!(" · {left}")).unwrap_or_default();
            format!("{spinner} {age}{rows}{left}")
        };
        let all = tail(words::left_at_worst(progress, current));
        let (median, brief) = (tail(words::left(progress, current)), tail(None));
        return fitting(
            paper,
            &[
                (&long, None, &all),
                (&long, None, &median),
                (&short, None, &median),
                (&short, None, &brief),
                (&version, None, &brief),
            ],
        );
    };
    let percent = format::percent(fraction);
    let [all, median, brief, time] =
        tails(progress, current).map(|tail| format!("{percent:>6}{tail}"));
    let bar = |width| Some((fraction, width));
    let choices = [
        (&*long, bar(22), &*all),
        (&long, bar(22), &median),
        (&short, bar(22), &all),
        (&short, bar(22), &median),
        (&short, bar(10), &median),
        (&short, bar(10), &brief),
        (&short, bar(10), &time),
        (&version, bar(10), &time),
        (&version, None, &time),
    ];
    fitting(paper, &choices)
}

/// What stands behind the percentage, from most to least.
fn tails(progress: &Progress, current: &Current) -> [String; 4] {
    let joined = |parts: &[Option<String>]| {
        let parts: Vec<_> = parts.iter().flatten().map(String::as_str).collect();
        if parts.is_empty() { String::new() } else { format!("  {}", parts.join(" · ")) }
    };
    let (rows, rate) = (words::rows(current), words::rate(current));
    let (left, most) = (words::left(progress, current), words::left_at_worst(progress, current));
    [
        joined(&[rows.clone(), rate.clone(), most]),
        joined(&[rows, rate.clone(), left.clone()]),
        joined(&[rate, left.clone()]),
        joined(&[left]),
    ]
}

/// A head, a bar of some width, and a tail.
type Choice<'a> = (&'a str, Option<(f64, usize)>, &'a str);

/// The first of the choices that fits; the last one is cut.
fn fitting(paper: Paper, choices: &[Choice<'_>]) -> Row {
    for (head, bar, tail) in choices {
        let width = bar.map_or(0, |(_, width)| width);
        if measure_text_width(head) + 2 + width + measure_text_width(tail) <= paper.width {
            return Row { before: format!("{head}  "), bar: *bar, after: (*tail).to_owned() };
        }
    }
    paper.row(&choices.last().map(|(head, _, tail)| format!("{head}  {tail}")).unwrap_or_default())
}

/// The widths of the columns.
struct Columns {
    version: usize,
    name: usize,
    what: usize,
}

impl Columns {
    fn of(progress: &Progress) -> Self {
        let mut columns = Columns { version: 1, name: 0, what: 8 };
        for migration in &progress.migrations {
            let steps = migration.steps.len() as u32;
            let name = words::name(&migration.name, steps, steps);
            columns.version = columns.version.max(migration.version.to_string().len());
            columns.name = columns.name.max(measure_text_width(&name)).min(NAME);
            if migration.steps.contains(&"backfill") {
                columns.what = WHAT;
            } else if migration.steps.contains(&"bare") {
                columns.what = columns.what.max(14);
            }
        }
        columns
    }

    /// ` 42 fill_new_column  backfill some_table by id`.
    fn head(&self, version: i64, name: &str, what: &str) -> String {
        let (name, what) = (padded(name, self.name), padded(what, self.what));
        format!(" {version:>width$} {name}  {what}", width = self.version)
    }

    /// ` 42 fill_new_column`, for where there is little room.
    fn brief(&self, version: i64, name: &str) -> String {
        format!(" {version:>width$} {}", padded(name, self.name), width = self.version)
    }

    fn at_work(&self, current: &Current) -> String {
        let what = words::what(&current.kind, current.table.as_deref(), &current.key);
        let name = words::name(&current.name, current.step, current.steps);
        self.head(current.version, &name, &what)
    }
}

fn padded(text: &str, width: usize) -> String {
    let text = truncate_str(text, width.max(NAME), "…");
    let padding = width.saturating_sub(measure_text_width(&text));
    format!("{text}{}", " ".repeat(padding))
}

#[cfg(test)]
mod tests;
