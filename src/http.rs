//! The run over HTTP: probes, JSON, a stream of changes, metrics, and a page.
//!
//! All of these only read, and are answered from the watched [`Progress`]; none reaches the database.
//! What an [`Operator`] with a token asks does, by the way that the command line's requests take.

mod events;
mod express;
mod holding;
mod limit;
mod metrics;
mod operator;
mod page;
mod public;
mod ready;
mod snapshot;
mod streams;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware, routing};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::progress::Progress;
use crate::ready::{Answer, alive};
use express::{Express, Lane};
pub use holding::router as holding;
pub use limit::make_room;
pub use operator::Operator;
use snapshot::Snapshots;
pub use streams::{Streams, USUAL as USUAL_STREAMS};

/// How long open responses may take to end once the shutdown began.
const GRACE: Duration = Duration::from_secs(2);

/// What every handler reads.
#[derive(Debug, Clone)]
struct Faces {
    progress: watch::Receiver<Progress>,
    snapshots: Arc<Snapshots<Bytes>>,
    answers: Arc<Snapshots<Answer>>,
    streams: Streams,
}

/// The routes: `/alive`, `/ready`, `/progress`, `/events`, `/metrics` and the page at `/`.
///
/// Event streams end as `streams` says, or when the reporter is dropped. A token alone stands for the usual
/// number of them, which end together when it is cancelled. To an `operator` it also
/// serves what may be asked of the run. Clones answer as one: a state is made into JSON once for all of
/// them, and they share the number of streams.
pub fn router(
    progress: watch::Receiver<Progress>,
    operator: Option<Operator>,
    streams: impl Into<Streams>,
) -> Router {
    let faces = Faces {
        snapshots: Arc::new(Snapshots::new(progress.clone(), snapshot::json)),
        answers: Arc::new(Snapshots::new(progress.clone(), ready::answer)),
        streams: streams.into(),
        progress,
    };
    Router::new()
        .route("/", routing::get(page::page))
        .route("/alive", routing::get(alive))
        .route("/ready", routing::get(ready::ready))
        .route("/progress", routing::get(progress_json))
        .route("/events", routing::get(events::events))
        .route("/metrics", routing::get(metrics::metrics))
        .with_state(faces)
        .merge(operator.map(operator::routes).unwrap_or_default())
        .fallback(nowhere)
        .layer(middleware::map_response(never_stored))
}

/// Serves a [`router`] of this `progress` and these `streams` on `listener` until their closing: they then send their
/// last state and end. What is still open two seconds later is cut off. Connections that ask nothing, or don't
/// take their answers, are ended, and there are never many more of them than there may be streams.
///
/// # Errors
///
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    progress: watch::Receiver<Progress>,
    streams: impl Into<Streams>,
) -> io::Result<()> {
    let streams = streams.into();
    let shutdown = streams.closing();
    let lane = Lane::new(progress, shutdown.clone(), streams.connections());
    let listener = Express::start(listener, lane)?;
    let server =
        axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server => served,
        () = overdue => Ok(()),
    }
}

async fn progress_json(State(faces): State<Faces>) -> Response {
    as_json(faces.snapshots.latest().rendered)
}

fn as_json(body: Bytes) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn nowhere() -> Response {
    let places = "nothing here; there are / /alive /ready /progress /events /metrics\n";
    (StatusCode::NOT_FOUND, places).into_response()
}

/// Every answer is of the moment, and none is anything but what its type says.
async fn never_stored(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
