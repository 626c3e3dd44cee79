//! Helping the run that holds the lock with its backfill, instead of only waiting for it.

use std::time::Duration;

use crate::backfill::{
    Backfill, BackfillError, Borrowed, PrepareError, Prepared, Seen, lock_timeout, prepare, settle,
};
use crate::db::{DbError, Session};
use crate::ledger::{Ledger, Pen};
use crate::migration::StepKind;
use crate::place::Explanation;
use crate::progress::{Event, Holder, LeaderStep, Warning};
use crate::throttle::{Line, Throttle, Watch};
use crate::worker::Worker;

use super::failure::{key_changed, no_table, unprepared};
use super::fill::{pinned, sum, work};
use super::lock::{Left, holder};
use super::steps::{At, settings};
use super::{Run, RunError};

/// How long the leader's last word is waited for where a member leaves.
const FAREWELL: Duration = Duration::from_secs(2);
/// What there is to do where a member is of no help.
const NEXT: &str =
    "nothing: it waits for the run at work, which has the rows back and tells what is wrong";

/// What a member has failed at, and leaves to its leader from then on: version, step and epoch.
#[derive(Debug, Default)]
pub(super) struct GivenUp(Option<(i64, u32, i64)>);

/// The step to help with.
struct Open<'a> {
    at: At<'a>,
    pen: Pen,
    prepared: Prepared,
    holder: Holder,
}

