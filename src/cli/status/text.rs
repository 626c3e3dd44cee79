//! The states as a table for people.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::{Checkpoint, Entry, Report, State};
use crate::migration::Phase;
use crate::progress::Holder;
use crate::terminal::format::{one_line, seconds, short};
use crate::terminal::table::Table;

pub(super) fn as_text(report: &Report) -> String {
    let titles = ["version", "name", "phase", "state", "when (UTC)", "took"];
    let mut table = Table::new(titles).right(5).spare(&[2, 5, 4]);
    for entry in &report.migrations {
        let cells = [
            entry.version.to_string(),
            entry.name.clone().unwrap_or_default(),
            entry.phase.map(Phase::as_str).unwrap_or_default().to_owned(),
            state(entry),
            when(entry, report.lock.as_ref()),
            entry.took_seconds.map(seconds).unwrap_or_default(),
        ];
        table.row(cells.each_ref().map(String::as_str));
    }
    let mut text = table.render();
    if let Some(refusal) = &report.refusal {
        text.push_str(&format!("\n`up` would refuse: {}\n", one_line(refusal)));
    }
    if let Some(holder) = &report.lock {
        let (run, host, pid) = (one_line(&holder.run), one_line(&holder.host), holder.pid);
        let since = match in_utc(&holder.since) {
            Some(since) => format!("{since} UTC"),
            None => one_line(&holder.since).into_owned(),
        };
        text.push_str(&format!("\nrun {run} on {host} (process {pid}) is at work since {since}\n"));
    }
    for helper in &report.helpers {
        let (run, host, pid) = (one_line(&helper.run), one_line(&helper.host), helper.pid);
        text.push_str(&format!("\nrun {run} on {host} (process {pid}) helps with it\n"));
    }
    for asked in &report.requests {
        let (by, at) = (one_line(&asked.asked_by), minutes(&asked.asked_at));
        let at = one_line(&at);
        text.push_str(&match (asked.state, asked.rows_per_second, asked.workers) {
            (_, Some(rows), _) => {
                format!("\nrate: no more than {rows} rows/s, asked for by {by} at {at}\n")
            }
            (_, None, Some(count)) => {
                format!("\nworkers: {count} in every backfill, asked for by {by} at {at}\n")
            }
            (state, None, None) => {
                format!("\n{state}, as {by} asked at {at}: `lockkeeper resume` goes on\n")
            }
        });
    }
    text
}

fn state(entry: &Entry) -> String {
    let name = match entry.state {
        State::Applied => "applied",
        State::Pending => "pending",
        State::Running => "running",
        State::Dirty => "dirty",
        State::Drift => "drift: the file has changed since",
        State::Missing if entry.applied_on.is_some() => "missing: applied, but without a file",
        State::Missing => "missing: half applied, but without a file",
    };
    let far = [steps_of(entry), entry.checkpoint.as_ref().map(position)];
    match far.into_iter().flatten().collect::<Vec<_>>().join(", ") {
        far if far.is_empty() => name.to_owned(),
        far => format!("{name}  {far}"),
    }
}

/// `2 of 3 steps done`, of a migration that has stopped in the middle or is there now.
fn steps_of(entry: &Entry) -> Option<String> {
    let done = entry.steps_done.filter(|done| *done > 0 && entry.applied_on.is_none())?;
    Some(match &entry.steps {
        Some(steps) => format!("{done} of {} steps done", steps.len()),
        None => format!("steps done: {done}"),
    })
}

