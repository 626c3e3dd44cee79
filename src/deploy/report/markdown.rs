//! A diagnosis for a pull request.

use super::art::art;
use super::text::subject;
use super::wrap::harmless;
use super::{alternative, headline, sign};
use crate::deploy::doctor::Diagnosis;
use crate::deploy::facts::Facts;
use crate::deploy::finding::Finding;
use crate::deploy::remedy::{Change, Format, render};

/// The width of a fence that a pull request shows without a scroll bar.
const WIDTH: usize = 80;

/// As Markdown, with the changes in each format folded away.
pub fn markdown(diagnosis: &Diagnosis, facts: &Facts) -> String {
    let (sign, why) = headline(diagnosis);
    let mut text = format!("### {sign} {}\n\n", escaped(&why));
    text.push_str(&format!("{}\n\n", escaped(&subject(&diagnosis.subject))));
    if let Some(startup) = &diagnosis.startup {
        text.push_str(&format!("First good answer after {}.\n\n", escaped(&startup.words())));
    }
    if let Some(timeline) = &diagnosis.timeline {
        text.push_str(&fence("text", &art(timeline, WIDTH)));
    }
    for finding in &diagnosis.findings {
        text.push_str(&self::finding(finding));
    }
    let formats = [
        ("Terraform", "hcl", Format::Terraform),
        ("Copilot manifest", "yaml", Format::Copilot),
        ("AWS CLI", "sh", Format::Cli),
    ];
    for (name, language, format) in formats.into_iter().filter(|_| !diagnosis.changes.is_empty()) {
        let body = fence(language, &render(facts, &diagnosis.changes, format));
        text.push_str(&format!(
            "<details><summary>The changes as {name}</summary>\n\n{body}</details>\n\n"
        ));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn finding(finding: &Finding) -> String {
    let (sign, title) = (sign(finding.severity), escaped(&finding.title));
    let mut text = format!("**{sign} {title}** (`{}`)\n\n", finding.code);
    if !finding.details.is_empty() {
        text.push_str(&format!("{}\n\n", escaped(&finding.details.join(" "))));
    }
    let line = |change: &Change| {
        format!(
            "- {}: {}
",
            escaped(&change.summary()),
            escaped(&change.why)
        )
    };
    let mut lines: String = finding.changes.iter().map(line).collect();
    if let Some(alternative) = alternative(finding) {
        lines.push_str(&format!("- or {}\n", escaped(&alternative)));
    }
    if !lines.is_empty() {
        text.push_str(&format!("{lines}\n"));
    }
    text
}

/// A fence that no text in it can close.
fn fence(language: &str, body: &str) -> String {
    let runs = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(runs.max(2) + 1);
    format!("{ticks}{language}\n{}\n{ticks}\n\n", body.trim_end())
}

/// Text without any meaning to Markdown or HTML, and that calls nobody by `@`.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in harmless(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
