//! A backfill by sample.

use std::time::{Duration, Instant};

use crate::backfill::{PrepareError, Prepared, prepare};
use crate::batch::{Part, Pin, Servo, Spot, Verb};
use crate::db::DbError;
use crate::estimate::EstimateError;
use crate::estimate::measured::{Extent, How, Measured};
use crate::estimate::outline::Outline;
use crate::migration::BatchDirective;
use crate::plan::Upcoming;
use crate::progress::{BackfillStart, BatchDone, Event};
use crate::runner::{At, unprepared};

use super::draw::{Span, apply, make_room, span};
use super::frame::{Frame, Stratum};
use super::projection::{Around, Projection, Scatter, project};
use super::tally::{Draw, Tally, spread_out};
use super::{Sample, failed};

/// As few keys are all run, and what they do is kept until the end.
const FEW: f64 = 20_000.0;
/// No more of the keys are drawn from in a round than this part.
const PART: f64 = 0.05;
/// Smaller batches are mostly their own overhead.
const LEAST_ROWS: u64 = 500;
/// Draws of which nothing is kept: the first ones find nothing in any cache, and no plan.
const WARM_UP: usize = 2;
/// Of so many draws, one is of both halves.
const BOTH: usize = 3;
/// Where a batch meets no more of a page's rows than this part, others find room there after it.
const SCATTERED: f64 = 0.5;
/// The standard deviation of the logarithm of what a sample doesn't show: write-back, checkpoints, autovacuum.
const UNSEEN: f64 = 0.15;
/// Rows are written so many times as slowly as they are read, about.
const WRITTEN: f64 = 30.0;
const GUESSED: &str = "how long it takes to write its rows is guessed from that";
/// What more workers than one save of the time, of what they could: they wait for the same disk and log.
const WORKERS: f64 = 0.15;
const WORKERS_DOUBT: f64 = 0.3;

/// All that is known of a backfill under way.
struct Fill {
    prepared: Prepared,
    servo: Servo,
    frame: Frame,
    first: Tally,
    second: Tally,
    /// Keys and changed rows so far: whether the engine would go by halves.
    keys: f64,
    changed: f64,
    /// Of draws along a key that may be in another order than the rows: their keys, and the pages that those lie in.
    lying: (f64, f64),
    rows_per_page: f64,
    has_halves: bool,
}

