//! The watch over one task, from PROVISIONING to STOPPED.

use std::time::{Duration, Instant};

use super::eyes::Eyes;
use super::{Begun, LaunchError, OneOff};
use crate::deploy::aws::AwsError;
use crate::deploy::aws::logs::Tail;
use crate::deploy::news::{Listener, News};
use crate::deploy::outcome::Outcome;
use crate::deploy::patience::Patience;
use crate::deploy::task::Task;

/// How long ECS may not know a task that it has just started; its reads lag behind.
const MISSING: Duration = Duration::from_secs(60);
/// How often the log of a task that has stopped is read again, since lines arrive late there.
const LAST_LINES: u32 = 5;
/// The longest pause between two of those.
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Looks in a row at a task that goes on although the container that counts has ended.
const ENDED_LOOKS: u32 = 2;

/// For how long ECS hasn't known a task.
#[derive(Debug, Default)]
pub(super) struct Missing(Option<Instant>);

impl Missing {
    /// Counts one more look in vain; whether that is enough.
    pub(super) fn is_over(&mut self) -> bool {
        self.0.get_or_insert_with(Instant::now).elapsed() > MISSING
    }
}

/// The end that was asked for.
struct Farewell {
    reason: String,
    since: Instant,
}

pub(super) struct Follow<'a> {
    one: &'a OneOff<'a>,
    task: Task,
    ours: bool,
    began: Instant,
    patience: Patience,
    missing: Missing,
    farewell: Option<Farewell>,
    /// Looks in a row at which the container had ended, and the task hadn't.
    ended: u32,
    /// Whether the rest of the task was told to stop after its container's end.
    after_its_end: bool,
}

impl<'a> Follow<'a> {
    pub(super) fn new(one: &'a OneOff<'a>, begun: Begun) -> Self {
        Follow {
            one,
            task: begun.task,
            ours: begun.ours,
            began: Instant::now(),
            patience: Patience::new(one.poll),
            missing: Missing::default(),
            farewell: None,
            ended: 0,
            after_its_end: false,
        }
    }

    pub(super) async fn until_stopped(
        mut self,
        eyes: &mut Eyes<'_>,
        listener: &mut dyn Listener,
    ) -> Result<(), LaunchError> {
        let container = &self.one.order.container;
        let id = self.task.id().to_owned();
        let mut tail =
            eyes.log.as_ref().and_then(|log| Tail::of(self.one.aws, log, container, &id));
        self.tell_status(listener);
        while !self.task.is_stopped() {
            self.wait().await;
            self.look(listener).await?;
            if let Err(error) = eyes.look(&self.task, tail.as_mut(), listener).await {
                self.patience.wait(error, self.one.stop, listener).await.or_else(unseen)?;
            }
            self.say_farewell(listener).await?;
            self.stop_what_is_left(listener).await?;
        }
        self.last_lines(eyes, tail.as_mut(), listener).await;
        self.verdict(listener)
    }

    fn tell_status(&self, listener: &mut dyn Listener) {
        let (task, status) = (self.task.id().to_owned(), self.task.status.clone());
        listener.tell(News::TaskStatus { task, status });
    }

    /// Until the next look. A wish to leave, or to leave at once, is looked at at once.
    async fn wait(&self) {
        let pause = tokio::time::sleep(self.one.poll);
        let stop = self.one.stop;
        match &self.farewell {
            None => tokio::select! {
                () = pause => {}
                () = stop.requested() => {}
            },
            Some(_) => tokio::select! {
                () = pause => {}
                () = stop.forced() => {}
            },
        }
    }

    async fn look(&mut self, listener: &mut dyn Listener) -> Result<(), LaunchError> {
        match self.one.aws.task(&self.one.order.cluster, &self.task.arn).await {
            Ok(Some(task)) => {
                self.patience.reset();
                self.missing = Missing::default();
                let is_news = task.status != self.task.status;
                self.task = task;
                if is_news {
                    self.tell_status(listener);
                }
                Ok(())
            }
            Ok(None) if self.missing.is_over() => {
                Err(LaunchError::Lost { task: self.task.id().to_owned() })
            }
            Ok(None) => Ok(()),
            Err(error) => {
                Ok(self.patience.wait(error, self.one.stop, listener).await.or_else(unseen)?)
            }
        }
    }

