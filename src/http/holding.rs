//! What answers on the port of a child that isn't ready: 503, whatever is asked.
//!
//! A health check may be on any path, so none may tell of anything good by its status. People get the page, by
//! whose script the same paths are asked for JSON.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::public;
use super::ready::retry_after;
use super::snapshot::Snapshots;
use super::{as_json, never_stored, page};
use crate::progress::Progress;

/// Says that it isn't the child that answers.
const HOLDING: HeaderName = HeaderName::from_static("lockkeeper-holding");

#[derive(Debug, Clone)]
struct Held {
    progress: watch::Receiver<Progress>,
    snapshots: Arc<Snapshots<Bytes>>,
}

/// Answers every method and path with status 503: to browsers with the page, to others with what
/// everybody may know of the progress. Each answer ends its connection, so that none is open when the child takes over.
pub fn router(progress: watch::Receiver<Progress>) -> Router {
    let snapshots = Arc::new(Snapshots::new(progress.clone(), public::json));
    Router::new()
        .fallback(held)
        .with_state(Held { progress, snapshots })
        .layer(middleware::map_response(never_stored))
}

async fn held(State(held): State<Held>, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = match wants_page(&uri, &headers) {
        true => page::page().await,
        false => as_json(held.snapshots.latest().rendered),
    };
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let after = retry_after(&held.progress.borrow());
    let headers = [
        (header::RETRY_AFTER, HeaderValue::from(after.as_secs())),
        (header::CONNECTION, HeaderValue::from_static("close")),
        (header::VARY, HeaderValue::from_static("accept")),
        (HOLDING, HeaderValue::from_static("yes")),
    ];
    (headers, response).into_response()
}

/// Whether a browser shows the answer. The link on the page is for the JSON.
fn wants_page(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    let html = accepted.any(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("text/html")));
    html && !uri.path().ends_with("/progress")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::progress::{
        BackfillStart, BatchDone, Event, GateEntered, GatePhase, Holder, LeaderStep,
        PendingMigration, Reporter, Warning,
    };

    /// Returns the whole answer, which ends with the connection.
    async fn ask(at: std::net::SocketAddr, request: &str, accept: &str) -> (String, String) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    /// Also where the run is ready, which the child needn't be.
    #[tokio::test]
    async fn nothing_can_be_taken_for_a_healthy_child() {
        let (reporter, progress) = Reporter::new();
        reporter.emit(Event::Finished);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router(progress)).await });
        let paths = ["/", "/alive", "/ready", "/progress", "/events", "/metrics", "/a/b?c=d"];
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "ODD"] {
            for path in paths {
                for accept in ["*/*", "application/json", "text/event-stream", "text/html,*/*"] {
                    let request = format!("{method} {path}");
                    let (head, body) = ask(at, &request, accept).await;
                    assert!(head.starts_with("http/1.1 503 "), "{request} {accept}: {head}");
                    for header in ["retry-after: ", "connection: close", "lockkeeper-holding: yes"]
                    {
                        assert!(head.contains(&format!("\r\n{header}")), "{request}: {head}");
                    }
                    let html = accept.starts_with("text/html") && path != "/progress";
                    let kind = if html { "text/html" } else { "application/json" };
                    assert!(head.contains(&format!("content-type: {kind}")), "{request}: {head}");
                    assert_eq!(body.is_empty(), method == "HEAD", "{request}");
                    assert_eq!(body.contains("<html"), html && method != "HEAD", "{request}");
                }
            }
        }
    }

    /// Who asks there needn't be a friend.
    #[tokio::test]
    async fn how_far_it_is_is_told_and_no_name() {
        let (reporter, progress) = Reporter::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router(progress)).await });
        let asked = async || {
            let (_, body) = ask(at, "GET /progress", "*/*").await;
            assert!(!body.contains("secret"), "{body}");
            serde_json::from_str::<serde_json::Value>(&body).unwrap()
        };
        let secret = |what: &str| format!("secret-{what}");
        reporter.emit(Event::Started { run: secret("run") });
        reporter.emit(Event::Unreachable { reason: secret("host") });
        asked().await;
        reporter.emit(Event::Connected { database: secret("database") });
        let note = Some(secret("note"));
        reporter.emit(Event::Gate(GateEntered { phase: GatePhase::Schema, timeout: None, note }));
        let pending = PendingMigration {
            version: 42,
            name: secret("migration"),
            phase: "expand",
            steps: vec!["backfill"],
            steps_done: 0,
        };
        reporter.emit(Event::Planned { target: Some(42), applied: 41, pending: vec![pending] });
        let holder = Holder {
            run: secret("other"),
            host: secret("lock-holder"),
            pid: 7,
            since: secret("since"),
        };
        let leader = LeaderStep {
            version: 42,
            name: secret("migration"),
            step: 1,
            steps: 1,
            kind: "backfill".to_owned(),
            keys: Some((1, Some(4))),
        };
        reporter.emit(Event::LockWaiting {
            holder: Some(holder),
            leader: Some(leader),
            helps: false,
        });
        assert_eq!(asked().await["lock"]["state"], "waiting");
        reporter.emit(Event::LockTaken);
        let backfill = BackfillStart {
            table: secret("table"),
            key: vec![secret("key")],
            keys_done: 0,
            keys_total: Some(400),
            resumed: false,
        };
        reporter.emit(Event::StepStarted { version: 42, step: 1, backfill: Some(backfill) });
        reporter.emit(Event::BatchDone(BatchDone {
            keys: 100,
            changed: 100,
            took: std::time::Duration::from_millis(200),
            worked: std::time::Duration::from_millis(200),
            position: secret("position"),
            keys_total: Some(400),
        }));
        reporter.emit(Event::Throttled { reason: secret("replica") });
        let warning = Warning::of_run(&secret("warning"), &crate::place::Explanation::default());
        reporter.emit(Event::Warned(warning));
        reporter.emit(Event::ForeignStarted { command: secret("command"), pid: 8 });
        let shown = asked().await;
        assert_eq!((&shown["ready"], &shown["phase"]), (&false.into(), &"schema".into()));
        assert_eq!((&shown["target"], &shown["state"]), (&42.into(), &"migrating".into()));
        assert_eq!(shown["current"]["version"], 42);
        assert_eq!(shown["current"]["fraction"], 0.25);
        assert!(shown["current"]["eta"]["state"].is_string(), "{shown}");
        reporter.emit(Event::Failed { error: secret("error") });
        assert_eq!(asked().await["state"], "failed");
    }
}
