//! Who helps the run at work, and who of them gives a sign of life.

use std::collections::HashMap;

use crate::ledger::MemberRecord;

/// After so many looks without a beat a member is taken for dead: five seconds. Looks are counted, and
/// no clock: who couldn't look knows nothing of others' silence.
const SILENT: u32 = 20;

/// A member as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it told.
    pub record: MemberRecord,
    /// It has told nothing for so long that it must be dead, frozen, or cut off.
    pub is_silent: bool,
}

/// Who helps the run at work.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// The last beat of each, and how many looks ago it was new.
    seen: HashMap<String, (i64, u32)>,
}

impl Roll {
    /// Those that are there now, by one more look.
    pub fn read(&mut self, found: Vec<MemberRecord>) -> Vec<Member> {
        self.seen.retain(|member, _| found.iter().any(|record| record.member == *member));
        found.into_iter().map(|record| self.one(record)).collect()
    }

    fn one(&mut self, record: MemberRecord) -> Member {
        let looks = match self.seen.get(&record.member) {
            Some((beats, looks)) if *beats == record.beats => looks.saturating_add(1),
            _ => 0,
        };
        self.seen.insert(record.member.clone(), (record.beats, looks));
        Member { is_silent: looks >= SILENT, record }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(member: &str, beats: i64) -> MemberRecord {
        MemberRecord {
            member: member.to_owned(),
            host: "desk".to_owned(),
            pid: 7,
            joined_at: "now".to_owned(),
            beats,
            workers: 1,
            wants: 0,
            rests: false,
            asked: 0,
        }
    }

    #[test]
    fn who_beats_no_more_is_silent_until_it_beats_again() {
        let mut roll = Roll::default();
        let mut silent = |frozen, alive| {
            let members = roll.read(vec![record("frozen", frozen), record("alive", alive)]);
            members.iter().map(|member| member.is_silent).collect::<Vec<_>>()
        };
        for look in 0..i64::from(SILENT) {
            assert_eq!(silent(7, look), [false, false]);
        }
        assert_eq!(silent(7, 1_000), [true, false]);
        assert_eq!(silent(8, 1_001), [false, false]);
        // Who has gone and comes back begins anew.
        roll.read(Vec::new());
        assert!(!roll.read(vec![record("frozen", 8)])[0].is_silent);
    }
}
