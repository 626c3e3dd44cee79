use super::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn pending(version: i64, steps: Vec<&'static str>) -> PendingMigration {
    PendingMigration { version, name: format!("m{version}"), phase: "expand", steps, steps_done: 0 }
}

fn backfilling(total: u64) -> Progress {
    let mut progress = Progress::default();
    progress.apply(seconds(0.0), Event::Started { run: "7f3c".into() });
    progress.apply(
        seconds(0.0),
        Event::Planned { target: Some(1), applied: 0, pending: vec![pending(1, vec!["backfill"])] },
    );
    progress.apply(seconds(0.0), Event::LockTaken);
    let backfill = BackfillStart {
        table: "t".into(),
        key: vec!["id".into()],
        keys_done: 0,
        keys_total: Some(total),
        resumed: false,
    };
    progress
        .apply(seconds(0.0), Event::StepStarted { version: 1, step: 1, backfill: Some(backfill) });
    progress
}

fn batch(progress: &mut Progress, at: f64, keys: u64, took: f64) {
    batch_of(progress, at, keys, took, 0);
}

/// A batch by which there are so many keys in all; 0 as before.
fn batch_of(progress: &mut Progress, at: f64, keys: u64, took: f64, total: u64) {
    let before = progress.current.as_ref().and_then(|current| current.rows_total);
    let event = Event::BatchDone(BatchDone {
        keys,
        changed: keys,
        took: seconds(took),
        worked: seconds(took),
        position: "id ≤ 1".into(),
        keys_total: Some(total).filter(|total| *total > 0).or(before),
    });
    progress.apply(seconds(at), event);
}

#[test]
fn a_foreign_tool_is_this_runs_or_of_the_one_that_it_waits_for() {
    let session = ForeignSession { id: 7, ..ForeignSession::default() };
    let seen = |sessions: &[ForeignSession]| Event::ForeignSeen { sessions: sessions.to_vec() };
    let waiting = Event::LockWaiting { holder: None, leader: None, helps: false };
    let mut progress = Progress::default();
    progress.apply(seconds(0.0), waiting);
    progress.apply(seconds(1.0), seen(std::slice::from_ref(&session)));
    assert_eq!(progress.foreign.as_ref().map(|foreign| foreign.sessions.len()), Some(1));
    assert_eq!(progress.own_tool(), None);
    progress.apply(seconds(2.0), seen(&[]));
    assert_eq!(progress.foreign, None);

    progress.apply(seconds(3.0), seen(std::slice::from_ref(&session)));
    progress.apply(seconds(4.0), Event::LockTaken);
    assert_eq!(progress.foreign, None);
    progress.apply(seconds(5.0), Event::ForeignStarted { command: "sh".into(), pid: 9 });
    progress.apply(seconds(6.0), seen(std::slice::from_ref(&session)));
    progress.apply(seconds(7.0), seen(&[]));
    assert_eq!(progress.own_tool().map(|tool| (tool.began_seconds, tool.exit)), Some((5.0, None)));
    progress.apply(seconds(8.0), seen(&[session]));
    progress.apply(seconds(9.0), Event::ForeignEnded { exit: 3 });
    let tool = progress.own_tool().unwrap();
    assert_eq!((tool.exit, tool.sessions.len()), (Some(3), 0));
}

#[test]
fn the_fraction_never_falls_and_never_reaches_one_before_the_end() {
    let mut progress = backfilling(1_000);
    let mut last = 0.0;
    for n in 1..=50 {
        batch(&mut progress, f64::from(n), 100, 1.0);
        let fraction = progress.current.as_ref().and_then(|current| current.fraction).unwrap();
        assert!(fraction >= last && fraction < 1.0, "{fraction} after {last}");
        last = fraction;
    }
    progress.apply(seconds(51.0), Event::StepDone { version: 1, step: 1, took: seconds(51.0) });
    assert_eq!(progress.current.unwrap().fraction, Some(1.0));
}

/// Statistics may be twice as high, or half.
#[test]
fn a_total_that_was_wrong_is_mended_and_the_fraction_never_falls() {
    for first in [5_000, 20_000] {
        let mut progress = backfilling(first);
        let mut last = 0.0;
        for n in 1..=100 {
            batch_of(&mut progress, f64::from(n), 100, 1.0, if n < 20 { first } else { 10_000 });
            let current = progress.current.as_ref().unwrap();
            let fraction = current.fraction.unwrap();
            assert!(fraction >= last && fraction < 1.0, "{fraction} after {last}");
            last = fraction;
            if n == 50 {
                assert_eq!((current.rows_total, current.fraction), (Some(10_000), Some(0.5)));
                let Eta::Left { p50_seconds, .. } = current.eta else { panic!("no figure") };
                assert!((p50_seconds - 50.0).abs() < 0.01);
            }
        }
    }
}

