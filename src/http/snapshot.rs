//! The progress as JSON, rendered once for all who ask.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::progress::Progress;

/// Between two events only the clock moves, and nobody needs that more often.
const CLOCK: Duration = Duration::from_secs(1);

/// The rendered progress; a hundred readers cost no more than one.
#[derive(Debug)]
pub(super) struct Snapshots {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    progress: watch::Receiver<Progress>,
    made: Instant,
    latest: Snapshot,
}

/// One rendering.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// Counts the renderings.
    pub(super) id: u64,
    pub(super) json: Bytes,
}

impl Snapshots {
    pub(super) fn new(mut progress: watch::Receiver<Progress>) -> Self {
        progress.mark_changed();
        let latest = Snapshot { id: 0, json: Bytes::new() };
        Snapshots { kept: Mutex::new(Kept { progress, made: Instant::now(), latest }) }
    }

    /// The progress of now.
    pub(super) fn latest(&self) -> Snapshot {
        // Nothing in here leaves a half-made state behind, so a poisoned lock is as good as any.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.refresh();
        kept.latest.clone()
    }
}

impl Kept {
    fn refresh(&mut self) {
        let fresh = self.made.elapsed() < CLOCK && self.latest.id > 0;
        // `borrow_and_update` tells "changed" also after the reporter is gone.
        let progress = self.progress.borrow_and_update();
        if fresh && !progress.has_changed() {
            return;
        }
        let rendered = render(&progress);
        drop(progress);
        self.made = Instant::now();
        self.latest = Snapshot { id: self.latest.id + 1, json: rendered };
    }
}

/// [`Progress`] with the clock of now instead of that of the last event.
#[derive(Serialize)]
struct Rendered<'a> {
    #[serde(flatten)]
    progress: &'a Progress,
    /// Seconds since the run began.
    now_seconds: f64,
}

fn render(progress: &Progress) -> Bytes {
    let now_seconds = (progress.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    let rendered = serde_json::to_vec(&Rendered { progress, now_seconds });
    // Serialising to memory fails only on maps with keys that aren't strings; there are none.
    rendered.unwrap_or_else(|_| b"{}".to_vec()).into()
}
