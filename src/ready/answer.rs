//! What a readiness check gets to read.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An answer to a readiness check: rendered once, then only cloned, for health checks may come a
/// thousand times a second.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// 200: traffic may come.
    pub(crate) fn ready(body: &impl Serialize) -> Self {
        Answer::new(StatusCode::OK, body)
    }

    /// 503, and when asking again makes sense, in whole seconds.
    pub(crate) fn unready(body: &impl Serialize, retry_after: Duration) -> Self {
        let mut answer = Answer::new(StatusCode::SERVICE_UNAVAILABLE, body);
        let after = HeaderValue::from(retry_after.as_secs());
        answer.headers.insert(header::RETRY_AFTER, after);
        answer
    }

    fn new(status: StatusCode, body: &impl Serialize) -> Self {
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            // Each answer is of the moment, and none is anything but what its type says.
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        // Serialising to memory fails only on maps with keys that aren't strings; there are none.
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Answer { status, headers: headers.into_iter().collect(), body }
    }

    /// Its status: 200 or 503.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}
