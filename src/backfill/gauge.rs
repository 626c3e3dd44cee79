//! How much is left of a range: for the progress, and for who shares it. Nothing here ends a backfill:
//! what can't be asked, isn't known.

use std::time::{Duration, Instant};

use super::Backfill;
use super::ranges::Ranges;
use super::scale::{Scaled, Shared};
use crate::batch::Quantiles;
use crate::db::DbError;
use crate::ledger::{Cursor, RangeRecord};
use crate::worker::Worker;

/// So many batches ahead, keys are counted instead of guessed: to count a key takes a twentieth to a
/// fiftieth of the time that it takes to change its row, so this takes about as long as a batch.
const AHEAD: u64 = 32;
/// The same where there is no guess, and so nothing else to tell; this takes as long as some batches.
const FAR_AHEAD: u64 = 128;
/// How often it is asked, at most, where the cursor is among the quantiles.
const LOOK: Duration = Duration::from_millis(250);

/// What a worker knows of how much is left of its range.
#[derive(Default)]
pub(super) struct Gauge {
    /// All that is left was counted.
    is_counted: bool,
    /// At least so many keys were counted, those that are done among them.
    least: Option<i64>,
    /// As many keys have to be done until counting is tried again.
    count_from: i64,
    place: Option<Place>,
}

/// Where a range's frontier, behind which nothing is begun, and its end are among the quantiles.
struct Place {
    at: f64,
    through: f64,
    /// Keys that it has passed since it was `at`, and since it was looked for.
    passed: u64,
    unseen: u64,
    /// Keys before it that aren't done.
    open: u64,
    looked: Instant,
}

impl Place {
    /// So many keys were done, and now so many are open.
    fn pass(&mut self, keys: u64, open: u64) {
        let passed = (keys + open).saturating_sub(self.open);
        self.passed += passed;
        self.unseen += passed;
        self.open = open;
    }
}

