//! What is seen of lockkeeper's own work inside a task: in its answers over HTTP, or in its log.

use serde_json::Value;

/// The step at work, as lockkeeper says it in `/progress` and in its JSON log.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Sight {
    /// The run's state: `migrating`, `waiting`, `ready`, …
    pub state: String,
    /// The migration's version.
    pub version: Option<i64>,
    /// The migration's name.
    pub name: String,
    /// Which step, from 1.
    pub step: u32,
    /// Of how many.
    pub steps: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: String,
    /// For a backfill: the table.
    pub table: Option<String>,
    /// Keys passed.
    pub rows_done: Option<u64>,
    /// Keys in all, an estimate.
    pub rows_total: Option<u64>,
    /// Part done, from 0 to 1.
    pub fraction: Option<f64>,
    /// Keys per second.
    pub rate: Option<f64>,
    /// Seconds left, as likely more as less.
    pub eta_seconds: Option<f64>,
    /// Seconds left, at worst.
    pub eta_p90_seconds: Option<f64>,
    /// `estimated` or `overdue`, where nothing of that is measured.
    pub eta_state: Option<String>,
    /// Why it waits, or stops.
    pub reason: Option<String>,
}

/// What a line of a task's log is.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// lockkeeper's own, with what it says of the step at work.
    Progress(Sight),
    /// lockkeeper's own, of what has happened: a sentence.
    Said(String),
    /// Somebody else's, or lockkeeper's in plain text.
    Other(String),
}

impl Sight {
    /// Out of `/progress`.
    pub fn of_progress(progress: &Value) -> Option<Self> {
        let state = progress["state"].as_str()?.to_owned();
        let current = &progress["current"];
        let eta = &current["eta"];
        let reason = current["throttle"].as_str().or(progress["reason"].as_str());
        Some(Sight {
            state,
            eta_seconds: eta["p50_seconds"].as_f64(),
            eta_p90_seconds: eta["p90_seconds"].as_f64(),
            eta_state: eta["state"].as_str().and_then(unmeasured),
            reason: reason.map(str::to_owned),
            ..Sight::of_step(current)
        })
    }

    fn of_step(step: &Value) -> Self {
        let text = |name: &str| step[name].as_str().map(str::to_owned);
        let count = |name: &str| step[name].as_u64().and_then(|count| u32::try_from(count).ok());
        Sight {
            state: String::new(),
            version: step["version"].as_i64(),
            name: text("name").unwrap_or_default(),
            step: count("step").unwrap_or(0),
            steps: count("steps").unwrap_or(0),
            kind: text("kind").unwrap_or_default(),
            table: text("table"),
            rows_done: step["rows_done"].as_u64(),
            rows_total: step["rows_total"].as_u64(),
            fraction: step["fraction"].as_f64(),
            rate: step["rate"].as_f64(),
            eta_seconds: step["eta_seconds"].as_f64(),
            eta_p90_seconds: step["eta_p90_seconds"].as_f64(),
            eta_state: step["eta_state"].as_str().and_then(unmeasured),
            reason: text("throttle").or_else(|| text("reason")),
        }
    }
}

fn unmeasured(state: &str) -> Option<String> {
    ["estimated", "overdue"].contains(&state).then(|| state.to_owned())
}

impl Line {
    /// One line of a log. What isn't lockkeeper's JSON stays as it is.
    pub fn of(text: &str) -> Self {
        let Ok(line) = serde_json::from_str::<Value>(text) else {
            return Line::Other(text.to_owned());
        };
        let (Some(event), Some(_)) = (line["event"].as_str(), line["time"].as_str()) else {
            return Line::Other(text.to_owned());
        };
        match event {
            "progress" | "throttled" | "unthrottled" | "step_began" => {
                let state = line["state"].as_str().unwrap_or_default().to_owned();
                Line::Progress(Sight { state, ..Sight::of_step(&line) })
            }
            event => Line::Said(said(event, &line)),
        }
    }
}

