//! The start, strictly in order.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::child::Child;
use crate::progress::{Event, GatePhase};

use super::{Check, Failure, Gate, GateError, Wish, output};

/// The part of the stop timeout in which work on the schema may still end by itself; the rest is for the
/// server to roll back.
const PATIENT_PART: f64 = 0.8;

impl Gate {
    /// All of it. The child, which is ready.
    pub(super) async fn open<T, E>(
        &mut self,
        reach: impl Future<Output = Result<T, E>>,
        schema: impl AsyncFnOnce(T) -> Result<(), E>,
    ) -> Result<Child, Failure<E>> {
        let reached = self.reach(reach).await?;
        self.enter(GatePhase::Schema, Some(self.course.schema), None);
        self.schema(schema(reached)).await?;
        let child = self.child().await?;
        if let Some(holding) = self.holding.take() {
            holding.hand_over().await;
        }
        let note = self.course.check.as_ref().map(ToString::to_string);
        self.enter(GatePhase::Open, None, note);
        Ok(child)
    }

    async fn reach<T, E>(
        &mut self,
        reach: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        let limit = self.course.reach;
        self.enter(GatePhase::Reach, Some(limit), None);
        tokio::select! {
            reached = timeout(limit, reach) => match reached {
                Ok(reached) => reached.map_err(Failure::Before),
                Err(_) => {
                    let reason = "it gives no answer".to_owned();
                    Err(GateError::Unreached { timeout: limit, reason }.into())
                }
            },
            error = unwanted(&mut self.wishes) => Err(error.into()),
        }
    }

    /// What is under way ends at its next checkpoint, or is cancelled.
    async fn schema<E>(
        &mut self,
        schema: impl Future<Output = Result<(), E>>,
    ) -> Result<(), Failure<E>> {
        let limit = self.course.schema;
        let stop = self.stop.clone();
        let budget = self.course.budget;
        tokio::pin!(schema);
        let error = tokio::select! {
            done = &mut schema => return done.map_err(Failure::Before),
            () = tokio::time::sleep(limit) => GateError::Schema { timeout: limit },
            error = unwanted(&mut self.wishes) => error,
        };
        self.reporter.emit(Event::Stopping { reason: error.reason(), ends_now: false });
        stop.request(error.reason());
        let forced = async {
            let whole = budget.notice + budget.child;
            tokio::time::sleep(whole.mul_f64(PATIENT_PART)).await;
            stop.force();
            tokio::time::sleep(whole.mul_f64(1.0 - PATIENT_PART)).await;
        };
        tokio::select! {
            // It may have come to its end all the same; nobody waits for that any more.
            _ = &mut schema => {}
            () = forced => {}
            // The servers roll back what is open when its connections close.
            _ = unwanted(&mut self.wishes) => {}
        }
        Err(error.into())
    }

    /// Starts it, and waits until it is ready. One that isn't in time is stopped as any other; nobody was
    /// sent to it yet, so that nobody has to notice.
    async fn child(&mut self) -> Result<Child, GateError> {
        let limit = self.course.child;
        let program = self.command.get_program().to_string_lossy().into_owned();
        self.enter(GatePhase::Child, Some(limit), Some(program.clone()));
        let (child, line) = self.start(program)?;
        let mut missing = "it was never looked at".to_owned();
        let error = tokio::select! {
            // Of one that has ended nothing is ready, whoever answers there.
            biased;
            ended = child.ended() => GateError::EndedEarly { ended },
            () = ready(self.course.check.as_ref(), line, &mut missing) => return Ok(child),
            () = tokio::time::sleep(limit) => GateError::NotReady { timeout: limit, reason: missing },
            error = unwanted(&mut self.wishes) => error,
        };
        // How it ends is of no interest any more.
        let _ = self.stop_child(&child, Some(error.to_string())).await;
        Err(error)
    }

    /// Starts it. Where a line of its output is waited for, that comes by way of us.
    fn start(&mut self, program: String) -> Result<(Child, watch::Receiver<bool>), GateError> {
        let failed = |source| GateError::Start { program: program.clone(), source };
        let holding = self.holding.as_ref();
        // Dropped in here, since it has a copy of the socket.
        let mut activated = holding
            .map(|holding| holding.activate(&self.command))
            .transpose()
            .map_err(failed)?
            .flatten();
        let command = activated.as_mut().unwrap_or(&mut self.command);
        let (found, line) = watch::channel(false);
        let wanted = match &self.course.check {
            Some(Check::Line(wanted)) => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                wanted.clone()
            }
            _ => String::new(),
        };
        let (child, pipes) = Child::spawn(&self.reaper, command).map_err(failed)?;
        if let Some(stdout) = pipes.stdout {
            let to = tokio::io::stdout();
            tokio::spawn(output::pass(OwnedFd::from(stdout), to, wanted.clone(), found.clone()));
        }
        if let Some(stderr) = pipes.stderr {
            tokio::spawn(output::pass(OwnedFd::from(stderr), tokio::io::stderr(), wanted, found));
        }
        if let Some(forward) = self.forward.take() {
            tokio::spawn(forward.to(child.clone()));
        }
        Ok((child, line))
    }
}

/// Ends when the child is ready, by what it was to show. `missing` says what was missing the last time.
async fn ready(check: Option<&Check>, mut line: watch::Receiver<bool>, missing: &mut String) {
    match check {
        None => {}
        Some(check @ Check::Line(_)) => {
            *missing = format!("there was not yet {check}");
            // The sender goes with the pipes, when the child closes both.
            if line.wait_for(|found| *found).await.is_err() {
                std::future::pending().await
            }
        }
        Some(check) => check.passed(missing).await,
    }
}

/// Ends when somebody wants the gate to stop. Nothing is open yet, so there is nothing to drain.
async fn unwanted(wishes: &mut UnboundedReceiver<Wish>) -> GateError {
    loop {
        match wishes.recv().await {
            Some(Wish::Stop { reason }) => return GateError::Stopped { reason },
            Some(Wish::Fatal { reason }) => return GateError::Fatal { reason },
            Some(Wish::Drain { .. }) => {}
            None => std::future::pending().await,
        }
    }
}
