use std::time::Duration;

use super::*;
use crate::ledger::Request;
use crate::progress::{Progress, State};
use crate::stop::Stop;

fn request(value: Option<i64>) -> Option<Request> {
    Some(Request { value, asked_by: "ops".into(), asked_at: "now".into(), met_epoch: None })
}

fn throttle(requests: Requests) -> (Throttle, channel::Receiver<Progress>) {
    let (reporter, progress) = Reporter::new();
    reporter.emit(Event::Planned {
        target: Some(1),
        applied: 0,
        pending: vec![crate::progress::PendingMigration {
            version: 1,
            name: "one".into(),
            phase: "expand",
            steps: vec!["backfill"],
            steps_done: 0,
        }],
    });
    reporter.emit(Event::StepStarted { version: 1, step: 1, backfill: None });
    assert_eq!(progress.borrow().state, State::Migrating);
    (Throttle::new(requests, &reporter), progress)
}

fn reason(progress: &channel::Receiver<Progress>) -> Option<String> {
    progress.borrow().current.as_ref().and_then(|current| current.throttle.clone())
}

async fn told(progress: &mut channel::Receiver<Progress>, word: &str) {
    let told = |progress: &Progress| {
        let reason = progress.current.as_ref().and_then(|current| current.throttle.as_ref());
        reason.is_some_and(|reason| reason.starts_with(word))
    };
    let wait = progress.wait_for(told);
    tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap().unwrap();
}

#[tokio::test]
async fn all_workers_hold_for_a_pause_and_the_last_one_says_so() {
    let (throttle, mut progress) = throttle(Requests::default());
    let stop = Stop::default();
    let (mut first, mut second) = (throttle.lane(), throttle.lane());
    first.pass(&stop).await;
    second.pass(&stop).await;
    let paused = Requests { pause: request(None), ..Requests::default() };
    throttle.shared.change(|board| board.ask(paused, Instant::now()));
    let walk = |mut lane: Lane, stop: Stop| {
        tokio::spawn(async move {
            lane.pass(&stop).await;
            lane
        })
    };
    let first = walk(first, stop.clone());
    told(&mut progress, "pausing").await;
    let second = walk(second, stop.clone());
    told(&mut progress, "paused").await;
    assert!(!first.is_finished() && !second.is_finished());
    throttle.shared.change(|board| board.ask(Requests::default(), Instant::now()));
    let lanes = (first.await.unwrap(), second.await.unwrap());
    assert_eq!((throttle.shared.at_work(), reason(&progress)), (2, None));
    drop(lanes);
    assert_eq!((throttle.shared.at_work(), *throttle.shared.lanes.borrow()), (0, 0));
}

#[tokio::test]
async fn a_stop_ends_every_wait() {
    let (throttle, mut progress) =
        throttle(Requests { pause: request(None), ..Requests::default() });
    let stop = Stop::default();
    let (inside, asked) = (throttle.clone(), stop.clone());
    let step = tokio::spawn(async move { drop(inside.turn(&asked).await) });
    told(&mut progress, "paused").await;
    stop.request("SIGTERM");
    step.await.unwrap();
    throttle.lane().pass(&stop).await;
}

#[tokio::test]
async fn a_rate_makes_batches_small_and_far_between() {
    let (throttle, _progress) =
        throttle(Requests { rate: request(Some(2_000)), ..Requests::default() });
    let stop = Stop::default();
    let mut lane = throttle.lane();
    lane.pass(&stop).await;
    assert_eq!((lane.rows(36_000), lane.rows(100)), (500, 100));
    lane.worked(500);
    let debt = throttle.shared.board().debt(Instant::now());
    assert!((0.2..=0.25).contains(&debt.as_secs_f64()), "{debt:?}");
}

#[tokio::test]
async fn during_a_pause_nobody_goes_by_the_load() {
    let (throttle, _progress) = throttle(Requests { pause: request(None), ..Requests::default() });
    let shared = throttle.shared.clone();
    let lane = throttle.lane();
    assert!(!shared.is_needed(), "a replica isn't knocked at for hours");
    let (needed, resumed) = (shared.needed(), async {
        shared.change(|board| board.ask(Requests::default(), Instant::now()));
    });
    let both = async { tokio::join!(needed, resumed) };
    tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
    drop(lane);
    assert!(!shared.is_needed(), "without a backfill neither");
}
