//! JSON lines: an object for each entry, and one for the error that ended the command.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::journal::Entry;
use super::moment::Moment;
use crate::place::Explanation;
use crate::progress::{Current, Eta, Progress};

/// One entry of a run that `began` then, on one line.
pub(super) fn render(progress: &Progress, entry: &Entry, began: OffsetDateTime) -> String {
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            line.insert(name.to_owned(), value);
        }
    };
    let moment = Moment::of(progress, entry, began);
    put("time", json!(stamp(moment.time)));
    put("event", json!(event(entry)));
    put("run", json!(progress.run));
    put("task", json!(progress.task.as_ref().map(|task| &task.id)));
    put("state", json!(moment.state));
    put("elapsed_seconds", rounded(moment.seconds));
    fields(progress, entry, &mut put);
    Value::Object(line).to_string()
}

/// What ended the command, on one line: the log's last, for those who read nothing but JSON.
pub fn error(message: &str, explanation: &Explanation, exit: u8, now: OffsetDateTime) -> String {
    let note = |(label, text): &(&str, String)| json!({ "label": label, "text": text });
    let mut line = Map::new();
    line.insert("time".to_owned(), json!(stamp(now)));
    line.insert("event".to_owned(), json!("error"));
    line.insert("exit".to_owned(), json!(exit));
    line.insert("message".to_owned(), json!(message));
    if let Some(place) = &explanation.place {
        let (number, column) = place.line_column();
        line.insert("file".to_owned(), json!(place.path.to_string_lossy()));
        line.insert("line".to_owned(), json!(number));
        line.insert("column".to_owned(), json!(column));
    }
    line.insert("notes".to_owned(), explanation.notes.iter().map(note).collect());
    Value::Object(line).to_string()
}

/// That the database isn't reachable yet, for a command without a run.
pub fn unreachable(reason: &str, now: OffsetDateTime) -> String {
    json!({ "time": stamp(now), "event": "unreachable", "reason": reason }).to_string()
}

/// A piece of news of a deployment, on one line.
pub(super) fn news(news: &crate::deploy::news::News, now: OffsetDateTime) -> String {
    // Serialising to memory fails only on maps with keys that aren't strings; there are none.
    let mut line = serde_json::to_value(news).unwrap_or_default();
    if let Some(fields) = line.as_object_mut() {
        fields.insert("time".to_owned(), json!(stamp(now)));
        fields.retain(|_, value| !value.is_null());
    }
    line.to_string()
}

fn stamp(now: OffsetDateTime) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    now.to_utc().format(format).unwrap_or_default()
}

fn event(entry: &Entry) -> &'static str {
    match entry {
        Entry::Opening => "opening",
        Entry::Listening { .. } => "listening",
        Entry::Unreachable => "unreachable",
        Entry::Waiting => "waiting",
        Entry::LockTaken => "lock_taken",
        Entry::StepBegan => "step_began",
        Entry::StepDone { .. } => "step_done",
        Entry::MigrationDone { .. } => "migration_done",
        Entry::Throttled => "throttled",
        Entry::Unthrottled => "unthrottled",
        Entry::Warning { .. } => "warning",
        Entry::Phase { .. } => "phase",
        Entry::Position => "progress",
        Entry::Foreign { .. } => "foreign",
        Entry::Stopping => "stopping",
        Entry::Ready => "ready",
        Entry::Interrupted => "interrupted",
        Entry::Failed => "failed",
    }
}

