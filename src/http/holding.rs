//! What answers on the port of a child that isn't ready: 503, whatever is asked.
//!
//! A health check may be on any path, so none may tell of anything good by its status. People get the page, by
//! whose script the same paths are asked for JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::ready::retry_after;
use super::snapshot::Snapshots;
use super::{json, never_stored, page};
use crate::progress::Progress;

/// Says that it isn't the child that answers.
const HOLDING: HeaderName = HeaderName::from_static("lockkeeper-holding");

#[derive(Debug, Clone)]
struct Held {
    progress: watch::Receiver<Progress>,
    snapshots: Arc<Snapshots>,
}

/// Answers every method and path with status 503: to browsers with the page, to others with what `/progress`
/// has. Each answer ends its connection, so that none is open when the child takes over.
pub fn router(progress: watch::Receiver<Progress>) -> Router {
    let snapshots = Arc::new(Snapshots::new(progress.clone()));
    Router::new()
        .fallback(held)
        .with_state(Held { progress, snapshots })
        .layer(middleware::map_response(never_stored))
}

async fn held(State(held): State<Held>, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = match wants_page(&uri, &headers) {
        true => page::page().await,
        false => json(StatusCode::SERVICE_UNAVAILABLE, held.snapshots.latest().json),
    };
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let after = retry_after(&held.progress.borrow());
    let headers = [
        (header::RETRY_AFTER, HeaderValue::from(after)),
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