/// A sentence for an event of the JSON log.
fn said(event: &str, line: &Value) -> String {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let of = || {
        let version = line["version"].as_i64().map(|version| format!("{version} "));
        format!("{}{}", version.unwrap_or_default(), text("name"))
    };
    let took = || line["took_seconds"].as_f64().map(|took| format!(" in {took:.1} s"));
    match event {
        "opening" => format!(
            "lockkeeper {} · {} · run {}",
            text("lockkeeper"),
            text("database"),
            text("run")
        ),
        "listening" => format!("listening on http://{}", text("address")),
        "unreachable" => format!("database not reachable: {}", text("reason")),
        "waiting" => match line["holder"]["run"].as_str() {
            Some(run) => format!("waiting for the lock: run {run} holds it"),
            None => "waiting for the lock".to_owned(),
        },
        "lock_taken" => format!("lock taken · {} pending", line["pending"].as_u64().unwrap_or(0)),
        "step_done" => format!(
            "{} {}/{} done{}",
            of(),
            line["step"].as_u64().unwrap_or(0),
            line["steps"].as_u64().unwrap_or(0),
            took().unwrap_or_default()
        ),
        "migration_done" => format!("{} applied{}", of(), took().unwrap_or_default()),
        "warning" => format!("warning: {}", text("message")),
        "stopping" => format!("stopping: {}", text("reason")),
        "ready" => match line["target"].as_i64() {
            Some(target) => format!("ready: the schema is at version {target}"),
            None => "ready: the schema is up to date".to_owned(),
        },
        "interrupted" => format!("interrupted: {}", text("reason")),
        "failed" => format!("failed: {}", text("reason")),
        "error" => error(line),
        event => format!("{event}: {}", text("reason")),
    }
}

/// The error that ended the run, with its notes, as a terminal would show it.
fn error(line: &Value) -> String {
    let mut text = format!("error: {}", line["message"].as_str().unwrap_or_default());
    if let (Some(file), Some(number)) = (line["file"].as_str(), line["line"].as_u64()) {
        text.push_str(&format!("\n  {file}:{number}"));
    }
    for note in line["notes"].as_array().into_iter().flatten() {
        let part = |name: &str| note[name].as_str().unwrap_or_default();
        text.push_str(&format!("\n  {}: {}", part("label"), part("text")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn progress_is_read_from_the_answer_over_http() {
        let answer = json!({
            "state": "migrating", "reason": null,
            "current": {
                "version": 42, "name": "fill", "step": 2, "steps": 3, "kind": "backfill",
                "table": "t", "rows_done": 10, "rows_total": 20, "fraction": 0.5, "rate": 5.0,
                "eta": { "state": "left", "p50_seconds": 2.0, "p90_seconds": 3.0 },
                "throttle": "pause by operator"
            }
        });
        let sight = Sight::of_progress(&answer).expect("a sight");
        assert_eq!((sight.version, sight.fraction), (Some(42), Some(0.5)));
        assert_eq!((sight.eta_seconds, sight.eta_p90_seconds), (Some(2.0), Some(3.0)));
        assert_eq!(sight.reason.as_deref(), Some("pause by operator"));
    }

    #[test]
    fn what_is_only_estimated_is_told_from_what_is_measured() {
        let of = |eta: Value| {
            let answer = json!({ "state": "migrating", "current": { "version": 42, "eta": eta } });
            let sight = Sight::of_progress(&answer).expect("a sight");
            (sight.eta_state, sight.eta_seconds)
        };
        let estimated = json!({ "state": "estimated", "p50_seconds": 2.0, "p90_seconds": 3.0 });
        assert_eq!(of(estimated), (Some("estimated".to_owned()), Some(2.0)));
        assert_eq!(of(json!({ "state": "overdue" })), (Some("overdue".to_owned()), None));
        assert_eq!(of(json!({ "state": "measuring" })), (None, None));
        let line = r#"{"time":"t","event":"progress","version":1,"eta_seconds":2.0,"eta_state":"estimated"}"#;
        let Line::Progress(sight) = Line::of(line) else { panic!("no progress") };
        assert_eq!((sight.eta_state.as_deref(), sight.eta_seconds), (Some("estimated"), Some(2.0)));
    }

    #[test]
    fn a_line_of_the_log_is_progress_or_a_sentence_or_somebody_elses() {
        let line =
            r#"{"time":"t","event":"progress","state":"migrating","version":1,"fraction":0.25}"#;
        let Line::Progress(sight) = Line::of(line) else { panic!("no progress") };
        assert_eq!((sight.version, sight.fraction), (Some(1), Some(0.25)));
        let line = r#"{"time":"t","event":"ready","target":3}"#;
        assert_eq!(Line::of(line), Line::Said("ready: the schema is at version 3".to_owned()));
        for other in ["hello", "{}", r#"{"event":"ready"}"#, "{\"a\":"] {
            assert_eq!(Line::of(other), Line::Other(other.to_owned()));
        }
    }
}
