//! An estimate for a terminal.

use crate::estimate::{How, Quantiles, Report, StepReport};
use crate::terminal::format::{one_line, seconds, short};
use crate::terminal::table::Table;

/// How many characters of a statement are shown.
const WIDE: usize = 60;

/// As text.
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n", headline(report));
    text.push_str(&format!(
        "measured on {} in {}",
        one_line(&report.copy.database),
        seconds(report.took_seconds)
    ));
    if let Some(production) = &report.production {
        text.push_str(&format!(", for {}", one_line(&production.database)));
    }
    text.push_str("\n\n");
    text.push_str(&table(report));
    for step in &report.steps {
        for note in &step.notes {
            text.push_str(&format!("{} step {}: {}\n", step.version, step.step, one_line(note)));
        }
    }
    for risk in &report.risks {
        let (message, next) = (one_line(&risk.message), one_line(&risk.next));
        text.push_str(&format!("\n! {} step {}: {message}\n  {next}\n", risk.version, risk.step));
    }
    text.push('\n');
    for assumed in &report.assumed {
        text.push_str(&format!("assumed: {}\n", one_line(assumed)));
    }
    let advice = &report.advice;
    for (what, seconds) in [
        ("grace period, where tasks migrate at their start", advice.grace_period_seconds),
        ("timeout of a one-off task or job", advice.job_timeout_seconds),
        ("timeout of the CI step", advice.ci_timeout_seconds),
        ("stop timeout of the migrating container", advice.stop_timeout_seconds),
    ] {
        text.push_str(&format!("{what}: {seconds} s\n"));
    }
    text
}

/// `43 s, and at most 58 s nine times of ten`
pub fn headline(report: &Report) -> String {
    let Quantiles { p10_seconds, p50_seconds, p90_seconds } = report.total;
    match report.steps.as_slice() {
        [] => "nothing is pending on the copy: there is nothing to estimate".to_owned(),
        _ => format!(
            "{} in all, and in four of five cases between {} and {}",
            seconds(p50_seconds),
            seconds(p10_seconds),
            seconds(p90_seconds)
        ),
    }
}

fn table(report: &Report) -> String {
    let titles = ["step", "what", "expected", "from", "to", "log", "grows by", "on the copy"];
    let mut table = Table::new(titles).spare(&[6, 5]);
    for step in &report.steps {
        let time = step.time;
        table.row([
            &format!("{} {}/{}", step.version, one_line(&step.name), step.step),
            &what(step),
            &seconds(time.p50_seconds),
            &seconds(time.p10_seconds),
            &seconds(time.p90_seconds),
            &step.wal_bytes.map_or_else(String::new, bytes),
            &step.size_bytes.map_or_else(String::new, |grown| bytes(grown.max(0) as u64)),
            &on_the_copy(step),
        ]);
    }
    table.render()
}

/// The kind and the begin of the statement.
pub fn what(step: &StepReport) -> String {
    let statement = one_line(&step.statement);
    let begin: String = statement.chars().take(WIDE).collect();
    let more = if begin.len() < statement.len() { "…" } else { "" };
    format!("{}: {begin}{more}", step.kind)
}

/// How it is known.
pub fn on_the_copy(step: &StepReport) -> String {
    let how = match step.how {
        How::Rehearsed => "",
        How::Sampled => " by sample",
        How::Derived => ", derived",
    };
    format!("{}{how}", seconds(step.measured_seconds))
}

/// `1.2 GB`
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        _ => format!("{}B", short(bytes as f64)),
    }
}
