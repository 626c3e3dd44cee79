use super::*;

pub fn at(key: i64) -> Cursor {
    Cursor::at(vec![key.to_string()])
}

pub fn range(number: u32, start: i64, through: i64) -> RangeRecord {
    RangeRecord {
        version: 1,
        step: 1,
        number,
        start: at(start),
        cursor: at(start),
        through: at(through),
        epoch: 1,
        owner: String::new(),
        keys_done: 0,
        keys_total: Some(through - start),
        key: None,
    }
}

/// What a worker does that has nothing to do: it waits, unless there is something.
pub fn look(ranges: &Ranges) -> Option<u32> {
    match ranges.look() {
        Look::Taken(range) => Some(range.number),
        Look::Wait | Look::Over => None,
    }
}

#[test]
fn who_finds_nothing_asks_for_the_most() {
    let (small, large) = (range(1, 0, 10), range(2, 10, 100));
    let ranges = Ranges::new(vec![small.clone(), large.clone()], Stop::default());
    assert_eq!((look(&ranges), look(&ranges), look(&ranges)), (Some(1), Some(2), None));
    assert!(ranges.is_asked(&large) && !ranges.is_asked(&small));

    let kept = RangeRecord { through: at(50), ..large };
    ranges.was_split(&kept, range(ranges.next_number(), 50, 100));
    assert!(!ranges.is_asked(&kept));
    assert_eq!(look(&ranges), Some(3));

    // The next one asks again for the most, and then, as that stays whole, for what is next.
    assert_eq!(look(&ranges), None);
    assert!(ranges.is_asked(&kept));
    ranges.keep_whole(&kept);
    assert_eq!(look(&ranges), None);
    assert!(!ranges.is_asked(&kept) && ranges.is_asked(&range(3, 50, 100)));
}

#[test]
fn all_is_done_up_to_the_first_gap() {
    let ranges = Ranges::new(vec![range(1, 0, 10), range(2, 10, 20)], Stop::default());
    ranges.moved(&RangeRecord { cursor: at(20), keys_done: 10, ..range(2, 10, 20) });
    assert_eq!((ranges.done_through(), ranges.keys_done()), (at(0), 10));
    ranges.moved(&RangeRecord { cursor: at(10), keys_done: 10, ..range(1, 0, 10) });
    assert_eq!((ranges.done_through(), ranges.is_done()), (at(20), true));
    assert!(matches!(ranges.look(), Look::Over));
}

#[test]
fn a_range_of_a_lost_reply_is_found_again() {
    let ranges = Ranges::new(vec![range(1, 0, 10), range(2, 10, 20)], Stop::default());
    assert_eq!((look(&ranges), look(&ranges)), (Some(1), Some(2)));
    let kept = RangeRecord { through: at(5), ..range(1, 0, 10) };
    ranges.moved(&kept);
    ranges.reconcile(vec![kept, range(3, 5, 10), range(2, 10, 20)], |_| true);
    assert_eq!(look(&ranges), Some(3));
    ranges.moved(&RangeRecord { cursor: at(5), ..range(1, 0, 5) });
    // It stands where its keys are, not at the end.
    ranges.moved(&RangeRecord { cursor: at(20), ..range(2, 10, 20) });
    assert_eq!(ranges.done_through(), at(5));
}

#[test]
fn a_range_that_another_worker_has_found_is_not_added_again() {
    let ranges = Ranges::new(vec![range(1, 0, 10)], Stop::default());
    assert_eq!(look(&ranges), Some(1));
    let kept = RangeRecord { through: at(5), ..range(1, 0, 10) };
    let rest = range(2, 5, 10);
    ranges.reconcile(vec![kept.clone(), rest.clone()], |_| true);
    assert_eq!(look(&ranges), Some(2));
    ranges.was_split(&kept, rest);
    assert_eq!(look(&ranges), None);
    ranges.moved(&RangeRecord { cursor: at(5), ..kept });
    ranges.moved(&RangeRecord { cursor: at(10), ..range(2, 5, 10) });
    assert!(ranges.is_done());
}
