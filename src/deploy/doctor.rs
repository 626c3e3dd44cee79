//! The doctor: facts and a question in, a diagnosis out.

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::facts::{Controller, Facts, Strategy, TargetGroup};
use super::finding::{self, Case, Finding, Severity};
use super::remedy::{Change, apply};
use super::timeline::Timeline;

/// What a person tells the doctor beside the facts. Times are seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    /// How long a new task needs; without it, what was observed at the last rollout counts.
    pub startup: Option<Startup>,
    /// How long an orderly shutdown needs after SIGTERM.
    pub shutdown: Option<f64>,
    /// How long connections live.
    pub connections: Option<f64>,
    /// How long the migrations of the release take, where they are known.
    pub migration: Option<f64>,
    /// What the database lacks of the release, where it was asked.
    pub pending: Option<Pending>,
}

/// How many migrations are pending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// Before the rollout.
    pub expand: usize,
    /// After it.
    pub contract: usize,
}

/// The time from a task's start to its first good answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Startup {
    /// Seconds.
    pub seconds: f64,
    /// Who says so.
    pub source: Source,
}

/// Where a startup time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Source {
    /// A person.
    Told,
    /// The last rollout.
    Observed,
    /// An estimate on a copy, of migrations that run at the task's start.
    Estimate {
        /// Half of all runs take no longer, in seconds.
        p50: f64,
        /// Nine of ten runs take no longer, in seconds.
        p90: f64,
        /// What comes on top, in seconds: the program's own start, where a person says it.
        own: Option<f64>,
    },
}

impl Startup {
    /// As a person says.
    pub fn told(seconds: f64) -> Self {
        Startup { seconds, source: Source::Told }
    }

    /// As the last rollout had it.
    pub fn observed(seconds: f64) -> Self {
        Startup { seconds, source: Source::Observed }
    }

    /// By an estimate: what nine of ten runs stay within counts, and the program's `own` start after it.
    pub fn estimate(p50: f64, p90: f64, own: Option<f64>) -> Self {
        Startup { seconds: p90 + own.unwrap_or(0.0), source: Source::Estimate { p50, p90, own } }
    }

    /// `150 s (observed at the last rollout)`
    pub fn words(&self) -> String {
        let source = match self.source {
            Source::Told => "as told".to_owned(),
            Source::Observed => "observed at the last rollout".to_owned(),
            Source::Estimate { p50, p90, own } => {
                let own = match own {
                    Some(own) => format!("and then {own:.0} s as told"),
                    None => "without the program's own start, which --startup adds".to_owned(),
                };
                format!(
                    "migrations as estimated on a copy: half of the runs {p50:.0} s, 9 of 10 {p90:.0} s; {own}"
                )
            }
        };
        format!("{:.0} s{} ({source})", self.seconds, longer(self.seconds))
    }
}

/// ` = 20 min` where minutes, or hours, are easier to grasp than so many seconds.
fn longer(seconds: f64) -> String {
    match seconds.round() {
        many if many >= 7200.0 => format!(" = {:.1} h", many / 3600.0),
        many if many >= 300.0 => format!(" = {:.0} min", many / 60.0),
        _ => String::new(),
    }
}

/// What the doctor says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// What it is about.
    pub subject: Subject,
    /// Whether the deployment survives; `None` where the startup time isn't known and nothing else
    /// is fatal.
    pub survives: Option<bool>,
    /// The startup time that was reckoned with.
    pub startup: Option<Startup>,
    /// The life of a new task; `None` without a startup time.
    pub timeline: Option<Timeline>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Every change that the findings recommend, once, the most needed first. With all of them made
    /// the deployment survives, as far as settings can do it.
    pub changes: Vec<Change>,
}

/// What a diagnosis is about, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The cluster's name; empty where a file has none.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// The task definition to come.
    pub task_definition: String,
    /// `rolling`, `blue/green by CodeDeploy`, …
    pub deployment: String,
    /// The checks: `ALB target group web-8080 · HTTP /health every 15 s`.
    pub checks: Vec<String>,
}

impl Diagnosis {
    /// Of a deployment to come.
    pub fn of(facts: &Facts, question: &Question) -> Diagnosis {
        let observed = facts.observed_startup.map(Startup::observed);
        let startup = question.startup.or(observed);
        let timeline = startup.map(|startup| Timeline::of(facts, startup.seconds));
        let case = Case { facts, question, startup, timeline: timeline.as_ref(), mended: facts };
        let of_settings = finding::of_settings(&case);
        // What else changes may change the checks, and so the grace that they need.
        let mended = apply(facts, &changes(&of_settings));
        let mut findings = finding::of_startup(&Case { mended: &mended, ..case });
        findings.extend(of_settings);
        findings.sort_by_key(|finding| finding.severity);
        let is_fatal = findings.iter().any(|finding| finding.severity == Severity::Fatal);
        let survives = match &timeline {
            _ if is_fatal => Some(false),
            Some(timeline) => Some(timeline.verdict.survives()),
            None => None,
        };
        let changes = changes(&findings);
        Diagnosis { subject: Subject::of(facts), survives, startup, timeline, findings, changes }
    }

    /// The changes without which it doesn't survive, or survives by luck only.
    pub fn needed(&self) -> impl Iterator<Item = &Change> {
        let is_needed = |finding: &&Finding| finding.decides || finding.severity == Severity::Fatal;
        self.findings.iter().filter(is_needed).flat_map(|finding| &finding.changes)
    }
}

/// All changes of these findings, each setting once.
fn changes(findings: &[Finding]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for change in findings.iter().flat_map(|finding| &finding.changes) {
        if !changes.iter().any(|known| known.setting == change.setting) {
            changes.push(change.clone());
        }
    }
    changes
}

impl Subject {
    fn of(facts: &Facts) -> Subject {
        let service = &facts.service;
        let deployment = match (&service.controller, service.strategy) {
            (Controller::CodeDeploy(_), _) => "blue/green by CodeDeploy",
            (Controller::External, _) => "by an external controller",
            (Controller::Ecs, Strategy::Rolling) => "rolling",
            (Controller::Ecs, Strategy::BlueGreen) => "blue/green",
            (Controller::Ecs, Strategy::Linear) => "linear",
            (Controller::Ecs, Strategy::Canary) => "canary",
        };
        Subject {
            cluster: service.cluster.clone(),
            service: service.name.clone(),
            task_definition: facts.next.name(),
            deployment: deployment.to_owned(),
            checks: facts.target_groups.iter().map(TargetGroup::words).collect(),
        }
    }

    /// `shop/web`
    pub fn name(&self) -> String {
        match self.cluster.is_empty() {
            true => self.service.clone(),
            false => format!("{}/{}", self.cluster, self.service),
        }
    }
}
