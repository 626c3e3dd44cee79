//! The report: what is to be expected, how it is known, and what a deployment needs for it.

use serde::Serialize;

use super::advice::{Advice, risks};
use super::correction::Corrected;
use super::facts::Facts;
use super::load::{Lag, Load};
use super::measured::{Held, How, Measured};
use super::model::{Carried, Circumstances, Quantiles, carry, differences};
use super::probe::Speed;

/// The form of the JSON.
pub(super) const FORMAT: u32 = 1;

/// What is to be expected of a release's migrations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The form of this report.
    pub format: u32,
    /// `rehearse` or `sample`.
    pub mode: &'static str,
    /// How long they take in all.
    pub total: Quantiles,
    /// Bytes of log that they write.
    pub wal_bytes: Option<u64>,
    /// By how many bytes the database grows.
    pub size_bytes: Option<i64>,
    /// How long it took to find out.
    pub took_seconds: f64,
    /// Where it was measured.
    pub copy: Side,
    /// What it is for.
    pub production: Option<Side>,
    /// How fast production is beside the copy.
    pub speed: Option<Speed>,
    /// The steps, in order.
    pub steps: Vec<StepReport>,
    /// The times to set.
    pub advice: Advice,
    /// What to look out for.
    pub risks: Vec<Risk>,
    /// What was assumed.
    pub assumed: Vec<String>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// Product, version, database and place.
    pub database: String,
    /// Bytes of all of its tables and indexes, by the catalog.
    pub bytes: u64,
    /// What went on there.
    pub load: Load,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// The migration's version.
    pub version: i64,
    /// The migration's name.
    pub name: String,
    /// `expand` or `contract`.
    pub phase: &'static str,
    /// Which step, from 1.
    pub step: u32,
    /// `script`, `bare` or `backfill`.
    pub kind: &'static str,
    /// Its first statement, without literals and comments, and cut.
    pub statement: String,
    /// How many it has; 0 where that isn't known.
    pub statements: usize,
    /// How it is known.
    pub how: How,
    /// How long it takes in production.
    #[serde(flatten)]
    pub time: Quantiles,
    /// How it was corrected by estimates of the past.
    pub correction: Option<Corrected>,
    /// How long it took on the copy.
    pub measured_seconds: f64,
    /// Of that, waiting for locks.
    pub lock_wait_seconds: f64,
    /// Of that, held back or slowed down.
    pub throttled_seconds: f64,
    /// The rest of that.
    #[serde(skip)]
    pub worked_seconds: f64,
    /// What of the time is waiting for replicas that are behind now: once in P50, twice in P90, and not in P10.
    pub waits_seconds: f64,
    /// By which factor more is done in production.
    pub scale: f64,
    /// Whether the copy had nothing to measure it on.
    pub guessed: bool,
    /// Rows that a backfill goes along on the copy.
    pub rows: Option<u64>,
    /// Whether it has a statement that changes rows.
    #[serde(skip)]
    pub changes_rows: bool,
    /// Bytes of log in production.
    pub wal_bytes: Option<u64>,
    /// By how many bytes production grows.
    pub size_bytes: Option<i64>,
    /// By how many its dead rows grow, on the copy.
    pub dead_rows: Option<i64>,
    /// The longest lock on each table in each mode, on the copy.
    pub locks: Vec<Held>,
    /// Tables that it writes anew.
    pub rewrites: Vec<String>,
    /// Whether it is an ALTER that writes them.
    #[serde(skip)]
    pub alters: bool,
    /// Tables that it reads from end to end.
    pub scans: Vec<String>,
    /// What is to be known of these figures.
    pub notes: Vec<String>,
}

/// Something to look out for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Risk {
    /// Its name: `unmeasured`, `rewrite`, `long-lock`, `unstoppable`, `unbatched`, `replica-lag`.
    pub code: &'static str,
    /// The migration's version.
    pub version: i64,
    /// Which step, from 1.
    pub step: u32,
    /// What it is.
    pub message: String,
    /// What can be done.
    pub next: String,
}

impl Report {
    /// Of what was measured.
    pub fn new(
        mode: &'static str,
        measured: &[Measured],
        circumstances: Circumstances<'_>,
        took_seconds: f64,
    ) -> Self {
        let mut steps: Vec<_> = measured
            .iter()
            .map(|measured| StepReport::new(measured, carry(measured, circumstances)))
            .collect();
        // Once it has waited, they are there.
        let lag = circumstances.production.and_then(|facts| facts.load.lag_over_limit());
        if let (Some(lag), Some(fill)) = (lag, steps.iter_mut().find(|step| step.waits())) {
            fill.wait(lag);
        }
        let total = steps.iter().fold(Quantiles::default(), |total, step| total.plus(step.time));
        let (_, mut assumed) = differences(circumstances);
        for note in steps.iter().filter_map(|step| step.correction?.note(step.kind)) {
            if !assumed.contains(&note) {
                assumed.push(note);
            }
        }
        Report {
            format: FORMAT,
            mode,
            total,
            wal_bytes: sum(steps.iter().map(|step| step.wal_bytes)),
            size_bytes: sum(steps.iter().map(|step| step.size_bytes)),
            took_seconds,
            copy: Side::of(circumstances.copy),
            production: circumstances.production.map(Side::of),
            speed: circumstances.speed,
            advice: Advice::of(total, &steps),
            risks: risks(&steps, circumstances.production.map(|facts| facts.load)),
            steps,
            assumed,
        }
    }
}

/// Of what is known; `None` where nothing is.
fn sum<T: std::iter::Sum>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let known: Vec<T> = values.flatten().collect();
    (!known.is_empty()).then(|| known.into_iter().sum())
}

impl Side {
    fn of(facts: &Facts) -> Self {
        Side { database: facts.description.clone(), bytes: facts.bytes(), load: facts.load }
    }
}

impl StepReport {
    /// Whether it is held back while a replica is far behind.
    pub(super) fn waits(&self) -> bool {
        self.kind == "backfill"
    }

    /// Waits until replicas are no further behind than the limit: they are taken to make up one second in each.
    fn wait(&mut self, over: Lag) {
        self.waits_seconds = over.seconds;
        self.time.p50_seconds += over.seconds;
        self.time.p90_seconds += 2.0 * over.seconds;
        self.notes.push(format!(
            "a replica is {:.0} s behind now: {:.0} s of waiting for it are counted, as if it made up a second in each",
            over.behind, over.seconds
        ));
    }

    fn new(measured: &Measured, carried: Carried) -> Self {
        StepReport {
            version: measured.version,
            name: measured.name.clone(),
            phase: measured.phase,
            step: measured.step,
            kind: measured.kind,
            statement: measured.statement.clone(),
            statements: measured.statements,
            how: measured.how,
            time: carried.time,
            correction: carried.correction,
            measured_seconds: measured.seconds,
            lock_wait_seconds: measured.lock_wait_seconds,
            throttled_seconds: measured.throttled_seconds,
            worked_seconds: measured.worked_seconds(),
            waits_seconds: 0.0,
            scale: carried.scale,
            guessed: carried.is_guessed,
            rows: measured.rows,
            changes_rows: measured.changes_rows,
            wal_bytes: carried.wal_bytes,
            size_bytes: carried.size_bytes,
            dead_rows: measured.dead_rows,
            locks: measured.locks.clone(),
            rewrites: measured.rewrites.clone(),
            alters: measured.alters,
            scans: measured.scans.clone(),
            notes: carried.notes,
        }
    }
}