fn fields(progress: &Progress, entry: &Entry, put: &mut impl FnMut(&str, Value)) {
    match entry {
        Entry::Opening => {
            put("lockkeeper", json!(env!("CARGO_PKG_VERSION")));
            put("database", json!(progress.database));
            put("new_file", json!(progress.new_file.then_some(true)));
            if let Some(task) = &progress.task {
                put("cluster", json!(task.cluster));
                put("task_definition", json!(task.definition));
                put("service", json!(task.service));
            }
        }
        Entry::Listening { address } => put("address", json!(progress.listening.get(*address))),
        Entry::LockTaken => {
            put("command", json!(progress.own_tool().map(|foreign| &foreign.command)));
            put("target", json!(progress.target));
            put("pending", json!(progress.migrations.len()));
        }
        // It is told a while later, and what has come of the step since belongs to later lines.
        Entry::StepBegan => {
            if let Some(current) = &progress.current {
                which(current, put);
                put("rows_total", json!(current.rows_total));
            }
        }
        Entry::StepDone { migration, finished } => {
            let Some(migration) = progress.migrations.get(*migration) else { return };
            let Some(step) = migration.finished.get(*finished) else { return };
            let kind = (step.step as usize).checked_sub(1).and_then(|at| migration.steps.get(at));
            put("version", json!(migration.version));
            put("name", json!(migration.name));
            put("step", json!(step.step));
            put("steps", json!(migration.steps.len()));
            put("kind", json!(kind));
            put("table", json!(step.table));
            put("rows_changed", json!(step.rows_changed));
            put("took_seconds", rounded(step.took_seconds));
        }
        Entry::MigrationDone { migration } => {
            let Some(migration) = progress.migrations.get(*migration) else { return };
            put("version", json!(migration.version));
            put("name", json!(migration.name));
            put("took_seconds", json!(migration.took_seconds.map(rounded)));
        }
        Entry::Warning { warning } => {
            let Some(warning) = progress.warnings.get(*warning) else { return };
            put("version", json!(warning.version));
            put("step", json!(warning.step));
            put("message", json!(warning.message));
            put("file", json!(warning.file));
            put("line", json!(warning.line));
            put("column", json!(warning.column));
            put("notes", json!(warning.notes));
        }
        Entry::Phase { phase } => {
            let began = progress.gate.as_ref().and_then(|gate| gate.phases.get(*phase));
            let Some(began) = began else { return };
            put("phase", json!(began.phase));
            put("timeout_seconds", json!(began.timeout_seconds));
            put("note", json!(began.note));
        }
        Entry::Ready => {
            put("target", json!(progress.target));
            put("applied", json!(progress.applied));
            put("foreign", json!(progress.foreign));
            let compared = progress.estimate.as_ref().filter(|one| one.ratio.is_some());
            put("estimate", json!(compared));
        }
        Entry::Foreign { session } => {
            let session = progress.foreign.as_ref().and_then(|one| one.sessions.get(*session));
            put("command", json!(progress.own_tool().map(|foreign| &foreign.command)));
            put("session", json!(session));
        }
        Entry::Unreachable
        | Entry::Waiting
        | Entry::Throttled
        | Entry::Unthrottled
        | Entry::Position
        | Entry::Stopping
        | Entry::Interrupted
        | Entry::Failed => {
            put("reason", json!(progress.reason));
            put("holder", json!(progress.lock.holder));
            put("foreign", json!(progress.foreign));
            put("helps", json!(progress.lock.helps.then_some(true)));
            if let Some(current) = &progress.current {
                step(progress, current, put);
            }
        }
    }
}

fn which(current: &Current, put: &mut impl FnMut(&str, Value)) {
    put("version", json!(current.version));
    put("name", json!(current.name));
    put("step", json!(current.step));
    put("steps", json!(current.steps));
    put("kind", json!(current.kind));
    put("table", json!(current.table));
}

fn step(progress: &Progress, current: &Current, put: &mut impl FnMut(&str, Value)) {
    which(current, put);
    put("rows_done", json!(current.rows_done));
    put("rows_total", json!(current.rows_total));
    put("fraction", json!(current.fraction.map(rounded)));
    put("rate", json!(current.rate.map(rounded)));
    let eta = progress.eta().unwrap_or(current.eta);
    match eta {
        Eta::Left { p50_seconds, p90_seconds } | Eta::Estimated { p50_seconds, p90_seconds } => {
            put("eta_seconds", rounded(p50_seconds));
            put("eta_p90_seconds", rounded(p90_seconds));
        }
        Eta::Measuring | Eta::Overdue | Eta::Due | Eta::Ended => {}
    }
    match eta {
        Eta::Estimated { .. } => put("eta_state", json!("estimated")),
        Eta::Overdue => put("eta_state", json!("overdue")),
        Eta::Measuring | Eta::Left { .. } | Eta::Due | Eta::Ended => {}
    }
    put("slowed_eta_seconds", json!(current.slowed_eta_seconds.map(rounded)));
    put("throttle", json!(current.throttle));
    if current.rows_done.is_some() {
        put("throttled_seconds", rounded(current.throttled_seconds));
    }
    put("workers", json!(current.workers));
    put("batch_rows", json!(current.batch_rows));
    put("batch_seconds", json!(current.batch_seconds.map(rounded)));
    put("position", json!(current.position));
}

/// Four decimal places are more than anyone measures.
fn rounded(number: f64) -> Value {
    json!((number * 1e4).round() / 1e4)
}
