use super::super::tests::Run;
use super::*;
use crate::progress::{Event, PendingMigration};

/// What is said of a run that is stopped then.
fn stopped(mut run: Run) -> String {
    run.stop();
    run.apply(Event::Interrupted { reason: "SIGTERM".into() });
    interrupted(&run.progress)
}

#[test]
fn an_interruption_says_where_the_run_is_and_not_what_it_did_last() {
    assert_eq!(stopped(Run::pending(2)), "stopped by SIGTERM");

    let mut run = Run::pending(2);
    run.start(1, None);
    assert_eq!(stopped(run), "stopped by SIGTERM: in migration 1, step 1 of 1");

    let mut run = Run::pending(3);
    run.start(1, None);
    run.finish(1);
    assert_eq!(stopped(run), "stopped by SIGTERM: migration 1 is done, migration 2 not begun");
}

#[test]
fn a_step_that_is_done_is_not_the_one_that_it_stopped_in() {
    let mut run = Run::pending(0);
    let steps = vec!["script", "bare", "script"];
    let pending =
        PendingMigration { version: 7, name: "m".into(), phase: "expand", steps, steps_done: 0 };
    run.apply(Event::Planned { target: Some(7), applied: 0, pending: vec![pending] });
    run.start(7, None);
    run.apply(Event::StepDone { version: 7, step: 1, took: Duration::from_millis(1) });
    let said = "stopped by SIGTERM: step 1 of 3 of migration 7 is done, the next not begun";
    assert_eq!(stopped(run), said);
}

/// The step that one sees while waiting is another run's, and goes on.
#[test]
fn a_waiter_says_nothing_of_its_leaders_step() {
    let mut run = Run::waiting();
    run.plan(42);
    assert_eq!(stopped(run), "stopped by SIGTERM");
}
