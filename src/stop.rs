//! The wish to stop: first politely, then at once.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Asks a run to stop. Cheap to clone.
///
/// A *requested* stop lets the open batch or step end; a *forced* one cancels the statement that
/// still runs in the server.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    requested: CancellationToken,
    forced: CancellationToken,
    reason: Arc<OnceLock<String>>,
    cuts: watch::Sender<u64>,
}

impl Stop {
    /// Asks for the stop. Only the first reason counts.
    pub fn request(&self, reason: impl Into<String>) {
        // The first reason stays: what follows is its consequence.
        let _ = self.reason.set(reason.into());
        self.requested.cancel();
    }

    /// Cancels what still runs.
    pub fn force(&self) {
        self.forced.cancel();
    }

    /// Tells that a connection of the run was cut, and made anew: others may be as dead, though
    /// nobody has told them.
    pub fn report_cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends at the next cut from now on.
    pub async fn cut(&self) {
        let mut cuts = self.cuts.subscribe();
        cuts.mark_unchanged();
        // The sender is `self`.
        let _ = cuts.changed().await;
    }

    /// Whether a stop was asked for.
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Whether what still runs is being cancelled.
    pub fn is_forced(&self) -> bool {
        self.forced.is_cancelled()
    }

    /// Why, once asked for.
    pub fn reason(&self) -> &str {
        self.reason.get().map_or("", String::as_str)
    }

    /// Ends when a stop is asked for.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Ends when what still runs is to be cancelled.
    pub async fn forced(&self) {
        self.forced.cancelled().await;
    }

    /// Sleeps, but not longer than until a stop is asked for.
    pub async fn sleep(&self, pause: std::time::Duration) {
        tokio::select! {
            () = self.requested() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
