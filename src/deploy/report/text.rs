//! A diagnosis for a terminal.

use super::art::art;
use super::wrap::{harmless, wrap};
use super::{alternative, headline, sign};
use crate::deploy::doctor::{Diagnosis, Subject};
use crate::deploy::finding::Finding;
use crate::deploy::timeline::Timeline;

/// As text of at most this many columns, but for words that are longer.
pub fn text(diagnosis: &Diagnosis, width: u16) -> String {
    let width = usize::from(width);
    let mut text = wrap(&subject(&diagnosis.subject), width, "", "  ");
    if let Some(startup) = &diagnosis.startup {
        text.push_str(&wrap(
            &format!("first good answer after {}", startup.words()),
            width,
            "",
            "  ",
        ));
    }
    if let Some(timeline) = &diagnosis.timeline {
        text.push('\n');
        text.push_str(&art(timeline, width));
        text.push_str(&then(timeline, width));
    }
    text.push('\n');
    let (sign, why) = headline(diagnosis);
    text.push_str(&wrap(&harmless(&why), width, &format!("{sign} "), "  "));
    let mut is_needed = false;
    for change in diagnosis.needed() {
        is_needed = true;
        let change = format!("smallest change: {}", change.summary());
        text.push_str(&wrap(&harmless(&change), width, "  ", "    "));
    }
    if !diagnosis.changes.is_empty() {
        let what = if is_needed { "it" } else { "what would be better" };
        let how = "as Terraform, Copilot manifest or calls of the AWS CLI";
        let line = format!("--fix terraform|copilot|cli prints {what} {how}");
        text.push_str(&wrap(&line, width, "  ", "    "));
    }
    for finding in &diagnosis.findings {
        text.push('\n');
        text.push_str(&self::finding(finding, width));
    }
    text
}

/// `shop/web · rolling · ALB target group web-8080 · HTTP /health every 15 s`
pub(super) fn subject(subject: &Subject) -> String {
    let mut parts = vec![subject.name(), subject.deployment.clone()];
    parts.extend(subject.checks.iter().cloned());
    harmless(&parts.join(" · "))
}

/// What comes after the end of a task that is stopped.
fn then(timeline: &Timeline, width: usize) -> String {
    let moments = [
        ("SIGTERM", timeline.terminate),
        ("gone", timeline.gone),
        ("replaced", timeline.replacement),
        ("circuit breaker", timeline.give_up.map(|give_up| give_up.moment)),
    ];
    let named = moments.into_iter().filter_map(|(name, span)| Some(format!("{name} {}", span?)));
    let named: Vec<_> = named.collect();
    match named.is_empty() {
        true => String::new(),
        false => wrap(&named.join(" · "), width, "then: ", "      "),
    }
}

fn finding(finding: &Finding, width: usize) -> String {
    let mark = format!("{} ", sign(finding.severity));
    let title = format!("{} [{}]", finding.title, finding.code);
    let mut text = wrap(&harmless(&title), width, &mark, "  ");
    for detail in &finding.details {
        text.push_str(&wrap(&harmless(detail), width, "  ", "  "));
    }
    for change in &finding.changes {
        let line = format!("{}: {}", change.summary(), change.why);
        text.push_str(&wrap(&harmless(&line), width, "  → ", "    "));
    }
    if let Some(line) = alternative(finding) {
        text.push_str(&wrap(&harmless(&line), width, "  or ", "     "));
    }
    text
}