impl Backfill<'_> {
    /// Enters in the range how many keys it has, after a batch of `keys` keys that wasn't its last;
    /// the next one takes about `rows`.
    pub(super) async fn gauge(
        &self,
        worker: &mut Worker,
        gauge: &mut Gauge,
        range: &mut RangeRecord,
        (keys, rows): (u64, u64),
        ranges: &Ranges,
    ) {
        // What is half done counts by what is left of it, and all else lies behind it.
        let open = range.cursor.rest();
        if let Some(place) = &mut gauge.place {
            place.pass(keys, open);
        }
        let batch = &self.prepared.batch;
        // A table without a key is passed by its blocks, of which one knows how many there are;
        // partitions are each of a key of their own. Who waits for a part of the range needn't for this.
        if gauge.is_counted
            || ranges.is_asked(range)
            || batch.is_by_block()
            || batch.is_partitioned()
            || self.stop.is_requested()
        {
            return;
        }
        let left = range.keys_total.map(|total| (total - range.keys_done).max(0) as u64);
        let reach = rows.saturating_mul(if left.is_some() { AHEAD } else { FAR_AHEAD });
        if range.keys_done >= gauge.count_from && left.is_none_or(|left| left <= reach) {
            gauge.count_from = range.keys_done.saturating_add_unsigned(reach);
            if let Ok(counted) = self.count_ahead(worker, range, reach).await {
                gauge.is_counted = counted < reach;
                gauge.least = Some(range.keys_done.saturating_add_unsigned(counted + open));
            }
            if gauge.is_counted {
                range.keys_total = gauge.least;
                return;
            }
        }
        let total = match ranges.scale().get(|| self.quantiles(worker)).await {
            Scaled::BeingRead => return,
            Scaled::Not => range.keys_total,
            Scaled::By(shared) => {
                let place = match gauge.place.take() {
                    Some(place) => self.follow(worker, range, shared, place).await,
                    None => self.locate(worker, range, shared).await,
                };
                // One that can't be found isn't looked for again with each batch.
                let Ok(place) = place else {
                    gauge.is_counted = true;
                    return;
                };
                let seen = place.passed.saturating_sub(place.unseen);
                let left = shared.lock().left(place.at, place.through, seen, place.unseen);
                gauge.place = Some(place);
                Some(range.keys_done.saturating_add_unsigned(left + open))
            }
        };
        range.keys_total = total.max(gauge.least);
    }

    /// How many keys there are behind the cursor, up to `most`.
    async fn count_ahead(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        most: u64,
    ) -> Result<u64, DbError> {
        let through = range.through.key().unwrap_or_default();
        let count = self.prepared.batch.count_up_to(range.cursor.frontier().key(), through, most);
        let rows = worker.query(&count).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.int(0))?.max(0) as u64)
    }

    /// The quantiles of the table as it is now.
    async fn quantiles(&self, worker: &mut Worker) -> Option<Quantiles> {
        match self.prepared.batch.sample() {
            Some(sample) => {
                let rows = worker.query(&sample).await.ok()?;
                let columns = self.prepared.batch.key().len();
                let number = |at: usize| {
                    let row = rows.first()?;
                    row.int(columns + at).ok().and_then(|number| u64::try_from(number).ok())
                };
                let [every, of, total] = [number(0)?, number(1)?, number(2)?];
                let bounds = rows.iter().map(|row| {
                    (0..columns).map(|at| row.text(at).map(str::to_owned)).collect::<Result<_, _>>()
                });
                let bounds: Result<Vec<_>, _> = bounds.collect();
                Quantiles::sampled(bounds.ok()?, every, of, total)
            }
            None if self.prepared.batch.has_integer_key() => {
                let [first, last] = [self.prepared.batch.first(), self.prepared.batch.last()];
                let mut ends = Vec::new();
                for end in [first, last] {
                    let rows = worker.query(&end).await.ok()?;
                    ends.push(rows.first()?.text(0).ok()?.parse().ok()?);
                }
                Quantiles::even(ends[0], ends[1], self.prepared.table.estimated_rows?)
            }
            None => None,
        }
    }

    /// Looks for the range among the quantiles.
    async fn locate(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        shared: &Shared,
    ) -> Result<Place, DbError> {
        let at = self.place_of(worker, &range.cursor.frontier(), shared).await?;
        let through = self.place_of(worker, &range.through, shared).await?;
        let quantiles = shared.lock();
        // The last of all keys is behind all bounds, and where the table ends.
        let is_last = through >= quantiles.bounds() as f64;
        let through = if is_last { quantiles.end() } else { through };
        let open = range.cursor.rest();
        Ok(Place { at, through, passed: 0, unseen: 0, open, looked: Instant::now() })
    }

    /// Looks where the cursor has got to.
    async fn follow(
        &self,
        worker: &mut Worker,
        range: &RangeRecord,
        shared: &Shared,
        place: Place,
    ) -> Result<Place, DbError> {
        let Place { at, passed, .. } = place;
        let frontier = range.cursor.frontier();
        if self.prepared.batch.has_integer_key() {
            let Some(key) = frontier.integer() else { return Ok(place) };
            let mut quantiles = shared.lock();
            let now = quantiles.at_integer(key).unwrap_or(at).max(at);
            quantiles.learn(now - at, passed);
            return Ok(Place { at: now, passed: 0, unseen: 0, ..place });
        }
        if place.looked.elapsed() < LOOK {
            return Ok(place);
        }
        let mut bounds = at as usize;
        while self.is_behind(worker, &frontier, shared, bounds).await? {
            bounds += 1;
        }
        let looked = Instant::now();
        if bounds == at as usize {
            return Ok(Place { unseen: 0, looked, ..place });
        }
        // Somewhere among the keys since the last look it has passed the bound.
        let mut quantiles = shared.lock();
        let within = (place.unseen as f64 / 2.0 / quantiles.step().max(1.0)).min(0.5);
        let now = (bounds as f64 + within).min(place.through);
        quantiles.learn(now - at, passed);
        Ok(Place { at: now, passed: 0, unseen: 0, looked, ..place })
    }

    /// Where a cursor is among the quantiles.
    async fn place_of(
        &self,
        worker: &mut Worker,
        cursor: &Cursor,
        shared: &Shared,
    ) -> Result<f64, DbError> {
        if cursor.key().is_none() {
            return Ok(0.0);
        }
        let found = |key| shared.lock().at_integer(key);
        let integer = cursor.integer().filter(|_| self.prepared.batch.has_integer_key());
        if let Some(at) = integer.and_then(found) {
            return Ok(at);
        }
        let (mut low, mut high) = (0, shared.lock().bounds());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.is_behind(worker, cursor, shared, middle).await? {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(shared.lock().behind(low))
    }

    /// Whether a cursor is behind a bound, by the database's own order: then there is no key behind
    /// the one and not behind the other.
    async fn is_behind(
        &self,
        worker: &mut Worker,
        cursor: &Cursor,
        shared: &Shared,
        bound: usize,
    ) -> Result<bool, DbError> {
        let any = match shared.lock().bound(bound) {
            None => return Ok(false),
            Some(bound) => self.prepared.batch.any_between(cursor.key(), bound),
        };
        Ok(worker.query(&any).await?.is_empty())
    }
}
