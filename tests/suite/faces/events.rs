//! `/events` during a real run.

use std::time::Instant;

use super::client::{Events, Served};
use crate::suite::held::Held;

/// A snapshot at once, then changes at a pace for eyes, numbered, and the last state at the end.
#[tokio::test]
async fn a_stream_begins_with_a_snapshot_and_ends_with_the_run() {
    let mut held = Held::new().await;
    let served = Served::start(held.up()).await;
    served.reaches(2, 0.02).await;
    let asked = Instant::now();
    let mut stream = served.events().await;
    let first = stream.until("a snapshot", |events| !events.is_empty()).await;
    let waited = asked.elapsed();
    assert_eq!(first[0].data["state"], "migrating");
    assert_eq!(first[0].data["current"]["version"], 2);
    let began = Instant::now();
    stream.until("eight events", |events| events.len() >= 8).await;
    let took = began.elapsed();
    assert!(took.as_secs_f64() > 7.0 * 0.2, "eight events in {took:?}, after {waited:?}");

    let other = served.events().await;
    held.hurry().await;
    stream.until("the gate", |events| events.last().unwrap().data["current"]["version"] == 3).await;
    held.open().await;
    for stream in [stream, other] {
        ended(stream).await;
    }
    served.running.wait().await.expect(0);
}

async fn ended(stream: Events) {
    let (events, text) = stream.until_the_end().await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains("retry: "), "{text}");
    assert!(events.is_sorted_by(|one, next| one.id < next.id), "{events:?}");
    let done = |at: usize| events[at].data["rows_changed"].as_u64().unwrap();
    assert!((1..events.len()).all(|at| done(at - 1) <= done(at)));
    let last = &events.last().unwrap().data;
    assert_eq!((&last["state"], &last["ready"]), (&"ready".into(), &true.into()));
}

/// A migration that was stopped in the middle isn't shown as if it were still at work.
#[tokio::test]
async fn a_stream_ends_with_what_was_interrupted() {
    let held = Held::new().await;
    let served = Served::start(held.up()).await;
    served.reaches(2, 0.01).await;
    let stream = served.events().await;
    served.running.signal(libc::SIGTERM);
    let (events, _) = stream.until_the_end().await;
    let last = &events.last().unwrap().data;
    let states = [0, 1, 2].map(|at| last["migrations"][at]["state"].as_str().unwrap());
    assert_eq!(states, ["applied", "interrupted", "pending"]);
    assert_eq!(
        (&last["state"], &last["current"]["eta"]["state"]),
        (&states[1].into(), &"ended".into())
    );
    served.running.wait().await.expect(4);
}

/// A killed process leaves no stream open.
#[tokio::test]
async fn a_stream_ends_with_the_process() {
    let held = Held::new().await;
    let served = Served::start(held.up()).await;
    let mut stream = served.events().await;
    stream.until("a snapshot", |events| !events.is_empty()).await;
    served.running.kill();
    let (events, _) = stream.until_the_end().await;
    assert_ne!(events.last().unwrap().data["state"], "ready");
}
