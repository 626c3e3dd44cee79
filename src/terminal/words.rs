//! The sentences that bars and plain lines share.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::{format, tool};
use crate::progress::{
    Current, Eta, GatePhase, Lock, LockState, MigrationProgress, MigrationState, PhaseBegan,
    Progress, State,
};

/// `lockkeeper 0.1.0 · PostgreSQL 15.18 · shop at db:5432 · run 7f3c`; of a file that is made,
/// that it is.
pub(super) fn opening(progress: &Progress) -> String {
    let database = progress.database.as_deref().map(format::one_line).unwrap_or_default();
    let new = if progress.new_file { " · the file is new" } else { "" };
    let task = progress.task.as_ref();
    let task = task.map(|task| format!(" · ECS task {} of {}", task.id, task.definition));
    let (version, run) = (env!("CARGO_PKG_VERSION"), &progress.run);
    format!("lockkeeper {version} · {database} · run {run}{}{new}", task.unwrap_or_default())
}

/// `listening on http://127.0.0.1:9002`.
pub(super) fn listening(progress: &Progress, address: usize) -> String {
    let address = progress.listening.get(address).map(String::as_str);
    format!("listening on http://{}", address.unwrap_or_default())
}

/// `lock taken · 3 of 43 migrations pending`.
pub(super) fn lock_taken(progress: &Progress) -> String {
    if let Some(foreign) = progress.own_tool() {
        return tool::began(foreign);
    }
    let done = |one: &&MigrationProgress| one.state == MigrationState::Applied;
    let here = progress.migrations.iter().filter(done).count() as u64;
    let (pending, before) =
        (progress.migrations.len() as u64, progress.applied - here.min(progress.applied));
    format!(
        "lock taken · {} of {} pending",
        format::whole(pending),
        plural(before + pending, "migration")
    )
}

/// `1 migration`, `43 migrations`.
fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", format::whole(number), if number == 1 { "" } else { "s" })
}

/// `waiting for the lock: run 9f3c on ip-10-0-1-23 (process 17) holds it since 09:14:02 UTC`; where it is
/// helped, that it is.
pub(super) fn waiting(lock: &Lock) -> String {
    if lock.state == LockState::Awaited {
        return "waiting: migrations are pending, and no run is at work".to_owned();
    }
    let what = if lock.helps { "helping with the backfill" } else { "waiting for the lock" };
    let Some(holder) = &lock.holder else {
        return format!("{what}: another run holds {}", if lock.helps { "the lock" } else { "it" });
    };
    format!(
        "{what}: run {} on {} (process {}) holds {} since {}",
        format::one_line(&holder.run),
        format::one_line(&holder.host),
        holder.pid,
        if lock.helps { "the lock" } else { "it" },
        clock(&holder.since)
    )
}

/// The time of day of an RFC 3339 time stamp.
fn clock(stamp: &str) -> String {
    let time = OffsetDateTime::parse(stamp, &Rfc3339).ok().map(|time| time.to_utc());
    match time
        .and_then(|time| time.format(format_description!("[hour]:[minute]:[second] UTC")).ok())
    {
        Some(time) => time,
        None => format::one_line(stamp).into_owned(),
    }
}

/// `not reachable yet`, or no longer.
pub(super) fn unreachable(progress: &Progress) -> String {
    let yet = if progress.database.is_none() { " yet" } else { "" };
    let reason = progress.reason.as_deref().unwrap_or_default();
    format!("database not reachable{yet}, trying again: {}", format::one_line(reason))
}

