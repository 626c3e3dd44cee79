//! An estimate for a pull request.

use crate::deploy::report::escape_markdown as escaped;
use crate::estimate::{Report, StepReport};
use crate::terminal::format::seconds;

use super::text::{growth, headline, log, on_the_copy, origin, what};

/// As Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = format!("### Migrations: {}\n\n", escaped(&headline(report)));
    text.push_str(&format!("It was {}.\n\n", escaped(&origin(report))));
    if !report.steps.is_empty() {
        text.push_str("| step | what | expected | from | to | log | grows by | on the copy |\n");
        text.push_str("|---|---|---|---|---|---|---|---|\n");
    }
    let row = |step: &StepReport| {
        let time = step.time;
        format!(
            "| {} {}/{} | {} | {} | {} | {} | {} | {} | {} |\n",
            step.version,
            escaped(&step.name),
            step.step,
            escaped(&what(step)),
            seconds(time.p50_seconds),
            seconds(time.p10_seconds),
            seconds(time.p90_seconds),
            log(step),
            growth(step),
            on_the_copy(step),
        )
    };
    text.extend(report.steps.iter().map(row));
    text.push('\n');
    for risk in &report.risks {
        let (message, next) = (escaped(&risk.message), escaped(&risk.next));
        text.push_str(&format!("- **{}** step {}: {message}. {next}\n", risk.version, risk.step));
    }
    for step in &report.steps {
        for note in &step.notes {
            text.push_str(&format!("- {} step {}: {}\n", step.version, step.step, escaped(note)));
        }
    }
    text.extend(report.assumed.iter().map(|assumed| format!("- assumed: {}\n", escaped(assumed))));
    let advice = &report.advice;
    text.push_str(&format!(
        "\nA deployment needs: grace period {} s (where tasks migrate at their start), job timeout {} s, \
         CI timeout {} s, stop timeout {} s.\n",
        advice.grace_period_seconds,
        advice.job_timeout_seconds,
        advice.ci_timeout_seconds,
        advice.stop_timeout_seconds
    ));
    text
}
