//! A diagnosis as a page that stands for itself.

use std::fmt::Write;

use super::text::subject;
use super::{alternative, headline, sign, svg};
use crate::deploy::doctor::Diagnosis;
use crate::deploy::facts::Facts;
use crate::deploy::finding::{Finding, Severity};
use crate::deploy::remedy::{Change, Format, render};

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.3rem}h2{font-size:1rem;margin-bottom:0}svg{width:100%;height:auto}\
code,pre{font-family:ui-monospace,monospace;font-size:.85em}pre{overflow-x:auto}\
.fatal{color:light-dark(#b11,#f66)}.warning{color:light-dark(#a50,#e93)}";

/// As HTML: the picture, the findings, and the changes in each format. Nothing is fetched.
pub fn html(diagnosis: &Diagnosis, facts: &Facts) -> String {
    let (sign, why) = headline(diagnosis);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n<h1>{sign} {}</h1>\n<p>{}</p>\n",
        escaped(&diagnosis.subject.name()),
        escaped(&why),
        escaped(&subject(&diagnosis.subject))
    );
    if let Some(startup) = &diagnosis.startup {
        let _ = writeln!(page, "<p>First good answer after {}.</p>", escaped(&startup.words()));
    }
    page.extend(svg(diagnosis));
    for finding in &diagnosis.findings {
        self::finding(&mut page, finding);
    }
    let formats = [
        ("Terraform", Format::Terraform),
        ("Copilot manifest", Format::Copilot),
        ("AWS CLI", Format::Cli),
    ];
    for (name, format) in formats.into_iter().filter(|_| !diagnosis.changes.is_empty()) {
        let body = escaped(&render(facts, &diagnosis.changes, format));
        let _ = writeln!(
            page,
            "<details><summary>The changes as {name}</summary><pre>{body}</pre></details>"
        );
    }
    page.push_str("</html>\n");
    page
}

fn finding(page: &mut String, finding: &Finding) {
    let class = match finding.severity {
        Severity::Fatal => "fatal",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let _ = writeln!(
        page,
        "<h2 class=\"{class}\">{} {} <code>{}</code></h2>\n<p>{}</p>",
        sign(finding.severity),
        escaped(&finding.title),
        finding.code,
        escaped(&finding.details.join(" "))
    );
    let item = |change: &Change| {
        let (what, why) = (escaped(&change.summary()), escaped(&change.why));
        format!("<li><code>{what}</code>: {why}</li>\n")
    };
    let mut items: String = finding.changes.iter().map(item).collect();
    if let Some(alternative) = alternative(finding) {
        let _ = writeln!(items, "<li>or {}</li>", escaped(&alternative));
    }
    if !items.is_empty() {
        let _ = writeln!(page, "<ul>\n{items}</ul>");
    }
}

/// Text without any meaning to HTML or XML.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            // XML has no place for them, not even as references.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
