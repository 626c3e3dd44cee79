//! Where events go, and where faces read.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Event, Progress};

/// Where the engine reports to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reporter {
    began: Instant,
    sender: std::sync::Arc<watch::Sender<Progress>>,
}

impl Reporter {
    /// A reporter, and what the faces read.
    pub fn new() -> (Self, watch::Receiver<Progress>) {
        let began = Instant::now();
        let (sender, receiver) =
            watch::channel(Progress { began: Some(began), ..Progress::default() });
        (Reporter { began, sender: sender.into() }, receiver)
    }

    /// For how long the step at work was held or slowed, by what was reported.
    pub fn held(&self) -> Duration {
        self.sender.borrow().throttled()
    }

    /// Reports an event.
    pub fn emit(&self, event: Event) {
        self.sender.send_modify(|progress| progress.apply(self.began.elapsed(), event));
    }
}
