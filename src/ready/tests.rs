use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;

async fn body(readiness: &Readiness) -> Value {
    let response = readiness.answer().into_response();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn it_says_where_it_stands_and_why() {
    let readiness = Readiness::new();
    let clone = readiness.clone();
    assert_eq!(
        body(&clone).await,
        json!({"ready": false, "state": "starting", "reason": "starting"})
    );
    readiness.enter("joining");
    assert_eq!(
        body(&clone).await,
        json!({"ready": false, "state": "starting", "phase": "joining", "reason": "joining"})
    );
    readiness.open();
    assert!(clone.is_open());
    assert_eq!(body(&clone).await, json!({"ready": true, "state": "ready", "reason": null}));
    readiness.close("SIGTERM");
    assert_eq!(
        body(&clone).await,
        json!({"ready": false, "state": "stopping", "reason": "SIGTERM"})
    );
}

/// A start that is still on its way when the stop comes.
#[tokio::test]
async fn closed_is_closed() {
    let readiness = Readiness::new();
    readiness.close("SIGTERM");
    readiness.enter("joining");
    readiness.open();
    readiness.close("another");
    assert!(!readiness.is_open());
    assert_eq!(body(&readiness).await["reason"], "SIGTERM");
}

#[tokio::test]
async fn what_is_open_may_become_unready_for_a_while() {
    let readiness = Readiness::new();
    readiness.open();
    readiness.enter("reconnecting");
    assert_eq!(readiness.answer().status(), 503);
    readiness.open();
    assert_eq!(readiness.answer().status(), 200);
}
