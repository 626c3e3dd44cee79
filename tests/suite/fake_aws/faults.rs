//! Faults on demand.

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};

use super::definition;
use crate::support::aws::{Aws, Fault, Scale, Script};

fn aws() -> Aws {
    let aws = Aws::start(Scale::Virtual);
    aws.cluster("shop");
    aws.image("work", Script::mute());
    aws.define(definition("work", "work", &[]));
    aws
}

#[tokio::test]
async fn a_call_is_throttled_and_the_sdk_tries_again() {
    let aws = aws();
    aws.fail("RunTask", 2, Fault::Throttled);
    aws.ecs().run_task().cluster("shop").task_definition("work").send().await.unwrap();
    assert_eq!(aws.calls("RunTask").len(), 3);
    aws.fail("DescribeTargetGroups", 1, Fault::Throttled);
    aws.elb().describe_target_groups().send().await.unwrap();
    assert_eq!(aws.calls("DescribeTargetGroups").len(), 2);
}

#[tokio::test]
async fn a_denied_call_names_the_permission() {
    let aws = aws();
    aws.fail("RunTask", 1, Fault::Denied);
    let call = aws.ecs().run_task().cluster("shop").task_definition("work").send();
    let error = call.await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert!(error.message().unwrap().contains("is not authorized to perform: ecs:RunTask"));
    aws.fail("DescribeRules", 1, Fault::Denied);
    let error = aws.elb().describe_rules().send().await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"));
    assert!(error.message().unwrap().contains("elasticloadbalancing:DescribeRules"));
}

#[tokio::test]
async fn a_run_without_room_has_failures_or_nothing_at_all() {
    let aws = aws();
    let ask = aws.ecs().run_task().cluster("shop").task_definition("work");
    aws.fail("RunTask", 1, Fault::failure("RESOURCE:MEMORY"));
    let answer = ask.clone().send().await.unwrap();
    assert_eq!(answer.failures()[0].reason(), Some("RESOURCE:MEMORY"));
    aws.fail("RunTask", 1, Fault::nothing());
    let answer = ask.send().await.unwrap();
    assert!(answer.tasks().is_empty() && answer.failures().is_empty());
    assert!(aws.tasks().is_empty());
}

#[tokio::test]
async fn a_connection_breaks_or_the_service_fails() {
    let aws = aws();
    aws.fail("DescribeTasks", 3, Fault::Reset);
    let ask = aws.ecs().describe_tasks().cluster("shop").tasks("0123");
    let error = ask.clone().send().await.unwrap_err();
    assert!(
        matches!(error, SdkError::DispatchFailure(_) | SdkError::ResponseError(_)),
        "{error:?}"
    );
    // What is left of the broken calls was used up by the SDK's own tries.
    aws.fail("DescribeTasks", 3, Fault::Internal);
    let error = ask.send().await.unwrap_err().into_service_error();
    assert!(error.is_server_exception(), "{error:?}");
}

#[tokio::test]
async fn what_codedeploy_is_told_stands_in_the_journal() {
    use aws_sdk_codedeploy::types::LifecycleEventStatus;
    let aws = aws();
    let call = aws.codedeploy().put_lifecycle_event_hook_execution_status().deployment_id("d-1");
    let call =
        call.lifecycle_event_hook_execution_id("e-1").status(LifecycleEventStatus::Succeeded);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.lifecycle_event_hook_execution_id(), Some("e-1"));
    let told = aws.calls("PutLifecycleEventHookExecutionStatus");
    assert_eq!(told[0]["status"], "Succeeded");
    assert_eq!(told[0]["deploymentId"], "d-1");
}
