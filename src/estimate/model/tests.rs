use super::*;
use crate::estimate::TableFacts;

fn facts(rows: u64, bytes: u64) -> Facts {
    let table = TableFacts { rows: Some(rows), bytes, indexes: 1, ..TableFacts::default() };
    Facts { tables: [("t".to_owned(), table)].into(), ..Facts::default() }
}

pub(in crate::estimate) fn measured(seconds: f64, extent: Extent) -> Measured {
    Measured {
        version: 1,
        name: "release".to_owned(),
        phase: "expand",
        step: 1,
        kind: "script",
        statement: String::new(),
        statements: 1,
        how: How::Rehearsed,
        seconds,
        spread: 0.0,
        lock_wait_seconds: 0.0,
        throttled_seconds: 0.0,
        rows: None,
        changed: None,
        wal_bytes: Some(1_000_000),
        size_bytes: Some(2_000_000),
        dead_rows: None,
        locks: Vec::new(),
        rewrites: Vec::new(),
        scans: Vec::new(),
        alters: false,
        changes_rows: false,
        extent,
        others: Vec::new(),
        notes: Vec::new(),
    }
}

fn carried(measured: &Measured, production: &Facts, speed: Speed) -> Carried {
    let copy = facts(1_000, 100_000);
    carry(
        measured,
        Circumstances {
            copy: &copy,
            production: Some(production),
            speed: Some(speed),
            correction: None,
        },
    )
}

#[test]
fn each_extent_grows_with_its_own() {
    let production = facts(10_000, 2_000_000);
    let of = |extent| carried(&measured(10.0, extent), &production, Speed::same());
    let constant = of(Extent::Constant);
    assert_eq!((constant.scale, constant.time.p50_seconds), (1.0, 10.0));
    let rows = of(Extent::Rows("t".to_owned()));
    assert!((rows.time.p50_seconds - 100.0).abs() < 0.1, "{rows:?}");
    assert_eq!((rows.wal_bytes, rows.size_bytes), (Some(10_000_000), Some(20_000_000)));
    let bytes = of(Extent::Bytes("t".to_owned()));
    assert!((bytes.time.p50_seconds - 200.0).abs() < 0.2, "{bytes:?}");
    let sort = of(Extent::Sort("t".to_owned()));
    let by = 10_000_f64.ln() / 1_000_f64.ln();
    assert!((sort.time.p50_seconds - 100.0 * by).abs() < 0.2, "{sort:?}");
    assert_eq!(sort.wal_bytes, Some(10_000_000));
    // Where only one of the two is known, the other follows from the sizes.
    let (unread, known) = (deeper(None, Some(10_000), 10.0), deeper(Some(1_000), None, 10.0));
    assert!((unread - by).abs() < 1e-9 && unread == known, "{unread} {known}");
}

#[test]
fn waiting_is_not_carried_over() {
    let production = facts(10_000, 1_000_000);
    let worked = measured(10.0, Extent::Rows("t".to_owned()));
    let waited = Measured {
        seconds: 60.0,
        lock_wait_seconds: 30.0,
        throttled_seconds: 20.0,
        ..worked.clone()
    };
    let [worked, waited] = [worked, waited].map(|one| carried(&one, &production, Speed::same()));
    assert_eq!(worked, waited);
}

/// Some milliseconds of a small copy, and production is 800 times as large.
#[test]
fn what_was_too_short_to_tell_grows_all_the_same() {
    let production = facts(800_000, 80_000_000);
    let of = |extent| carried(&measured(0.004, extent), &production, Speed::same());
    assert_eq!(of(Extent::Constant).time.p50_seconds, 0.004);
    let scanned = of(Extent::Bytes("t".to_owned()));
    let Quantiles { p10_seconds, p50_seconds, p90_seconds } = scanned.time;
    assert!((1.0..3.0).contains(&p50_seconds), "{scanned:?}");
    assert!(p90_seconds > 3.0 * p50_seconds && p10_seconds < p50_seconds / 3.0, "{scanned:?}");
    assert!(scanned.notes.iter().any(|note| note.contains("4 ms on the copy")), "{scanned:?}");
    let perhaps =
        carried(&measured(1.0, Extent::Perhaps("t".to_owned())), &production, Speed::same());
    let Quantiles { p10_seconds, p50_seconds, p90_seconds } = perhaps.time;
    assert!((20.0..40.0).contains(&p50_seconds), "{perhaps:?}");
    assert!(p10_seconds < 1.0 && p90_seconds > 800.0, "{perhaps:?}");
}

#[test]
fn other_tables_that_differ_more_widen_the_interval() {
    let with = |bytes: u64| {
        let mut facts = facts(1_000, 100_000);
        let table = TableFacts { bytes, ..TableFacts::default() };
        facts.tables.insert("u".to_owned(), table);
        facts
    };
    let (copy, alike, other) = (with(1_000), with(1_100), with(100_000));
    let about =
        Measured { others: vec!["u".to_owned()], ..measured(10.0, Extent::Bytes("t".to_owned())) };
    let of = |production| {
        let (production, speed) = (Some(production), Some(Speed::same()));
        carry(&about, Circumstances { copy: &copy, production, speed, correction: None })
    };
    let (alike, other) = (of(&alike), of(&other));
    assert_eq!(alike.time.p50_seconds, other.time.p50_seconds);
    assert!(other.time.p90_seconds > 5.0 * alike.time.p90_seconds, "{alike:?} {other:?}");
    assert!(other.notes[0].contains("u as well, which is 100 ×"), "{other:?}");
}

