//! The ranges of one backfill, as its workers share them.

mod borrowed;
mod lent;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::scale::Scale;
use crate::ledger::{Cursor, RangeRecord, frontier};
use crate::stop::Stop;

pub use borrowed::Recall;

/// The ranges of one backfill: which are free, and who has the others. A worker that finds none free
/// asks for a part of the one with the most left; its owner, which alone moves the range's cursor and
/// so can't be overtaken, splits it between two batches.
///
/// A run's has all of them, those that are lent to members among them; a member's has what it is lent.
pub(super) struct Ranges {
    /// In the order of their keys.
    entries: Mutex<Vec<Entry>>,
    changed: Notify,
    next_number: AtomicU32,
    workers: AtomicU32,
    /// Workers that wait for a range.
    waiting: AtomicU32,
    /// Workers of other processes.
    others: AtomicU32,
    /// How many keys there are in a backfill that this process helps with; 0 where that isn't known.
    whole: AtomicU64,
    /// A range was lent to a member.
    was_helped: AtomicBool,
    /// They are a run's that this process only helps.
    is_borrowed: bool,
    /// A worker got no session.
    without: AtomicBool,
    scale: Scale,
    /// A worker has failed: the others are to end.
    closed: CancellationToken,
    stop: Stop,
}

/// The numbers of ranges that members split off.
const BORROWED: Range<u32> = 1 << 20..1 << 30;

struct Entry {
    range: RangeRecord,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Free,
    Taken,
    /// Somebody would like a part of it.
    Asked,
    /// The leader would.
    Recalled,
    /// Taken, and too small to be split.
    Whole,
    /// A member's.
    Lent,
    /// The same, and it is asked for a part.
    LentAsked,
    /// The same, and too small to be split.
    LentWhole,
    Done,
}

impl Stage {
    /// Where the ledger knows it.
    fn of(range: &RangeRecord) -> Self {
        match range {
            _ if range.is_done() => Stage::Done,
            _ if range.owner.is_empty() => Stage::Free,
            _ => Stage::Lent,
        }
    }

    fn is_lent(self) -> bool {
        matches!(self, Stage::Lent | Stage::LentAsked | Stage::LentWhole)
    }
}

impl Ranges {
    /// Of these, in the order of their keys.
    pub fn new(ranges: Vec<RangeRecord>, stop: Stop) -> Self {
        let highest = ranges.iter().map(|range| range.number).max().unwrap_or(0);
        let entry = |range: RangeRecord| Entry { stage: Stage::of(&range), range };
        Ranges {
            entries: Mutex::new(ranges.into_iter().map(entry).collect()),
            changed: Notify::new(),
            next_number: AtomicU32::new(highest + 1),
            workers: AtomicU32::new(1),
            waiting: AtomicU32::new(0),
            others: AtomicU32::new(0),
            whole: AtomicU64::new(0),
            was_helped: AtomicBool::new(false),
            is_borrowed: false,
            without: AtomicBool::new(false),
            scale: Scale::default(),
            closed: CancellationToken::new(),
            stop,
        }
    }

    /// None yet, of a run that this process helps.
    pub fn borrowed(stop: Stop) -> Self {
        Ranges { is_borrowed: true, ..Ranges::new(Vec::new(), stop) }
    }

