//! A one-off task: started once for a release, followed to its end, and never left behind unsaid.

mod eyes;
mod follow;

use std::time::Duration;

use super::aws::launch::{Order, Started};
use super::aws::{Aws, AwsError};
use super::cause::Cause;
use super::news::{Listener, News};
use super::patience::Patience;
use super::task::{Task, last_part};
use super::token::Intent;
use crate::stop::Stop;

pub use eyes::{Eye, Eyes};
use follow::Follow;

/// Tokens that may be taken by tasks that have stopped. Each names its task for a day or so; a release
/// that is tried more often has another fault.
const ATTEMPTS: u32 = 50;

/// What a one-off task is to do, and how it is followed.
pub struct OneOff<'a> {
    /// AWS.
    pub aws: &'a Aws,
    /// What is started.
    pub order: Order,
    /// What makes another start the same.
    pub intent: Intent,
    /// Between two looks.
    pub poll: Duration,
    /// How long it may take in all.
    pub timeout: Duration,
    /// How long its end is waited for after it was told to stop.
    pub stop_wait: Duration,
    /// Asks whoever is here to leave.
    pub stop: &'a Stop,
}

/// Why a one-off task didn't do what it was to.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// AWS refuses.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// No task could be placed.
    #[error("{}", .0.sentence)]
    Refused(Cause),
    /// The task ended otherwise than well.
    #[error("task {task}: {}", .cause.sentence)]
    Failed {
        /// Its id.
        task: String,
        /// What to exit with: the container's own code where it has one.
        exit: u8,
        /// Why.
        cause: Cause,
    },
    /// Whoever follows was asked to leave, or its time ran out.
    #[error("stopped by {reason}; {left}")]
    Interrupted {
        /// By what.
        reason: String,
        /// What became of the task.
        left: String,
        /// The container's own code, where that says more than that it was interrupted.
        exit: u8,
    },
    /// ECS knows the task no more.
    #[error("task {task}: ECS doesn't know it any more, and how it ended can't be told")]
    Lost {
        /// Its id.
        task: String,
    },
    /// Every token names a task that has stopped.
    #[error("this release was started {ATTEMPTS} times, and each of its tasks has stopped")]
    TooOften,
}

/// A task that is followed.
struct Begun {
    task: Task,
    /// Whether this command started it, and so may stop it.
    ours: bool,
}

impl OneOff<'_> {
    /// Starts the task, or adopts the one that runs for this release, and follows it to its end.
    ///
    /// # Errors
    /// [`LaunchError`]; a task that doesn't end well is one.
    pub async fn run(
        &self,
        eyes: &mut Eyes<'_>,
        listener: &mut dyn Listener,
    ) -> Result<(), LaunchError> {
        let begun = self.begin(listener).await?;
        let task = begun.task.id().to_owned();
        let ended = Follow::new(self, begun).until_stopped(eyes, listener).await;
        // Credentials that end after an hour, a right that is missing: the task doesn't mind.
        if let Err(LaunchError::Aws(error)) = &ended {
            listener.tell(News::LeftRunning { task, reason: error.to_string() });
        }
        ended
    }

    /// Starts the task, or adopts the one that runs for this release, and leaves it to itself.
    ///
    /// # Errors
    /// As [`OneOff::run`].
    pub async fn start(&self, listener: &mut dyn Listener) -> Result<Task, LaunchError> {
        Ok(self.begin(listener).await?.task)
    }

    async fn begin(&self, listener: &mut dyn Listener) -> Result<Begun, LaunchError> {
        for attempt in 0..ATTEMPTS {
            if self.stop.is_requested() {
                let (reason, left) = (self.stop.reason().to_owned(), "no task was started".into());
                return Err(LaunchError::Interrupted { reason, left, exit: 4 });
            }
            let token = self.intent.token(attempt);
            let mut patience = Patience::new(self.poll);
            let started = loop {
                match self.aws.start(&self.order, &token).await {
                    Err(error) => patience.wait(error, self.stop, listener).await?,
                    Ok(started) => break started,
                }
            };
            match started {
                Started::New(task) => {
                    listener.tell(News::Started {
                        task: task.id().to_owned(),
                        definition: last_part(&task.definition).to_owned(),
                    });
                    return Ok(Begun { task: *task, ours: true });
                }
                Started::Refused(cause) => return Err(LaunchError::Refused(cause)),
                Started::Taken(arns) => {
                    if let Some(task) = self.adopt(&arns, listener).await? {
                        listener.tell(News::Adopted { task: task.id().to_owned() });
                        return Ok(Begun { task, ours: false });
                    }
                }
            }
        }
        Err(LaunchError::TooOften)
    }

    /// The one of these tasks that still runs. One that has stopped has nothing more to tell of this
    /// start: how it ended, whoever started it was told.
    async fn adopt(
        &self,
        arns: &[String],
        listener: &mut dyn Listener,
    ) -> Result<Option<Task>, LaunchError> {
        for arn in arns {
            let mut patience = Patience::new(self.poll);
            let mut looks = follow::Missing::default();
            loop {
                match self.aws.task(&self.order.cluster, arn).await {
                    Ok(Some(task)) if !task.is_stopped() => return Ok(Some(task)),
                    Ok(Some(_)) => break,
                    // ECS's reads lag behind its writes, or it stopped more than an hour ago.
                    Ok(None) if looks.is_over() => break,
                    Ok(None) => self.stop.sleep(self.poll).await,
                    Err(error) => patience.wait(error, self.stop, listener).await?,
                }
                if self.stop.is_requested() {
                    break;
                }
            }
        }
        Ok(None)
    }
}
