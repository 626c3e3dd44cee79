//! A backfill by sample, from its statement to what is to be told of it.

use std::time::Instant;

use crate::backfill::{PrepareError, Prepared, prepare};
use crate::batch::{Pin, Verb};
use crate::db::{DbError, TableName};
use crate::estimate::EstimateError;
use crate::estimate::measured::{Extent, How, Measured};
use crate::estimate::outline::Outline;
use crate::migration::BatchDirective;
use crate::plan::Upcoming;
use crate::progress::{BackfillStart, Event};
use crate::runner::{At, failed_at, no_table, unprepared};

use super::fill::{FEW, Fill};
use super::frame::Frame;
use super::parallel::at_once;
use super::projection::{Around, project};
use super::{Sample, failed};

/// Rows are written so many times as slowly as they are read, about.
const WRITTEN: f64 = 30.0;
const GUESSED: &str = "how long it takes to write its rows is guessed from that";

impl Sample<'_> {
    /// Measures a backfill.
    pub(super) async fn backfill(
        &mut self,
        upcoming: &Upcoming<'_>,
        outline: &Outline,
        directive: &BatchDirective,
    ) -> Result<Measured, EstimateError> {
        let at = At::of(upcoming);
        self.desk.mark_step().await.map_err(failed)?;
        let prepared = match self.prepared(upcoming, directive).await {
            Ok(prepared) => prepared,
            // The engine runs it whole, too.
            Err(PrepareError::Refused { .. }) if directive.auto => {
                self.desk.back_to_step().await.map_err(failed)?;
                return self.script(upcoming, outline).await;
            }
            Err(error) => return Err(unprepared(at, error).into()),
        };
        let Some(prepared) = prepared else { return Err(no_table(at).into()) };
        let table = self.known_as(&prepared.table.name);
        match self.measured(upcoming, outline, prepared).await {
            Err(error) if self.is_incomplete && !error.is_lost() && !self.stop.is_requested() => {
                self.unknown(outline, table).await.map_err(failed)
            }
            measured => measured.map_err(|source| failed_at(at, source, 0).into()),
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
        let mut fill = Fill::new(prepared, frame);
        let (keys, most) = (fill.frame.keys(), fill.most_rows());
        let (around, ground) = self.around(&fill.prepared, keys, most).await?;
        fill.ground = ground;
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
        let around = Around {
            rows: fill.frame.rows,
            overhead: around.overhead + fill.fixed,
            has_halves: fill.has_halves,
            scatter: fill.scatter(),
            ..around
        };
        let all = project(&fill.first, &fill.second, &around);
        if is_whole {
            for reset in self.dialect.reset_batch_settings() {
                self.desk.bare(reset).await?;
            }
            self.desk.limit(None).await?;
            self.desk.keep_step().await?;
        } else {
            self.desk.back_to_step().await?;
            self.is_incomplete = true;
            let grows = fill.prepared.into.as_ref().unwrap_or(&fill.prepared.table.name);
            let grows = self.known_as(grows);
            *self.grown.entry(grows).or_default() += all.grown;
            if fill.prepared.batch.verb() == Verb::Update {
                let sql = upcoming.pending.migration.sql(upcoming.step).to_owned();
                let table = self.known_as(&fill.prepared.table.name);
                self.fills.entry(table).or_default().push(sql);
            }
        }
        let at_once = match fill.prepared.workers {
            0 | 1 => 1.0,
            workers => at_once(&self.copy, workers).await,
        };
        let is_begun = upcoming.pending.claim.is_some();
        let measured = fill.measured(outline, all, keys, at_once, is_begun);
        let table = self.known_as(&fill.prepared.table.name);
        Ok(Measured { extent: Extent::Rows(table), ..measured })
    }

    /// What the facts call a table: without its schema, where that is the one of our own tables.
    fn known_as(&self, name: &TableName) -> String {
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
}
