//! Readiness for Rust services: `/alive` and `/ready`, as lockkeeper itself answers them.
//!
//! A service makes one [`Readiness`], serves its [`routes`](Readiness::routes) on a port for health
//! checks, names the phases of its start, opens, and closes when it is to stop:
//!
//! ```
//! # use std::error::Error;
//! use axum::Router;
//! use axum::routing::get;
//! use lockkeeper::ready::Readiness;
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn Error>> {
//! let readiness = Readiness::new();
//! let checks = TcpListener::bind("127.0.0.1:0").await?;
//! # let address = checks.local_addr()?;
//! tokio::spawn(axum::serve(checks, readiness.routes()).into_future());
//!
//! readiness.enter("reaching the database");
//! readiness.enter("joining the cluster");
//! // Until it is open, the application answers 503 with Retry-After.
//! let application: Router = Router::new().route("/", get("hello")).layer(readiness.layer());
//! readiness.open();
//! # let asked = tokio::task::spawn_blocking(move || {
//! #     ureq::get(format!("http://{address}/ready")).call().map(|answer| answer.status().as_u16())
//! # });
//! # assert_eq!(asked.await??, 200);
//!
//! // The load balancer is told first. Then the application ends what is in flight.
//! readiness.close("SIGTERM");
//! # drop(application);
//! # Ok(())
//! # }
//! ```

mod answer;
mod layer;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Router, routing};
use serde::Serialize;
use tokio::sync::watch;

pub use answer::Answer;
pub use layer::{HoldOff, HoldOffLayer};

/// After how long asking again makes sense where nothing says more.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Whether a service is ready for traffic, and if not, why. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Readiness {
    standing: Arc<watch::Sender<Standing>>,
}

#[derive(Debug)]
struct Standing {
    word: Word,
    /// Whether it was ever open.
    opened: bool,
    answer: Answer,
}

/// The words that a run has for it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Starting,
    Ready,
    Stopping,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    ready: bool,
    state: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'a str>,
    reason: Option<&'a str>,
}

impl Default for Readiness {
    fn default() -> Self {
        Readiness::new()
    }
}

impl Readiness {
    /// Starting, in no phase yet.
    pub fn new() -> Self {
        let body =
            Body { ready: false, state: Word::Starting, phase: None, reason: Some("starting") };
        let answer = Answer::unready(&body, RETRY_AFTER);
        let standing = Standing { word: Word::Starting, opened: false, answer };
        Readiness { standing: Arc::new(watch::Sender::new(standing)) }
    }

    /// Isn't ready, for this phase is under way. It may also come after [`open`](Self::open), as
    /// when the database is lost; it is without effect after [`close`](Self::close).
    pub fn enter(&self, phase: &str) {
        let body =
            Body { ready: false, state: Word::Starting, phase: Some(phase), reason: Some(phase) };
        self.go_on_to(Word::Starting, Answer::unready(&body, RETRY_AFTER));
    }

    /// Is ready: traffic may come. Without effect after [`close`](Self::close).
    pub fn open(&self) {
        let body = Body { ready: true, state: Word::Ready, phase: None, reason: None };
        self.go_on_to(Word::Ready, Answer::ready(&body));
    }

    /// Is to stop, for this reason, and isn't ready again.
    pub fn close(&self, reason: &str) {
        let body = Body { ready: false, state: Word::Stopping, phase: None, reason: Some(reason) };
        self.go_on_to(Word::Stopping, Answer::unready(&body, RETRY_AFTER));
    }

    /// Whether it is ready.
    pub fn is_open(&self) -> bool {
        self.standing.borrow().word == Word::Ready
    }

    /// What `/ready` answers now.
    pub fn answer(&self) -> Answer {
        self.standing.borrow().answer.clone()
    }

    /// `/alive` and `/ready`.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/alive", routing::get(alive))
            .route("/ready", routing::get(ready))
            .with_state(self.clone())
    }

    /// Answers 503 to everything but `/alive` until the first [`open`](Self::open). From then on
    /// all passes, after [`close`](Self::close) too: until the load balancer has noticed, it sends
    /// requests, and they are to be served.
    pub fn layer(&self) -> HoldOffLayer {
        HoldOffLayer::new(self.clone())
    }

    fn was_opened(&self) -> bool {
        self.standing.borrow().opened
    }

    /// A start that is still on its way doesn't take the stop back.
    fn go_on_to(&self, word: Word, answer: Answer) {
        self.standing.send_modify(|standing| {
            if standing.word != Word::Stopping {
                let opened = standing.opened || word == Word::Ready;
                *standing = Standing { word, opened, answer };
            }
        });
    }
}

/// Alive is whoever answers.
pub(crate) async fn alive() -> Answer {
    Answer::alive()
}

async fn ready(State(readiness): State<Readiness>) -> Answer {
    readiness.answer()
}

#[cfg(test)]
mod tests;
