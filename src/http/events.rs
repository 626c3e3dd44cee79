//! `/events`: the progress as server-sent events.
//!
//! Each event is a whole snapshot, so a client that missed some, or reconnects, needs none of
//! them; that is also why a slow client costs nothing but its connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::Faces;
use super::snapshot::{Snapshot, Snapshots};
use super::streams::Place;
use crate::progress::Progress;

/// The least time between two events: four a second are plenty for eyes.
const PACE: Duration = Duration::from_millis(250);
/// After how much silence a comment keeps proxies from closing the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client that lost its connection tries again.
const RETRY: Duration = Duration::from_secs(2);
/// How long a client may take to make room for one more event; then its place is another's.
const TAKING: Duration = Duration::from_secs(30);
/// How long a closing stream waits for its client to take the last state.
const FAREWELL: Duration = Duration::from_millis(500);

pub(super) async fn events(State(faces): State<Faces>, headers: HeaderMap) -> Response {
    let Some(place) = faces.streams.enter() else {
        let after = [(header::RETRY_AFTER, "10")];
        return (StatusCode::SERVICE_UNAVAILABLE, after, "too many streams are open\n")
            .into_response();
    };
    // One place in the channel: what the client hasn't taken yet is at most one snapshot old.
    let (client, stream) = mpsc::channel(1);
    let feed = Feed::new(&faces, place, client, headers.get("last-event-id"));
    tokio::spawn(feed.run());
    let events = Sse::new(ReceiverStream::new(stream))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still here"));
    // nginx would hold events back until its buffer is full.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    // Who comes back makes a new connection, which a balancer can lead to a server that isn't leaving.
    let once = (header::CONNECTION, HeaderValue::from_static("close"));
    ([unbuffered, once], events).into_response()
}

/// One client's stream.
struct Feed {
    progress: watch::Receiver<Progress>,
    snapshots: Arc<Snapshots<Bytes>>,
    place: Place,
    client: mpsc::Sender<Result<Event, Infallible>>,
    /// The last snapshot that was sent.
    sent: u64,
}

/// Why a feed stopped waiting.
enum Woken {
    Changed,
    /// The server closes, this stream's turn has come, or the run is over and its reporter gone.
    Closing,
    Deserted,
}

impl Feed {
    /// For a client that has seen the event of this id last.
    ///
    /// Where it is the latest of this server's, the client has all there is. With any other, be it an
    /// older one or another server's, it gets the whole state at once, and has missed nothing: what
    /// happened is in the state, and a state that another one has overtaken means nothing any more.
    fn new(
        faces: &Faces,
        place: Place,
        client: mpsc::Sender<Result<Event, Infallible>>,
        last: Option<&HeaderValue>,
    ) -> Self {
        let mut progress = faces.progress.clone();
        // Before the look at the latest: what comes between the two is news.
        progress.mark_unchanged();
        let latest = faces.snapshots.latest();
        let is_latest = last.is_some_and(|last| last.as_bytes() == latest.name().as_bytes());
        if !is_latest {
            progress.mark_changed();
        }
        let sent = if is_latest { latest.id } else { 0 };
        Feed { progress, snapshots: faces.snapshots.clone(), place, client, sent }
    }

    async fn run(mut self) {
        let closing = self.place.end.clone();
        loop {
            match self.woken().await {
                Woken::Changed => {}
                Woken::Deserted => return,
                Woken::Closing => return self.farewell().await,
            }
            if !self.send().await {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = closing.cancelled() => {}
                () = self.client.closed() => return,
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        tokio::select! {
            biased;
            () = self.client.closed() => Woken::Deserted,
            () = self.place.end.cancelled() => Woken::Closing,
            changed = self.progress.changed() => match changed {
                Ok(()) => Woken::Changed,
                Err(_) => Woken::Closing,
            },
        }
    }

    /// Sends the state of the moment in which the client can take it; false if it never can.
    async fn send(&mut self) -> bool {
        let room = tokio::select! {
            room = self.client.reserve() => room,
            () = self.place.end.cancelled() => return true,
            () = tokio::time::sleep(TAKING) => return false,
        };
        let Ok(room) = room else { return false };
        self.progress.mark_unchanged();
        let snapshot = self.snapshots.latest();
        self.sent = snapshot.id;
        room.send(Ok(event(&snapshot)));
        true
    }

    /// The last state must not be lost, nor sent twice, but a client that doesn't take it must not
    /// hold us up.
    async fn farewell(&mut self) {
        let last = self.snapshots.latest();
        if last.id == self.sent {
            return;
        }
        if let Ok(Ok(room)) = tokio::time::timeout(FAREWELL, self.client.reserve()).await {
            room.send(Ok(event(&last)));
        }
    }
}

fn event(snapshot: &Snapshot<Bytes>) -> Event {
    // JSON is UTF-8, and has no line break outside of strings, nor a raw one inside.
    let data = String::from_utf8_lossy(&snapshot.rendered);
    Event::default().id(snapshot.name()).retry(RETRY).data(data)
}