impl Sample<'_> {
    /// Measures a backfill.
    pub(super) async fn backfill(
        &mut self,
        upcoming: &Upcoming<'_>,
        outline: &Outline,
        directive: &BatchDirective,
    ) -> Result<Measured, EstimateError> {
        self.desk.mark_step().await.map_err(failed)?;
        let prepared = match self.prepared(upcoming, directive).await {
            Ok(prepared) => prepared,
            // The engine runs it whole, too.
            Err(PrepareError::Refused { .. }) if directive.auto => {
                self.desk.back_to_step().await.map_err(failed)?;
                return self.script(upcoming, outline).await;
            }
            Err(error) => {
                let (migration, step) = (upcoming.pending.migration, upcoming.step);
                let at = At { migration, step, number: upcoming.number };
                return Err(unprepared(at, error).into());
            }
        };
        let Some(prepared) = prepared else {
            let source = DbError::new(crate::db::ErrorKind::Sql, "there is no such table");
            return Err(EstimateError::step(outline, source));
        };
        let table = self.known_as(&prepared);
        match self.measured(upcoming, outline, prepared).await {
            Err(error) if self.is_incomplete && !error.is_lost() && !self.stop.is_requested() => {
                self.unknown(outline, table).await.map_err(failed)
            }
            measured => measured.map_err(|source| EstimateError::step(outline, source)),
        }
    }

    /// A fill that fails, perhaps since the ones before it weren't complete.
    async fn unknown(&mut self, outline: &Outline, table: String) -> Result<Measured, DbError> {
        self.desk.back_to_step().await?;
        let scan = self.scan(&table, "it fails here, where the steps before it were only sampled");
        let scan = scan.await?;
        Ok(Measured {
            how: How::Derived,
            seconds: scan.seconds * WRITTEN,
            spread: 1.0,
            extent: Extent::Rows(table),
            notes: scan.note.into_iter().chain([GUESSED.to_owned()]).collect(),
            ..outline.measured(How::Sampled)
        })
    }

    async fn prepared(
        &mut self,
        upcoming: &Upcoming<'_>,
        directive: &BatchDirective,
    ) -> Result<Option<Prepared>, PrepareError> {
        for sql in self.dialect.batch_settings() {
            self.desk.bare(sql).await?;
        }
        let (migration, step) = (upcoming.pending.migration, upcoming.step);
        let session = self.desk.session();
        let Some(mut prepared) = prepare(session, self.dialect, migration, step, directive).await?
        else {
            return Ok(None);
        };
        if prepared.batch.has_clocks() {
            let now = self.desk.texts(self.dialect.clock()).await?;
            if let Some(pin) = now.first().and_then(|now| Pin::read(now)) {
                prepared.batch.pin(pin);
            }
        }
        Ok(Some(prepared))
    }

    async fn measured(
        &mut self,
        upcoming: &Upcoming<'_>,
        outline: &Outline,
        prepared: Prepared,
    ) -> Result<Measured, DbError> {
        let ends = Instant::now() + self.share();
        let frame = Frame::read(&mut self.desk, &prepared).await?;
        let weights: Vec<_> = frame.strata.iter().map(|stratum| stratum.keys).collect();
        let servo = Servo::new(prepared.rows, prepared.target, most_rows(&prepared, &frame));
        let (first, second) = (Tally::new(weights.clone()), Tally::new(weights));
        let mut fill = Fill {
            prepared,
            servo,
            frame,
            first,
            second,
            keys: 0.0,
            changed: 0.0,
            lying: (0.0, 0.0),
            rows_per_page: 0.0,
            has_halves: false,
        };
        let (keys, most) = (fill.frame.keys(), most_rows(&fill.prepared, &fill.frame));
        let around = self.around(&fill.prepared, keys, most).await?;
        fill.rows_per_page = fill.frame.rows / around.table_pages.max(1.0);
        self.announce(upcoming, &fill);
        let is_small = fill.frame.rows <= FEW;
        let is_whole = match is_small {
            true => self.all_keys(&mut fill, ends).await?,
            false => {
                self.draws(&mut fill, ends).await?;
                false
            }
        };
        let around = Around { has_halves: fill.has_halves, scatter: fill.scatter(), ..around };
        let all = project(&fill.first, &fill.second, around);
        if is_whole {
            for reset in self.dialect.reset_batch_settings() {
                self.desk.bare(reset).await?;
            }
            self.desk.limit(None).await?;
            self.desk.keep_step().await?;
        } else {
            self.desk.back_to_step().await?;
            self.is_incomplete = true;
            let table = self.known_as(&fill.prepared);
            *self.grown.entry(table).or_default() += all.grown;
        }
        let measured = fill.measured(outline, all, around, upcoming.pending.claim.is_some());
        Ok(Measured { extent: Extent::Rows(self.known_as(&fill.prepared)), ..measured })
    }

    /// What the facts call its table: without its schema, where that is the one of our own tables.
    fn known_as(&self, prepared: &Prepared) -> String {
        let name = &prepared.table.name;
        let whole = name.to_string();
        if self.facts.tables.contains_key(&whole) { whole } else { name.name.clone() }
    }

    fn announce(&self, upcoming: &Upcoming<'_>, fill: &Fill) {
        let keys: f64 = fill.frame.strata.iter().map(|stratum| fill.cap(stratum) as f64).sum();
        self.reporter.emit(Event::StepStarted {
            version: upcoming.pending.migration.version,
            step: upcoming.number,
            backfill: Some(BackfillStart {
                table: fill.prepared.table.name.name.clone(),
                key: fill.prepared.key(),
                keys_done: 0,
                keys_total: Some(
                    if fill.frame.rows <= FEW { fill.frame.keys() } else { keys } as u64
                ),
                resumed: false,
            }),
        });
    }

    /// Each key, once; what is done stays until the end. Whether there was time for all.
    async fn all_keys(&mut self, fill: &mut Fill, ends: Instant) -> Result<bool, DbError> {
        let mut tables: Vec<(usize, Stratum)> = Vec::new();
        for (number, stratum) in fill.frame.strata.iter().enumerate() {
            if tables.last().is_none_or(|(_, last)| last.source.table() != stratum.source.table()) {
                tables.push((number, stratum.clone()));
            }
        }
        for (number, stratum) in tables {
            let mut after: Option<Vec<String>> = None;
            while after.as_ref() != Some(&stratum.last) {
                if Instant::now() >= ends {
                    return Ok(false);
                }
                let (source, last) = (&stratum.source, &stratum.last);
                let rows = fill.rows_of(&stratum, fill.servo.rows());
                let span =
                    span(&mut self.desk, &fill.prepared, source, after.as_deref(), last, rows);
                let span = span.await?;
                self.desk.mark().await?;
                match apply(&mut self.desk, source, &span, Part::Whole).await? {
                    Some(draw) => {
                        self.desk.keep().await?;
                        self.drawn(fill, number, &span, draw, Part::Whole);
                        after = Some(span.through);
                    }
                    None => {
                        self.desk.back().await?;
                        fill.servo.overran(1.0);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Draws from all strata in turn, until it is enough or there is no time left.
    async fn draws(&mut self, fill: &mut Fill, ends: Instant) -> Result<(), DbError> {
        let strata = fill.frame.strata.len();
        let rounds = fill.frame.strata.iter().map(Stratum::rounds).min().unwrap_or(0);
        let order = spread_out(strata);
        for number in order.iter().rev().take(WARM_UP) {
            self.draw(fill, *number, rounds.saturating_sub(1), false).await?;
        }
        fill.first = Tally::new(fill.frame.strata.iter().map(|stratum| stratum.keys).collect());
        fill.second = Tally::new(fill.frame.strata.iter().map(|stratum| stratum.keys).collect());
        for round in 0..rounds {
            for (count, number) in order.iter().enumerate() {
                self.draw(fill, *number, round, (count + round) % BOTH == 0).await?;
                if fill.first.is_enough() || Instant::now() >= ends {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn draw(
        &mut self,
        fill: &mut Fill,
        number: usize,
        round: usize,
        both: bool,
    ) -> Result<(), DbError> {
        let stratum = fill.frame.strata[number].clone();
        let source = &stratum.source;
        let rows = fill.rows_of(&stratum, fill.servo.rows().min(fill.cap(&stratum)));
        let halves = fill.goes_by_halves(source).then(|| Part::block_of(rows)).flatten();
        let (start, last) = (stratum.start(round), &stratum.last);
        let wanted = halves.unwrap_or(rows);
        let span = span(&mut self.desk, &fill.prepared, source, start, last, wanted).await?;
        if span.keys == 0 {
            return Ok(());
        }
        let part = if halves.is_some() { Part::First } else { Part::Whole };
        self.desk.mark().await?;
        let drawn = apply(&mut self.desk, source, &span, part).await?;
        if source.is_by_block()
            && let Some(draw) = drawn
        {
            // Behind the first pass there are two more looks at all blocks, and at those that it has added.
            let again = apply(&mut self.desk, source, &span, part).await?;
            let blocks = 1.0 + draw.grown / 8_192.0 / draw.keys;
            let looks = f64::from(Spot::PASSES) * blocks;
            let seconds = draw.seconds + looks * again.map_or(0.0, |again| again.seconds);
            self.drawn(fill, number, &span, Draw { seconds, ..draw }, part);
        } else if let Some(draw) = drawn {
            self.drawn(fill, number, &span, draw, part);
        } else {
            fill.servo.overran(1.0);
        }
        self.desk.back().await?;
        if both && fill.prepared.batch.verb() == Verb::Update && !source.is_by_block() {
            let pages = source.pages(span.after.as_deref(), &span.through);
            let pages = self.desk.query(&pages).await?;
            fill.lying.0 += span.keys as f64;
            fill.lying.1 += pages.first().map_or(Ok(0), |row| row.int(0))? as f64;
        }
        if both && (halves.is_some() || fill.scatter().is_some()) {
            let part = if halves.is_some() { Part::Second } else { Part::Whole };
            self.desk.mark().await?;
            make_room(&mut self.desk, source, &span, part).await?;
            if let Some(draw) = apply(&mut self.desk, source, &span, part).await? {
                self.reported(draw);
                fill.second.add(Draw { stratum: number, ..draw });
            }
            self.desk.back().await?;
        }
        Ok(())
    }

    fn drawn(&self, fill: &mut Fill, stratum: usize, span: &Span, draw: Draw, part: Part) {
        fill.servo.worked(draw.keys as u64, Duration::from_secs_f64(draw.seconds));
        self.reported(draw);
        fill.keys += draw.keys;
        fill.changed += draw.changed;
        // Along integers without gaps the engine computes where a batch ends.
        let is_gapless = part == Part::First && draw.changed >= draw.keys;
        let seconds = draw.seconds + if is_gapless { 0.0 } else { span.seconds };
        fill.first.add(Draw { stratum, seconds, ..draw });
        fill.has_halves |= part == Part::First;
    }

    fn reported(&self, draw: Draw) {
        let took = Duration::from_secs_f64(draw.seconds);
        self.reporter.emit(Event::BatchDone(BatchDone {
            keys: draw.keys as u64,
            changed: draw.changed as u64,
            took,
            worked: took,
            position: String::new(),
            keys_total: None,
        }));
    }
}

fn most_rows(prepared: &Prepared, frame: &Frame) -> u64 {
    prepared.most_rows(Some(frame.rows as u64), prepared.workers)
}

impl Fill {
    /// How many keys a draw has at most.
    fn cap(&self, stratum: &Stratum) -> u64 {
        ((stratum.keys * PART) as u64).max(LEAST_ROWS)
    }

    /// Of a table without a key, draws are of blocks.
    fn rows_of(&self, stratum: &Stratum, rows: u64) -> u64 {
        if !stratum.source.is_by_block() {
            return rows;
        }
        let each = (self.frame.rows / self.frame.keys().max(1.0)).max(1.0);
        ((rows as f64 / each).ceil() as u64).clamp(1, (stratum.keys * PART).ceil() as u64)
    }

    /// Whether rows find room in their own page, since each batch takes few from it.
    fn scatter(&self) -> Option<Scatter> {
        let (keys, pages) = self.lying;
        let rows = self.rows_per_page;
        if pages == 0.0 || rows < 2.0 {
            return None;
        }
        let at_once = (keys / pages / rows).min(1.0);
        (at_once < SCATTERED).then_some(Scatter {
            roomy: 1.0 - at_once,
            visits: pages / keys,
            rows,
        })
    }

    fn goes_by_halves(&self, source: &crate::batch::Batch) -> bool {
        source.has_halves() && self.keys > 0.0 && 2.0 * self.changed >= self.keys
    }

    fn measured(
        &self,
        outline: &Outline,
        all: Projection,
        around: Around,
        is_begun: bool,
    ) -> Measured {
        let error = self.first.error().min(1.0);
        let draws = self.first.draws();
        let keys: f64 = draws.iter().chain(self.second.draws()).map(|draw| draw.keys).sum();
        let share = 100.0 * keys / around.keys.max(1.0);
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
            seconds /= 1.0 + WORKERS * f64::from(workers - 1).min(3.0);
            doubt = WORKERS_DOUBT;
            notes.push(format!("how much {workers} workers save is guessed: one was measured"));
        }
        if is_begun {
            notes.push("an earlier run has begun it on the copy; this is for all of it".to_owned());
        }
        // What an INSERT adds, it adds to another table.
        let is_own = self.prepared.batch.verb() != Verb::Insert;
        Measured {
            how: How::Sampled,
            seconds,
            spread: (error * error + UNSEEN * UNSEEN + doubt * doubt).sqrt(),
            rows: Some(self.frame.rows as u64),
            changed: Some(all.changed as u64),
            wal_bytes: Some(all.log as u64),
            size_bytes: is_own.then_some(all.grown as i64),
            dead_rows: is_own.then_some(all.changed as i64),
            notes,
            ..outline.measured(How::Sampled)
        }
    }
}
