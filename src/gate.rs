//! The gate in front of a web process: it starts when the schema is ready, and is stopped in order.
//!
//! Start: reach the database → schema → start the child → child ready → open. Stop, in reverse: notice (the
//! load balancer has to see it) → tell the child → deadline → SIGKILL. Each phase has a timeout of its own,
//! and none begins before the last has ended.

mod budget;
mod check;
mod closing;
mod error;
pub mod holding;
mod opening;
mod output;
mod tell;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::child::{Child, Ended, Forward, Reaper};
use crate::progress::{Event, GateEntered, GatePhase, Reporter};
use crate::stop::Stop;

pub use budget::{Budget, MARGIN};
pub use check::Check;
pub use error::{Failure, GateError, Outline};
use holding::Holding;
use tell::Word;
pub use tell::{DRAIN_HEADER, Tell};

/// What somebody or something wants of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// That it stops.
    Stop {
        /// As it reads after "stopped by": `SIGTERM`.
        reason: String,
    },
    /// That it stops because it can't go on: what it needs is gone.
    Fatal {
        /// In a sentence.
        reason: String,
    },
    /// That no more traffic comes: the load balancer sends none any more, and SIGTERM is near.
    Drain {
        /// As it reads in a sentence: `the target is draining`.
        reason: String,
        /// How long what is open may still take.
        window: Duration,
    },
}

/// How long each phase may take, and what is done in it.
#[derive(Debug, Clone)]
pub struct Course {
    /// For reaching the database, in all.
    pub reach: Duration,
    /// For the schema.
    pub schema: Duration,
    /// For the child to be ready.
    pub child: Duration,
    /// How the child shows that it is.
    pub check: Option<Check>,
    /// The phases of the stop.
    pub budget: Budget,
    /// How the child is told to stop.
    pub on_stop: Tell,
    /// How it is told that its connections have to end, while there is time yet.
    pub on_drain: Option<Tell>,
}

/// The gate, before it begins.
pub struct Gate {
    /// What it does when.
    pub course: Course,
    /// The child.
    pub command: Command,
    /// What answers on its port until it is ready.
    pub holding: Option<Holding>,
    /// Where it reports to.
    pub reporter: Reporter,
    /// What ends the work on the schema.
    pub stop: Stop,
    /// Who hears of the child's end.
    pub reaper: Arc<Reaper>,
    /// What is passed on to the child.
    pub forward: Option<Forward>,
    /// What is wanted of it.
    pub wishes: UnboundedReceiver<Wish>,
}

impl Gate {
    /// Goes all the way. `reach` connects, and `schema` ends when the schema is ready, or when
    /// [`Gate::stop`] was asked for. Returns how the child ended, where that was as it should: after a stop
    /// that somebody wanted, or by itself.
    ///
    /// # Errors
    /// [`Failure`]: what `reach` and `schema` return, or the phase that ran out.
    pub async fn run<T, E: Outline>(
        mut self,
        reach: impl Future<Output = Result<T, E>>,
        schema: impl AsyncFnOnce(T) -> Result<(), E>,
    ) -> Result<Ended, Failure<E>> {
        let opened = self.open(reach, schema).await;
        let child = match opened {
            Ok(child) => child,
            Err(failure) => {
                self.enter(GatePhase::Closed, None, Some(failure.outline()));
                return Err(failure);
            }
        };
        let cause = self.serve(&child).await;
        Ok(self.close(&child, cause).await?)
    }

    /// Until something ends it.
    async fn serve(&mut self, child: &Child) -> closing::Cause {
        let mut drained = false;
        loop {
            tokio::select! {
                ended = child.ended() => return closing::Cause::Ended(ended),
                wish = self.wishes.recv() => match wish {
                    Some(Wish::Stop { reason }) => {
                        return closing::Cause::Wanted { reason, drained };
                    }
                    Some(Wish::Fatal { reason }) => return closing::Cause::Fatal(reason),
                    Some(Wish::Drain { reason, window }) => {
                        if !std::mem::replace(&mut drained, true) {
                            self.enter(GatePhase::Notice, Some(window), Some(reason));
                            self.tell_of_drain(child, window);
                        }
                    }
                    // Nobody is left who could want anything: it goes on until the child ends.
                    None => {
                        let ended = child.ended().await;
                        return closing::Cause::Ended(ended);
                    }
                },
            }
        }
    }

    /// The load balancer sends nothing new. What is open may go on, and is asked to end within the window.
    /// That isn't waited for: SIGTERM may come meanwhile.
    fn tell_of_drain(&self, child: &Child, window: Duration) {
        if let Some(tell) = &self.course.on_drain {
            let word = self.word(tell, child, Some(window));
            tokio::spawn(word.say(tell::ANSWER));
        }
    }

    fn word(&self, tell: &Tell, child: &Child, window: Option<Duration>) -> Word {
        let (tell, child) = (tell.clone(), child.clone());
        Word { tell, child, window, reporter: self.reporter.clone() }
    }

    fn enter(&self, phase: GatePhase, timeout: Option<Duration>, note: Option<String>) {
        self.reporter.emit(Event::Gate(GateEntered { phase, timeout, note }));
    }
}