impl Run<'_> {
    /// Helps the run at work, where it is at a backfill, as long as that lasts. Whether it did.
    pub(super) async fn help(
        &self,
        session: &mut dyn Session,
        given_up: &mut GivenUp,
    ) -> Result<bool, RunError> {
        let ledger = Ledger::of(self.database.as_ref());
        let Some(record) = ledger.leader(session).await? else { return Ok(false) };
        if !ledger.takes_members(session).await? || !self.database.is_locked(session).await? {
            return Ok(false);
        }
        let survey = self.survey(session).await?;
        let Left::Plan(plan) = self.plan_of_leader(&survey)? else { return Ok(false) };
        let Some(first) = plan.pending.first().filter(|first| first.claim.is_some()) else {
            return Ok(false);
        };
        let (migration, number) = (first.migration, first.done as u32 + 1);
        let Some(step) = migration.steps.get(first.done) else { return Ok(false) };
        let (at, epoch) = (At { migration, step, number }, record.epoch);
        let place = (migration.version, number, epoch);
        let ranges = ledger.ranges(session, migration.version, number).await?;
        // Until it has adopted them, they are its predecessor's.
        if given_up.0 == Some(place)
            || ranges.is_empty()
            || !ranges.iter().all(|range| range.epoch == epoch)
        {
            return Ok(false);
        }
        let identity = &self.settings.identity;
        let mut worker = match self.helper(at).await {
            Ok(worker) => worker,
            // A run that takes over ends all sessions but its own.
            Err(error) if error.is_lost() => return Ok(false),
            // It may have no more of them.
            Err(error) => {
                given_up.0 = Some(place);
                self.warn(at, &BackfillError::Db(error));
                return Ok(false);
            }
        };
        let pen = ledger.join(identity, epoch);
        let prepared = match self.prepare_alike(&mut worker, at, &pen).await {
            // Somebody has the table locked, or a run takes over.
            Err(RunError::Db(error) | RunError::Step { source: error, .. })
                if error.is_transient() || error.is_lost() =>
            {
                return Ok(false);
            }
            // It may have done with the step meanwhile, and what comes after has changed the tables.
            Err(_) if !ledger.is_open(session, (migration.version, number), epoch).await? => {
                return Ok(false);
            }
            prepared => prepared?,
        };
        // Blocks are gone along in passes, of which only the run itself knows.
        if prepared.batch.is_by_block() {
            return Ok(false);
        }
        if let Some(other) = ranges.into_iter().find(|range| !prepared.is_along(range)) {
            let now = prepared.described_key();
            return Err(key_changed(at, other.key.unwrap_or_default(), now));
        }
        let open = Open { at, pen, prepared, holder: holder(record) };
        let requests = ledger.requests(session).await?;
        let throttle = Throttle::new(requests, self.reporter);
        let _shift = throttle.shift(work(at, &open.prepared));
        let (limits, member) = (&self.settings.limits, Some(identity.run.as_str()));
        let watch = Watch::start(&self.database, &throttle, limits, epoch, member, self.stop);
        let ended = self.work_along(&open, &throttle, &mut worker).await;
        drop(watch);
        self.leave(&open, &mut worker).await;
        match ended {
            Ok(()) => Ok(true),
            Err(BackfillError::Stopped) => {
                Err(RunError::Stopped { reason: self.stop.reason().to_owned() })
            }
            // It has been tried for as long as it is to be, or a run that takes over has ended the session:
            // who waits for that will see.
            Err(BackfillError::Db(error)) if error.is_lost() => Ok(true),
            Err(error) => {
                given_up.0 = Some(place);
                self.warn(at, &error);
                Ok(true)
            }
        }
    }

    /// A session with what the file's steps before this one have set.
    async fn helper(&self, at: At<'_>) -> Result<Worker, DbError> {
        let Self { database, settings: told, stop, .. } = self;
        let run = &told.identity.run;
        let mut worker =
            Worker::open(database.clone(), run, (*stop).clone(), told.reconnect).await?;
        let before = &at.migration.steps[..at.number as usize - 1];
        if before.iter().any(|step| !step.settings.is_empty()) {
            worker.remember(before.iter().flat_map(|step| settings(at.migration, step)));
            worker.renew().await?;
        }
        settle(&mut worker, lock_timeout(at.step)).await?;
        Ok(worker)
    }

    /// The statement, proved and rewritten to just what the run at work has made of it.
    async fn prepare_alike(
        &self,
        worker: &mut Worker,
        at: At<'_>,
        pen: &Pen,
    ) -> Result<Prepared, RunError> {
        let StepKind::Backfill(directive) = &at.step.kind else {
            return Err(RunError::Unlike { version: at.migration.version, step: at.number });
        };
        let dialect = self.database.dialect();
        let prepared = prepare(worker.session(), dialect, at.migration, at.step, directive).await;
        let prepared = match prepared {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return Err(no_table(at)),
            Err(PrepareError::Db(error)) => return Err(error.into()),
            Err(error) => return Err(unprepared(at, error)),
        };
        let (ledger, version) = (pen.ledger(), at.migration.version);
        let prepared = match pinned(worker, ledger, at, &prepared, true).await {
            Ok(prepared) => prepared,
            Err(BackfillError::Ledger(error)) => return Err(error.into()),
            Err(BackfillError::Db(error)) => return Err(error.into()),
            Err(_) => return Err(RunError::Unlike { version, step: at.number }),
        };
        let described = ledger.described(worker.session(), version, at.number).await?;
        match described == Some(prepared.fingerprint()) {
            true => Ok(prepared),
            false => Err(RunError::Unlike { version, step: at.number }),
        }
    }

    async fn work_along(
        &self,
        open: &Open<'_>,
        throttle: &Throttle,
        worker: &mut Worker,
    ) -> Result<(), BackfillError> {
        let Open { at, pen, prepared, holder } = open;
        let migration = at.migration;
        let seen = |Seen { ranges }: Seen<'_>| {
            let done = sum(ranges, |range| Some(range.keys_done)).unwrap_or(0);
            let leader = LeaderStep {
                version: migration.version,
                name: migration.name.clone(),
                step: at.number,
                steps: migration.steps.len() as u32,
                kind: at.step.kind.as_str().to_owned(),
                keys: Some((done, sum(ranges, |range| range.keys_total))),
            };
            let (holder, leader) = (Some(holder.clone()), Some(leader));
            self.reporter.emit(Event::LockWaiting { holder, leader, helps: true });
        };
        let identity = &self.settings.identity;
        let borrowed = Borrowed {
            version: migration.version,
            step: at.number,
            database: self.database.as_ref(),
            identity,
            seen: &seen,
        };
        let (reporter, stop) = (self.reporter, self.stop);
        let backfill = Backfill { pen, prepared, throttle, reporter, stop };
        backfill.help(worker, &borrowed, &mut Line::new(&self.database)).await
    }

    /// Gives back what it has, for the others to go on with at once. Where that fails, its leader takes it
    /// when it hears no beat any more.
    async fn leave(&self, open: &Open<'_>, worker: &mut Worker) {
        let (pen, version) = (&open.pen, open.at.migration.version);
        let own = pen.owner();
        let list = [pen.take_back(version, open.at.number, own), pen.forget_member(own)];
        let farewell = worker.session().transact(&list);
        tokio::time::timeout(FAREWELL, farewell).await.ok();
    }

    fn warn(&self, at: At<'_>, error: &BackfillError) {
        let why = match error {
            BackfillError::Statement { error, .. } | BackfillError::Db(error) => error.outline(),
            error => error.to_string(),
        };
        let message = format!("no help with this: {why}");
        let explanation = Explanation::default().note("next", NEXT.to_owned());
        let warning = Warning::new(at.migration.version, at.number, &message, &explanation);
        self.reporter.emit(Event::Warned(warning));
    }
}
