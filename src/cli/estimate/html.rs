//! An estimate as a page that stands for itself: a bar for each step.

use std::fmt::Write;

use crate::deploy::report::escape_html as escaped;
use crate::estimate::{Report, StepReport};
use crate::terminal::format::seconds;

use super::text::{growth, headline, log, on_the_copy, origin, what};

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.3rem}h2{font-size:1rem;margin:1.2rem 0 .2rem}p{margin:.2rem 0}\
svg{width:100%;height:1.2rem;display:block}code{font-family:ui-monospace,monospace;font-size:.85em}\
.range{fill:light-dark(#9bd,#357)}.median{fill:light-dark(#036,#9cf)}.warning{color:light-dark(#a50,#e93)}";

/// As HTML. Nothing is fetched.
pub fn html(report: &Report) -> String {
    let headline = escaped(&headline(report));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Migrations: {headline}</title>\n<style>{STYLE}</style>\n<h1>{headline}</h1>\n\
         <p>It was {}.</p>\n",
        escaped(&origin(report))
    );
    let longest = report.steps.iter().map(|step| step.time.p90_seconds).fold(0.0, f64::max);
    for step in &report.steps {
        bar(&mut page, step, longest);
    }
    for risk in &report.risks {
        let (message, next) = (escaped(&risk.message), escaped(&risk.next));
        let (version, step) = (risk.version, risk.step);
        let _ = writeln!(page, "<p class=\"warning\">{version} step {step}: {message}. {next}</p>");
    }
    for assumed in &report.assumed {
        let _ = writeln!(page, "<p>Assumed: {}.</p>", escaped(assumed));
    }
    let advice = &report.advice;
    let _ = writeln!(
        page,
        "<h2>A deployment needs</h2>\n<ul>\n<li>grace period, where tasks migrate at their start: {} s</li>\n\
         <li>timeout of a one-off task or job: {} s</li>\n<li>timeout of the CI step: {} s</li>\n\
         <li>stop timeout of the migrating container: {} s</li>\n</ul>",
        advice.grace_period_seconds,
        advice.job_timeout_seconds,
        advice.ci_timeout_seconds,
        advice.stop_timeout_seconds
    );
    page.push_str("</html>\n");
    page
}

/// From the 10th to the 90th percentile, with a mark at the median.
fn bar(page: &mut String, step: &StepReport, longest: f64) {
    let at = |seconds: f64| 100.0 * seconds / longest.max(f64::MIN_POSITIVE);
    let time = step.time;
    let (from, to, median) = (at(time.p10_seconds), at(time.p90_seconds), at(time.p50_seconds));
    let _ = writeln!(
        page,
        "<h2>{} {}, step {}: {} ({} to {})</h2>\n<p><code>{}</code></p>\n\
         <svg viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{} to {}\">\
         <rect class=\"range\" x=\"{from:.2}\" y=\"1\" width=\"{:.2}\" height=\"2\"/>\
         <rect class=\"median\" x=\"{:.2}\" y=\"0\" width=\".5\" height=\"4\"/></svg>\n<p>On the copy: {}.{}{} {}</p>",
        step.version,
        escaped(&step.name),
        step.step,
        seconds(time.p50_seconds),
        seconds(time.p10_seconds),
        seconds(time.p90_seconds),
        escaped(&what(step)),
        seconds(time.p10_seconds),
        seconds(time.p90_seconds),
        (to - from).max(0.3),
        median.min(99.5),
        on_the_copy(step),
        told(" Log: ", &log(step)),
        told(" Grows by ", &growth(step)),
        escaped(&step.notes.join(". "))
    );
}

/// A figure in a sentence of its own, where it is known.
fn told(what: &str, figure: &str) -> String {
    if figure.is_empty() { String::new() } else { format!("{what}{figure}.") }
}