    /// A range to work on; waits for one while there may still be one. `None` when there is none left,
    /// or nobody is to begin another one.
    pub async fn take(&self) -> Option<RangeRecord> {
        let mut waits = None;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the look, so that nothing that changes after it is missed.
            changed.as_mut().enable();
            if self.is_closed() || self.stop.is_requested() {
                return None;
            }
            match self.look() {
                Look::Taken(range) => return Some(*range),
                Look::Over => return None,
                Look::Wait => {
                    waits.get_or_insert_with(|| Waits::new(&self.waiting));
                    tokio::select! {
                        () = changed => {}
                        () = self.closed.cancelled() => {}
                        () = self.stop.requested() => {}
                    }
                }
            }
        }
    }

    fn look(&self) -> Look {
        let mut entries = self.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.stage == Stage::Free) {
            entry.stage = Stage::Taken;
            return Look::Taken(Box::new(entry.range.clone()));
        }
        if !self.is_borrowed && entries.iter().all(|entry| entry.stage == Stage::Done) {
            return Look::Over;
        }
        // Whom it is lent to is asked by way of the ledger.
        if let Some(most) = most_left(&mut entries).filter(|most| most.stage == Stage::Taken) {
            most.stage = Stage::Asked;
        }
        Look::Wait
    }

    /// How many workers there are, those of who helps among them; of who helps, its own.
    pub fn workers(&self) -> u32 {
        let others = if self.is_borrowed { 0 } else { self.others.load(Ordering::Relaxed) };
        self.workers.load(Ordering::Relaxed) + others
    }

    /// How many there are in all processes, about.
    pub fn all_workers(&self) -> u32 {
        self.workers.load(Ordering::Relaxed) + self.others.load(Ordering::Relaxed)
    }

    /// How many of them have nothing to do.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether others ever had a part.
    pub fn was_helped(&self) -> bool {
        self.was_helped.load(Ordering::Relaxed)
    }

    /// So many workers of other processes help. Whether that is news.
    pub fn helped_by(&self, workers: u32) -> bool {
        self.others.swap(workers, Ordering::Relaxed) != workers
    }

    /// Waits until something has changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether no worker has gone without a session before this one.
    pub fn is_first_without(&self) -> bool {
        !self.without.swap(true, Ordering::Relaxed)
    }

    /// One more, and how many that makes.
    pub fn joined(&self) -> u32 {
        self.workers.fetch_add(1, Ordering::Relaxed);
        self.workers()
    }

    /// One less, and how many that leaves.
    pub fn left(&self) -> u32 {
        self.workers.fetch_sub(1, Ordering::Relaxed);
        self.workers()
    }

    /// Ends when there is nothing more to begin: every range is done, or all are to end.
    pub async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // As in `take`.
            changed.as_mut().enable();
            let is_done = !self.is_borrowed && self.is_done();
            if self.is_closed() || self.stop.is_requested() || is_done {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = self.closed.cancelled() => {}
                () = self.stop.requested() => {}
            }
        }
    }

    /// Lets nobody begin anything any more.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Ends when a worker has failed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Whether all are to end.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Whether every range is done.
    pub fn is_done(&self) -> bool {
        self.lock().iter().all(|entry| entry.stage == Stage::Done)
    }

    /// How many keys are done in all of them.
    pub fn keys_done(&self) -> u64 {
        self.lock().iter().map(|entry| entry.range.keys_done.max(0) as u64).sum()
    }

    /// How many keys there are in all of them, about; of who helps, in the whole backfill.
    pub fn keys_total(&self) -> Option<u64> {
        if self.is_borrowed {
            return Some(self.whole.load(Ordering::Relaxed)).filter(|whole| *whole > 0);
        }
        let entries = self.lock();
        let totals = entries.iter().map(|entry| Some(entry.range.keys_total?.max(0) as u64));
        totals.sum()
    }

    /// The quantiles of the table.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Gives a range back that was taken, undone.
    pub fn give_back(&self, range: RangeRecord) {
        self.enter(range, Stage::Free);
    }

    /// A range is another process's by now.
    pub fn forget(&self, number: u32) {
        self.lock().retain(|entry| entry.range.number != number);
        self.changed.notify_waiters();
    }

    /// Enters how far a range is.
    pub fn moved(&self, range: &RangeRecord) {
        let mut entries = self.lock();
        if let Some(entry) = find(&mut entries, range.number) {
            entry.range.clone_from(range);
            if range.is_done() {
                entry.stage = Stage::Done;
                self.changed.notify_waiters();
            }
        }
    }

    /// Whether somebody would like a part of the range.
    pub fn is_asked(&self, range: &RangeRecord) -> bool {
        let asked = |entry: &mut Entry| matches!(entry.stage, Stage::Asked | Stage::Recalled);
        find(&mut self.lock(), range.number).is_some_and(asked)
    }

    /// Whether that is the leader, which is to get it.
    pub fn is_recalled(&self, range: &RangeRecord) -> bool {
        find(&mut self.lock(), range.number).is_some_and(|entry| entry.stage == Stage::Recalled)
    }

    /// The range isn't split: too little is left of it.
    pub fn keep_whole(&self, range: &RangeRecord) {
        if let Some(entry) = find(&mut self.lock(), range.number) {
            entry.stage = Stage::Whole;
        }
        // Who asked may ask for another one.
        self.changed.notify_waiters();
    }

    /// The range was split, and may be again. The rest is given to who asked for it: another process's
    /// isn't entered here.
    pub fn was_split(&self, range: &RangeRecord, rest: RangeRecord) {
        self.enter(range.clone(), Stage::Taken);
        if !self.is_borrowed || !rest.owner.is_empty() {
            self.add(rest);
        }
    }

    /// Enters what the ledger has: a range that isn't known here was split off by a commit whose reply
    /// got lost.
    /// Only what is to be worked on here is entered newly: what members have, [`Ranges::observe`] tells.
    pub fn reconcile(&self, found: Vec<RangeRecord>, is_own: impl Fn(&RangeRecord) -> bool) {
        let found: Vec<_> = found.into_iter().filter(is_own).collect();
        for range in &found {
            if let Some(entry) = find(&mut self.lock(), range.number) {
                entry.range.through.clone_from(&range.through);
                entry.range.keys_total = range.keys_total;
            }
        }
        found.into_iter().for_each(|range| self.add(range));
    }

    /// A number that no range has, and that no other worker of this process gets. Those of several
    /// processes are far apart, and one that is taken all the same, the ledger refuses.
    pub fn next_number(&self) -> u32 {
        match self.is_borrowed {
            true => fastrand::u32(BORROWED),
            false => self.next_number.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// How far the backfill is: all keys up to here are done.
    pub fn done_through(&self) -> Cursor {
        let entries = self.lock();
        frontier(entries.iter().map(|entry| &entry.range)).cloned().unwrap_or(Cursor::START)
    }

    fn enter(&self, range: RangeRecord, stage: Stage) {
        if let Some(entry) = find(&mut self.lock(), range.number) {
            *entry = Entry { range, stage };
        }
        self.changed.notify_waiters();
    }

    /// Once: what was split off may be found in the ledger before its owner has the reply.
    fn add(&self, range: RangeRecord) {
        let mut entries = self.lock();
        if find(&mut entries, range.number).is_some() {
            return;
        }
        let before = entries.iter().position(|entry| entry.range.through == range.start);
        let at = before.map_or(entries.len(), |before| before + 1);
        let stage = if self.is_borrowed { Stage::Free } else { Stage::of(&range) };
        entries.insert(at, Entry { range, stage });
        drop(entries);
        self.changed.notify_waiters();
    }

    /// What is inside is whole after any panic: each change is one assignment or insertion.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as it is there, a worker waits.
struct Waits<'a>(&'a AtomicU32);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waits(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Look {
    Taken(Box<RangeRecord>),
    Wait,
    Over,
}

fn find(entries: &mut [Entry], number: u32) -> Option<&mut Entry> {
    entries.iter_mut().find(|entry| entry.range.number == number)
}

/// The range with the most left of those that can be split.
fn most_left(entries: &mut [Entry]) -> Option<&mut Entry> {
    let splittable = |entry: &&mut Entry| matches!(entry.stage, Stage::Taken | Stage::Lent);
    entries.iter_mut().filter(splittable).max_by_key(|entry| left(&entry.range))
}

/// How many keys are left, about; of an unknown number, more than of any other.
fn left(range: &RangeRecord) -> i64 {
    range.keys_total.map_or(i64::MAX, |total| total - range.keys_done)
}

#[cfg(test)]
mod tests;
