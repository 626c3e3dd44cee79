//! The answer to a lifecycle event of CodeDeploy.

use aws_sdk_codedeploy::types::LifecycleEventStatus;

use super::client::Aws;
use super::error::AwsError;

impl Aws {
    /// Tells CodeDeploy whether its deployment may go on.
    ///
    /// # Errors
    /// AWS's.
    pub async fn answer_code_deploy(
        &self,
        deployment: &str,
        execution: &str,
        succeeded: bool,
    ) -> Result<(), AwsError> {
        let status = match succeeded {
            true => LifecycleEventStatus::Succeeded,
            false => LifecycleEventStatus::Failed,
        };
        self.codedeploy
            .put_lifecycle_event_hook_execution_status()
            .deployment_id(deployment)
            .lifecycle_event_hook_execution_id(execution)
            .status(status)
            .send()
            .await
            .map(drop)
            .map_err(|error| AwsError::of("codedeploy:PutLifecycleEventHookExecutionStatus", error))
    }
}
