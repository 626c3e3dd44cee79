//! A rollout: a service is told what to run, and watched until the new tasks really serve.

mod stand;
mod told;
mod watch;

use std::time::Duration;

use super::aws::{Aws, AwsError};
use super::news::{Listener, News};
use crate::stop::Stop;

pub use stand::{Deployment, Group, Snapshot, Stand, judge};
use watch::Watch;

/// What is to be rolled out.
pub struct Rollout<'a> {
    /// AWS.
    pub aws: &'a Aws,
    /// The cluster.
    pub cluster: String,
    /// The service.
    pub service: String,
    /// The task definition that it is to run; `None` for the same again.
    pub definition: Option<String>,
    /// A new deployment, though the service runs this task definition already.
    pub force: bool,
    /// Between two looks.
    pub poll: Duration,
    /// How long it may take in all.
    pub timeout: Duration,
    /// How long targets may take until they serve once ECS is content: those of an NLB need minutes.
    pub settle: Duration,
    /// Asks whoever is here to leave.
    pub stop: &'a Stop,
}

/// Why the new tasks don't serve.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// AWS refuses.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Another controller than ECS replaces the service's tasks.
    #[error("service {service} is deployed by {controller}, not by ECS itself")]
    Controller {
        /// The service.
        service: String,
        /// Its deployment controller.
        controller: &'static str,
    },
    /// There is no such service, or it was deleted.
    #[error("there is no active service {service} in cluster {cluster}")]
    NoService {
        /// Its name.
        service: String,
        /// The cluster.
        cluster: String,
    },
    /// The deployment failed, or was rolled back.
    #[error("the deployment of {definition} failed: {reason}")]
    Failed {
        /// Family and revision.
        definition: String,
        /// Why.
        reason: String,
        /// What to do.
        next: String,
    },
    /// Its time ran out.
    #[error("not settled after {}: {reason}", humantime::format_duration(*.waited))]
    Unsettled {
        /// How long it was watched.
        waited: Duration,
        /// What was missing.
        reason: String,
    },
    /// Another deployment took the place of the one that served.
    #[error("deployment {id} is no longer what the service runs: another took its place")]
    Overtaken {
        /// Its id.
        id: String,
    },
    /// Whoever watches was asked to leave.
    #[error("stopped by {reason}{}", goes_on(*.begun))]
    Interrupted {
        /// By what.
        reason: String,
        /// Whether there is a deployment that goes on.
        begun: bool,
    },
}

fn goes_on(begun: bool) -> &'static str {
    if begun { "; the deployment goes on in ECS" } else { "; no deployment was begun" }
}

impl Rollout<'_> {
    /// Updates the service, or adopts the deployment of the same task definition that is under way or
    /// done, and watches until the new tasks serve. Returns the deployment's id.
    ///
    /// # Errors
    /// [`RolloutError`].
    pub async fn run(&self, listener: &mut dyn Listener) -> Result<String, RolloutError> {
        let begun = Watch::begin(self, listener).await;
        // Asked to leave while AWS gave no answer.
        let mut watch = match begun {
            Err(RolloutError::Aws(_)) if self.stop.is_requested() => {
                let reason = self.stop.reason().to_owned();
                return Err(RolloutError::Interrupted { reason, begun: false });
            }
            begun => begun?,
        };
        let watched = watch.until_serving(listener).await;
        // Credentials that end, a right that is missing: ECS doesn't mind.
        if let Err(RolloutError::Aws(error)) = &watched {
            listener.tell(News::GoesOn { id: watch.id.clone(), reason: error.to_string() });
        }
        watched.map(|()| watch.id)
    }

    /// Waits until no task of another deployment than this one is left, those that drain among them:
    /// then nobody reads the old schema any more.
    ///
    /// # Errors
    /// [`RolloutError`]; one is that another deployment took its place.
    pub async fn until_old_are_gone(
        &self,
        id: &str,
        listener: &mut dyn Listener,
    ) -> Result<(), RolloutError> {
        Watch::again(self, id, listener).await?.until_alone(listener).await
    }
}
