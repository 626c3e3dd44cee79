//! The stop, in reverse, and in order whatever brought it about.

use std::time::{Duration, Instant};

use tokio::time::timeout;

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
                self.enter(GatePhase::Notice, Some(notice), Some(reason.clone()));
                self.noticed(child, notice).await;
            }
        }
        let stopped = self.stop_child(child).await;
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

    /// Until the load balancer has noticed, by all that is known. Who asks once more doesn't want to wait.
    async fn noticed(&mut self, child: &Child, notice: Duration) {
        tokio::select! {
            () = tokio::time::sleep(notice) => {}
            _ = child.ended() => {}
            Some(_) = self.wishes.recv() => {}
        }
    }

    /// Tells the child, and kills what doesn't end in time. How it ended.
    pub(super) async fn stop_child(&mut self, child: &Child) -> Result<Ended, GateError> {
        let limit = self.course.budget.child;
        let started = Instant::now();
        let tell = self.course.on_stop.clone();
        let note = match child.outcome() {
            None => tell.to_string(),
            Some(ended) if !child.has_left_some() => return Ok(ended),
            Some(_) => "what the child has left behind".to_owned(),
        };
        self.enter(GatePhase::Stop, Some(limit), Some(note));
        if child.outcome().is_none() && !self.tell(&tell, child, None).await {
            // There is nothing else by which it could hear of it.
            self.tell(&Tell::Signal(Signal::SIGTERM), child, None).await;
        }
        let ended = tokio::select! {
            ended = timeout(limit, child.ended()) => ended.ok(),
            () = self.impatience() => None,
        };
        match ended {
            Some(ended) => {
                self.end_group(child, limit.saturating_sub(started.elapsed())).await;
                Ok(ended)
            }
            None => {
                self.tell(&Tell::Signal(Signal::SIGKILL), child, None).await;
                child.ended().await;
                Err(GateError::Killed { after: started.elapsed() })
            }
        }
    }

    /// Ends with a further wish that it stop.
    async fn impatience(&mut self) {
        loop {
            match self.wishes.recv().await {
                Some(Wish::Drain { .. }) => {}
                Some(Wish::Stop { .. } | Wish::Fatal { .. }) => return,
                None => std::future::pending().await,
            }
        }
    }

    /// What the child had started and didn't end is told, too, and then killed.
    async fn end_group(&self, child: &Child, limit: Duration) {
        let started = Instant::now();
        self.tell(&Tell::Signal(Signal::SIGTERM), child, None).await;
        while child.has_left_some() {
            if started.elapsed() >= limit {
                self.tell(&Tell::Signal(Signal::SIGKILL), child, None).await;
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
