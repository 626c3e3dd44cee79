//! Waiting until a deployment comes to its hook.

use std::time::{Duration, Instant};

use super::{Answer, Pending};
use crate::deploy::aws::{Aws, AwsError};
use crate::deploy::news::{Listener, News};
use crate::deploy::patience::{LONGEST, Patience};
use crate::stop::Stop;

/// Which hook is waited for.
pub struct Wait<'a> {
    /// AWS.
    pub aws: &'a Aws,
    /// The cluster.
    pub cluster: String,
    /// The service.
    pub service: String,
    /// The lifecycle stage.
    pub stage: String,
    /// Between two looks.
    pub poll: Duration,
    /// How long it may take to come there.
    pub timeout: Duration,
    /// Asks whoever is here to leave.
    pub stop: &'a Stop,
}

/// Why a hook wasn't come to, or not answered.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// AWS refuses.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// No deployment came to the stage in time.
    #[error("after {} no deployment of {service} waits at {stage}: {last}",
            humantime::format_duration(*.waited))]
    Never {
        /// The service.
        service: String,
        /// The stage.
        stage: String,
        /// How long it was waited for.
        waited: Duration,
        /// What was seen last.
        last: String,
    },
    /// Whoever waits was asked to leave.
    #[error("stopped by {reason}; the hook is not answered")]
    Interrupted {
        /// By what.
        reason: String,
    },
    /// The migration ended in a way that neither lets the deployment go on nor rolls it back.
    #[error(
        "the migration was interrupted (exit code {exit}); the hook is not answered, and waits on"
    )]
    Unanswered {
        /// How it ended.
        exit: u8,
    },
    /// The migration failed, and the deployment is rolled back.
    #[error("the migration failed (exit code {exit}); the deployment is rolled back")]
    RolledBack {
        /// How it ended.
        exit: u8,
    },
}

impl Wait<'_> {
    /// Looks until a PAUSE hook waits at the stage.
    ///
    /// # Errors
    /// [`HookError`].
    pub async fn until_paused(&self, listener: &mut dyn Listener) -> Result<Pending, HookError> {
        let began = Instant::now();
        let mut patience = Patience::of(self.poll, LONGEST.min(self.timeout));
        let mut told = String::new();
        loop {
            let seen = self.aws.latest_deployment(&self.cluster, &self.service).await;
            let last = match seen {
                Err(error) => {
                    let waited = patience.wait(error, self.stop, listener).await;
                    if waited.is_err() && self.stop.is_requested() {
                        return Err(self.interrupted());
                    }
                    waited?;
                    continue;
                }
                Ok(None) => "there is no deployment yet".to_owned(),
                Ok(Some(seen)) => match seen.pending {
                    Some(pending) if pending.stage == self.stage => {
                        let (stage, hook) = (pending.stage.clone(), pending.hook.clone());
                        listener.tell(News::HookWaits { stage, hook });
                        return Ok(pending);
                    }
                    Some(pending) => format!("it waits at {}", pending.stage),
                    None if seen.goes_on => format!("it is at {} ({})", seen.stage, seen.status),
                    None => format!("the last deployment has ended: {}", seen.status),
                },
            };
            patience.reset();
            if self.stop.is_requested() {
                return Err(self.interrupted());
            }
            if began.elapsed() > self.timeout {
                let (service, stage) = (self.service.clone(), self.stage.clone());
                return Err(HookError::Never { service, stage, waited: self.timeout, last });
            }
            if told != last {
                listener.tell(News::Waiting { reason: format!("{}: {last}", self.stage) });
                told = last;
            }
            self.stop.sleep(self.poll).await;
        }
    }

    fn interrupted(&self) -> HookError {
        HookError::Interrupted { reason: self.stop.reason().to_owned() }
    }

    /// Answers the hook by how the migration ended.
    ///
    /// # Errors
    /// [`HookError`]; anything but CONTINUE is one.
    pub async fn answer(
        &self,
        pending: &Pending,
        exit: u8,
        listener: &mut dyn Listener,
    ) -> Result<(), HookError> {
        let Some(answer) = Answer::to(exit) else { return Err(HookError::Unanswered { exit }) };
        let mut patience = Patience::new(self.poll);
        let mut may_be_answered = false;
        while let Err(error) = self.aws.answer_hook(pending, answer).await {
            // An earlier request was carried out, and its answer got lost.
            if may_be_answered && matches!(error, AwsError::Invalid { .. }) {
                break;
            }
            may_be_answered |= error.passes();
            // Also after a signal: the answer is what all this was for.
            patience.wait(error, &Stop::default(), listener).await?;
        }
        listener.tell(News::HookAnswered { stage: pending.stage.clone(), answer: answer.as_str() });
        match answer {
            Answer::Continue => Ok(()),
            Answer::Rollback => Err(HookError::RolledBack { exit }),
        }
    }
}
