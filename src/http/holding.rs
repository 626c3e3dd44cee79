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

use super::ready::retry_after;
use super::snapshot::{Snapshots, json};
use super::{as_json, never_stored, page};
use crate::progress::Progress;

/// Says that it isn't the child that answers.
const HOLDING: HeaderName = HeaderName::from_static("lockkeeper-holding");

#[derive(Debug, Clone)]
struct Held {
    progress: watch::Receiver<Progress>,
    snapshots: Arc<Snapshots<Bytes>>,
}

/// Answers every method and path with status 503: to browsers with the page, to others with what `/progress`
/// has. Each answer ends its connection, so that none is open when the child takes over.
pub fn router(progress: watch::Receiver<Progress>) -> Router {
    let snapshots = Arc::new(Snapshots::new(progress.clone(), json));
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
    use crate::progress::{Event, Reporter};

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
}
