//! An estimate for a terminal.

use crate::deploy::report::wrap;
use crate::estimate::{How, Quantiles, Report, StepReport};
use crate::terminal::format::{one_line, seconds, short};
use crate::terminal::table::Table;

/// A space at which no line is broken.
const WHOLE: &str = "\u{a0}";
/// How many characters of a statement are shown.
const WIDE: usize = 60;

/// As text; sentences are broken at this width.
pub fn text(report: &Report, width: Option<u16>) -> String {
    let sentence =
        |text: &str, first: &str| wrap(text, width.map_or(usize::MAX, usize::from), first, "  ");
    let mut text = format!("{}\n", headline(report));
    text.push_str(&sentence(&one_line(&origin(report)), ""));
    text.push('\n');
    text.push_str(&table(report));
    for step in &report.steps {
        for note in &step.notes {
            let step = format!("{} step {}: ", step.version, step.step);
            text.push_str(&sentence(&one_line(note), &step));
        }
    }
    for risk in &report.risks {
        let step = format!("\n! {} step {}: ", risk.version, risk.step);
        text.push_str(&sentence(&one_line(&risk.message), &step));
        text.push_str(&sentence(&one_line(&risk.next), "  "));
    }
    text.push('\n');
    for assumed in &report.assumed {
        text.push_str(&sentence(&one_line(assumed), "assumed: "));
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

/// Where it was measured, and what for.
pub fn origin(report: &Report) -> String {
    let took = seconds(report.took_seconds);
    let of = match &report.production {
        Some(production) => format!(", for {}", production.database),
        None => String::new(),
    };
    format!("measured on {} in {took}{of}", report.copy.database)
}

/// `43 s in all, and in four of five cases between 38 s and 58 s`
pub fn headline(report: &Report) -> String {
    let Quantiles { p10_seconds, p50_seconds, p90_seconds } = report.total;
    match report.steps.as_slice() {
        [] => {
            let place = if report.production.is_some() { "in production" } else { "on the copy" };
            format!("nothing is pending {place}: there is nothing to estimate")
        }
        steps => format!(
            "{} in all, and in four of five cases between {} and {}{}",
            seconds(p50_seconds),
            seconds(p10_seconds),
            seconds(p90_seconds),
            match steps.iter().any(|step| step.guessed) {
                true => ", of which a part is only guessed",
                false => "",
            }
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
            &whole(seconds(time.p50_seconds)),
            &whole(seconds(time.p10_seconds)),
            &whole(seconds(time.p90_seconds)),
            &whole(log(step)),
            &whole(growth(step)),
            &on_the_copy(step),
        ]);
    }
    table.render().replace(WHOLE, " ")
}

/// A figure whose unit stays with it where a table is narrow.
fn whole(figure: String) -> String {
    figure.replace(' ', WHOLE)
}

/// Bytes of log, where they are known.
pub fn log(step: &StepReport) -> String {
    step.wal_bytes.map_or_else(String::new, bytes)
}

/// By how much it grows, where that is known.
pub fn growth(step: &StepReport) -> String {
    step.size_bytes.map_or_else(String::new, |grown| bytes(grown.max(0) as u64))
}

/// The kind and the begin of the statement.
pub fn what(step: &StepReport) -> String {
    let statement = one_line(&step.statement);
    let begin: String = statement.chars().take(WIDE).collect();
    let more = if begin.len() < statement.len() { "…" } else { "" };
    let others = match step.statements {
        0 | 1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    format!("{}: {begin}{more}{others}", step.kind)
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
fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        _ => format!("{}B", short(bytes as f64)),
    }
}