#[test]
fn throttled_time_is_told_apart() {
    let mut progress = backfilling(10_000);
    for n in 1..=4 {
        batch(&mut progress, f64::from(n), 1_000, 1.0);
    }
    let slowed = |value: &str| Event::Throttled { reason: format!("replica-lag {value}") };
    progress.apply(seconds(4.0), slowed("1.0 s"));
    // A second of work, and as much of pause.
    for n in 3..=6 {
        progress.apply(seconds(f64::from(n) * 2.0 - 1.0), slowed(&format!("1.{n} s")));
        batch(&mut progress, f64::from(n) * 2.0, 500, 0.5);
    }
    let current = progress.current.clone().unwrap();
    assert_eq!(current.throttled_seconds, 8.0);
    assert!(current.slowed_eta_seconds.is_some_and(|left| (left - 16.0).abs() < 0.01));
    let Eta::Left { p50_seconds, .. } = current.eta else { panic!("no figure") };
    assert!((p50_seconds - 4.0).abs() < 0.01, "{p50_seconds} s of work");

    // Whoever is held by something else has no pace.
    progress.apply(seconds(13.0), Event::Throttled { reason: "paused by alice".into() });
    assert_eq!(progress.current.as_ref().unwrap().slowed_eta_seconds, None);
    progress.apply(seconds(23.0), Event::Unthrottled);
    progress.apply(seconds(33.0), Event::Unthrottled);
    assert_eq!(progress.current.unwrap().throttled_seconds, 19.0);
}

#[test]
fn what_the_ledger_says_after_a_failure_counts() {
    let mut progress = backfilling(1_000);
    batch(&mut progress, 1.0, 100, 1.0);
    batch(&mut progress, 2.0, 100, 1.0);
    let position = "id ≤ 0".to_owned();
    progress.apply(
        seconds(3.0),
        Event::Recounted { keys_done: 100, keys_total: Some(1_000), position },
    );
    assert_eq!(progress.current.as_ref().unwrap().position.as_deref(), Some("id ≤ 0"));
    batch(&mut progress, 4.0, 100, 1.0);
    let current = progress.current.unwrap();
    assert_eq!((current.rows_done, current.fraction), (Some(200), Some(0.2)));
}

#[test]
fn a_leaders_step_is_not_what_failed_for_who_waited() {
    let mut progress = Progress::default();
    let leader = LeaderStep {
        version: 2,
        name: "fill".into(),
        step: 1,
        steps: 1,
        kind: "backfill".into(),
        keys: Some((10, Some(100))),
    };
    progress.apply(
        seconds(1.0),
        Event::LockWaiting { holder: None, leader: Some(leader), helps: false },
    );
    assert_eq!(progress.current.as_ref().map(|current| current.version), Some(2));
    progress.apply(seconds(2.0), Event::Failed { error: "another run holds the lock".into() });
    assert_eq!(progress.current, None);
}

#[test]
fn the_eta_says_measuring_until_it_knows_and_leaves_pauses_out() {
    let mut progress = backfilling(100_000);
    batch(&mut progress, 0.2, 1_000, 0.2);
    assert_eq!(progress.current.as_ref().unwrap().eta, Eta::Measuring);
    for n in 2..=10 {
        // Ten seconds between batches of 0.2 s: the pauses aren't the rate's business.
        batch(&mut progress, f64::from(n) * 10.0, 1_000, 0.2);
    }
    let current = progress.current.unwrap();
    assert_eq!(current.rate.map(f64::round), Some(5_000.0));
    let Eta::Left { p50_seconds, p90_seconds } = current.eta else { panic!("{:?}", current.eta) };
    assert!((p50_seconds - 18.0).abs() < 0.01 && p90_seconds > p50_seconds);
}

