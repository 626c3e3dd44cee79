//! From the draws of a sample to all keys of a backfill. Pure.

use crate::batch::Part;

use super::other_index::OtherIndexes;
use super::tally::{Draw, Tally};

/// Bytes of a page, and the part of that which an index fills, or a table that nothing is known of: the hole between a
/// page's rows and their pointers isn't in the log.
const PAGE: f64 = 8_192.0;
const FILLED: f64 = 0.85;
/// Seconds that the first change of a page takes: to read it, to copy it to the log, to sum that up and write it.
const PAGE_SECONDS: (f64, f64, f64) = (2e-6, 10e-6, 30e-6);
/// Seconds and bytes of log that it takes to clear away what is dead in a page, for each row in it.
const PRUNE_SECONDS: f64 = 45e-9;
const PRUNE_BYTES: f64 = 65.0;

/// Bytes of log of a page of an index that is cut in halves, and seconds.
const SPLIT_BYTES: f64 = 4_500.0;
const SPLIT_SECONDS: f64 = 50e-6;
/// Seconds for an entry in an index whose values stay: before a full page is cut, PostgreSQL looks in the table for entries of it
/// that are dead by now (`_bt_bottomupdel_pass`). In a sample's one transaction none is, and few pages are full. (By
/// measurement: equal values lie together, where one page is filled after the other.)
const CROWDED_SECONDS: f64 = 2e-6;
/// How far off that part may be, as a logarithm: it depends on how many of a page's entries are of rows that lie together.
const CROWDED_DOUBT: f64 = 0.8;
/// The part of the server's own pages that an index may have; the table needs some, too.
const KEPT: f64 = 0.7;

/// What is known of a backfill beside its draws.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// Keys, or blocks, in all.
    pub(super) keys: f64,
    /// And rows.
    pub(super) rows: f64,
    /// Pages of the table, of its indexes, and of what lies beside it: values that are too long for a page.
    pub(super) table_pages: f64,
    pub(super) index_pages: f64,
    pub(super) beside_pages: f64,
    /// Bytes of the table that its rows have, by the statistics; 0 where there are none.
    pub(super) live_bytes: f64,
    /// After so many bytes of log a checkpoint comes, and all pages go to the log anew.
    pub(super) checkpoint_bytes: f64,
    /// Indexes in another order than the key.
    pub(super) others: OtherIndexes,
    /// Bytes of pages that the server keeps by itself.
    pub(super) buffers: f64,
    /// Whether rows are written anew, each with an entry in every index where it finds no room in its page.
    pub(super) moves_rows: bool,
    /// What a batch takes, whatever its size, in seconds.
    pub(super) overhead: f64,
    /// How long a batch is to take, in seconds, and how many keys it has at most.
    pub(super) target: f64,
    pub(super) most: f64,
    /// Whether the engine goes by halves.
    pub(super) has_halves: bool,
    /// Where neighbours along the key lie in pages all over the table.
    pub(super) scatter: Option<Scatter>,
}

/// How rows lie of which an UPDATE changes few in each page at a time. Once a batch is committed, what it left
/// there is cleared away by who comes next, and from then on each row finds room in its own page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scatter {
    /// The part of its rows that find no room, and go to the end of the table.
    pub(super) moved: f64,
    /// Pages that a batch meets, for each of its rows.
    pub(super) visits: f64,
    /// Rows in a page.
    pub(super) rows: f64,
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
    /// The standard deviation of the logarithm of what was added to what the draws took.
    pub(super) spread: f64,
}

