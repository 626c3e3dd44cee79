//! A run's part in being helped: it lends ranges to members, and takes them back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use super::ranges::Ranges;
use super::{Backfill, BackfillError};
use crate::db::DbError;
use crate::ledger::{Cursor, MemberRecord};
use crate::progress::Event;
use crate::worker::{Origin, Worker};

/// Between two looks at what members do: as often as they beat.
const LOOK: Duration = Duration::from_millis(250);
/// The least, where there is something to do at once.
const MOMENT: Duration = Duration::from_millis(20);
/// How long it waits for an open batch of a member that is gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a run has to keep in mind of its members.
#[derive(Default)]
struct Lending {
    /// At which beat of a member it was lent something. What it wants, it says anew two beats later: the
    /// next one may have been under way already.
    lent_at: HashMap<String, i64>,
    /// Which range of a member's it was asked for a part of, and where that ended.
    asked: HashMap<String, (u32, Cursor)>,
}

impl Backfill<'_> {
    /// Lends ranges to who wants some, as long as the backfill lasts.
    pub(super) async fn lend(
        &self,
        (version, step): (i64, u32),
        origin: Origin,
        ranges: &Ranges,
    ) -> Infallible {
        // The watch looks for members while there is one.
        let _lane = self.throttle.lane();
        let mut members = self.throttle.members();
        let mut lending = Lending::default();
        let mut open = None;
        loop {
            // Without members there is nothing to do; who was one may still have something.
            if ranges.owners().is_empty() && members.borrow_and_update().is_empty() {
                self.helped_by(ranges, 0);
                open = None;
                // Its sender lives as long as the throttle.
                let _ = members.wait_for(|members| !members.is_empty()).await;
            }
            let mut worker = match open.take() {
                Some(worker) => worker,
                None => match self.watcher(origin.clone()).await {
                    Ok(worker) => worker,
                    Err(_) => {
                        tokio::time::sleep(LOOK).await;
                        continue;
                    }
                },
            };
            // What fails leaves everything as it is, and is tried again with the next look.
            match self.look_after(version, step, &mut worker, &mut lending, ranges).await {
                Err(BackfillError::Db(error)) if error.is_lost() => {}
                _ => open = Some(worker),
            }
            tokio::time::sleep(MOMENT).await;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = ranges.changed() => {}
            }
        }
    }

    async fn watcher(&self, origin: Origin) -> Result<Worker, DbError> {
        let mut worker = origin.open().await?;
        let timeout = worker.database().dialect().set_lock_timeout(PATIENCE);
        worker.set(&timeout).await?;
        Ok(worker)
    }

    async fn look_after(
        &self,
        version: i64,
        step: u32,
        worker: &mut Worker,
        lending: &mut Lending,
        ranges: &Ranges,
    ) -> Result<(), BackfillError> {
        let ledger = self.pen.ledger();
        let members = ledger.members(worker.session(), self.pen.epoch()).await?;
        // After the members: who has left by now has given back what it had.
        let found = ledger.ranges(worker.session(), version, step).await?;
        if !found.iter().all(|range| self.pen.is_of_run(range)) {
            return Err(BackfillError::Fenced);
        }
        let keys = ranges.observe(&found);
        if keys > 0 {
            let position = self.prepared.position(&ranges.done_through());
            let keys_total = ranges.keys_total();
            self.reporter.emit(Event::Helped { keys, keys_total, position });
        }
        let (alive, silent): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|member| !self.is_silent(member));
        self.helped_by(ranges, alive.iter().map(|member| member.workers).sum());
        let is_alive = |owner: &String| alive.iter().any(|member| member.member == *owner);
        let gone = ranges.owners().into_iter().filter(|owner| !is_alive(owner));
        let silent = silent.into_iter().map(|member| member.member);
        let mut gone: Vec<_> = gone.chain(silent).collect();
        gone.sort_unstable();
        gone.dedup();
        for member in gone {
            // What is in the way is tried again, and nobody else waits for it.
            match self.take_back(version, step, worker, &member).await {
                Err(error) if error.is_lost() => return Err(error.into()),
                _ => {}
            }
        }
        self.hear(lending, &alive, ranges);
        self.satisfy(version, step, worker, lending, &alive, ranges).await
    }

    fn is_silent(&self, member: &MemberRecord) -> bool {
        let members = self.throttle.members();
        let seen = members.borrow();
        seen.iter().any(|seen| seen.is_silent && seen.record.member == member.member)
    }

    fn helped_by(&self, ranges: &Ranges, workers: u32) {
        if ranges.helped_by(workers) {
            self.reporter.emit(Event::Workers { count: ranges.workers() });
        }
    }

    /// Takes back what a member has that gives no sign of life. It may stand still in an open batch, which
    /// is ended in the server; and whatever it sends when it comes back is fenced.
    async fn take_back(
        &self,
        version: i64,
        step: u32,
        worker: &mut Worker,
        member: &str,
    ) -> Result<(), DbError> {
        // Without the right to do so, its batch is waited for.
        worker.database().end_sessions(member).await.ok();
        worker.transact(&[self.pen.take_back(version, step, member)]).await?;
        worker.transact(&[self.pen.forget_member(member)]).await?;
        Ok(())
    }

    /// What members have answered.
    fn hear(&self, lending: &mut Lending, alive: &[MemberRecord], ranges: &Ranges) {
        lending.lent_at.retain(|name, _| alive.iter().any(|member| member.member == *name));
        lending.asked.retain(|name, (number, through)| {
            let member = alive.iter().find(|member| member.member == *name);
            match member.map(|member| member.asked) {
                Some(0) => {
                    let is_whole = ranges.through(*number).as_ref() == Some(through);
                    ranges.answered(*number, is_whole);
                    false
                }
                answer => answer.is_some(),
            }
        });
    }

    /// Lends what is free, and asks for more where that isn't enough.
    async fn satisfy(
        &self,
        version: i64,
        step: u32,
        worker: &mut Worker,
        lending: &mut Lending,
        alive: &[MemberRecord],
        ranges: &Ranges,
    ) -> Result<(), BackfillError> {
        let mut wanted = ranges.waiting();
        for member in alive {
            let name = &member.member;
            let lent_at = lending.lent_at.get(name).copied();
            let mut wants = match lent_at {
                Some(beat) if member.beats < beat + 2 => 0,
                _ => member.wants,
            };
            while wants > 0
                && let Some(number) = ranges.lend_to(name)
            {
                wants -= 1;
                lending.lent_at.insert(name.clone(), member.beats);
                worker.transact(&[self.pen.lend(version, step, number, name)]).await?;
            }
            wanted += wants;
        }
        if wanted == 0 {
            return Ok(());
        }
        // One question at a time for each member.
        if let Some(most) = ranges.ask_for(wanted as usize) {
            let owner = most.owner.clone();
            if lending.asked.contains_key(&owner) {
                ranges.answered(most.number, false);
                return Ok(());
            }
            let asked = worker.transact(&[self.pen.ask_member(&owner, 0, most.number)]).await;
            if let Err(error) = asked {
                ranges.answered(most.number, false);
                return Err(error.into());
            }
            lending.asked.insert(owner, (most.number, most.through));
        }
        Ok(())
    }
}
