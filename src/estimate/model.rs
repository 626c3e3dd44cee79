//! From what was measured on a copy to what is to be expected of production. Pure.
//!
//! A time is taken for log-normal: it is its factors that are uncertain, and they multiply. The spread is the
//! root of the squares of what contributes to it.

use super::correction::{Corrected, Correction};
use super::facts::Facts;
use super::measured::{Extent, How, Measured};
use super::probe::Speed;

/// Standard deviations between the median and the 90th percentile of a normal distribution.
pub(super) const P90: f64 = 1.2816;
/// What two runs of the same statement on the same machine differ by, as a logarithm.
const MOOD: f64 = 0.14;
/// A measurement of a second may be off by so much more, one of a quarter of it twice as much: a stall weighs more there.
const SHORT: f64 = 0.06;
/// However short it was.
const SHORTEST: f64 = 0.02;
/// Seconds by which any step may be late: a scheduler's, a disk's.
const HICCUP: f64 = 0.05;
/// For each factor of e between the sizes.
const PER_SCALE: f64 = 0.15;
/// Where nothing is known of production, or only by statistics of another time.
const UNKNOWN_SIZE: f64 = 0.25;
/// For each setting that differs.
const PER_SETTING: f64 = 0.04;
/// Of another major version.
const OTHER_MAJOR: f64 = 0.2;
/// Of a table whose columns or indexes differ.
const OTHER_SHAPE: f64 = 0.3;
/// Where the disk sets the pace, which others use too.
const DISK: f64 = 0.25;
/// A disk that takes less than this part of what the copy's takes is a slower one, and not just at other work.
const SLOWER: f64 = 0.6;
/// A table that is by this factor larger in production has more log than the copy's disk has shown to take.
const LARGER: f64 = 1.1;
/// The part of a server's memory for pages that changed ones may have before they are written.
const DIRTY: f64 = 0.7;
/// What a step takes whatever the size is, in seconds: the way to the server, the entry in the ledger. No more
/// than half of it: where so little was measured, nobody can tell.
const FIXED: f64 = 0.005;
/// And a backfill: the proof, the sample of its keys, small batches at first.
const FIXED_BACKFILL: f64 = 0.03;
/// Times are of whole milliseconds, and none is nothing.
const TICK: f64 = 0.0005;
/// How much that part of the whole may be mistaken by, as a logarithm, and where it is told.
const FIXED_DOUBT: f64 = 2.0;
const FIXED_TOLD: f64 = 0.25;
/// A row takes about so long, in seconds, where nobody has measured it: more with indexes, less where it is only read.
const GUESSED_ROW: f64 = 10e-6;
/// And how far off that may be, as a logarithm.
const GUESSED: f64 = 0.9;
/// Of fewer rows than these it doesn't matter.
const MANY_ROWS: u64 = 10_000;
/// Tables that differ by less are as good as each other, as a logarithm: a factor of 1.5.
const ALIKE: f64 = 0.4;

/// The 10th, 50th and 90th percentile.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quantiles {
    /// One of ten is faster, in seconds.
    pub p10_seconds: f64,
    /// Half of them are.
    pub p50_seconds: f64,
    /// Nine of ten are.
    pub p90_seconds: f64,
}

impl Quantiles {
    /// Around a median, with the standard deviation of its logarithm.
    pub fn around(median: f64, spread: f64) -> Self {
        let factor = (P90 * spread).exp();
        Quantiles {
            p10_seconds: median / factor,
            p50_seconds: median,
            p90_seconds: median * factor + HICCUP.min(median),
        }
    }

    /// One after the other, on a machine whose mood is the same for all.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Quantiles {
            p10_seconds: self.p10_seconds + other.p10_seconds,
            p50_seconds: self.p50_seconds + other.p50_seconds,
            p90_seconds: self.p90_seconds + other.p90_seconds,
        }
    }
}

/// In what production differs from the copy.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The copy, before anything was done to it.
    pub copy: &'a Facts,
    /// Production; `None` where nobody has said where it is.
    pub production: Option<&'a Facts>,
    /// How fast it is.
    pub speed: Option<Speed>,
    /// What the estimates of the past teach.
    pub correction: Option<&'a Correction>,
}

