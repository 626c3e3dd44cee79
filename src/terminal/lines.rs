//! Plain lines for logs: a time stamp, then what happened.

use time::OffsetDateTime;
use time::macros::format_description;

use super::journal::Entry;
use super::moment::Moment;
use super::{format, tool, words};
use crate::progress::{Current, Eta, Progress, State, Warning};

/// The lines of one entry of a run that `began` then; often one, sometimes none.
pub(super) fn render(progress: &Progress, entry: &Entry, began: OffsetDateTime) -> Vec<String> {
    let time = Moment::of(progress, entry, began).time.to_utc();
    let stamp = time.format(format_description!("[hour]:[minute]:[second]"));
    let stamp = stamp.unwrap_or_default();
    texts(progress, entry).into_iter().map(|text| format!("{stamp} {text}")).collect()
}

fn texts(progress: &Progress, entry: &Entry) -> Vec<String> {
    let current = progress.current.as_ref();
    let throttle = current.and_then(|current| current.throttle.as_deref());
    match entry {
        Entry::Opening => vec![words::opening(progress)],
        Entry::Listening { address } => vec![words::listening(progress, *address)],
        Entry::Unreachable => vec![words::unreachable(progress)],
        Entry::Waiting => vec![words::waiting(&progress.lock)],
        Entry::LockTaken => vec![words::lock_taken(progress)],
        Entry::StepBegan => current.map(began).into_iter().collect(),
        Entry::StepDone { migration, finished } => {
            step_done(progress, *migration, *finished).into_iter().collect()
        }
        Entry::MigrationDone { migration } => {
            migration_done(progress, *migration).into_iter().collect()
        }
        Entry::Warning { warning } => {
            progress.warnings.get(*warning).map(Warning::lines).unwrap_or_default()
        }
        Entry::Throttled => {
            let said = |current| {
                format!("{} {}", head(current), words::throttled(throttle.unwrap_or_default()))
            };
            current.map(said).into_iter().collect()
        }
        Entry::Unthrottled => {
            current.map(|current| format!("{} goes on", head(current))).into_iter().collect()
        }
        Entry::Foreign { session } => foreign(progress, *session).into_iter().collect(),
        Entry::Phase { phase } => words::phase(progress, *phase).into_iter().collect(),
        Entry::Position => position(progress).into_iter().collect(),
        Entry::Stopping => {
            let parts = [Some(words::stopping(progress)), words::impatience(progress)];
            vec![parts.into_iter().flatten().collect::<Vec<_>>().join("; ")]
        }
        Entry::Ready => [Some(words::ready(progress)), words::compared(progress)]
            .into_iter()
            .flatten()
            .collect(),
        Entry::Interrupted => vec![words::interrupted(progress), words::go_on(progress)],
        Entry::Failed if progress.own_tool().is_some() => {
            progress.own_tool().and_then(|one| tool::ended(progress, one)).into_iter().collect()
        }
        // Of what failed outside of a step, the error itself says all there is to say.
        Entry::Failed => current
            .map(|current| format!("{} {}", head(current), words::failed(progress, current)))
            .into_iter()
            .collect(),
    }
}

/// What a foreign tool is at: this run's, or of the one that it waits for.
pub(super) fn foreign(progress: &Progress, session: usize) -> Option<String> {
    progress.foreign.as_ref().and_then(|foreign| tool::told(foreign, session))
}

fn head(current: &Current) -> String {
    format!("{} {}", current.version, words::name(&current.name, current.step, current.steps))
}

fn began(current: &Current) -> String {
    let what = words::what(&current.kind, current.table.as_deref(), &current.key);
    format!("{} {what} begins", head(current))
}

fn step_done(progress: &Progress, migration: usize, finished: usize) -> Option<String> {
    let migration = progress.migrations.get(migration)?;
    let step = migration.finished.get(finished)?;
    let steps = migration.steps.len() as u32;
    let kind = migration.steps.get((step.step as usize).checked_sub(1)?).copied().unwrap_or("step");
    let what = words::what(kind, step.table.as_deref(), &step.key);
    let name = words::name(&migration.name, step.step, steps);
    let changed = step.rows_changed.map(|rows| format!(", {} rows changed", format::whole(rows)));
    Some(format!(
        "{} {name} {what} done in {}{}",
        migration.version,
        format::seconds(step.took_seconds),
        changed.unwrap_or_default()
    ))
}

/// For a migration of one step, its step's line said it all.
fn migration_done(progress: &Progress, migration: usize) -> Option<String> {
    let migration = progress.migrations.get(migration)?;
    let took = migration.took_seconds.map(|took| format!(" in {}", format::seconds(took)));
    let told = migration.steps.len() == 1 && !migration.finished.is_empty();
    let name = format::one_line(&migration.name);
    (!told).then(|| format!("{} {name} applied{}", migration.version, took.unwrap_or_default()))
}

/// `42 fill_new_column 57.1 % · 6 812 000 rows · 182 k/s · 28 s left · batch of 36 000 in 197 ms`.
pub(super) fn position(progress: &Progress) -> Option<String> {
    let current = match (&progress.current, &progress.foreign) {
        (Some(current), _) => Some(at_work(progress, current)),
        (None, Some(foreign)) => Some(tool::position(progress, foreign)),
        (None, None) => None,
    };
    match progress.state {
        State::Starting | State::Connecting => {
            progress.reason.as_ref().map(|_| words::unreachable(progress))
        }
        State::Waiting => {
            let waiting = words::waiting(&progress.lock);
            Some(match current {
                Some(current) => format!("{waiting} · {current}"),
                None => waiting,
            })
        }
        State::Migrating if progress.reason.is_some() => Some(words::unreachable(progress)),
        State::Migrating | State::Stopping => current,
        State::Ready | State::Interrupted | State::Failed => None,
    }
}

fn at_work(progress: &Progress, current: &Current) -> String {
    let mut parts = Vec::new();
    match current.fraction {
        Some(part) => parts.push(format!("{} {}", head(current), format::fine_percent(part))),
        None => {
            let what = words::what(&current.kind, current.table.as_deref(), &current.key);
            parts.push(format!(
                "{} {what} for {}",
                head(current),
                format::ticking(words::age(progress, current))
            ));
        }
    }
    if let Some(done) = current.rows_done {
        parts.push(format!("{} rows", format::whole(done)));
    }
    parts.extend(words::rate(current));
    // What is measured is said so often that the median will do.
    parts.extend(match progress.eta() {
        Some(Eta::Estimated { .. }) => words::left_at_worst(progress, current),
        _ => words::left(progress, current),
    });
    if let (Some(rows), Some(seconds)) = (current.batch_rows, current.batch_seconds) {
        parts.push(format!("batch of {} in {}", format::whole(rows), format::seconds(seconds)));
    }
    parts.extend(words::waiting_so_far(progress, current));
    parts.join(" · ")
}
