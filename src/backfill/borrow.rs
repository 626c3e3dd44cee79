//! A member's part in helping a run: it says that it lives and what it wants, and sees what it is lent.

use std::convert::Infallible;
use std::time::Duration;

use super::ranges::{Ranges, Recall};
use super::{Backfill, BackfillError};
use crate::db::Database;
use crate::ledger::{Beat, Identity, RangeRecord};
use crate::throttle::Line;

/// Between two beats.
const BEAT: Duration = Duration::from_millis(250);
/// With every so many beats it looks whether the run that it helps is still there.
const LOOK: u32 = 4;
/// After so many looks at which nobody had the run lock, whoever had it is gone: one whose connection was
/// cut takes it again within a moment.
const GONE: u32 = 2;
/// How long the database may take for a beat.
const ANSWER: Duration = Duration::from_secs(5);

/// The step that a member helps with.
pub struct Borrowed<'a> {
    /// The migration's version.
    pub version: i64,
    /// Which step, from 1.
    pub step: u32,
    /// Where.
    pub database: &'a dyn Database,
    /// Who helps.
    pub identity: &'a Identity,
    /// Told how far the whole step is, at each beat.
    pub seen: &'a (dyn Fn(Seen<'_>) + Sync),
}

/// How far a step is that a member helps with.
pub struct Seen<'a> {
    /// Its ranges.
    pub ranges: &'a [RangeRecord],
}

/// What a member keeps in mind from beat to beat.
#[derive(Default)]
struct Pulse {
    beats: u32,
    /// At how many looks nobody had the run lock.
    absent: u32,
    /// The range of which its leader is to get a part; 0 for none.
    recalled: u32,
}

impl Backfill<'_> {
    /// Beats as long as there is something to help with, and then lets the workers end.
    pub(super) async fn borrow(
        &self,
        borrowed: &Borrowed<'_>,
        line: &mut Line,
        ranges: &Ranges,
    ) -> Infallible {
        // The watch reads for this process as long as there is one.
        let _lane = self.throttle.lane();
        let (mut pulse, mut was_cut) = (Pulse::default(), false);
        loop {
            let beat = self.beat(borrowed, line, ranges, &mut pulse);
            match tokio::time::timeout(ANSWER, beat).await {
                Ok(Ok(true)) => {
                    if std::mem::take(&mut was_cut) {
                        // What hasn't got an answer by now may never get one.
                        self.stop.report_cut();
                    }
                }
                Ok(Ok(false)) => {
                    ranges.close();
                    return std::future::pending().await;
                }
                Ok(Err(_)) => {
                    line.hang_up();
                    was_cut = true;
                }
                Err(_) => {
                    line.break_off().await;
                    was_cut = true;
                }
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    /// One beat. Whether there is still something to help with.
    async fn beat(
        &self,
        borrowed: &Borrowed<'_>,
        line: &mut Line,
        ranges: &Ranges,
        pulse: &mut Pulse,
    ) -> Result<bool, BackfillError> {
        let Borrowed { version, step, database, identity, seen } = *borrowed;
        let session = line.session().await?;
        let ledger = self.pen.ledger();
        pulse.beats = pulse.beats.wrapping_add(1);
        if pulse.beats.is_multiple_of(LOOK) {
            let newest = ledger.leader(session).await?;
            let is_newest = newest.is_some_and(|newest| newest.epoch == self.pen.epoch());
            pulse.absent = if database.is_locked(session).await? { 0 } else { pulse.absent + 1 };
            if !is_newest || pulse.absent >= GONE {
                return Ok(false);
            }
        }
        let found = ledger.ranges(session, version, step).await?;
        if found.is_empty() || !found.iter().all(|range| self.pen.is_of_run(range)) {
            return Ok(false);
        }
        seen(Seen { ranges: &found });
        ranges.borrow(found, |range| self.pen.owns(range));
        let beat = Beat {
            workers: ranges.at_work(),
            wants: if self.stop.is_requested() { 0 } else { ranges.waiting() },
            rests: self.throttle.rests(),
        };
        let asked = self.pen.beat(session, identity, beat).await?;
        if asked > 0 {
            pulse.recalled = match ranges.recall(asked, pulse.recalled == asked) {
                Recall::NotYet => 0,
                Recall::Pending => asked,
                Recall::Over => {
                    // A statement of its own, as a beat is.
                    session.query(&self.pen.ask_member(&identity.run, asked, 0)).await?;
                    0
                }
            };
        }
        Ok(true)
    }
}