#[test]
fn a_waiting_run_shows_the_leaders_progress() {
    let mut progress = Progress::default();
    let holder = Holder { run: "a".into(), host: "h".into(), pid: 1, since: "now".into() };
    let leader = |done| LeaderStep {
        version: 3,
        name: "fill".into(),
        step: 1,
        steps: 2,
        kind: "backfill".into(),
        keys: Some((done, Some(1_000))),
    };
    for n in 1..=5 {
        let event = Event::LockWaiting {
            holder: Some(holder.clone()),
            leader: Some(leader(n * 100)),
            helps: false,
        };
        progress.apply(seconds(n as f64), event);
    }
    assert_eq!(progress.state, State::Waiting);
    let current = progress.current.clone().unwrap();
    assert_eq!(current.fraction, Some(0.5));
    assert_eq!(current.rate.map(f64::round), Some(100.0));
    progress.apply(seconds(6.0), Event::LockTaken);
    assert_eq!(progress.current, None);
}

#[test]
fn applied_counts_what_this_run_added() {
    let mut progress = Progress::default();
    let pending = vec![pending(2, vec!["script"]), pending(3, vec!["script"])];
    progress.apply(seconds(0.0), Event::Planned { target: Some(3), applied: 1, pending });
    progress.apply(seconds(0.0), Event::StepStarted { version: 2, step: 1, backfill: None });
    progress.apply(seconds(0.5), Event::StepDone { version: 2, step: 1, took: seconds(0.5) });
    progress.apply(seconds(0.5), Event::MigrationDone { version: 2, took: seconds(0.5) });
    assert_eq!(progress.applied, 2);
    assert_eq!(progress.migrations[0].state, MigrationState::Applied);
    assert_eq!(progress.migrations[1].state, MigrationState::Pending);
    progress.apply(seconds(1.0), Event::Finished);
    assert!(progress.ready && progress.current.is_none());
}

#[test]
fn finished_steps_tell_their_time_and_what_they_changed() {
    let mut progress = backfilling(1_000);
    batch(&mut progress, 1.0, 600, 0.5);
    progress.apply(seconds(2.0), Event::StepDone { version: 1, step: 1, took: seconds(2.0) });
    let finished = &progress.migrations[0].finished[0];
    assert_eq!((finished.step, finished.took_seconds, finished.rows_changed), (1, 2.0, Some(600)));
    assert_eq!(finished.table.as_deref(), Some("t"));
    assert_eq!((progress.rows_passed, progress.batches_seconds), (600, 0.5));
    assert_eq!(progress.pace.rows_per_second().sum::<f64>(), 600.0);
}

#[test]
fn an_ended_run_is_not_ready_promises_nothing_and_its_clock_stands() {
    let mut progress = backfilling(100_000);
    for n in 1..=5 {
        batch(&mut progress, f64::from(n), 1_000, 1.0);
    }
    progress.apply(seconds(6.0), Event::Stopping { reason: "SIGTERM".into(), ends_now: false });
    assert!(!progress.ready && progress.stopping_seconds == Some(6.0));
    progress.apply(seconds(6.5), Event::Interrupted { reason: "SIGTERM".into() });
    let current = progress.current.as_ref().unwrap();
    assert_eq!((current.rate, current.eta), (None, Eta::Ended));
    assert_eq!(current.rows_done, Some(5_000));
    assert_eq!(progress.elapsed(), seconds(6.5));
}

/// What failed or was stopped is told apart from what is at work, and from what was never begun.
#[test]
fn a_migration_shares_the_end_of_its_run() {
    let ends = [
        (Event::Failed { error: "no such column".into() }, MigrationState::Failed),
        (Event::Interrupted { reason: "SIGTERM".into() }, MigrationState::Interrupted),
    ];
    for (event, state) in ends {
        let mut progress = Progress::default();
        let all = [1, 2, 3].map(|version| pending(version, vec!["script"])).into();
        progress.apply(seconds(0.0), Event::Planned { target: Some(3), applied: 0, pending: all });
        progress.apply(seconds(0.0), Event::StepStarted { version: 1, step: 1, backfill: None });
        progress.apply(seconds(0.1), Event::MigrationDone { version: 1, took: seconds(0.1) });
        progress.apply(seconds(0.1), Event::StepStarted { version: 2, step: 1, backfill: None });
        progress.apply(seconds(0.2), event);
        let states: Vec<_> = progress.migrations.iter().map(|one| one.state).collect();
        assert_eq!(states, [MigrationState::Applied, state, MigrationState::Pending]);
    }
}

