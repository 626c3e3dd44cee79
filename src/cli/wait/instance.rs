//! Another instance, asked over HTTP how far it is.

use std::time::Duration;

use serde::Deserialize;

use super::reason::Reason;
use crate::ask::{self, Asked, Uri};
use crate::terminal::format::{fine_percent, one_line};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Who is asked.
pub struct Instance {
    uri: Uri,
    /// Without any password.
    shown: String,
}

/// What `/ready` says while it isn't 200. The state may be a newer release's.
#[derive(Debug, Deserialize)]
struct Readiness {
    state: String,
    reason: Option<String>,
    current: Option<Position>,
}

#[derive(Debug, Deserialize)]
struct Position {
    version: i64,
    name: String,
    fraction: Option<f64>,
}

impl Instance {
    /// At a URL, if that can be asked.
    pub fn at(url: &str) -> Option<Self> {
        let asked = ask::uri(url)?;
        // The page at the root answers whatever the schema is like.
        let url = match asked.path() {
            "/" if asked.query().is_none() => format!("{}/ready", url.trim_end_matches('/')),
            _ => url.to_owned(),
        };
        Some(Instance { uri: ask::uri(&url)?, shown: ask::without_passwords(&url) })
    }

    /// Asks once. `None` when it is ready.
    pub async fn look(&self, patience: Duration) -> Option<Reason> {
        match ask::get(self.uri.clone(), patience.min(ANSWER)).await {
            Asked::Well => None,
            Asked::Unwell { status, body } => Some(match serde_json::from_str(&body) {
                Ok(readiness) => answer(&readiness),
                Err(_) => {
                    let says = ask::says(&status, &body);
                    Reason::answer(status, format!("{} {says}", self.shown))
                }
            }),
            Asked::Silent(reason) => {
                Some(Reason::silence(format!("{} gives no answer: {reason}", self.shown)))
            }
        }
    }
}

/// A run that has ended doesn't begin again by itself. A scheduler may start another in its place,
/// and only whoever waits knows for how long that may be hoped for.
fn answer(readiness: &Readiness) -> Reason {
    let Readiness { state, reason, current } = readiness;
    let reason = reason.as_deref().map_or_else(|| one_line(state), one_line);
    let text = match state.as_str() {
        "failed" => format!("the run there has failed, and only another can go on: {reason}"),
        "interrupted" => {
            format!("the run there was stopped by {reason}, and only another can go on")
        }
        "stopping" => format!("the run there is asked to stop by {reason}"),
        _ => match current.as_ref().map(position) {
            Some(position) => format!("{reason}; {position}"),
            None => reason.into_owned(),
        },
    };
    Reason::answer(state, text)
}

/// `42 fill_new_column at 57.1 %`.
fn position(position: &Position) -> String {
    let part = position.fraction.map(|part| format!(" at {}", fine_percent(part)));
    format!("{} {}{}", position.version, one_line(&position.name), part.unwrap_or_default())
}