/// What is to be expected of production.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// How long it takes.
    pub time: Quantiles,
    /// How that was corrected.
    pub correction: Option<Corrected>,
    /// Bytes of log.
    pub wal_bytes: Option<u64>,
    /// By how many bytes the database grows.
    pub size_bytes: Option<i64>,
    /// By which factor more is done than on the copy.
    pub scale: f64,
    /// Whether the copy had nothing to measure it on.
    pub is_guessed: bool,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// Carries a step over.
pub fn carry(measured: &Measured, circumstances: Circumstances<'_>) -> Carried {
    let mut notes = measured.notes.clone();
    let mut spread = Spread::of(measured.spread);
    spread.add(MOOD);
    let worked = measured.worked_seconds().max(TICK);
    spread.add(SHORT / worked.max(SHORTEST).sqrt());
    let size = Size::of(measured, circumstances, &mut notes);
    spread.add(size.spread);
    let speed = match circumstances.speed {
        Some(speed) => speed,
        None => Speed::same(),
    };
    spread.add(speed.spread);
    let usual = if measured.kind == "backfill" && measured.how == How::Rehearsed {
        FIXED_BACKFILL
    } else {
        FIXED
    };
    let fixed = usual.min(worked / 2.0);
    let mut median = fixed + (worked - fixed) * size.time * speed.ratio;
    let part = fixed / worked.max(usual);
    spread.add(FIXED_DOUBT * part * size.time.ln().clamp(0.0, 1.0));
    if let Some(table) = measured.extent.table().filter(|_| part >= FIXED_TOLD && size.time > 2.0) {
        notes.push(format!(
            "it took {:.0} ms on the copy: how much of that grows with {table} can't be told",
            1000.0 * worked
        ));
    }
    let of = |bytes: f64| bytes * size.rows;
    let disk = disk_seconds(measured, of, speed, circumstances.production);
    if let Some(disk) = disk.filter(|disk| *disk > median) {
        let rate = speed.log_rate.unwrap_or_default() / 1e6;
        notes.push(format!(
            "its log is what takes the time: production writes {rate:.0} MB of it a second"
        ));
        spread.add(DISK);
        median = disk;
    }
    if let Some(guessed) = size.guessed {
        spread.add(GUESSED);
        median = median.max(guessed);
    }
    let correction = circumstances.correction.filter(|_| size.guessed.is_none());
    let correction = correction.and_then(|one| one.apply(measured.kind, median, spread.root()));
    let time = match correction {
        Some(corrected) => Quantiles::around(median * corrected.factor, corrected.spread),
        None => Quantiles::around(median, spread.root()),
    };
    let is_guessed = size.guessed.is_some();
    Carried {
        time,
        correction,
        wal_bytes: measured.wal_bytes.filter(|_| !is_guessed).map(|bytes| of(bytes as f64) as u64),
        size_bytes: measured
            .size_bytes
            .filter(|_| !is_guessed)
            .map(|bytes| of(bytes as f64) as i64),
        scale: size.rows,
        is_guessed,
        notes,
    }
}

/// How long production's disk is busy with what a step writes, where that may be more than the step was seen to wait for:
/// batches don't wait for the disk, but they can't go on for long without it, and a sample of them is over before, or a fill of fewer
/// rows; all else has waited for the copy's disk, which may be a faster one.
fn disk_seconds(
    measured: &Measured,
    of: impl Fn(f64) -> f64,
    speed: Speed,
    production: Option<&Facts>,
) -> Option<f64> {
    let rate = speed.log_rate?;
    let is_slower = speed.copy_log_rate.map(|copy| rate < SLOWER * copy);
    let is_part = measured.how == How::Sampled || of(1.0) > LARGER;
    let is_over_before = measured.kind == "backfill" && is_part;
    if is_slower == Some(false) && !is_over_before {
        return None;
    }
    let twice = is_slower == Some(true) && syncs_what_it_builds(measured, production);
    let times = if twice { 2.0 } else { 1.0 };
    let log = times * of(measured.wal_bytes? as f64);
    Some((log + evicted(measured, &of, production).unwrap_or(0.0)) / rate)
}

