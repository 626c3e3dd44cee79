//! A run's ranges that members work on.

use std::sync::atomic::Ordering;

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
        // A crash of the server may have taken back what a member had split off.
        let before = entries.len();
        let is_there = |number: u32| found.iter().any(|range| range.number == number);
        entries.retain(|entry| !entry.stage.is_lent() || is_there(entry.range.number));
        is_changed |= entries.len() != before;
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
        self.was_helped.store(true, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::super::tests::{at, look, range};
    use super::*;
    use crate::stop::Stop;

    fn of(owner: &str, range: RangeRecord) -> RangeRecord {
        RangeRecord { owner: owner.to_owned(), ..range }
    }

    /// What the ledger says of 1 (a run's own), and of others as they follow.
    fn scene(others: Vec<RangeRecord>) -> Ranges {
        Ranges::new([vec![range(1, 0, 10)], others].concat(), Stop::default())
    }

    #[test]
    fn what_is_lent_is_worked_on_by_nobody_here() {
        let ranges = scene(vec![range(2, 10, 30)]);
        assert_eq!((look(&ranges), ranges.lend_to("ann")), (Some(1), Some(2)));
        assert_eq!((look(&ranges), ranges.owners()), (None, vec!["ann".to_owned()]));
        // It moves, and is done, as the ledger says.
        let moved = RangeRecord { cursor: at(15), keys_done: 5, ..of("ann", range(2, 10, 30)) };
        assert_eq!(ranges.observe(&[range(1, 0, 10), moved.clone()]), 5);
        assert_eq!(ranges.observe(&[range(1, 0, 10), moved]), 0);
        let done = RangeRecord { cursor: at(30), keys_done: 20, ..of("ann", range(2, 10, 30)) };
        assert_eq!(ranges.observe(&[range(1, 0, 10), done]), 15);
        assert!(ranges.owners().is_empty() && !ranges.is_done());
        ranges.moved(&RangeRecord { cursor: at(10), keys_done: 10, ..range(1, 0, 10) });
        assert!(ranges.is_done());
        assert_eq!((ranges.done_through(), ranges.keys_done()), (at(30), 30));
    }

    #[test]
    fn what_is_given_back_is_worked_on_here() {
        let ranges = scene(vec![range(2, 10, 30)]);
        assert_eq!((look(&ranges), ranges.lend_to("ann")), (Some(1), Some(2)));
        // The one with the most left is a member's, who has to be asked.
        assert_eq!((look(&ranges), ranges.is_asked(&range(1, 0, 10))), (None, false));
        assert_eq!(ranges.ask_for(1).map(|range| range.number), Some(2));
        assert_eq!(ranges.ask_for(1), None, "one is asked for already");
        let kept = RangeRecord { keys_total: Some(10), ..of("ann", range(2, 10, 20)) };
        ranges.observe(&[range(1, 0, 10), kept, range(9, 20, 30)]);
        ranges.answered(2, false);
        assert_eq!((look(&ranges), ranges.lend_to("ann")), (Some(9), None));
        // Who is gone gives all back.
        let found = [range(1, 0, 10), range(2, 10, 20), range(9, 20, 30)];
        ranges.observe(&found);
        assert_eq!(look(&ranges), Some(2));
    }

    #[test]
    fn a_loan_that_the_ledger_does_not_know_is_none() {
        let ranges = scene(vec![range(2, 10, 30)]);
        assert_eq!((look(&ranges), ranges.lend_to("ann")), (Some(1), Some(2)));
        ranges.observe(&[range(1, 0, 10), range(2, 10, 30)]);
        assert_eq!(look(&ranges), Some(2));
    }

    /// A run knows more of its own ranges than what was read a moment ago.
    #[test]
    fn what_was_read_a_moment_ago_takes_nothing_back() {
        let ranges = scene(Vec::new());
        assert_eq!(look(&ranges), Some(1));
        ranges.moved(&RangeRecord { cursor: at(10), keys_done: 10, ..range(1, 0, 10) });
        assert_eq!(ranges.observe(&[range(1, 0, 10)]), 0);
        assert!(ranges.is_done());
    }
}
