//! A one-off task: started once for a release, followed to its end, and never left behind unsaid.

mod eyes;
mod follow;

use std::time::{Duration, Instant};

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

/// How long a task that another start has just begun may not be seen.
const UNSEEN: Duration = Duration::from_secs(15);
/// What the last try to learn whether a task was started may take.
const LAST_TRY: Duration = Duration::from_secs(10);

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
    /// How long AWS may be out of reach before there is a task; zero for who is asked again anyway.
    pub patience: Duration,
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
        let begun = self.begin(listener).await;
        // Asked to leave while AWS gave no answer.
        let begun = match begun {
            Err(LaunchError::Aws(_)) if self.stop.is_requested() => return Err(self.not_begun()),
            begun => begun?,
        };
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
        // A token settles only starts at the same moment: ECS forgets it an hour after its task has
        // ended, or after a day, while a later attempt's task may still run.
        let by = || self.aws.tasks_started_by(&self.order.cluster, &self.order.started_by);
        let running = self.patience().ask(self.stop, listener, by).await?;
        if let Some(task) = self.adopt(&running, listener).await? {
            return Ok(task);
        }
        for attempt in 0..ATTEMPTS {
            if self.stop.is_requested() {
                return Err(self.not_begun());
            }
            match self.ask_for(attempt, listener).await? {
                Started::New(task) => return Ok(self.started(*task, listener)),
                Started::Refused(cause) => return Err(LaunchError::Refused(cause)),
                Started::Taken(arns) => {
                    if let Some(task) = self.adopt(&arns, listener).await? {
                        return Ok(task);
                    }
                }
            }
        }
        Err(LaunchError::TooOften)
    }

    /// One RunTask. Where its answer is lost, the task may run: the same request again, which is
    /// idempotent, says so, also when whoever waits wants to leave.
    async fn ask_for(
        &self,
        attempt: u32,
        listener: &mut dyn Listener,
    ) -> Result<Started, LaunchError> {
        let token = self.intent.token(attempt);
        let mut patience = self.patience();
        let mut may_run = false;
        loop {
            let error = match self.aws.start(&self.order, &token).await {
                Ok(started) => return Ok(started),
                Err(error) => error,
            };
            may_run |= matches!(error, AwsError::Unreachable { .. } | AwsError::Other { .. });
            let Err(error) = patience.wait(error, self.stop, listener).await else { continue };
            if may_run {
                let last = self.aws.start(&self.order, &token);
                if let Ok(Ok(started)) = tokio::time::timeout(LAST_TRY, last).await {
                    return Ok(started);
                }
                let started_by = self.order.started_by.clone();
                listener.tell(News::MayRun { started_by });
            }
            return Err(match self.stop.is_requested() {
                true if may_run => self.interrupted("whether a task was started isn't known"),
                true => self.not_begun(),
                false => error.into(),
            });
        }
    }

    fn started(&self, task: Task, listener: &mut dyn Listener) -> Begun {
        listener.tell(News::Started {
            task: task.id().to_owned(),
            definition: last_part(&task.definition).to_owned(),
        });
        Begun { task, ours: true }
    }

    fn not_begun(&self) -> LaunchError {
        self.interrupted("no task was started")
    }

    fn interrupted(&self, left: &str) -> LaunchError {
        let (reason, left) = (self.stop.reason().to_owned(), left.to_owned());
        LaunchError::Interrupted { reason, left, exit: 4 }
    }

    fn patience(&self) -> Patience {
        Patience::of(self.poll, self.patience)
    }

    /// The one of these tasks that still runs. One that has stopped has nothing more to tell of this
    /// start: how it ended, whoever started it was told.
    async fn adopt(
        &self,
        arns: &[String],
        listener: &mut dyn Listener,
    ) -> Result<Option<Begun>, LaunchError> {
        for arn in arns {
            let mut patience = self.patience();
            let began = Instant::now();
            while !self.stop.is_requested() {
                match self.aws.task(&self.order.cluster, arn).await {
                    Ok(Some(task)) if !task.is_stopped() => {
                        listener.tell(News::Adopted { task: task.id().to_owned() });
                        return Ok(Some(Begun { task, ours: false }));
                    }
                    Ok(Some(_)) => break,
                    // ECS's reads lag behind, or it stopped more than an hour ago.
                    Ok(None) if began.elapsed() >= UNSEEN.min(self.patience) => break,
                    Ok(None) => self.stop.sleep(self.poll).await,
                    Err(error) => patience.wait(error, self.stop, listener).await?,
                }
            }
        }
        Ok(None)
    }
}