/// Bytes of changed pages that a backfill's server has no memory for, so that they are written before it is done. (By
/// measurement: where they fit, PostgreSQL's disk has the log and no more.)
fn evicted(
    measured: &Measured,
    of: impl Fn(f64) -> f64,
    production: Option<&Facts>,
) -> Option<f64> {
    let (rows, changed) = (measured.rows? as f64, measured.changed? as f64);
    let production = production?;
    let table = production.table(measured.extent.table()?)?;
    let pages = production.settings.get("shared_buffers")?.split(' ').next()?;
    let memory = pages.parse::<f64>().ok()? * 8_192.0;
    let touched = table.all_bytes() as f64 * (changed / rows.max(1.0)).min(1.0);
    let grown = of(measured.size_bytes.unwrap_or(0).max(0) as f64);
    Some((touched + grown - DIRTY * memory).max(0.0))
}

/// Whether a step waits until the index that it has built, and has written to the log as whole pages, is on the disk as well:
/// `smgrimmedsync` at the end of `nbtsort.c` in PostgreSQL's sources before 17.
fn syncs_what_it_builds(measured: &Measured, production: Option<&Facts>) -> bool {
    let major = production.and_then(|facts| facts.major.parse::<u32>().ok());
    matches!(measured.extent, Extent::Sort(_)) && major.is_some_and(|major| major < 17)
}

/// In what production differs from the copy as a whole, and by how much that widens each interval.
pub fn differences(circumstances: Circumstances<'_>) -> (f64, Vec<String>) {
    let Some(production) = circumstances.production else {
        let note =
            "nothing is known of production: it is taken to be as large and as fast as the copy";
        return (UNKNOWN_SIZE, vec![note.to_owned()]);
    };
    let copy = circumstances.copy;
    let (mut spread, mut notes) = (Spread::of(0.0), Vec::new());
    if production.load.is_hidden {
        notes.push("production is as busy as the probe found it: who is at work there isn't shown to this user".to_owned());
    }
    if circumstances.speed.is_some_and(|speed| speed.is_unread) {
        notes.push("production's tables are read as fast as it does sums: no table of both could be read by this user".to_owned());
    }
    if copy.major != production.major {
        spread.add(OTHER_MAJOR);
        notes.push(format!(
            "the copy's server is of version {}, and production's of version {}",
            copy.major, production.major
        ));
    }
    for (name, value) in &production.settings {
        let Some(other) = copy.settings.get(name).filter(|other| *other != value) else { continue };
        spread.add(PER_SETTING);
        notes.push(format!("{name} is {value} in production, and {other} on the copy"));
    }
    (spread.root(), notes)
}

/// How much more there is to do.
struct Size {
    /// For the bytes that are written.
    rows: f64,
    /// For the time.
    time: f64,
    spread: f64,
    /// How long it takes by nothing but its rows, in seconds, where the copy has none.
    guessed: Option<f64>,
}

impl Size {
    fn same(spread: f64) -> Self {
        Size { rows: 1.0, time: 1.0, spread, guessed: None }
    }

