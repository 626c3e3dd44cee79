//! The draws of a backfill: where they are, how many, and what of them stays.

use std::time::{Duration, Instant};

use crate::batch::{Part, Spot, Verb};
use crate::db::DbError;
use crate::progress::{BatchDone, Event};

use super::Sample;
use super::draw::{Span, apply, make_room, span};
use super::fill::Fill;
use super::frame::Stratum;
use super::tally::{Draw, Tally, spread_out};

/// Draws of no rows: the shortest tells what any takes.
const EMPTY: usize = 5;
/// Draws of which nothing is kept: the first ones find nothing in any cache, and no plan.
const WARM_UP: usize = 2;
/// Of so many draws, one is of both halves.
const BOTH: usize = 3;

impl Sample<'_> {
    /// Each key, once; what is done stays until the end. Whether there was time for all.
    pub(super) async fn all_keys(
        &mut self,
        fill: &mut Fill,
        ends: Instant,
    ) -> Result<bool, DbError> {
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
                match apply(&mut self.desk, source, &fill.ground, &span, Part::Whole).await? {
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
    pub(super) async fn draws(&mut self, fill: &mut Fill, ends: Instant) -> Result<(), DbError> {
        let strata = fill.frame.strata.len();
        let rounds = fill.frame.strata.iter().map(Stratum::rounds).min().unwrap_or(0);
        // What is added in the order of the key fills an index to its pages' ends, as a run does, and from anywhere to their
        // halves.
        let adds = fill.prepared.batch.verb() == Verb::Insert;
        let order = if adds { (0..strata).collect() } else { spread_out(strata) };
        let warm_up = if adds { &order[..] } else { &order[strata.saturating_sub(WARM_UP)..] };
        for number in warm_up.iter().take(WARM_UP).take_while(|_| Instant::now() < ends) {
            self.draw(fill, *number, rounds.saturating_sub(1), false).await?;
        }
        fill.fixed = self.fixed(fill, ends).await?;
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

    /// What a batch takes that changes nothing: the way to the server, and its plan.
    async fn fixed(&mut self, fill: &Fill, ends: Instant) -> Result<f64, DbError> {
        let Some(Stratum { source, last, .. }) = fill.frame.strata.first() else { return Ok(0.0) };
        let (after, through) = (Some(last.clone()), last.clone());
        let nothing = Span { after, through, keys: 0, seconds: 0.0 };
        let mut least = f64::INFINITY;
        for _ in 0..EMPTY {
            self.desk.mark().await?;
            let drawn = apply(&mut self.desk, source, &fill.ground, &nothing, Part::Whole).await?;
            self.desk.back().await?;
            least = least.min(drawn.map_or(0.0, |draw| draw.seconds));
            if Instant::now() >= ends {
                break;
            }
        }
        Ok(least)
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
        let drawn = apply(&mut self.desk, source, &fill.ground, &span, part).await?;
        if source.is_by_block()
            && let Some(draw) = drawn
        {
            // Behind the first pass there are two more looks at all blocks, and at those that it has added.
            let again = apply(&mut self.desk, source, &fill.ground, &span, part).await?;
            let blocks = 1.0 + draw.grown / 8_192.0 / draw.keys;
            let looks = f64::from(Spot::PASSES) * blocks;
            let again = again.map_or(0.0, |again| fill.of_rows(again.seconds));
            let seconds = draw.seconds + looks * again;
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
            let checks = fill.first.draws().iter().any(|draw| draw.checks);
            make_room(&mut self.desk, source, &span, part, fill.fill_factor(), checks).await?;
            if let Some(draw) = apply(&mut self.desk, source, &fill.ground, &span, part).await? {
                self.reported(draw);
                fill.second.add(Draw {
                    stratum: number,
                    seconds: fill.of_rows(draw.seconds),
                    ..draw
                });
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
        let seconds = fill.of_rows(draw.seconds) + if is_gapless { 0.0 } else { span.seconds };
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