/// The lock may come, or a step begin, in the moment in which the stop is asked for.
#[test]
fn a_stop_is_not_taken_back() {
    let mut progress = Progress::default();
    progress.apply(seconds(0.0), Event::Stopping { reason: "SIGTERM".into(), ends_now: false });
    progress.apply(seconds(0.1), Event::Started { run: "7f3c".into() });
    progress.apply(seconds(0.2), Event::LockWaiting { holder: None, leader: None, helps: false });
    let one = vec![pending(1, vec!["script"])];
    progress.apply(seconds(0.3), Event::Planned { target: Some(1), applied: 0, pending: one });
    progress.apply(seconds(0.4), Event::LockTaken);
    progress.apply(seconds(0.5), Event::StepStarted { version: 1, step: 1, backfill: None });
    assert_eq!((progress.state, progress.stopping_seconds), (State::Stopping, Some(0.0)));
    assert_eq!(progress.lock.state, LockState::Held);
}

#[test]
fn the_clock_goes_on_between_events() {
    let (reporter, receiver) = Reporter::new();
    reporter.emit(Event::Started { run: "7f3c".into() });
    let first = receiver.borrow().elapsed();
    std::thread::sleep(Duration::from_millis(5));
    assert!(receiver.borrow().elapsed() >= first + Duration::from_millis(5));
}

#[test]
fn the_words_of_the_states_are_those_of_the_json() {
    for state in State::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}

/// What others did counts for the step, and how many rows they changed is nobody's to tell.
#[test]
fn a_helped_backfill_counts_what_others_did() {
    let mut progress = backfilling(1_000);
    let batch = |keys| {
        Event::BatchDone(BatchDone {
            keys,
            changed: keys,
            took: seconds(0.1),
            worked: seconds(0.1),
            position: "id ≤ 1".into(),
            keys_total: Some(1_000),
        })
    };
    progress.apply(seconds(0.3), batch(100));
    progress.apply(
        seconds(0.4),
        Event::Helped { keys: 300, keys_total: Some(1_000), position: "id ≤ 100".into() },
    );
    progress.apply(seconds(0.5), batch(100));
    let current = progress.current.as_ref().unwrap();
    assert_eq!(
        (current.rows_done, current.fraction, current.rows_changed),
        (Some(500), Some(0.5), None)
    );
    assert_eq!((progress.rows_passed, progress.rows_changed), (200, 200), "its own");
    // The total was an estimate.
    progress.apply(
        seconds(0.6),
        Event::Helped { keys: 900, keys_total: Some(1_000), position: "id ≤ 100".into() },
    );
    assert!(progress.current.as_ref().unwrap().fraction.unwrap() < 1.0);
}

/// Who helps shows the whole step, as the ledger tells it, and counts its own batches apart.
#[test]
fn who_helps_sees_the_whole_step() {
    let mut progress = Progress::default();
    let seen = |done| Event::LockWaiting {
        holder: None,
        leader: Some(LeaderStep {
            version: 1,
            name: "one".into(),
            step: 1,
            steps: 1,
            kind: "backfill".into(),
            keys: Some((done, Some(1_000))),
        }),
        helps: true,
    };
    progress.apply(seconds(0.1), seen(100));
    progress.apply(seconds(0.2), Event::Workers { count: 2 });
    let batch = BatchDone {
        keys: 50,
        changed: 50,
        took: seconds(0.1),
        worked: seconds(0.1),
        position: String::new(),
        keys_total: Some(500),
    };
    progress.apply(seconds(0.3), Event::BatchDone(batch));
    progress.apply(seconds(0.4), seen(200));
    let current = progress.current.as_ref().unwrap();
    assert_eq!((current.rows_done, current.workers), (Some(200), Some(2)));
    assert_eq!((progress.batches, progress.rows_passed, progress.lock.helps), (1, 50, true));
}

/// Two migrations, the first of which is a script.
fn estimating(steps: Vec<Estimated>) -> Progress {
    let mut progress = Progress::default();
    progress.apply(seconds(0.0), Event::Started { run: "7f3c".into() });
    progress.apply(seconds(0.0), Event::Estimated { steps });
    let pending = vec![pending(1, vec!["script"]), pending(2, vec!["backfill"])];
    progress.apply(seconds(0.0), Event::Planned { target: Some(2), applied: 0, pending });
    progress.apply(seconds(0.0), Event::LockTaken);
    progress.apply(seconds(5.0), Event::StepStarted { version: 1, step: 1, backfill: None });
    progress
}