    fn of(measured: &Measured, circumstances: Circumstances<'_>, notes: &mut Vec<String>) -> Self {
        let (whole, _) = differences(circumstances);
        let Some(production) = circumstances.production else { return Size::same(whole) };
        let Some(table) = measured.extent.table() else { return Size::same(0.0) };
        let (Some(here), Some(there)) = (circumstances.copy.table(table), production.table(table))
        else {
            let is_there = production.table(table).is_some();
            if !is_there && circumstances.copy.table(table).is_some() {
                notes.push(format!("production has no table {table} yet, or not under this name"));
                return Size::same(Spread::of(whole).with(UNKNOWN_SIZE));
            }
            return Size::same(whole);
        };
        let mut spread = Spread::of(whole);
        let differs = [
            (here.columns != there.columns || here.indexes != there.indexes, "columns or indexes"),
            (here.triggers != there.triggers, "triggers or foreign keys"),
        ];
        for (_, what) in differs.iter().filter(|(differs, _)| *differs) {
            spread.add(OTHER_SHAPE);
            notes.push(format!("{table} has other {what} in production than on the copy"));
        }
        let is_empty = here.is_empty() && measured.rows.unwrap_or(0) == 0;
        let is_sure = !matches!(measured.extent, Extent::Perhaps(_));
        if let Some(rows) = there.rows.filter(|rows| is_empty && is_sure && *rows >= MANY_ROWS) {
            notes.push(format!(
                "guessed: {table} is empty on the copy, and has {rows} rows in production"
            ));
            let guessed = Some(rows as f64 * GUESSED_ROW);
            return Size { guessed, ..Size::same(spread.root()) };
        }
        let bytes = ratio(there.all_bytes(), here.all_bytes());
        let here_rows = here.rows.filter(|rows| *rows > 0).or_else(|| {
            let counted = measured.rows.filter(|_| measured.how == How::Rehearsed)?;
            notes.push(format!(
                "the copy has no statistics of {table}: the fill has counted {counted} rows"
            ));
            Some(counted)
        });
        let rows = there.rows.zip(here_rows).and_then(|(there, here)| ratio(there, here));
        let scale = match measured.extent {
            Extent::Bytes(_) | Extent::Perhaps(_) => bytes.or(rows),
            _ => rows.or(bytes),
        };
        let Some(scale) = scale else {
            notes.push(format!("nobody knows how large {table} is: it has no statistics"));
            return Size::same(spread.with(UNKNOWN_SIZE));
        };
        // Statistics are of some time ago, and a few per cent between the two are theirs.
        let scale = if (0.95..1.05).contains(&scale) { 1.0 } else { scale };
        if scale != 1.0 {
            notes.push(format!("{table} is {} as large in production", times(scale)));
        }
        spread.add(PER_SCALE * scale.ln().abs());
        if let Some((other, factor)) = farthest(measured, circumstances.copy, production, scale) {
            spread.add((factor / scale).ln().abs() / (2.0 * P90));
            notes.push(format!(
                "it may grow with {other} as well, which is {} as large in production",
                times(factor)
            ));
        }
        let (rows, time) = match measured.extent {
            Extent::Sort(_) => (scale, scale * deeper(here_rows, there.rows, scale)),
            // In the middle, and both ends are within the interval.
            Extent::Perhaps(_) if scale != 1.0 => {
                spread.add(scale.ln().abs() / (2.0 * P90));
                notes.push(format!("whether it grows with {table} isn't seen on the copy"));
                (scale.sqrt(), scale.sqrt())
            }
            _ => (scale, scale),
        };
        Size { rows, time, spread: spread.root(), guessed: None }
    }
}

/// The other table whose size differs the most from the one that was taken.
fn farthest<'a>(
    measured: &'a Measured,
    copy: &Facts,
    production: &Facts,
    scale: f64,
) -> Option<(&'a str, f64)> {
    let factor = |table: &'a String| {
        let (here, there) = (copy.table(table)?, production.table(table)?);
        Some((table.as_str(), ratio(there.all_bytes(), here.all_bytes())?))
    };
    let off = |(_, factor): &(&str, f64)| (factor / scale).ln().abs();
    let factors = measured.others.iter().filter_map(factor).filter(|one| off(one) > ALIKE);
    factors.max_by(|one, other| off(one).total_cmp(&off(other)))
}

/// A share of two counts; none where one of them is of nothing.
fn ratio(there: u64, here: u64) -> Option<f64> {
    (here > 0 && there > 0).then(|| there as f64 / here as f64)
}

/// By how much more each row takes in a sort of more of them: its part is the logarithm of how many there are.
fn deeper(here: Option<u64>, there: Option<u64>, scale: f64) -> f64 {
    let depth = |rows: f64| rows.max(2.0).ln();
    let (here, there) = (here.map(|rows| rows as f64), there.map(|rows| rows as f64));
    match (here.or(there.map(|rows| rows / scale)), there.or(here.map(|rows| rows * scale))) {
        (Some(here), Some(there)) => depth(there) / depth(here),
        _ => 1.0,
    }
}

/// `10 ×`, `0.25 ×`
pub(super) fn times(factor: f64) -> String {
    match factor {
        factor if factor >= 9.95 => format!("{factor:.0} ×"),
        factor if factor >= 0.995 => format!("{factor:.1} ×"),
        factor => format!("{factor:.2} ×"),
    }
}

/// Independent contributions to a standard deviation.
struct Spread(f64);

impl Spread {
    fn of(one: f64) -> Self {
        Spread(one * one)
    }

    fn add(&mut self, one: f64) {
        self.0 += one * one;
    }

    fn with(mut self, one: f64) -> f64 {
        self.add(one);
        self.root()
    }

    fn root(&self) -> f64 {
        self.0.sqrt()
    }
}

#[cfg(test)]
pub(super) mod tests;
