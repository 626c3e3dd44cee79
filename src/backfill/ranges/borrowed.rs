//! A member's ranges, which are a run's.

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
    /// Enters what this process is lent. What it isn't any more, its worker finds out.
    pub fn borrow(&self, own: Vec<RangeRecord>) {
        let is_free =
            |number| find(&mut self.lock(), number).is_some_and(|entry| entry.stage == Stage::Free);
        let numbers: Vec<_> = self.lock().iter().map(|entry| entry.range.number).collect();
        for number in numbers {
            if is_free(number) && !own.iter().any(|range| range.number == number) {
                self.forget(number);
            }
        }
        own.into_iter().filter(|range| !range.is_done()).for_each(|range| self.add(range));
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
