use super::super::tests::{Run, batches};
use super::*;
use crate::place::Explanation;
use crate::progress::{Event, Warning};

#[test]
fn what_ended_between_two_looks_is_told_once() {
    let mut run = Run::pending(3);
    let mut journal = Journal::new(None);
    for version in 1..=3 {
        run.start(version, None);
        run.finish(version);
    }
    let entries = journal.look(&run.progress);
    let done = |migration| {
        [Entry::StepDone { migration, finished: 0 }, Entry::MigrationDone { migration }]
    };
    let expected: Vec<_> =
        [Entry::Opening, Entry::LockTaken].into_iter().chain((0..3).flat_map(done)).collect();
    assert_eq!(entries, expected);
    assert_eq!(journal.look(&run.progress), []);
    run.end();
    assert_eq!(journal.look(&run.progress), [Entry::Ready]);
    assert_eq!(journal.look(&run.progress), []);
}

#[test]
fn nothing_pending_is_only_an_end() {
    let mut run = Run::pending(0);
    run.end();
    assert_eq!(Journal::new(Some(Duration::from_secs(5))).look(&run.progress), [Entry::Ready]);
}

#[test]
fn a_throttle_is_told_when_it_begins_and_ends_not_when_its_value_changes() {
    let mut run = Run::backfilling();
    let mut journal = Journal::new(None);
    journal.look(&run.progress);
    run.throttle("replica-lag 1.8 s ≥ 1.0 s");
    assert!(journal.look(&run.progress).contains(&Entry::Throttled));
    run.throttle("replica-lag 1.9 s ≥ 1.0 s");
    assert_eq!(journal.look(&run.progress), []);
    run.throttle("lock-waiters 3 ≥ 1");
    assert_eq!(journal.look(&run.progress), [Entry::Throttled]);
    batches(&mut run, 1);
    assert_eq!(journal.look(&run.progress), [], "slowed, it works on");
    run.apply(Event::Unthrottled);
    assert_eq!(journal.look(&run.progress), [Entry::Unthrottled]);
}

#[test]
fn the_position_is_told_when_nothing_else_was() {
    let mut run = Run::backfilling();
    let mut journal = Journal::new(Some(Duration::from_secs(5)));
    let mut positions = 0;
    for _ in 0..200 {
        batches(&mut run, 1);
        positions +=
            journal.look(&run.progress).iter().filter(|it| **it == Entry::Position).count();
    }
    // Two hundred batches of 0.2 s are 40 s.
    assert!((7..=8).contains(&positions), "{positions}");
}

#[test]
fn a_plan_that_shrank_under_the_lock_is_told_as_it_is() {
    let mut run = Run::waiting();
    let mut journal = Journal::new(None);
    assert_eq!(journal.look(&run.progress), [Entry::Opening, Entry::Waiting]);
    assert_eq!(journal.look(&run.progress), []);
    run.take_lock();
    assert_eq!(journal.look(&run.progress), [], "the old plan is not repeated");
    run.plan(0);
    run.end();
    assert_eq!(journal.look(&run.progress), [Entry::Ready]);
}

/// Whatever is told of a step, that it began is told first.
#[test]
fn a_step_begins_before_all_else_that_is_told_of_it() {
    let mut run = Run::backfilling();
    run.throttle("replica-lag 1.8 s ≥ 1.0 s");
    let told = [Entry::Opening, Entry::LockTaken, Entry::StepBegan, Entry::Throttled];
    assert_eq!(Journal::new(None).look(&run.progress), told);

    let mut run = Run::backfilling();
    let mut journal = Journal::new(None);
    journal.look(&run.progress);
    run.pass(0.1);
    run.apply(Event::Unreachable { reason: "refused".into() });
    assert_eq!(journal.look(&run.progress), [Entry::StepBegan, Entry::Unreachable]);

    // A position that is due in a step's first moments.
    let mut run = Run::pending(2);
    let mut journal = Journal::new(Some(Duration::from_secs(5)));
    run.start(1, None);
    journal.look(&run.progress);
    run.finish(1);
    journal.look(&run.progress);
    run.pass(5.0);
    run.start(2, None);
    assert_eq!(journal.look(&run.progress), [Entry::StepBegan]);
    run.pass(5.0);
    run.take_lock();
    run.start(2, None);
    assert_eq!(journal.look(&run.progress), [Entry::Position]);
}

/// What a look finds is told as it happened, whatever it asks first.
#[test]
fn a_look_tells_in_the_order_of_time() {
    let mut run = Run::pending(2);
    run.start(1, None);
    run.pass(1.0);
    run.apply(Event::Unreachable { reason: "refused".into() });
    let mut journal = Journal::new(None);
    journal.look(&run.progress);
    run.pass(1.0);
    run.stop();
    run.pass(1.0);
    run.finish(1);
    run.apply(Event::Interrupted { reason: "SIGTERM".into() });
    let entries = journal.look(&run.progress);
    let done =
        [Entry::StepDone { migration: 0, finished: 0 }, Entry::MigrationDone { migration: 0 }];
    let told = [Entry::Stopping].into_iter().chain(done).chain([Entry::Interrupted]);
    assert_eq!(entries, told.collect::<Vec<_>>());
}

/// However soon it ends: who runs against what, and what there was to do, come before it.
#[test]
fn an_end_within_one_look_has_all_that_led_to_it() {
    let failed = || Event::Failed { error: "no such column".into() };
    let mut run = Run::pending(2);
    run.apply(Event::Listening { address: "127.0.0.1:9002".into() });
    run.start(1, None);
    run.apply(failed());
    let told = [Entry::Listening { address: 0 }, Entry::Opening, Entry::LockTaken, Entry::Failed];
    assert_eq!(Journal::new(None).look(&run.progress), told);

    let mut run = Run::pending(2);
    run.start(1, None);
    run.stop();
    run.apply(Event::Interrupted { reason: "SIGTERM".into() });
    let told = [Entry::Opening, Entry::LockTaken, Entry::Stopping, Entry::Interrupted];
    assert_eq!(Journal::new(None).look(&run.progress), told);

    // Refused before the lock, and stopped while it waits: nothing was open.
    let mut run = Run::pending(0);
    run.apply(failed());
    assert_eq!(Journal::new(None).look(&run.progress), [Entry::Opening, Entry::Failed]);
    let mut run = Run::waiting();
    run.stop();
    run.apply(Event::Interrupted { reason: "SIGTERM".into() });
    assert_eq!(Journal::new(None).look(&run.progress), [Entry::Opening, Entry::Interrupted]);

    // Without a connection there is nothing to open with.
    let mut journal = Journal::new(None);
    let mut nowhere = Progress::default();
    nowhere.apply(Duration::ZERO, failed());
    assert_eq!(journal.look(&nowhere), [Entry::Failed]);
}

#[test]
fn a_warning_is_told_once() {
    let mut run = Run::backfilling();
    let mut journal = Journal::new(None);
    journal.look(&run.progress);
    let warning = Warning::new(42, 1, "take care", &Explanation::default().note("next", "look"));
    assert_eq!(warning.lines(), ["warning: take care", "  next: look"]);
    run.apply(Event::Warned(warning));
    assert_eq!(journal.look(&run.progress), [Entry::Warning { warning: 0 }]);
    assert_eq!(journal.look(&run.progress), []);
}
