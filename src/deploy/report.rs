//! A diagnosis as people and programs read it: text for a terminal, JSON, Markdown for a pull
//! request, a picture and a page.
//!
//! Names come from files and from AWS, so each form makes them harmless in its own way.

mod art;
mod html;
mod json;
mod markdown;
mod moment;
mod svg;
#[cfg(test)]
mod tests;
mod text;
mod wrap;

pub(crate) use html::escaped as escape_html;
pub use html::html;
pub use json::json;
pub(crate) use markdown::escaped as escape_markdown;
pub use markdown::markdown;
pub use svg::svg;
pub use text::text;
pub(crate) use wrap::wrap;

use super::doctor::Diagnosis;
use super::finding::{Finding, Severity};
use super::timeline::{Timeline, Verdict, of_10};

/// How a severity is marked.
fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Fatal => "✘",
        Severity::Warning => "!",
        Severity::Note => "·",
    }
}

/// The verdict in a line: its sign, and why.
fn headline(diagnosis: &Diagnosis) -> (&'static str, String) {
    match (diagnosis.survives, &diagnosis.timeline) {
        (Some(true), Some(timeline)) => ("✔", format!("survives{}", why_it_lives(timeline))),
        (Some(true), None) => ("✔", "survives".to_owned()),
        (Some(false), timeline) => {
            let stopped = timeline.as_ref().filter(|timeline| !timeline.verdict.survives());
            let why = match stopped {
                Some(timeline) => why_it_dies(timeline),
                None => first_fatal(diagnosis).map_or(String::new(), |one| one.title.clone()),
            };
            ("✘", format!("does not survive: {why}"))
        }
        (None, _) => (
            "?",
            "not known whether it survives: nobody says how long a new task needs until its first \
             good answer. Give --startup, or --estimate where its tasks migrate at their start; or ask \
             AWS, which may know the last rollout"
                .to_owned(),
        ),
    }
}

/// The changes that would mend it instead, in a line.
fn alternative(finding: &Finding) -> Option<String> {
    let why = &finding.alternatives.first()?.why;
    let all: Vec<_> = finding.alternatives.iter().map(|change| change.summary()).collect();
    Some(format!("{}: {why}", all.join(", and ")))
}

fn first_fatal(diagnosis: &Diagnosis) -> Option<&Finding> {
    diagnosis.findings.iter().find(|finding| finding.severity == Severity::Fatal)
}

fn why_it_lives(timeline: &Timeline) -> String {
    match (timeline.verdict, timeline.healthy) {
        (Verdict::Tight { share }, _) => format!(
            ", but barely: {} new tasks are stopped before they are healthy; the next one likely lives",
            of_10(share)
        ),
        (_, Some(healthy)) if timeline.courses.is_empty() => {
            let early = match healthy.latest < timeline.startup {
                true => {
                    format!(", and stops old ones before it answers at {:.0} s", timeline.startup)
                }
                false => String::new(),
            };
            format!(
                ": nothing checks a new task, so ECS takes it for good {healthy} after its start{early}"
            )
        }
        (_, Some(healthy)) => format!(": a new task is healthy {healthy} after its start"),
        (_, None) => String::new(),
    }
}

fn why_it_dies(timeline: &Timeline) -> String {
    let (who, whose) = match timeline.verdict {
        Verdict::Tight { share } => (format!("{} new tasks are", of_10(share)), "their"),
        Verdict::Survives | Verdict::Fails => ("every new task is".to_owned(), "its"),
    };
    let when = timeline.stop.map_or(String::new(), |stop| format!(" {stop} after {whose} start"));
    let then = match timeline.give_up {
        Some(give_up) if give_up.rollback => {
            format!("the circuit breaker gives up after {} tasks, and rolls back", give_up.tasks)
        }
        Some(give_up) => format!("the circuit breaker gives up after {} tasks", give_up.tasks),
        None if timeline.verdict == Verdict::Fails => {
            "the next one likewise, and no circuit breaker ends it".to_owned()
        }
        None => "their successors fare no better".to_owned(),
    };
    format!("{who} stopped{when}; {then}")
}
