//! The one HTTP endpoint for all services, told apart by what a request says.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::agent;
use super::api::{Refusal, xml};
use super::shared::{Outcome, Shared};

/// Everything that is served.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", post(call))
        .route("/v4/{task}/{container}", get(agent::container))
        .route("/v4/{task}/{container}/task", get(agent::task))
        .route(
            "/api/{task}/{container}/task-protection/v1/state",
            get(agent::protection).put(agent::protect),
        )
        .with_state(shared)
}

async fn call(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let Some((service, operation)) = target.and_then(|target| target.split_once('.')) else {
        return query(&shared, &String::from_utf8_lossy(&body));
    };
    let service = match service.split('_').next() {
        Some("Logs") => "logs",
        Some("CodeDeploy") => "codedeploy",
        _ => "ecs",
    };
    let parameters = match serde_json::from_slice(&body) {
        Ok(parameters) => parameters,
        Err(error) => return refusal(&Refusal::new("SerializationException", error.to_string())),
    };
    match shared.call(service, operation, &parameters) {
        Outcome::Answer(answer) => json_response(200, &answer),
        Outcome::Refusal(error) => refusal(&error),
        Outcome::Reset => reset(),
    }
}

fn query(shared: &Shared, body: &str) -> Response {
    let parameters = xml::request(body);
    let action = parameters["Action"].as_str().unwrap_or_default();
    let (status, text) = match shared.call("elasticloadbalancing", action, &parameters) {
        Outcome::Answer(answer) => (200, xml::answer(action, &answer)),
        Outcome::Refusal(error) => (error.status, xml::error(&error)),
        Outcome::Reset => return reset(),
    };
    response(status, "text/xml", text)
}

fn refusal(error: &Refusal) -> Response {
    let mut body = error.members.clone();
    body["__type"] = json!(error.code);
    body["message"] = json!(error.message);
    json_response(error.status, &body)
}

fn json_response(status: u16, body: &Value) -> Response {
    response(status, "application/x-amz-json-1.1", body.to_string())
}

/// A response of this kind.
pub(super) fn response(status: u16, kind: &str, body: String) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    builder.body(Body::from(body)).expect("a response")
}

/// A body that breaks off: the connection closes without an answer.
pub(super) fn reset() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Response::new(Body::from_stream(broken))
}
