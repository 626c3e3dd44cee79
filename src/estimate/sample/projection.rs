//! From the draws of a sample to all keys of a backfill. Pure.

use crate::batch::Part;

use super::tally::Tally;

/// Bytes of a page in the log: less than the page's 8,192, as the hole between its rows and their pointers is left out.
const PAGE: f64 = 7_000.0;
/// Bytes of pages a second that go to the log where they come one after the other: to be copied, summed up, and
/// written.
const PAGES_RATE: f64 = 600e6;

/// What is known of a backfill beside its draws.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around {
    /// Keys, or blocks, in all.
    pub(super) keys: f64,
    /// Pages of the table, and of its indexes.
    pub(super) table_pages: f64,
    pub(super) index_pages: f64,
    /// After so many bytes of log a checkpoint comes, and all pages go to the log anew.
    pub(super) checkpoint_bytes: f64,
    /// What a batch takes, whatever its size, in seconds.
    pub(super) overhead: f64,
    /// How long a batch is to take, in seconds, and how many keys it has at most.
    pub(super) target: f64,
    pub(super) most: f64,
}

/// The whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Projection {
    pub(super) seconds: f64,
    pub(super) changed: f64,
    pub(super) log: f64,
    pub(super) grown: f64,
    /// Keys of a batch.
    pub(super) batch: f64,
}

/// The draws of `second` are of second halves, at the places of some of `first`; without any, all keys are like those
/// of `first`.
pub(super) fn project(first: &Tally, second: &Tally, around: Around) -> Projection {
    let keys = around.keys;
    let (first_keys, second_keys) = match second.draws() {
        [] => (keys, 0.0),
        _ => {
            let share = Part::first_of(7_000) as f64 / 7_000.0;
            (keys * share, keys * (1.0 - share))
        }
    };
    let all = |of: fn(&super::tally::Draw) -> f64| {
        first_keys * first.mean(of) + second_keys * second.mean(of)
    };
    let pages = all(|draw| draw.pages);
    let (seconds, log) = (all(|draw| draw.seconds), all(|draw| draw.log));
    // A page goes whole to the log once between two checkpoints. A sample meets pages of an index where
    // keys lie anywhere for the first time, again and again; the whole run meets them over and over.
    let mut log_left = log;
    let mut kept = pages;
    for _ in 0..4 {
        let rounds = 1.0 + (log_left / around.checkpoint_bytes.max(1.0)).floor();
        kept = pages.min(around.table_pages + around.index_pages * rounds);
        log_left = log - (pages - kept) * PAGE.min(0.95 * log / pages.max(1.0));
    }
    let spared = (pages - kept) * PAGE / PAGES_RATE;
    let seconds = (seconds - spared).max(0.3 * seconds);
    let each = seconds / keys.max(1.0);
    let batch = (0.9 * around.target / each.max(1e-9)).clamp(1.0, around.most.max(1.0));
    Projection {
        seconds: seconds + keys / batch * around.overhead,
        changed: all(|draw| draw.changed),
        log: log_left,
        grown: all(|draw| draw.grown),
        batch,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Draw;
    use super::*;

    fn one(draw: Draw) -> Tally {
        let mut tally = Tally::new(vec![1.0]);
        tally.add(draw);
        tally
    }

    fn around() -> Around {
        Around {
            keys: 7_000.0,
            table_pages: 100.0,
            index_pages: 50.0,
            checkpoint_bytes: 1e9,
            overhead: 0.0,
            target: 0.2,
            most: 1e6,
        }
    }

    #[test]
    fn halves_count_by_their_shares() {
        let first = one(Draw { keys: 100.0, seconds: 2.0, ..Draw::default() });
        let second = one(Draw { keys: 100.0, seconds: 1.0, ..Draw::default() });
        let whole = project(&first, &Tally::default(), around());
        assert!((whole.seconds - 140.0).abs() < 1e-6);
        let halves = project(&first, &second, around());
        assert!((halves.seconds - 110.0).abs() < 1e-6);
    }

    #[test]
    fn no_more_pages_go_to_the_log_than_there_are() {
        let draw = Draw { keys: 100.0, seconds: 1.0, log: 900_000.0, pages: 100.0, ..Draw::default() };
        let all = project(&one(draw), &Tally::default(), around());
        let kept = 150.0;
        let expected = 7_000.0 * 9_000.0 - (7_000.0 - kept) * PAGE;
        assert!((all.log - expected).abs() < 1.0, "{all:?}");
        assert!(all.seconds < 70.0);
        let few = Draw { pages: 1.0, log: 9_000.0, ..draw };
        let all = project(&one(few), &Tally::default(), around());
        assert!((all.log - 630_000.0).abs() < 1.0, "{all:?}");
    }

    #[test]
    fn each_batch_costs_something_whatever_its_size() {
        let draw = Draw { keys: 100.0, seconds: 0.01, ..Draw::default() };
        let all = project(&one(draw), &Tally::default(), Around { overhead: 0.1, most: 700.0, ..around() });
        assert!((all.seconds - 1.7).abs() < 1e-6 && (all.batch - 700.0).abs() < 1e-6);
    }
}
