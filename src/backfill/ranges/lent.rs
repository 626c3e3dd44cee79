//! A run's ranges that members work on.

use super::{Entry, Ranges, Stage, find, left, most_left};
use crate::ledger::{Cursor, RangeRecord};

impl Ranges {
    /// Enters what the ledger says of lent ranges, and what members have split off or given back. Returns
    /// how many keys they have passed since the last look. Of its own ranges a run knows more than what
    /// was read a moment ago.
    pub fn observe(&self, found: &[RangeRecord]) -> u64 {
        let mut entries = self.lock();
        let (mut news, mut is_changed) = (0, false);
        for range in found {
            let done = range.keys_done;
            match find(&mut entries, range.number) {
                Some(entry) if entry.stage.is_lent() => {
                    news += done.saturating_sub(entry.range.keys_done).max(0).unsigned_abs();
                    let is_same = entry.range.through == range.through;
                    let stage = match Stage::of(range) {
                        Stage::Lent if is_same => entry.stage,
                        stage => stage,
                    };
                    is_changed |= std::mem::replace(&mut entry.stage, stage) != stage;
                    entry.range.clone_from(range);
                }
                Some(_) => {}
                None => {
                    let before =
                        entries.iter().position(|entry| entry.range.through == range.start);
                    // Else its own worker has split it off, and is about to say so.
                    if let Some(before) = before {
                        news += done.max(0).unsigned_abs();
                        let (range, stage) = (range.clone(), Stage::of(range));
                        entries.insert(before + 1, Entry { range, stage });
                        is_changed = true;
                    }
                }
            }
        }
        drop(entries);
        if is_changed {
            self.changed.notify_waiters();
        }
        news
    }

    /// A range that nobody works on, nor waits for here, from now on this member's.
    pub fn lend_to(&self, member: &str) -> Option<u32> {
        let mut entries = self.lock();
        let free = entries.iter().filter(|entry| entry.stage == Stage::Free).count();
        if free <= self.waiting() as usize {
            return None;
        }
        let free = entries.iter_mut().filter(|entry| entry.stage == Stage::Free);
        let most = free.max_by_key(|entry| left(&entry.range))?;
        most.stage = Stage::Lent;
        most.range.owner = member.to_owned();
        Some(most.range.number)
    }

    /// Somebody has nothing to do: asks for a part of the range with the most left, unless enough are
    /// asked for already. Returns the range where that is a member's, who has to be asked yet.
    pub fn ask_for(&self, wanted: usize) -> Option<RangeRecord> {
        let mut entries = self.lock();
        let pending =
            |entry: &&Entry| matches!(entry.stage, Stage::Free | Stage::Asked | Stage::LentAsked);
        if entries.iter().filter(pending).count() >= wanted {
            return None;
        }
        let most = most_left(&mut entries)?;
        let is_lent = most.stage == Stage::Lent;
        most.stage = if is_lent { Stage::LentAsked } else { Stage::Asked };
        is_lent.then(|| most.range.clone())
    }

    /// A member has answered what it was asked for: `whole` says that it has split nothing off.
    pub fn answered(&self, number: u32, whole: bool) {
        if let Some(entry) = find(&mut self.lock(), number).filter(|entry| entry.stage.is_lent()) {
            entry.stage = if whole { Stage::LentWhole } else { Stage::Lent };
        }
    }

    /// Where a range ends, as it is known here.
    pub fn through(&self, number: u32) -> Option<Cursor> {
        find(&mut self.lock(), number).map(|entry| entry.range.through.clone())
    }

    /// Who has ranges.
    pub fn owners(&self) -> Vec<String> {
        let entries = self.lock();
        let lent = entries.iter().filter(|entry| entry.stage.is_lent());
        let mut owners: Vec<_> = lent.map(|entry| entry.range.owner.clone()).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }
}