/// `gate: starting bin/web, which has 2m to be ready`.
pub(super) fn phase(progress: &Progress, at: usize) -> Option<String> {
    let began = progress.gate.as_ref()?.phases.get(at)?;
    let PhaseBegan { phase, timeout_seconds, note, .. } = began;
    let note = note.as_deref().map(format::one_line).unwrap_or_default();
    let time = timeout_seconds.map(format::seconds);
    Some(match (phase, time) {
        (GatePhase::Reach, Some(time)) => {
            format!("gate: reaching the database, for at most {time}")
        }
        (GatePhase::Reach, None) => "gate: reaching the database".to_owned(),
        (GatePhase::Schema, Some(time)) => format!("gate: the schema has {time} to be ready"),
        (GatePhase::Schema, None) => "gate: waiting for the schema".to_owned(),
        (GatePhase::Child, Some(time)) => {
            format!("gate: starting {note}, which has {time} to be ready")
        }
        (GatePhase::Child, None) => format!("gate: starting {note}"),
        (GatePhase::Open, _) if note.is_empty() => "gate: open".to_owned(),
        (GatePhase::Open, _) => format!("gate: open, after {note}"),
        (GatePhase::Notice, Some(time)) => {
            format!("gate: closing, by {note}; the load balancer has {time} to notice")
        }
        (GatePhase::Notice, None) => format!("gate: closing: {note}"),
        (GatePhase::Stop, Some(time)) => format!("gate: {note}; the child has {time} to end"),
        (GatePhase::Stop, None) => format!("gate: {note}"),
        (GatePhase::Closed, _) => format!("gate: closed: {note}"),
    })
}

/// `backfill some_table by id`, `script`, `bare statement`.
pub(super) fn what(kind: &str, table: Option<&str>, key: &[String]) -> String {
    match (kind, table) {
        ("backfill", Some(table)) if !key.is_empty() => {
            let key = key.join(", ");
            format!("backfill {} by {}", format::one_line(table), format::one_line(&key))
        }
        ("backfill", Some(table)) => format!("backfill {}", format::one_line(table)),
        ("bare", _) => "bare statement".to_owned(),
        // Another process may have said it.
        (kind, _) => format::one_line(kind).into_owned(),
    }
}

/// `fill_new_column`, or `fill_new_column 2/3` of a migration with several steps.
pub(super) fn name(name: &str, step: u32, steps: u32) -> String {
    let name = format::one_line(name);
    if steps > 1 { format!("{name} {step}/{steps}") } else { name.into_owned() }
}

/// `6.8 of ~12.0 M rows`, `6 812 000 rows`.
pub(super) fn rows(current: &Current) -> Option<String> {
    let done = current.rows_done?;
    Some(match current.rows_total.filter(|_| current.fraction != Some(1.0)) {
        Some(total) => format!("{} rows", format::of_about(done, total)),
        None => format!("{} rows", format::short(done as f64)),
    })
}

/// `182 k/s`, once it is known; `182 k/s by 2 workers`.
pub(super) fn rate(current: &Current) -> Option<String> {
    let workers = current.workers.filter(|count| *count > 1);
    let workers = workers.map(|count| format!(" by {count} workers")).unwrap_or_default();
    current.rate.map(|rate| format!("{}/s{workers}", format::short(rate)))
}

/// Behind a figure that isn't measured.
const ESTIMATED: &str = ", as estimated";

/// `28 s left`; `28 s of work left, 56 s at this pace` or `56 s left at this pace` when it is slowed down;
/// `measuring`, `any moment`; `about 40 s left, as estimated`, `longer than estimated` where nothing is measured.
pub(super) fn left(progress: &Progress, current: &Current) -> Option<String> {
    let eta = progress.eta().unwrap_or(current.eta);
    if current.rows_total.is_none() && eta == Eta::Measuring {
        return None;
    }
    Some(match eta {
        Eta::Estimated { p50_seconds, .. } => {
            format!("about {} left{ESTIMATED}", format::seconds(p50_seconds))
        }
        Eta::Overdue => "longer than estimated".to_owned(),
        // Less than a second is within the figure's error, unless it is slowed down much.
        Eta::Left { p50_seconds, .. } if p50_seconds < 1.0 => {
            let slowed = current.slowed_eta_seconds.filter(|left| *left >= 1.0);
            slowed.map_or_else(
                || "any moment".to_owned(),
                |left| format!("{} left at this pace", format::seconds(left)),
            )
        }
        Eta::Left { p50_seconds, .. } => {
            let work = if current.throttle.is_some() { " of work" } else { "" };
            let slowed = current.slowed_eta_seconds.map(format::seconds);
            let slowed = slowed.map(|left| format!(", {left} at this pace")).unwrap_or_default();
            format!("{}{work} left{slowed}", format::seconds(p50_seconds))
        }
        Eta::Measuring => "measuring".to_owned(),
        Eta::Due => "any moment".to_owned(),
        Eta::Ended => return None,
    })
}

