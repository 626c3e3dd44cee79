//! A run with an estimate.

use super::*;
use crate::http::public;
use crate::progress::{Estimated, Progress};

fn forty_seconds() -> Event {
    Event::Estimated { steps: vec![Estimated::forty_seconds(42, 1, "backfill")] }
}

async fn estimated() -> Served {
    let served = Served::new().await;
    served.reporter.emit(forty_seconds());
    served.reporter.emit(Event::Planned { target: Some(43), applied: 41, pending: pending() });
    served.reporter.emit(Event::LockTaken);
    served.reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: None });
    served
}

#[tokio::test]
async fn every_answer_has_the_time_that_the_estimate_leaves() {
    let served = estimated().await;
    let json = served.get("/progress").await.json();
    let eta = &json["current"]["eta"];
    assert_eq!(eta["state"], "estimated", "{json}");
    let left = eta["p50_seconds"].as_f64().unwrap();
    assert!((35.0..40.0).contains(&left), "{json}");
    assert_eq!(json["estimate"]["ratio"], serde_json::Value::Null, "{json}");
    let retry = served.get("/ready").await.header("retry-after").unwrap().parse::<u32>().unwrap();
    assert!((35..=40).contains(&retry), "{retry}");
    let metrics = served.get("/metrics").await.body;
    assert!(metrics.contains("lockkeeper_backfill_remaining_p90_seconds{"), "{metrics}");
}

/// Between two events, too.
#[tokio::test]
async fn it_is_counted_down_by_the_clock() {
    let served = estimated().await;
    let left = async || {
        let json = served.get("/progress").await.json();
        json["current"]["eta"]["p50_seconds"].as_f64().unwrap()
    };
    let first = left().await;
    timeout(Duration::from_secs(10), async {
        while left().await > first - 1.0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
}

#[test]
fn everybody_may_know_it() {
    let mut progress = Progress::default();
    let events = [
        forty_seconds(),
        Event::Planned { target: Some(43), applied: 41, pending: pending() },
        Event::StepStarted { version: 42, step: 1, backfill: None },
    ];
    for event in events {
        progress.apply(Duration::ZERO, event);
    }
    let shown: serde_json::Value = serde_json::from_slice(&public::json(&progress)).unwrap();
    assert_eq!(shown["current"]["eta"]["p50_seconds"], 40.0, "{shown}");
}
