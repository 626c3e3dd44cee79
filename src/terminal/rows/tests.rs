use super::super::tests::{Run, batches};
use super::*;
use crate::progress::Event;

fn paper(width: usize) -> Paper {
    Paper { width, color: false }
}

fn text(row: &Row) -> String {
    let bar = row.bar.map(|(_, width)| "=".repeat(width)).unwrap_or_default();
    format!("{}{bar}{}", row.before, row.after)
}

fn texts(progress: &Progress, width: usize) -> Vec<String> {
    changing(progress, paper(width)).iter().map(text).collect()
}

#[test]
fn a_running_backfill_says_how_far_how_fast_and_how_long() {
    let mut run = Run::backfilling();
    assert!(texts(&run.progress, 160)[0].ends_with("0 %  0.0 of ~12.0 M rows · measuring"));
    batches(&mut run, 34);
    let rows = texts(&run.progress, 160);
    let expected = " 42 fill_new_column  backfill some_table by id   ======================  56 %  \
                    6.8 of ~12.0 M rows · 1.0 M/s · 5.2 s left (at worst 5.7 s)";
    assert_eq!(rows[0], expected);
    assert_eq!(rows[1].trim_end(), " 43 not_null         script");
    assert_eq!(rows.len(), 2);
}

#[test]
fn no_row_is_wider_than_the_terminal_and_the_time_left_goes_last() {
    let mut run = Run::backfilling();
    batches(&mut run, 34);
    run.throttle("replica-lag 1.8 s ≥ 1.0 s on a replica with a very long name indeed");
    for width in 5..200 {
        for row in texts(&run.progress, width) {
            assert!(measure_text_width(&row) <= width, "{width}: {row}");
        }
        let row = &texts(&run.progress, width)[0];
        assert!(width < 35 || row.contains("left"), "{width}: {row}");
    }
    assert!(texts(&run.progress, 80)[0].contains("fill_new_column"));
}

#[test]
fn what_holds_it_back_stands_below_and_time_becomes_work() {
    let mut run = Run::backfilling();
    batches(&mut run, 34);
    run.throttle("replica-lag 1.8 s ≥ 1.0 s on replica-1");
    let rows = texts(&run.progress, 160);
    assert!(rows[0].contains("5.2 s of work left"), "{}", rows[0]);
    assert_eq!(rows[1], "    waiting: replica-lag 1.8 s ≥ 1.0 s on replica-1");

    // Two seconds of pause to each batch of 200 ms.
    for _ in 0..4 {
        run.pass(2.0);
        batches(&mut run, 1);
    }
    let rows = texts(&run.progress, 160);
    assert!(rows[0].contains("4.4 s of work left, 48 s at this pace"), "{}", rows[0]);
    assert_eq!(rows[1], "    waiting: replica-lag 1.8 s ≥ 1.0 s on replica-1 · 8 s so far");

    // What is little work takes long all the same.
    for _ in 0..18 {
        run.pass(2.0);
        batches(&mut run, 1);
    }
    let rows = texts(&run.progress, 160);
    assert!(rows[0].contains(" s left at this pace"), "{}", rows[0]);
}

#[test]
fn whoever_stops_it_learns_how_to_end_it_at_once() {
    let mut run = Run::backfilling();
    run.apply(Event::Stopping { reason: "SIGINT".into(), ends_now: false });
    let rows = texts(&run.progress, 80);
    assert_eq!(rows[1].trim(), "stopping (SIGINT): what is open is finished or rolled back");
    assert_eq!(rows[2].trim(), "a second signal ends it at once");
    run.apply(Event::Stopping { reason: "a second signal (SIGINT)".into(), ends_now: true });
    let rows = texts(&run.progress, 80);
    assert!(!rows.iter().any(|row| row.contains("at once")), "{rows:?}");
}

#[test]
fn many_pending_migrations_are_counted() {
    let mut run = Run::pending(500);
    run.start(1, None);
    let rows = texts(&run.progress, 80);
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[4].trim(), "and 496 more");
    assert!(rows[0].contains("⠋ 0 s"), "{}", rows[0]);
}

#[test]
fn a_waiting_run_shows_who_works_and_how_far() {
    let rows = texts(&Run::waiting().progress, 160);
    assert!(
        rows[0].ends_with(
            "waiting for the lock: run 9f3c on ip-10-0-1-23 (process 17) holds it since 09:14:02 UTC"
        ),
        "{}",
        rows[0]
    );
    assert!(rows[1].contains("fill_new_column 2/3") && rows[1].contains("50 %"), "{}", rows[1]);
}

#[test]
fn what_was_estimated_is_told_as_such_as_long_as_there_is_room() {
    let mut run = Run::estimated();
    let left = "0 s · about 40 s left (at worst 1 min 10 s), as estimated";
    assert!(texts(&run.progress, 120)[0].ends_with(left), "{:?}", texts(&run.progress, 120));
    for width in 5..120 {
        for row in texts(&run.progress, width) {
            assert!(measure_text_width(&row) <= width, "{width}: {row}");
        }
    }
    assert!(texts(&run.progress, 60)[0].ends_with("about 40 s left, as estimated"));
    run.pass(42.0);
    run.apply(Event::Workers { count: 1 });
    assert!(texts(&run.progress, 120)[0].ends_with("42 s · longer than estimated"));
}