/// The same with ` (at worst 41 s)`, when that is more; `about 40 s left (at worst 1 min 10 s), as estimated`.
pub(super) fn left_at_worst(progress: &Progress, current: &Current) -> Option<String> {
    let left = left(progress, current)?;
    let (p50_seconds, p90_seconds) = match progress.eta().unwrap_or(current.eta) {
        Eta::Left { p50_seconds, p90_seconds } | Eta::Estimated { p50_seconds, p90_seconds } => {
            (p50_seconds, p90_seconds)
        }
        Eta::Measuring | Eta::Overdue | Eta::Due | Eta::Ended => return Some(left),
    };
    let worst = format::seconds(p90_seconds);
    if p50_seconds < 1.0 || worst == format::seconds(p50_seconds) {
        return Some(left);
    }
    Some(match left.strip_suffix(ESTIMATED) {
        Some(left) => format!("{left} (at worst {worst}){ESTIMATED}"),
        None => format!("{left} (at worst {worst})"),
    })
}

/// `estimated 43 s, took 51 s: 1.19 ×`, of the steps that were estimated and done.
pub(super) fn compared(progress: &Progress) -> Option<String> {
    let estimate = progress.estimate.as_ref()?;
    let ratio = estimate.ratio?;
    let held = Some(estimate.held_seconds).filter(|held| *held >= 0.001);
    let held = held.map(|held| format!(", held or slowed for {} of that", format::seconds(held)));
    Some(format!(
        "estimated {}, took {}: {ratio:.2} ×{}",
        format::seconds(estimate.estimated_seconds),
        format::seconds(estimate.took_seconds),
        held.unwrap_or_default()
    ))
}

/// `nothing pending: the schema is at version 43`, or what was done in which time.
pub(super) fn ready(progress: &Progress) -> String {
    if let Some(ended) = progress.own_tool().and_then(|foreign| tool::ended(progress, foreign)) {
        return format!("ready: {ended}");
    }
    let done = progress.migrations.iter().filter(|one| one.state == MigrationState::Applied);
    let done = done.count() as u64;
    let at = match progress.target {
        Some(target) => format!("the schema is at version {target}"),
        None => "the schema is up to date".to_owned(),
    };
    if done == 0 {
        return format!("nothing pending: {at}");
    }
    format!(
        "ready: {at} · {} in {}",
        plural(done, "migration"),
        format::duration(progress.elapsed())
    )
}

/// `stopped by SIGTERM, 1.2 s after it: migration 42 is at 57.1 %; all up to id 6812000 is
/// committed`.
pub(super) fn interrupted(progress: &Progress) -> String {
    let reason = format::one_line(progress.reason.as_deref().unwrap_or("a signal")).into_owned();
    let after = progress.stopping_seconds.map(|asked| progress.elapsed_seconds - asked);
    // Less is at once.
    let after = after.filter(|after| *after >= 0.1);
    let after = after.map(|after| format!(", {} after it", format::seconds(after)));
    let reached = match progress.own_tool() {
        Some(foreign) => tool::ended(progress, foreign).map(|ended| format!(": {ended}")),
        None => Some(reached(progress)),
    };
    format!("stopped by {reason}{}{}", after.unwrap_or_default(), reached.unwrap_or_default())
}

