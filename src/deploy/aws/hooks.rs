//! Deployments that wait at a hook, and the answer that lets them go on.

use aws_sdk_ecs::types::{
    DeploymentLifecycleHookAction, DeploymentLifecycleHookStatus,
    DeploymentLifecycleHookTargetType, ServiceDeploymentStatus,
};

use super::client::Aws;
use super::error::AwsError;
use crate::deploy::hook::{Answer, Pending, Seen};

impl Aws {
    /// The newest deployment of a service: whether it waits at a hook, goes on, or has ended. `None`
    /// where there was none.
    ///
    /// # Errors
    /// AWS's.
    pub async fn latest_deployment(
        &self,
        cluster: &str,
        service: &str,
    ) -> Result<Option<Seen>, AwsError> {
        // The newest comes first.
        let listed = self
            .ecs
            .list_service_deployments()
            .cluster(cluster)
            .service(service)
            .send()
            .await
            .map_err(|error| AwsError::of("ecs:ListServiceDeployments", error))?;
        let briefs = listed.service_deployments();
        let newest = briefs.iter().max_by_key(|one| one.created_at().map(|at| at.as_nanos()));
        match newest.and_then(|one| one.service_deployment_arn()) {
            Some(arn) => self.service_deployment(arn).await,
            None => Ok(None),
        }
    }

    async fn service_deployment(&self, arn: &str) -> Result<Option<Seen>, AwsError> {
        let ask = self.ecs.describe_service_deployments().service_deployment_arns(arn);
        let answer = ask.send().await;
        let answer =
            answer.map_err(|error| AwsError::of("ecs:DescribeServiceDeployments", error))?;
        Ok(answer.service_deployments().first().map(read))
    }

    /// The task definition of a service revision.
    ///
    /// # Errors
    /// AWS's.
    pub async fn revision_definition(&self, arn: &str) -> Result<Option<String>, AwsError> {
        let ask = self.ecs.describe_service_revisions().service_revision_arns(arn);
        let answer = ask.send().await;
        let answer = answer.map_err(|error| AwsError::of("ecs:DescribeServiceRevisions", error))?;
        let revision = answer.service_revisions().first();
        Ok(revision.and_then(|one| one.task_definition()).map(str::to_owned))
    }

    /// Answers a hook.
    ///
    /// # Errors
    /// AWS's.
    pub async fn answer_hook(&self, pending: &Pending, answer: Answer) -> Result<(), AwsError> {
        let action = match answer {
            Answer::Continue => DeploymentLifecycleHookAction::Continue,
            Answer::Rollback => DeploymentLifecycleHookAction::Rollback,
        };
        self.ecs
            .continue_service_deployment()
            .service_deployment_arn(&pending.deployment)
            .hook_id(&pending.hook)
            .action(action)
            .send()
            .await
            .map(drop)
            .map_err(|error| AwsError::of("ecs:ContinueServiceDeployment", error))
    }
}

fn read(deployment: &aws_sdk_ecs::types::ServiceDeployment) -> Seen {
    use ServiceDeploymentStatus::{InProgress, Pending as Queued};
    let arn = deployment.service_deployment_arn().unwrap_or_default().to_owned();
    let stage = deployment.lifecycle_stage().map(|stage| stage.as_str().to_owned());
    let waiting = deployment.lifecycle_hook_details().iter().find(|hook| {
        hook.target_type() == Some(&DeploymentLifecycleHookTargetType::Pause)
            && hook.status() == Some(&DeploymentLifecycleHookStatus::AwaitingAction)
    });
    let target = deployment.target_service_revision().and_then(|target| target.arn());
    Seen {
        goes_on: matches!(deployment.status(), Some(InProgress | Queued)),
        status: deployment.status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        stage: stage.clone().unwrap_or_default(),
        pending: waiting.and_then(|hook| hook.hook_id()).map(|hook| Pending {
            deployment: arn.clone(),
            hook: hook.to_owned(),
            stage: stage.unwrap_or_default(),
            revision: target.map(str::to_owned),
        }),
        arn,
    }
}
