//! What is known of a backfill that is drawn from.

use crate::backfill::Prepared;
use crate::batch::{Batch, Part, Servo, Verb};
use crate::estimate::measured::{How, Measured};
use crate::estimate::outline::Outline;

use super::draw::Ground;
use super::frame::{Frame, Stratum};
use super::projection::{Projection, Scatter};
use super::tally::Tally;

/// As few keys are all run, and what they do is kept until the end.
pub(super) const FEW: f64 = 20_000.0;
/// No more of the keys are drawn from in a round than this part.
const PART: f64 = 0.05;
/// Smaller batches are mostly their own overhead.
const LEAST_ROWS: u64 = 500;
/// Where a batch meets no more of a page's rows than this part, others find room there after it.
const SCATTERED: f64 = 0.5;
/// Bytes of a page, and of a row's pointer in it.
const PAGE: f64 = 8_168.0;
const POINTER: f64 = 4.0;
/// The standard deviation of the logarithm of what a sample doesn't show: write-back, checkpoints, autovacuum.
const UNSEEN: f64 = 0.15;
/// What more workers than one save of the time, of what they could by the processors: they wait for the same disk and
/// log. By measurement, of two on two processors: 1.6 to 1.9 times as fast as one.
const WORKERS: f64 = 0.65;
const WORKERS_DOUBT: f64 = 0.3;

/// All that is known of a backfill under way.
pub(super) struct Fill {
    pub(super) prepared: Prepared,
    pub(super) servo: Servo,
    pub(super) frame: Frame,
    pub(super) first: Tally,
    pub(super) second: Tally,
    /// Keys and changed rows so far: whether the engine would go by halves.
    pub(super) keys: f64,
    pub(super) changed: f64,
    /// Of draws along a key that may be in another order than the rows: their keys, and the pages that those lie in.
    pub(super) lying: (f64, f64),
    pub(super) rows_per_page: f64,
    pub(super) has_halves: bool,
    pub(super) ground: Ground,
    /// Seconds that a draw takes whatever its rows are.
    pub(super) fixed: f64,
}

impl Fill {
    pub(super) fn new(prepared: Prepared, frame: Frame) -> Self {
        let weights: Vec<_> = frame.strata.iter().map(|stratum| stratum.keys).collect();
        let most = most_rows(&prepared, &frame);
        Fill {
            servo: Servo::new(prepared.rows, prepared.target, most),
            first: Tally::new(weights.clone()),
            second: Tally::new(weights),
            prepared,
            frame,
            keys: 0.0,
            changed: 0.0,
            lying: (0.0, 0.0),
            rows_per_page: 0.0,
            has_halves: false,
            ground: Ground::default(),
            fixed: 0.0,
        }
    }

    /// How many rows a batch has at most.
    pub(super) fn most_rows(&self) -> u64 {
        most_rows(&self.prepared, &self.frame)
    }

    /// What of a draw's time is for its rows.
    pub(super) fn of_rows(&self, seconds: f64) -> f64 {
        (seconds - self.fixed).max(0.3 * seconds)
    }

    /// How many rows a draw has at most.
    pub(super) fn cap(&self, stratum: &Stratum) -> u64 {
        ((stratum.keys * self.rows_per_key() * PART) as u64).max(LEAST_ROWS)
    }

    /// More than one where a table has no key, and its blocks are gone along.
    pub(super) fn rows_per_key(&self) -> f64 {
        (self.frame.rows / self.frame.keys().max(1.0)).max(1.0)
    }

    /// Of a table without a key, draws are of blocks.
    pub(super) fn rows_of(&self, stratum: &Stratum, rows: u64) -> u64 {
        if !stratum.source.is_by_block() {
            return rows;
        }
        let each = self.rows_per_key();
        ((rows as f64 / each).ceil() as u64).clamp(1, (stratum.keys * PART).ceil() as u64)
    }

    /// Whether rows find room in their own page, since each batch takes few from it.
    pub(super) fn scatter(&self) -> Option<Scatter> {
        let (keys, pages) = self.lying;
        let rows = self.rows_per_page;
        if pages == 0.0 || rows < 2.0 {
            return None;
        }
        let at_once = keys / pages;
        if at_once >= SCATTERED * rows {
            return None;
        }
        // Each row that leaves the page leaves its room, and each that finds room there takes another pointer. That much
        // is needed before, and room for as many as come at once, at their most.
        let most_at_once = at_once + 0.8 * at_once.sqrt();
        let moved = (POINTER + most_at_once * PAGE / rows / rows) / (PAGE / rows);
        Some(Scatter { moved: moved.min(1.0), visits: pages / keys, rows })
    }

    /// In percent: so much of a page is left to its second rows, once the first ones have left theirs to them, but for the pointers.
    pub(super) fn fill_factor(&self) -> u32 {
        let first = Part::first_of(7_000) as f64 / 7_000.0;
        let row = (PAGE / self.rows_per_page.max(1.0)).max(2.0 * POINTER);
        let room = first / (1.0 - first) * (1.0 - POINTER / row);
        (100.0 / (1.0 + room)).clamp(10.0, 100.0) as u32
    }

    pub(super) fn goes_by_halves(&self, source: &Batch) -> bool {
        source.has_halves() && self.keys > 0.0 && 2.0 * self.changed >= self.keys
    }

    pub(super) fn measured(
        &self,
        outline: &Outline,
        all: Projection,
        all_keys: f64,
        at_once: f64,
        is_begun: bool,
    ) -> Measured {
        let error = self.first.error().min(1.0);
        let draws = self.first.draws();
        let keys: f64 = draws.iter().chain(self.second.draws()).map(|draw| draw.keys).sum();
        let share = 100.0 * keys / all_keys.max(1.0);
        let mut notes = Vec::new();
        let mut seconds = all.seconds;
        let mut doubt = 0.0;
        if self.frame.rows > FEW {
            notes.push(format!(
                "by {} batches of {:.1} % of its keys; their mean is known to ± {:.0} %",
                draws.len() + self.second.draws().len(),
                share,
                128.0 * error
            ));
        }
        let workers = self.prepared.workers;
        if workers > 1 {
            seconds /= 1.0 + WORKERS * (at_once - 1.0);
            doubt = WORKERS_DOUBT;
            notes.push(format!(
                "one of {workers} workers was measured: what the others save is guessed from {at_once:.1} \
                 sessions that the copy's server serves at once"
            ));
        }
        if is_begun {
            notes.push("an earlier run has begun it on the copy; this is for all of it".to_owned());
        }
        let is_insert = self.prepared.batch.verb() == Verb::Insert;
        Measured {
            how: How::Sampled,
            seconds,
            spread: (error * error + UNSEEN * UNSEEN + doubt * doubt + all.spread * all.spread)
                .sqrt(),
            rows: Some(self.frame.rows as u64),
            changed: Some(all.changed as u64),
            wal_bytes: Some(all.log as u64),
            size_bytes: Some(all.grown as i64),
            dead_rows: (!is_insert).then_some(all.changed as i64),
            notes,
            ..outline.measured(How::Sampled)
        }
    }
}

fn most_rows(prepared: &Prepared, frame: &Frame) -> u64 {
    prepared.most_rows(Some(frame.rows as u64), prepared.workers)
}
