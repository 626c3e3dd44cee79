//! Exit codes and ways out of what is done on ECS.

use super::Exit;
use crate::deploy::aws::AwsError;
use crate::deploy::hook::HookError;
use crate::deploy::oneoff::LaunchError;
use crate::deploy::rollout::RolloutError;
use crate::place::Explanation;

/// What waiting can't mend is a matter of configuration.
pub(super) fn aws(error: &AwsError) -> Exit {
    match error {
        AwsError::Denied { .. }
        | AwsError::NotFound { .. }
        | AwsError::NoCredentials { .. }
        | AwsError::NoRegion
        | AwsError::Invalid { .. } => Exit::Usage,
        AwsError::Throttled { .. }
        | AwsError::Unreachable { .. }
        | AwsError::Conflict { .. }
        | AwsError::Other { .. } => Exit::Failed,
    }
}

pub(super) fn launch(error: &LaunchError) -> Exit {
    match error {
        LaunchError::Aws(error) => aws(error),
        LaunchError::Refused(_) | LaunchError::Lost { .. } | LaunchError::TooOften => Exit::Failed,
        LaunchError::Failed { exit, .. } | LaunchError::Interrupted { exit, .. } => Exit::Of(*exit),
    }
}

pub(super) fn rollout(error: &RolloutError) -> Exit {
    match error {
        RolloutError::Aws(error) => aws(error),
        RolloutError::Controller { .. } | RolloutError::NoService { .. } => Exit::Usage,
        RolloutError::Failed { .. }
        | RolloutError::Unsettled { .. }
        | RolloutError::Overtaken { .. } => Exit::Unfit,
        RolloutError::Interrupted { .. } => Exit::Interrupted,
    }
}

pub(super) fn hook(error: &HookError) -> Exit {
    match error {
        HookError::Aws(error) => aws(error),
        HookError::Never { .. } => Exit::Unfit,
        HookError::Interrupted { .. } => Exit::Interrupted,
        HookError::Unanswered { exit } | HookError::RolledBack { exit } => Exit::Of(*exit),
    }
}

pub(super) fn next(next: Option<String>) -> Explanation {
    match next {
        Some(next) => Explanation::default().note("next", next),
        None => Explanation::default(),
    }
}

pub(super) fn next_of_launch(error: &LaunchError) -> Option<String> {
    Some(match error {
        LaunchError::Aws(error) => error.next(),
        LaunchError::Refused(cause) | LaunchError::Failed { cause, .. } => cause.next.clone(),
        LaunchError::Interrupted { .. } => {
            "run the same command again: it follows the task if it still runs, and goes on from \
             there if not"
                .to_owned()
        }
        LaunchError::Lost { .. } => {
            "see with `lockkeeper status` how far it came, and run the same command again"
                .to_owned()
        }
        LaunchError::TooOften => "give it another name with --release".to_owned(),
    })
}

pub(super) fn next_of_rollout(error: &RolloutError) -> Option<String> {
    Some(match error {
        RolloutError::Aws(error) => error.next(),
        RolloutError::Controller { .. } => {
            "deploy it there; `lockkeeper ecs run` before it, or its hooks, migrate".to_owned()
        }
        RolloutError::NoService { .. } => "look at --service, --cluster and --region".to_owned(),
        RolloutError::Failed { next, .. } => next.clone(),
        RolloutError::Unsettled { .. } => {
            "run the same command again to go on watching; `lockkeeper ecs doctor` says whether it \
             can settle"
                .to_owned()
        }
        RolloutError::Overtaken { .. } => {
            "look who deploys besides; when this release is to be deployed, run the same command again"
                .to_owned()
        }
        RolloutError::Interrupted { .. } => {
            "run the same command again to go on watching".to_owned()
        }
    })
}

pub(super) fn next_of_hook(error: &HookError) -> Option<String> {
    Some(match error {
        HookError::Aws(error) => error.next(),
        HookError::Never { .. } => {
            "see that the service has a PAUSE hook at this stage, and that a deployment was started"
                .to_owned()
        }
        HookError::Interrupted { .. } | HookError::Unanswered { .. } => {
            "run the same command again before the hook's own timeout ends".to_owned()
        }
        HookError::RolledBack { .. } => {
            "mend what the error above names, and deploy again".to_owned()
        }
    })
}
