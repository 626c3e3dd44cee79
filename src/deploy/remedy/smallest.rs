//! The smallest change with which a deployment survives: found by asking the timeline again.

use super::{Change, Setting, apply};
use crate::deploy::facts::Facts;
use crate::deploy::timeline::{Checker, Timeline, Verdict};

/// What is added to the startup time: a tenth.
const MARGIN: f64 = 1.1;
/// Recommended seconds are multiples of this.
const STEP: u64 = 5;
/// ECS takes no longer grace period.
const LONGEST_GRACE: u64 = 2_147_483_647;
/// Seconds that are longer than any check, or any grace period, waits.
const NEVER: f64 = 1e10;
/// A container's start period is at most this.
const LONGEST_START_PERIOD: u64 = 300;
/// Load balancers take no higher threshold, and no longer interval.
const MOST_FAILURES: u32 = 10;
const LONGEST_INTERVAL: u64 = 300;

/// The startup time that a remedy is made for.
pub fn with_margin(startup: f64) -> f64 {
    startup * MARGIN
}

fn is_safe(facts: &Facts, change: &[Change], startup: f64) -> bool {
    Timeline::of(&apply(facts, change), with_margin(startup)).verdict == Verdict::Survives
}

/// The least multiple of the step with which it is safe, beyond `least`. A longer time is never
/// worse, so halving finds it.
fn search(least: u64, most: u64, is_safe: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (least.div_ceil(STEP), most / STEP);
    if high < low || !is_safe(high * STEP) {
        return None;
    }
    while low < high {
        let middle = low.midpoint(high);
        if is_safe(middle * STEP) { high = middle } else { low = middle + 1 }
    }
    Some(high * STEP)
}

/// The shortest grace period with which no task is stopped; `None` where none is needed.
pub fn grace(facts: &Facts, startup: f64) -> Option<Change> {
    let now = facts.service.grace_or_default();
    let change = |grace: u64| Change::new(facts, Setting::Grace, Some(grace), String::new());
    if Timeline::of(facts, startup).verdict == Verdict::Survives {
        return None;
    }
    let to = search(now, LONGEST_GRACE, |grace| is_safe(facts, &[change(grace)], startup))?;
    let wanted = with_margin(startup);
    let mut why = format!("{startup:.0} s and a tenth is {wanted:.0} s");
    if to as f64 >= wanted + STEP as f64 {
        let after = to as f64 - wanted;
        why.push_str(&format!(", and up to {after:.0} s until enough checks in a row have passed"));
    }
    // Where a check notices it later than the grace ends, a longer one costs nothing.
    if let (Some(before), Some(after)) = (noticed(facts), noticed(&apply(facts, &[change(to)])))
        && after.round() > before.round()
    {
        why.push_str(&format!(
            "; the price: a new task that is really broken is stopped after {after:.0} s, not after \
             {before:.0} s"
        ));
    }
    Some(Change { why, ..change(to) })
}

/// Seconds after which a new task that never answers is stopped at the latest.
fn noticed(facts: &Facts) -> Option<f64> {
    Timeline::of(facts, NEVER).stop.map(|stop| stop.latest)
}

/// The container checks' start periods instead, where they alone stop the tasks and may be that
/// long (300 s).
pub fn start_period(facts: &Facts, startup: f64) -> Option<Vec<Change>> {
    let wanted = (with_margin(startup).ceil() as u64).next_multiple_of(STEP);
    let timeline = Timeline::of(facts, startup);
    let stopped = timeline.courses.iter().filter(|course| course.share > 0.0);
    let mut changes = Vec::new();
    for course in stopped {
        let Checker::Container(container) = &course.by else { continue };
        let setting = Setting::StartPeriod { container: container.clone() };
        let why = format!(
            "failures in the first {wanted} s don't count then; a success ends it sooner, so it \
             costs nothing but a late word on a task that never answers"
        );
        changes.push(Change::new(facts, setting, Some(wanted), why));
    }
    let fits = wanted <= LONGEST_START_PERIOD && !changes.is_empty();
    (fits && is_safe(facts, &changes, startup)).then_some(changes)
}

/// The load balancers' checks instead: with the grace as it is, so many failures, so far apart, that
/// no task is ever marked unhealthy at its start. Its price is paid for ever, not only at the start.
pub fn checks(facts: &Facts, startup: f64) -> Option<Vec<Change>> {
    let mut changes = lenient(facts, startup)?;
    // In a blue/green deployment the other side may be the worse one now.
    changes.extend(lenient(&apply(facts, &changes), startup)?);
    (!changes.is_empty() && is_safe(facts, &changes, startup)).then_some(changes)
}

fn lenient(facts: &Facts, startup: f64) -> Option<Vec<Change>> {
    let wanted = with_margin(startup);
    let mut changes = Vec::new();
    let timeline = Timeline::of(facts, startup);
    for course in timeline.courses.iter().filter(|course| course.share > 0.0) {
        let Checker::TargetGroup(name) = &course.by else { return None };
        // So many failures are possible before the first success, and one more than that is safe.
        let least = wanted / f64::from(MOST_FAILURES - 1);
        let interval = (course.interval as u64).max((least.ceil() as u64).next_multiple_of(STEP));
        if interval > LONGEST_INTERVAL {
            return None;
        }
        let failures = (wanted / interval as f64).ceil() as u64 + 1;
        let noticed = interval * failures;
        let why = format!(
            "no task is marked unhealthy in its first {wanted:.0} s then; the price: a task that \
             breaks later, too, keeps its traffic for up to {noticed} s"
        );
        if interval != course.interval as u64 {
            let setting = Setting::CheckInterval { target_group: name.clone() };
            changes.push(Change::new(facts, setting, Some(interval), why.clone()));
        }
        let setting = Setting::UnhealthyThreshold { target_group: name.clone() };
        changes.push(Change::new(facts, setting, Some(failures), why));
    }
    Some(changes)
}
