//! What is wrong, or may be, with a deployment to come: a file a finding.
//!
//! A finding's code is the name of its page, `docs/findings/<code>.md`.

mod breaker_gives_up_first;
mod check_flood;
mod check_waits_for_migration;
mod codedeploy_wait_too_short;
mod deregistration_beyond_spot;
mod deregistration_too_short;
mod facts_missing;
mod grace_too_short;
mod migration_on_spot;
mod migrations_pending;
mod nothing_checks;
mod orphaned_target_group;
mod percentages_cannot_move;
mod permission_missing;
mod size_changed;
mod start_period_too_short;
mod start_timeout_kills_migration;
mod stop_timeout_refused;
mod stop_timeout_too_short;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::doctor::{Question, Startup};
use super::facts::Facts;
use super::remedy::Change;
use super::timeline::Timeline;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The deployment doesn't survive.
    Fatal,
    /// Something may break.
    Warning,
    /// Good to know.
    Note,
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The name of its page.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// In a line.
    pub title: String,
    /// Sentences, with the arithmetic.
    pub details: Vec<String>,
    /// What mends it.
    pub changes: Vec<Change>,
    /// What would mend it instead, all of these together.
    pub alternatives: Vec<Change>,
    /// Whether it is about the survival of new tasks, and not about another trouble.
    pub decides: bool,
}

/// What a finding looks at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What is known.
    pub facts: &'a Facts,
    /// What was asked.
    pub question: &'a Question,
    /// The startup time.
    pub startup: Option<Startup>,
    /// The life of a new task, where the startup time is known.
    pub timeline: Option<&'a Timeline>,
    /// The facts with the changes of the findings that came before.
    pub mended: &'a Facts,
}

type Look = fn(&Case<'_>) -> Vec<Finding>;

/// Findings about settings.
const OF_SETTINGS: [(&str, Look); 17] = [
    (nothing_checks::CODE, nothing_checks::look),
    (percentages_cannot_move::CODE, percentages_cannot_move::look),
    (start_timeout_kills_migration::CODE, start_timeout_kills_migration::look),
    (stop_timeout_refused::CODE, stop_timeout_refused::look),
    (stop_timeout_too_short::CODE, stop_timeout_too_short::look),
    (deregistration_too_short::CODE, deregistration_too_short::look),
    (deregistration_beyond_spot::CODE, deregistration_beyond_spot::look),
    (check_waits_for_migration::CODE, check_waits_for_migration::look),
    (migration_on_spot::CODE, migration_on_spot::look),
    (migrations_pending::CODE, migrations_pending::look),
    (orphaned_target_group::CODE, orphaned_target_group::look),
    (codedeploy_wait_too_short::CODE, codedeploy_wait_too_short::look),
    (check_flood::CODE, check_flood::look),
    (size_changed::CODE, size_changed::look),
    (breaker_gives_up_first::CODE, breaker_gives_up_first::look),
    (permission_missing::CODE, permission_missing::look),
    (facts_missing::CODE, facts_missing::look),
];

/// Findings about the startup time; their changes go with those of the others.
const OF_STARTUP: [(&str, Look); 2] = [
    (grace_too_short::CODE, grace_too_short::look),
    (start_period_too_short::CODE, start_period_too_short::look),
];

/// The codes of all findings.
pub fn codes() -> impl Iterator<Item = &'static str> {
    OF_SETTINGS.iter().chain(&OF_STARTUP).map(|(code, _)| *code)
}

pub(super) fn of_settings(case: &Case<'_>) -> Vec<Finding> {
    OF_SETTINGS.iter().flat_map(|(_, look)| look(case)).collect()
}

pub(super) fn of_startup(case: &Case<'_>) -> Vec<Finding> {
    OF_STARTUP.iter().flat_map(|(_, look)| look(case)).collect()
}

impl Finding {
    fn new(code: &'static str, severity: Severity, title: String) -> Finding {
        Finding {
            code,
            severity,
            title,
            details: Vec::new(),
            changes: Vec::new(),
            alternatives: Vec::new(),
            decides: false,
        }
    }

    fn detail(mut self, sentence: impl Into<String>) -> Finding {
        self.details.push(sentence.into());
        self
    }

    fn change(mut self, changes: impl IntoIterator<Item = Change>) -> Finding {
        self.changes.extend(changes);
        self
    }

    fn alternative(mut self, changes: impl IntoIterator<Item = Change>) -> Finding {
        self.alternatives.extend(changes);
        self
    }

    fn decides(mut self) -> Finding {
        self.decides = true;
        self
    }
}

/// Seconds as recommended: whole, and a multiple of five.
fn round_up(seconds: f64) -> u64 {
    (seconds.ceil().max(0.0) as u64).next_multiple_of(5)
}
