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

    /// 200: whoever answers is alive.
    pub(crate) fn alive() -> Self {
        let headers = headers("text/plain; charset=utf-8");
        Answer { status: StatusCode::OK, headers, body: Bytes::from_static(b"ok\n") }
    }

    /// The whole response of HTTP/1.1.
    pub(crate) fn on_the_wire(&self, date: &str, closes: bool) -> Bytes {
        let mut wire = format!("HTTP/1.1 {}\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        let connection = if closes { "connection: close\r\n" } else { "" };
        let length = self.body.len();
        let rest = format!("{connection}content-length: {length}\r\ndate: {date}\r\n\r\n");
        wire.extend_from_slice(rest.as_bytes());
        wire.extend_from_slice(&self.body);
        wire.into()
    }

    fn new(status: StatusCode, body: &impl Serialize) -> Self {
        // Serialising to memory fails only on maps with keys that aren't strings; there are none.
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Answer { status, headers: headers("application/json"), body }
    }

    /// Its status: 200 or 503.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// Each answer is of the moment, and none is anything but what its type says.
fn headers(kind: &'static str) -> HeaderMap {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    headers.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect()
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}
