//! What is made of the progress, rendered once for all who ask.

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
pub(super) struct Snapshots<T> {
    kept: Mutex<Kept<T>>,
}

#[derive(Debug)]
struct Kept<T> {
    progress: watch::Receiver<Progress>,
    render: fn(&Progress) -> T,
    made: Instant,
    latest: Snapshot<T>,
}

/// One rendering.
#[derive(Debug, Clone)]
pub(super) struct Snapshot<T> {
    /// Which server it is of.
    server: u32,
    /// Counts its states, from 1; only the clock is another one in two of the same.
    pub(super) id: u64,
    pub(super) rendered: T,
}

impl<T> Snapshot<T> {
    /// What it is called among those of all servers. A run's own id wouldn't do: replicas may show the
    /// same run, or none.
    pub(super) fn name(&self) -> String {
        format!("{:08x}-{}", self.server, self.id)
    }
}

impl<T: Clone> Snapshots<T> {
    pub(super) fn new(mut progress: watch::Receiver<Progress>, render: fn(&Progress) -> T) -> Self {
        let rendered = render(&progress.borrow_and_update());
        let latest = Snapshot { server: fastrand::u32(..), id: 1, rendered };
        Snapshots { kept: Mutex::new(Kept { progress, render, made: Instant::now(), latest }) }
    }

    /// The progress of now.
    pub(super) fn latest(&self) -> Snapshot<T> {
        // Nothing in here leaves a half-made state behind, so a poisoned lock is as good as any.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.refresh();
        kept.latest.clone()
    }
}

impl<T> Kept<T> {
    fn refresh(&mut self) {
        let fresh = self.made.elapsed() < CLOCK;
        // `borrow_and_update` tells "changed" also after the reporter is gone.
        let progress = self.progress.borrow_and_update();
        let has_changed = progress.has_changed();
        if fresh && !has_changed {
            return;
        }
        let rendered = (self.render)(&progress);
        drop(progress);
        self.made = Instant::now();
        self.latest.id += u64::from(has_changed);
        self.latest.rendered = rendered;
    }
}

/// [`Progress`] with the clock of now instead of that of the last event.
#[derive(Serialize)]
struct OfNow<'a> {
    #[serde(flatten)]
    progress: &'a Progress,
    /// Seconds since the run began.
    now_seconds: f64,
}

/// As JSON.
pub(super) fn json(progress: &Progress) -> Bytes {
    let now_seconds = (progress.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    // An estimate is counted down between two events, too.
    let counted = progress.eta().and_then(|eta| {
        let is_another = progress.current.as_ref().is_some_and(|current| current.eta != eta);
        is_another.then(|| {
            let mut counted = progress.clone();
            counted.current.iter_mut().for_each(|current| current.eta = eta);
            counted
        })
    });
    let progress = counted.as_ref().unwrap_or(progress);
    let rendered = serde_json::to_vec(&OfNow { progress, now_seconds });
    // Serialising to memory fails only on maps with keys that aren't strings; there are none.
    rendered.unwrap_or_else(|_| b"{}".to_vec()).into()
}
