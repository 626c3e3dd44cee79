//! A member's ranges, which are a run's.

use std::sync::atomic::Ordering;

use super::{Ranges, Stage, find};
use crate::ledger::RangeRecord;

/// How far a member is with a range that its leader would like a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// Nobody has begun with it yet.
    NotYet,
    /// Who works on it will look at that between two batches.
    Pending,
    /// A part was split off, or there is too little left, or it isn't here.
    Over,
}

impl Ranges {
    /// Enters what this process is lent of these, which are all of the backfill's. What it isn't any more,
    /// its worker finds out.
    pub fn borrow(&self, found: Vec<RangeRecord>, is_own: impl Fn(&RangeRecord) -> bool) {
        let whole: Option<i64> = found.iter().map(|range| range.keys_total).sum();
        self.whole.store(whole.unwrap_or(0).max(0).unsigned_abs(), Ordering::Relaxed);
        let open = found.into_iter().filter(|range| !range.is_done());
        let (own, others): (Vec<_>, Vec<_>) = open.partition(is_own);
        // About one worker each.
        self.helped_by(others.len() as u32);
        let is_own = |number: u32| own.iter().any(|range| range.number == number);
        // What is done and is open in the ledger all the same, a crash of the server has taken back.
        self.lock().retain(|entry| match entry.stage {
            Stage::Free => is_own(entry.range.number),
            Stage::Done => !is_own(entry.range.number),
            _ => true,
        });
        own.into_iter().for_each(|range| self.add(range));
    }

    /// The leader would like a part of the range. Called again until that is over; `is_known` from when it
    /// was pending.
    pub fn recall(&self, number: u32, is_known: bool) -> Recall {
        let mut entries = self.lock();
        let Some(entry) = find(&mut entries, number) else { return Recall::Over };
        match entry.stage {
            Stage::Free => Recall::NotYet,
            Stage::Recalled => Recall::Pending,
            Stage::Taken | Stage::Asked | Stage::Whole if !is_known => {
                entry.stage = Stage::Recalled;
                Recall::Pending
            }
            _ => Recall::Over,
        }
    }

    /// How many ranges are being worked on here.
    pub fn at_work(&self) -> u32 {
        let entries = self.lock();
        let at_work = entries.iter().filter(|entry| {
            matches!(entry.stage, Stage::Taken | Stage::Asked | Stage::Recalled | Stage::Whole)
        });
        at_work.count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, look, range};
    use super::*;
    use crate::stop::Stop;

    #[test]
    fn a_member_waits_for_what_it_is_lent_and_gives_a_part_back() {
        let ranges = Ranges::borrowed(Stop::default());
        assert_eq!(look(&ranges), None);
        ranges.borrow(vec![range(7, 10, 30), range(9, 40, 60)], |range| range.number == 7);
        assert_eq!((ranges.keys_total(), ranges.all_workers()), (Some(40), 2));
        assert_eq!(ranges.recall(7, false), Recall::NotYet);
        assert_eq!((look(&ranges), ranges.at_work()), (Some(7), 1));
        assert_eq!(ranges.recall(7, false), Recall::Pending);
        assert!(ranges.is_asked(&range(7, 10, 30)) && ranges.is_recalled(&range(7, 10, 30)));
        // The rest is its leader's, whose owner has no name.
        ranges.was_split(&range(7, 10, 20), range(8, 20, 30));
        assert_eq!((ranges.recall(7, true), look(&ranges)), (Recall::Over, None));
        ranges.moved(&RangeRecord { cursor: at(20), ..range(7, 10, 20) });
        assert_eq!((ranges.at_work(), ranges.recall(7, false)), (0, Recall::Over));
        assert_eq!(look(&ranges), None);
    }

    #[test]
    fn what_was_taken_back_is_not_begun() {
        let ranges = Ranges::borrowed(Stop::default());
        ranges.borrow(vec![range(7, 10, 30), range(8, 30, 40)], |_| true);
        assert_eq!(look(&ranges), Some(7));
        ranges.borrow(vec![range(7, 10, 30), range(8, 30, 40)], |_| false);
        assert_eq!((look(&ranges), ranges.recall(8, false)), (None, Recall::Over));
        ranges.forget(7);
        ranges.borrow(vec![range(7, 10, 30)], |_| true);
        assert_eq!(look(&ranges), Some(7), "it is lent anew");
    }
}