#[test]
fn rows_that_a_fill_has_counted_stand_in_for_statistics() {
    let mut copy = facts(1_000, 100_000);
    copy.tables.insert("t".to_owned(), TableFacts { rows: None, ..copy.tables["t"].clone() });
    let production = facts(10_000, 100_000);
    let (there, speed) = (Some(&production), Some(Speed::same()));
    let at = Circumstances { copy: &copy, production: there, speed, correction: None };
    let fill = Measured { rows: Some(2_000), ..measured(10.0, Extent::Rows("t".to_owned())) };
    let carried = carry(&fill, at);
    assert_eq!(carried.scale, 5.0);
    assert!(carried.notes[0].contains("counted 2000 rows"), "{carried:?}");
    let sampled = carry(&Measured { how: How::Sampled, ..fill }, at);
    assert_eq!(sampled.scale, 1.0);
}

#[test]
fn a_slower_server_takes_longer_and_is_known_less_well() {
    let production = facts(1_000, 100_000);
    let slow = Speed { ratio: 3.0, spread: 0.3, ..Speed::same() };
    let same = carried(&measured(10.0, Extent::Constant), &production, Speed::same());
    let slower = carried(&measured(10.0, Extent::Constant), &production, slow);
    assert!((slower.time.p50_seconds - 30.0).abs() < 0.1, "{slower:?}");
    let width = |time: Quantiles| time.p90_seconds / time.p10_seconds;
    assert!(width(slower.time) > width(same.time), "{slower:?} {same:?}");
}

#[test]
fn a_disk_that_cannot_follow_sets_the_pace() {
    let production = facts(1_000, 100_000);
    let disk = Speed { log_rate: Some(50_000.0), ..Speed::same() };
    let rows = Extent::Rows("t".to_owned());
    let slow = carried(&measured(10.0, rows.clone()), &production, disk);
    assert_eq!(slow.time.p50_seconds, 20.0);
    assert!(slow.notes[0].contains("its log is what takes the time"), "{slow:?}");
    let fast = Speed { log_rate: Some(5e6), ..Speed::same() };
    assert_eq!(carried(&measured(10.0, rows.clone()), &production, fast).time.p50_seconds, 10.0);
    // What was run whole has waited for the copy's disk, which is as slow.
    let same = Speed { copy_log_rate: Some(50_000.0), ..disk };
    assert_eq!(carried(&measured(10.0, rows.clone()), &production, same).time.p50_seconds, 10.0);
    let sampled = Measured { how: How::Sampled, kind: "backfill", ..measured(10.0, rows) };
    assert_eq!(carried(&sampled, &production, same).time.p50_seconds, 20.0);
}

#[test]
fn pages_that_do_not_fit_are_written_before_the_end() {
    let mut production = facts(1_000, 100_000_000);
    let set = |production: &mut Facts, pages: u32| {
        production.settings.insert("shared_buffers".to_owned(), format!("{pages} 8kB"));
    };
    let rows = Extent::Rows("t".to_owned());
    let fill = Measured {
        kind: "backfill",
        rows: Some(1_000),
        changed: Some(500),
        ..measured(10.0, rows)
    };
    let slow = Speed { log_rate: Some(1e6), copy_log_rate: Some(1e8), ..Speed::same() };
    let seconds = |production: &Facts| {
        let copy = production.clone();
        let at = Circumstances {
            copy: &copy,
            production: Some(production),
            speed: Some(slow),
            correction: None,
        };
        carry(&fill, at).time.p50_seconds
    };
    set(&mut production, 1_000_000);
    assert_eq!(seconds(&production), 10.0);
    set(&mut production, 1_000);
    // A megabyte of log, half of the table, and what it grows by, but for the memory.
    let expected = 1.0 + 50.0 + 2.0 - 0.7 * 8.192;
    assert!((seconds(&production) - expected).abs() < 0.1, "{}", seconds(&production));
}

#[test]
fn what_is_built_is_on_a_slower_disk_twice_before_postgresql_17() {
    let index = measured(10.0, Extent::Sort("t".to_owned()));
    let slow = Speed { log_rate: Some(50_000.0), copy_log_rate: Some(1e6), ..Speed::same() };
    let seconds = |major: &str| {
        let production = Facts { major: major.to_owned(), ..facts(1_000, 100_000) };
        carried(&index, &production, slow).time.p50_seconds
    };
    assert_eq!(seconds("16"), 40.0);
    assert_eq!(seconds("17"), 20.0);
}

#[test]
fn what_is_not_known_is_told() {
    let copy = facts(1_000, 100_000);
    let alone = Circumstances { copy: &copy, production: None, speed: None, correction: None };
    let (spread, notes) = differences(alone);
    assert!(spread > 0.0 && notes[0].contains("nothing is known of production"), "{notes:?}");
    let mut unread = facts(0, 0);
    unread.tables.insert("t".to_owned(), TableFacts { indexes: 1, ..TableFacts::default() });
    let carried = carried(&measured(1.0, Extent::Rows("t".to_owned())), &unread, Speed::same());
    assert!(carried.notes[0].contains("nobody knows how large t is"), "{carried:?}");
}