/// How far the run was.
fn reached(progress: &Progress) -> String {
    let Some(current) = &progress.current else { return String::new() };
    let Some(at) = progress.migrations.iter().position(|one| one.version == current.version) else {
        return String::new();
    };
    let (migration, next) = (&progress.migrations[at], progress.migrations.get(at + 1));
    let (version, step, steps) = (current.version, current.step, current.steps);
    match migration.state {
        // The step is another run's, which this one waited for.
        MigrationState::Pending => String::new(),
        MigrationState::Applied => {
            let next = next.map(|next| format!(", migration {} not begun", next.version));
            format!(": migration {version} is done{}", next.unwrap_or_default())
        }
        _ if migration.steps_done >= step => {
            format!(": step {step} of {steps} of migration {version} is done, the next not begun")
        }
        MigrationState::Running | MigrationState::Failed | MigrationState::Interrupted => {
            within(current)
        }
    }
}

/// How far the step was.
fn within(current: &Current) -> String {
    let (Some(fraction), Some(_)) = (current.fraction, current.rows_done) else {
        return format!(
            ": in migration {}, step {} of {}",
            current.version, current.step, current.steps
        );
    };
    let part = format::fine_percent(fraction);
    let position = current.position.as_deref().map(format::one_line);
    let position = position.map(|position| position.replacen(" ≤ ", " ", 1));
    let committed = position.map(|at| format!("; all up to {at} is committed"));
    format!(": migration {} is at {part}{}", current.version, committed.unwrap_or_default())
}

/// What to do after an interruption.
pub(super) const GO_ON: &str = "run the same command again to go on from there";

/// The same, of this run.
pub(super) fn go_on(progress: &Progress) -> String {
    let go_on = if progress.own_tool().is_some() { tool::GO_ON } else { GO_ON };
    go_on.to_owned()
}

/// `failed at 57.1 % after 46 s`.
pub(super) fn failed(progress: &Progress, current: &Current) -> String {
    let at = current.fraction.map(|part| format!(" at {}", format::fine_percent(part)));
    let took = progress.elapsed_seconds - current.began_seconds;
    format!("failed{} after {}", at.unwrap_or_default(), format::seconds(took))
}

/// `waiting: replica-lag 1.8 s ≥ 1.0 s on replica-1`.
pub(super) fn throttled(reason: &str) -> String {
    format!("waiting: {}", format::one_line(reason))
}

/// `waiting: replica-lag 1.8 s ≥ 1.0 s on replica-1 · 40 s so far`: of the whole step, not only since
/// the reason is this one.
pub(super) fn waiting_so_far(progress: &Progress, current: &Current) -> Option<String> {
    let waiting = throttled(current.throttle.as_deref()?);
    let so_far = Some(progress.throttled()).filter(|so_far| so_far.as_secs() > 0);
    let so_far = so_far.map(|so_far| format!(" · {} so far", format::ticking(so_far)));
    Some(waiting + &so_far.unwrap_or_default())
}

/// `SIGTERM: the open batch is finished or rolled back`.
pub(super) fn stopping(progress: &Progress) -> String {
    let reason = format::one_line(progress.reason.as_deref().unwrap_or_default());
    match progress.own_tool() {
        Some(foreign) => tool::stopping(&reason, foreign),
        None => format!("stopping ({reason}): what is open is finished or rolled back"),
    }
}

/// What one may do about it, of a signal that the run obeys: `a second signal ends it at once`.
pub(super) fn impatience(progress: &Progress) -> Option<String> {
    (progress.state == State::Stopping && !progress.ends_now)
        .then(|| "a second signal ends it at once".to_owned())
}

/// How long the current step has been at it.
pub(super) fn age(progress: &Progress, current: &Current) -> Duration {
    let began = Duration::try_from_secs_f64(current.began_seconds).unwrap_or_default();
    progress.elapsed().saturating_sub(began)
}

#[cfg(test)]
mod tests;