/// The draws of `second` are of rows that have room beside them. Where the engine goes by halves, these are the second ones;
/// where rows lie all over the table, nearly all. Without any, all keys are like those of `first`.
pub(super) fn project(first: &Tally, second: &Tally, around: &Around) -> Projection {
    let keys = around.keys;
    let has_second = !second.draws().is_empty();
    let by_halves = around.has_halves && has_second;
    let scatter = around.scatter.filter(|_| has_second && !by_halves);
    let share = match scatter {
        Some(scatter) => scatter.moved,
        None if by_halves => Part::first_of(7_000) as f64 / 7_000.0,
        None => 1.0,
    };
    let both = |of: &dyn Fn(&Draw) -> f64| {
        let rest = if share < 1.0 { (1.0 - share) * second.mean(of) } else { 0.0 };
        keys * (share * first.mean(of) + rest)
    };
    // Whoever comes to a page first, it goes to the log whole.
    let pages = if scatter.is_some() {
        keys * first.mean(|draw| draw.pages)
    } else {
        both(&|draw| draw.pages)
    };
    let page_bytes = around.page_bytes();
    let page_seconds = page_seconds(first);
    // What there is beside the pages that go to the log whole.
    let mut log = both(&|draw| (draw.log - draw.pages * page_bytes).max(0.05 * draw.log));
    let mut rest = both(&|draw| (draw.seconds - draw.pages * page_seconds).max(0.2 * draw.seconds));
    if let Some(Scatter { moved, visits, rows }) = scatter {
        let cleared = (1.0 - moved) * keys * visits;
        log += cleared * PRUNE_BYTES;
        rest += cleared * rows * PRUNE_SECONDS;
    }
    let grown = both(&|draw| draw.grown);
    let new_pages = if around.moves_rows { 0.0 } else { grown / PAGE };
    let kept = kept(pages, log, page_bytes, new_pages, around);
    let changed = both(&|draw| draw.changed);
    let entries = match around.moves_rows {
        true => both(&|draw| (draw.changed - draw.hot).max(0.0)),
        false => 0.0,
    };
    // Entries in an index in another order meet its pages anywhere. A sample meets few of them; the whole run more than the
    // server keeps, so that each has to be read, and another one written for it. And they split.
    let split = around.others.growth(entries / around.rows.max(1.0));
    let away = (1.0 - KEPT * around.buffers / (around.others.bytes() + split).max(1.0)).max(0.0);
    let missed = entries * around.others.count() * away;
    log += split / PAGE * SPLIT_BYTES;
    let crowded = split / PAGE * SPLIT_SECONDS + entries * around.others.kept() * CROWDED_SECONDS;
    let seconds = rest + crowded + kept.max(missed) * page_seconds;
    let each = seconds / keys.max(1.0);
    let batch = (0.9 * around.target / each.max(1e-9)).clamp(1.0, around.most.max(1.0));
    Projection {
        seconds: seconds + keys / batch * around.overhead,
        changed,
        log: log + kept * page_bytes,
        grown: grown.max(around.needed(share * changed)) + split,
        batch,
        spread: CROWDED_DOUBT * crowded / seconds.max(f64::MIN_POSITIVE),
    }
}

impl Around {
    /// Bytes of a page of its table in the log.
    fn page_bytes(&self) -> f64 {
        match self.live_bytes / (self.table_pages * PAGE).max(1.0) {
            filled if filled > 0.0 => filled.clamp(0.3, 1.0) * PAGE,
            _ => FILLED * PAGE,
        }
    }

    /// Bytes that a table needs at least for rows that leave their pages. Each draw finds what room there is
    /// elsewhere; the whole run finds it once.
    fn needed(&self, rows: f64) -> f64 {
        if !self.moves_rows || self.live_bytes <= 0.0 {
            return 0.0;
        }
        let row = self.live_bytes / self.rows.max(1.0);
        // Half a row's room is left in each page, and fits none.
        let room = (self.table_pages * (PAGE - row / 2.0) - self.live_bytes).max(0.0);
        (rows * row - room).max(0.0)
    }
}

/// A page goes whole to the log once between two checkpoints. A sample meets pages of an index where keys lie
/// anywhere for the first time, again and again; the whole run meets them over and over.
fn kept(pages: f64, log: f64, page_bytes: f64, new_pages: f64, around: &Around) -> f64 {
    let once = around.table_pages + around.beside_pages + new_pages;
    let mut kept = pages.min(once);
    for _ in 0..4 {
        let checkpoints = (log + kept * page_bytes) / around.checkpoint_bytes.max(1.0);
        kept = pages.min(once + around.index_pages * (1.0 + checkpoints.floor()));
    }
    kept
}