    /// Tells the task to stop when somebody wants to leave, or time ran out; and leaves when its end
    /// takes too long.
    async fn say_farewell(&mut self, listener: &mut dyn Listener) -> Result<(), LaunchError> {
        let stop = self.one.stop;
        if let Some(farewell) = &self.farewell {
            let waited = farewell.since.elapsed() > self.one.stop_wait;
            if self.task.is_stopped() || !(waited || stop.is_forced()) {
                return Ok(());
            }
            let left = format!("task {} was told to stop, and hasn't ended yet", self.task.id());
            return Err(interrupted(&farewell.reason, left));
        }
        let reason = if stop.is_requested() {
            stop.reason().to_owned()
        } else if self.began.elapsed() > self.one.timeout {
            format!("the end of its time ({})", humantime::format_duration(self.one.timeout))
        } else {
            return Ok(());
        };
        if self.task.is_stopped() {
            return Ok(());
        }
        if !self.ours {
            let why = "another start of this release began it".to_owned();
            return Err(self.leave(&reason, why, listener));
        }
        if let Err(error) = self.tell_to_stop(&reason, listener).await {
            return Err(self.leave(&reason, error.to_string(), listener));
        }
        self.farewell = Some(Farewell { reason, since: Instant::now() });
        Ok(())
    }

    /// It goes on without anybody here.
    fn leave(&self, reason: &str, why: String, listener: &mut dyn Listener) -> LaunchError {
        let task = self.task.id().to_owned();
        listener.tell(News::LeftRunning { task: task.clone(), reason: why.clone() });
        interrupted(reason, format!("task {task} is left running: {why}"))
    }

    async fn tell_to_stop(
        &self,
        reason: &str,
        listener: &mut dyn Listener,
    ) -> Result<(), AwsError> {
        let words = format!("lockkeeper ecs run: {reason}");
        let mut patience = Patience::new(Duration::from_millis(200));
        let mut tries = 0;
        while let Err(error) =
            self.one.aws.stop(&self.one.order.cluster, &self.task.arn, &words).await
        {
            tries += 1;
            // Whoever asked for the end doesn't wait for long.
            if tries > 3 {
                return Err(error);
            }
            patience.wait(error, &crate::stop::Stop::default(), listener).await?;
        }
        let (task, reason) = (self.task.id().to_owned(), reason.to_owned());
        listener.tell(News::Stopping { task, reason });
        Ok(())
    }

    /// The container that counts has ended, and others, which don't end by themselves, keep the task.
    /// ECS stops a task only for the end of an essential container.
    async fn stop_what_is_left(&mut self, listener: &mut dyn Listener) -> Result<(), LaunchError> {
        let ended = self.task.has_ended(&self.one.order.container);
        self.ended = if ended && self.task.desired == "RUNNING" { self.ended + 1 } else { 0 };
        if self.ended == ENDED_LOOKS && self.ours && self.farewell.is_none() {
            let reason = format!("its container {} has ended", self.one.order.container);
            self.tell_to_stop(&reason, listener).await?;
            self.after_its_end = true;
        }
        Ok(())
    }

    /// What the log still gets after the end. That it can't be read changes nothing any more.
    async fn last_lines(
        &self,
        eyes: &mut Eyes<'_>,
        mut tail: Option<&mut Tail>,
        listener: &mut dyn Listener,
    ) {
        if tail.is_none() {
            return;
        }
        let pause = self.one.poll.min(LAST_PAUSE);
        for _ in 0..LAST_LINES {
            let mut said = Vec::new();
            let read = eyes.look(&self.task, tail.as_deref_mut(), &mut said).await;
            let over = said.is_empty() || read.is_err();
            said.into_iter().for_each(|news| listener.tell(news));
            tokio::time::sleep(pause).await;
            if over {
                return;
            }
        }
    }

    fn verdict(self, listener: &mut dyn Listener) -> Result<(), LaunchError> {
        let task = self.task.id().to_owned();
        let outcome = Outcome::of(&self.task, &self.one.order.container, self.after_its_end);
        match (outcome, self.farewell) {
            (Outcome::Done, _) => {
                let seconds = self.began.elapsed().as_secs_f64();
                listener.tell(News::TaskDone { task, seconds });
                Ok(())
            }
            (Outcome::Failed { exit, .. }, Some(farewell)) => {
                // It was told to stop: killed or ended by the signal, it goes on next time.
                let exit = if matches!(exit, 2 | 3 | 5) { exit } else { 4 };
                let left = format!("task {task} has stopped, and goes on where it was next time");
                Err(LaunchError::Interrupted { reason: farewell.reason, left, exit })
            }
            (Outcome::Failed { exit, cause }, None) => {
                Err(LaunchError::Failed { task, exit, cause })
            }
        }
    }
}

fn interrupted(reason: &str, left: String) -> LaunchError {
    LaunchError::Interrupted { reason: reason.to_owned(), left, exit: 4 }
}

/// A look that failed while somebody wants to leave: the next step says what becomes of the task.
fn unseen(error: AwsError) -> Result<(), AwsError> {
    match error {
        AwsError::Throttled { .. } | AwsError::Unreachable { .. } => Ok(()),
        error => Err(error),
    }
}