/// The figures at a moment: no clock runs here, so that it is that of an event.
fn left_at(progress: &mut Progress, at: f64) -> Option<Eta> {
    progress.apply(seconds(at), Event::Workers { count: 1 });
    progress.eta()
}

#[test]
fn an_estimate_is_counted_down_and_never_below_nothing() {
    let mut progress = estimating(vec![Estimated::forty_seconds(1, 1, "script")]);
    let left = |p50_seconds, p90_seconds| Some(Eta::Estimated { p50_seconds, p90_seconds });
    assert_eq!(left_at(&mut progress, 5.0), left(40.0, 70.0));
    assert_eq!(left_at(&mut progress, 35.0), left(10.0, 40.0));
    // What it is held for isn't work.
    progress.apply(seconds(35.0), Event::Throttled { reason: "paused by alice".into() });
    assert_eq!(left_at(&mut progress, 95.0), left(10.0, 40.0));
    progress.apply(seconds(95.0), Event::Unthrottled);
    assert_eq!(left_at(&mut progress, 104.0), left(1.0, 31.0));
    assert_eq!(left_at(&mut progress, 105.5), Some(Eta::Due));
    assert_eq!(left_at(&mut progress, 106.5), Some(Eta::Overdue));
    progress.apply(seconds(110.0), Event::StepDone { version: 1, step: 1, took: seconds(105.0) });
    assert_eq!(progress.eta(), Some(Eta::Measuring));
    let estimate = progress.estimate.unwrap();
    assert_eq!((estimate.estimated_seconds, estimate.took_seconds), (40.0, 105.0));
    assert_eq!((estimate.held_seconds, estimate.ratio), (60.0, Some(2.625)));
    assert_eq!(progress.migrations[0].finished[0].throttled_seconds, 60.0);
}

#[test]
fn an_estimate_of_another_step_or_kind_is_none() {
    for other in [
        Estimated::forty_seconds(1, 2, "script"),
        Estimated::forty_seconds(3, 1, "script"),
        Estimated::forty_seconds(1, 1, "bare"),
    ] {
        let mut progress = estimating(vec![other]);
        assert_eq!(left_at(&mut progress, 6.0), Some(Eta::Measuring));
        progress.apply(seconds(9.0), Event::StepDone { version: 1, step: 1, took: seconds(4.0) });
        assert_eq!(progress.estimate.unwrap().ratio, None);
    }
}

#[test]
fn what_is_measured_goes_before_what_was_estimated() {
    let mut progress = estimating(vec![Estimated::forty_seconds(2, 1, "backfill")]);
    let backfill = BackfillStart {
        table: "t".into(),
        key: vec!["id".into()],
        keys_done: 0,
        keys_total: Some(10_000),
        resumed: false,
    };
    let start = Event::StepStarted { version: 2, step: 1, backfill: Some(backfill) };
    progress.apply(seconds(10.0), start);
    batch(&mut progress, 10.5, 100, 0.5);
    assert!(matches!(progress.eta(), Some(Eta::Estimated { .. })), "{:?}", progress.eta());
    for n in 1..=4 {
        batch(&mut progress, 10.5 + f64::from(n), 100, 1.0);
    }
    let Some(Eta::Left { p50_seconds, .. }) = progress.eta() else {
        panic!("{:?}", progress.eta())
    };
    assert!(p50_seconds > 80.0, "{p50_seconds}");
}

/// A quarter of it is left, and so a quarter of its time; and how far off that was can't be told.
#[test]
fn a_step_that_is_gone_on_with_takes_its_part() {
    let mut progress = estimating(vec![Estimated::forty_seconds(2, 1, "backfill")]);
    let backfill = BackfillStart {
        table: "t".into(),
        key: vec!["id".into()],
        keys_done: 7_500,
        keys_total: Some(10_000),
        resumed: true,
    };
    let start = Event::StepStarted { version: 2, step: 1, backfill: Some(backfill) };
    progress.apply(seconds(10.0), start);
    let left = Eta::Estimated { p50_seconds: 10.0, p90_seconds: 17.5 };
    assert_eq!(progress.eta(), Some(left));
    progress.apply(seconds(20.0), Event::StepDone { version: 2, step: 1, took: seconds(10.0) });
    assert_eq!(progress.estimate.unwrap().ratio, None);
}