/// `57 %, up to 6812000 and half of those to 6822000, 182 k/s, about 28 s left`; of several ranges, where the first gap is.
fn position(checkpoint: &Checkpoint) -> String {
    let done = checkpoint.rows_done;
    let far = match checkpoint.rows_total {
        Some(total) if total > 0 => {
            format!("{:.0} %", (done as f64 / total.max(done) as f64 * 100.0).min(99.0))
        }
        _ => format!("{} rows", short(done as f64)),
    };
    let key = checkpoint.key.as_deref().map(|key| match key {
        [pass, block] if checkpoint.by_block && pass == "1" => format!(", up to block {block}"),
        [_, block] if checkpoint.by_block => format!(", up to block {block} again"),
        key => format!(", up to {}", key.join(", ")),
    });
    let key = match (&checkpoint.partition, &checkpoint.key) {
        (Some(partition), Some(key)) if key.is_empty() => {
            Some(format!(", up to all of {partition}"))
        }
        (Some(partition), _) => key.map(|key| format!("{key} of {partition}")),
        (None, _) => key,
    };
    let half = checkpoint.half_through.as_ref();
    let half = half.map(|key| format!(" and half of those to {}", key.join(", ")));
    let ranges = (checkpoint.ranges > 1).then(|| format!(" of {} ranges", checkpoint.ranges));
    let rate = checkpoint.rate.map(|rate| format!(", {}/s", short(rate)));
    let left = checkpoint.eta_seconds.map(|left| format!(", about {} left", seconds(left)));
    [Some(far), ranges, key, half, rate, left].into_iter().flatten().collect()
}

fn when(entry: &Entry, holder: Option<&Holder>) -> String {
    match (entry.state, holder, &entry.checkpoint) {
        (State::Running, Some(holder), _) => format!("by run {}", holder.run),
        (_, _, Some(checkpoint)) => format!("begun {}", minutes(&checkpoint.began_at)),
        _ => entry.applied_on.as_deref().map(minutes).unwrap_or_default(),
    }
}

/// A date for a cell of the table: in UTC where it is one, and else as it stands.
pub(super) fn minutes(date: &str) -> String {
    in_utc(date).unwrap_or_else(|| date.to_owned())
}

/// `2026-11-20 09:14` of an RFC 3339 date, in UTC: another tool's may be in any time zone.
fn in_utc(date: &str) -> Option<String> {
    let time = OffsetDateTime::parse(date, &Rfc3339).ok()?.to_utc();
    time.format(format_description!("[year]-[month]-[day] [hour]:[minute]")).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Asked;
    use super::*;

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(minutes("2026-11-20T09:14:02.123Z"), "2026-11-20 09:14");
        assert_eq!(minutes("2026-11-20T00:14:02+01:00"), "2026-11-19 23:14");
        assert_eq!(minutes("yesterday"), "yesterday");
    }

    /// What stands in the tables may be anybody's.
    #[test]
    fn what_is_no_time_is_not_called_one_and_steers_no_terminal() {
        let told = |since: &str| {
            let holder = Holder {
                run: "9f3c".to_owned(),
                host: "web".to_owned(),
                pid: 17,
                since: since.to_owned(),
            };
            let entry = Entry {
                version: 1,
                name: Some("make".to_owned()),
                phase: None,
                state: State::Applied,
                steps: None,
                steps_done: None,
                applied_on: Some(since.to_owned()),
                took_seconds: None,
                checkpoint: None,
            };
            as_text(&Report {
                database: String::new(),
                ready: true,
                refusal: None,
                target: None,
                lock: Some(holder),
                helpers: Vec::new(),
                requests: vec![Asked {
                    state: "paused",
                    asked_by: since.to_owned(),
                    asked_at: since.to_owned(),
                    rows_per_second: None,
                    workers: None,
                }],
                migrations: vec![entry],
            })
        };
        let text = told("2026-11-20T09:14:02.123Z");
        assert!(text.contains(" is at work since 2026-11-20 09:14 UTC\n"), "{text}");
        assert!(text.contains(" asked at 2026-11-20 09:14: "), "{text}");
        let text = told("soon\x1b[2J\nerror: none");
        assert!(!text.contains('\x1b') && !text.contains("UTC\n"), "{text:?}");
        assert_eq!(text.lines().count(), 6, "{text:?}");
        assert!(text.lines().all(|line| !line.starts_with("error")), "{text:?}");
    }
}