/// By how much longer a draw takes for each whole page in its log, by least squares.
fn page_seconds(tally: &Tally) -> f64 {
    let (least, usual, most) = PAGE_SECONDS;
    let of = |draw: &Draw| (draw.pages / draw.keys, draw.seconds / draw.keys);
    let points: Vec<_> = tally.draws().iter().map(of).collect();
    let n = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let spread = points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>() / n;
    let both = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / n;
    // Where all draws have as many, they don't tell.
    if spread.sqrt() < 0.1 * x || spread <= 0.0 {
        usual
    } else {
        (both / spread).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::super::other_index::OtherIndex;
    use super::*;

    fn one(draw: Draw) -> Tally {
        let mut tally = Tally::new(vec![1.0]);
        tally.add(draw);
        tally
    }

    fn around() -> Around {
        Around {
            keys: 7_000.0,
            rows: 7_000.0,
            table_pages: 100.0,
            index_pages: 50.0,
            checkpoint_bytes: 1e9,
            overhead: 0.0,
            target: 0.2,
            most: 1e6,
            has_halves: true,
            ..Around::default()
        }
    }

    #[test]
    fn halves_count_by_their_shares() {
        let first = one(Draw { keys: 100.0, seconds: 2.0, ..Draw::default() });
        let second = one(Draw { keys: 100.0, seconds: 1.0, ..Draw::default() });
        let whole = project(&first, &Tally::default(), &around());
        assert!((whole.seconds - 140.0).abs() < 1e-6);
        let halves = project(&first, &second, &around());
        assert!((halves.seconds - 110.0).abs() < 1e-6);
    }

    #[test]
    fn no_more_pages_go_to_the_log_than_there_are() {
        let draw =
            Draw { keys: 100.0, seconds: 1.0, log: 900_000.0, pages: 100.0, ..Draw::default() };
        let all = project(&one(draw), &Tally::default(), &around());
        let kept = 150.0;
        let expected = 7_000.0 * 9_000.0 - (7_000.0 - kept) * FILLED * PAGE;
        assert!((all.log - expected).abs() < 1.0, "{all:?}");
        assert!(all.seconds < 70.0);
        let few = Draw { pages: 1.0, log: 9_000.0, ..draw };
        let all = project(&one(few), &Tally::default(), &around());
        assert!((all.log - 630_000.0).abs() < 1.0, "{all:?}");
    }

    #[test]
    fn entries_in_an_index_in_another_order_are_read_again_and_again() {
        let draw = Draw { keys: 100.0, seconds: 0.001, changed: 100.0, ..Draw::default() };
        let one = one(Draw { pages: 1.0, ..draw });
        let of = |bytes| Around {
            others: OtherIndexes::of(vec![OtherIndex::various(bytes, 7_000.0); 2]),
            buffers: 1e9,
            moves_rows: true,
            ..around()
        };
        let fits = project(&one, &Tally::default(), &of(1e6));
        let large = project(&one, &Tally::default(), &of(1e10));
        assert!(large.seconds > 2.0 * fits.seconds, "{large:?} {fits:?}");
        assert!(large.grown > 1e9);
        let seconds = |around: &Around| project(&one, &Tally::default(), around).seconds;
        let none = seconds(&Around { others: OtherIndexes::default(), ..of(0.0) });
        let other = Around { moves_rows: false, ..of(1e10) };
        assert!((seconds(&other) - none).abs() < 1e-6);
    }

    #[test]
    fn where_values_stay_full_pages_are_searched_for_what_is_dead() {
        let draw = Draw { keys: 100.0, seconds: 0.001, changed: 100.0, ..Draw::default() };
        let one = one(draw);
        let of = |kept| {
            let others = OtherIndexes::of(vec![OtherIndex::various(0.0, 7_000.0); kept]);
            let kept = Around { others, moves_rows: true, buffers: 1e9, ..around() };
            project(&one, &Tally::default(), &kept)
        };
        let (none, two) = (of(0), of(2));
        let added = two.seconds - none.seconds;
        assert!((added - 2.0 * 7_000.0 * CROWDED_SECONDS).abs() < 1e-9, "{two:?}");
        assert!(none.spread == 0.0 && two.spread > 0.1, "{two:?}");
    }

    #[test]
    fn rows_all_over_the_table_find_room_where_others_were() {
        let first = one(Draw { keys: 100.0, log: 40_000.0, grown: 10_000.0, ..Draw::default() });
        let second = one(Draw { keys: 100.0, log: 10_000.0, ..Draw::default() });
        let scatter = Some(Scatter { moved: 0.1, visits: 1.0, rows: 80.0 });
        let around = Around { has_halves: false, scatter, ..around() };
        let all = project(&first, &second, &around);
        assert!((all.grown - 70_000.0).abs() < 1.0, "{all:?}");
        let expected = 0.1 * 2_800_000.0 + 0.9 * (700_000.0 + 7_000.0 * PRUNE_BYTES);
        assert!((all.log - expected).abs() < 1.0, "{all:?}");
        assert!(all.seconds > 0.0, "to clear away takes time");
    }

    #[test]
    fn room_elsewhere_is_found_once() {
        // Each draw has found room for its rows in pages that have some; there is enough for a tenth.
        let one = one(Draw { keys: 100.0, changed: 100.0, ..Draw::default() });
        let table_bytes = 100.0 * PAGE;
        let around = Around { moves_rows: true, live_bytes: 0.9 * table_bytes, ..around() };
        let grown = project(&one, &Tally::default(), &around).grown;
        let unfit = 100.0 * 0.9 * table_bytes / 7_000.0 / 2.0;
        assert!((grown - 0.8 * table_bytes - unfit).abs() < 1.0, "{grown}");
        let empty = Around { live_bytes: 0.3 * table_bytes, ..around.clone() };
        assert!(project(&one, &Tally::default(), &empty).grown < 1.0);
    }

    #[test]
    fn each_batch_costs_something_whatever_its_size() {
        let draw = Draw { keys: 100.0, seconds: 0.01, ..Draw::default() };
        let all = project(
            &one(draw),
            &Tally::default(),
            &Around { overhead: 0.1, most: 700.0, ..around() },
        );
        assert!((all.seconds - 1.7).abs() < 1e-6 && (all.batch - 700.0).abs() < 1e-6);
    }
}
