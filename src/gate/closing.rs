//! The stop, in reverse, and in order whatever brought it about.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::child::{Child, Ended, Signal};
use crate::progress::GatePhase;

use super::{Gate, GateError, Tell, Wish};

/// Between two looks at what the child has left behind.
const POLL: Duration = Duration::from_millis(20);

/// What brought the stop about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody wants it.
    Wanted {
        /// As it reads after "stopped by".
        reason: String,
        /// Whether the load balancer is known to send nothing any more.
        drained: bool,
    },
    /// The child has ended by itself.
    Ended(Ended),
    /// What the gate needs is gone.
    Fatal(String),
}

impl Gate {
    /// All of it.
    pub(super) async fn close(&mut self, child: &Child, cause: Cause) -> Result<Ended, GateError> {
        match &cause {
            // Whom it could still serve while others notice, it doesn't any more.
            Cause::Ended(ended) => {
                self.enter(GatePhase::Notice, None, Some(format!("the child {ended}")));
            }
            Cause::Wanted { drained: true, .. } => {}
            Cause::Wanted { reason, .. } | Cause::Fatal(reason) => {
                let notice = self.course.budget.notice;
                let time = (!notice.is_zero()).then_some(notice);
                self.enter(GatePhase::Notice, time, Some(reason.clone()));
                self.noticed(child, notice).await;
            }
        }
        let stopped = self.stop_child(child, None).await;
        let closed = match (cause, stopped) {
            (Cause::Fatal(reason), _) => Err(GateError::Fatal { reason }),
            (Cause::Ended(ended), _) => Ok(ended),
            (Cause::Wanted { .. }, stopped) => stopped,
        };
        let note = match &closed {
            Ok(ended) => format!("the child {ended}"),
            Err(error) => error.to_string(),
        };
        self.enter(GatePhase::Closed, None, Some(note));
        closed
    }

    /// Until the load balancer has noticed: its target drains, or the time for that is over. Who asks once
    /// more doesn't want to wait.
    async fn noticed(&mut self, child: &Child, notice: Duration) {
        tokio::select! {
            () = tokio::time::sleep(notice) => {}
            _ = child.ended() => {}
            Some(wish) = self.wishes.recv() => {
                if let Wish::Drain { window, .. } = wish {
                    // SIGTERM has come: nobody waits any longer than for the child.
                    self.tell_of_drain(child, window.min(self.course.budget.child));
                }
            }
        }
    }

    /// Tells the child, and kills what doesn't end in time. How it ended. `why` is what brought it about,
    /// where no phase has said it yet.
    pub(super) async fn stop_child(
        &mut self,
        child: &Child,
        why: Option<String>,
    ) -> Result<Ended, GateError> {
        let limit = self.course.budget.child;
        let started = Instant::now();
        let tell = self.course.on_stop.clone();
        let what = match child.outcome() {
            None => tell.to_string(),
            Some(ended) if !child.has_left_some() => return Ok(ended),
            Some(_) => "what the child has left behind".to_owned(),
        };
        let note = why.map_or(what.clone(), |why| format!("{why}: {what}"));
        self.enter(GatePhase::Stop, Some(limit), Some(note));
        let word = self.word(&tell, child, None);
        let plainly = self.word(&Tell::Signal(Signal::SIGTERM), child, None);
        let told = async {
            // A third of the time, so that there is some left for the other way.
            if child.outcome().is_none() && !word.say(limit / 3).await {
                plainly.say(limit).await;
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = child.ended() => Some(ended),
            () = told => None,
            () = tokio::time::sleep(limit) => None,
            () = impatience(&mut self.wishes) => None,
        };
        match ended {
            Some(ended) => {
                self.end_group(child, limit.saturating_sub(started.elapsed())).await;
                Ok(ended)
            }
            None => {
                self.word(&Tell::Signal(Signal::SIGKILL), child, None).say(limit).await;
                child.ended().await;
                Err(GateError::Killed { after: started.elapsed() })
            }
        }
    }

    /// What the child had started and didn't end is told, too, and then killed.
    async fn end_group(&self, child: &Child, limit: Duration) {
        let started = Instant::now();
        self.word(&Tell::Signal(Signal::SIGTERM), child, None).say(limit).await;
        while child.has_left_some() {
            if started.elapsed() >= limit {
                self.word(&Tell::Signal(Signal::SIGKILL), child, None).say(limit).await;
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Ends with a further wish that it stop.
async fn impatience(wishes: &mut UnboundedReceiver<Wish>) {
    loop {
        match wishes.recv().await {
            Some(Wish::Drain { .. }) => {}
            Some(Wish::Stop { .. } | Wish::Fatal { .. }) => return,
            None => std::future::pending().await,
        }
    }
}
