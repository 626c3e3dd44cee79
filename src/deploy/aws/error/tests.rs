use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use axum::http::StatusCode;

use super::super::client::Aws;
use super::*;

/// Clients of a server that gives each request the same answer, in AWS JSON 1.1.
async fn answering(status: u16, body: &'static str) -> Aws {
    let status = StatusCode::from_u16(status).unwrap();
    let app = axum::Router::new().fallback(move || async move { (status, body) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    clients(&endpoint, Some(Credentials::new("id", "secret", None, None, "test")))
}

fn clients(endpoint: &str, credentials: Option<Credentials>) -> Aws {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .http_client(http);
    config.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
    Aws::from(config.build())
}

async fn run_task(aws: &Aws) -> AwsError {
    let request = aws.ecs.run_task().task_definition("web").client_token("t");
    AwsError::of("ecs:RunTask", request.send().await.unwrap_err())
}

async fn refused(status: u16, body: &'static str) -> AwsError {
    run_task(&answering(status, body).await).await
}

#[tokio::test]
async fn a_denial_names_permission_and_resource() {
    let error = refused(
        400,
        r#"{"__type":"AccessDeniedException","message":"User: arn:aws:sts::1:assumed-role/ci/x is not authorized to perform: ecs:RunTask on resource: arn:aws:ecs:eu-central-1:1:task-definition/web:3 because no identity-based policy allows the ecs:RunTask action"}"#,
    )
    .await;
    let resource = Some("arn:aws:ecs:eu-central-1:1:task-definition/web:3".to_owned());
    let permission = "ecs:RunTask".to_owned();
    assert_eq!(error, AwsError::Denied { operation: "ecs:RunTask", permission, resource });
    assert!(error.next().starts_with("allow ecs:RunTask on arn:aws:ecs"), "{}", error.next());
}

#[tokio::test]
async fn a_role_that_may_not_be_passed_is_a_denial_although_ecs_calls_it_a_client_exception() {
    let error = refused(
        400,
        r#"{"__type":"ClientException","message":"User: u is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/task."}"#,
    )
    .await;
    assert_eq!(error.permission(), Some("iam:PassRole"));
    assert_eq!(
        error.to_string(),
        "ecs:RunTask: not allowed: iam:PassRole on arn:aws:iam::1:role/task"
    );
}

#[tokio::test]
async fn a_conflict_carries_the_tasks_to_adopt() {
    let body = r#"{"__type":"ConflictException","message":"m","resourceIds":["arn:a","arn:b"]}"#;
    let ids = vec!["arn:a".to_owned(), "arn:b".to_owned()];
    assert_eq!(refused(400, body).await, AwsError::Conflict { operation: "ecs:RunTask", ids });
}

#[tokio::test]
async fn each_code_has_its_kind() {
    let operation = "ecs:RunTask";
    let throttled = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    assert_eq!(refused(400, throttled).await, AwsError::Throttled { operation });
    let gone = r#"{"__type":"ClusterNotFoundException","message":"Cluster not found."}"#;
    let what = "Cluster not found.".to_owned();
    assert_eq!(refused(400, gone).await, AwsError::NotFound { operation, what });
    let stale = r#"{"__type":"ExpiredTokenException","message":"it expired"}"#;
    let reason = "it expired".to_owned();
    assert_eq!(refused(400, stale).await, AwsError::NoCredentials { operation, reason });
    let wrong = r#"{"__type":"InvalidParameterException","message":"No subnets."}"#;
    let message = "No subnets.".to_owned();
    assert_eq!(refused(400, wrong).await, AwsError::Invalid { operation, message });
    let fault = r#"{"__type":"ServerException","message":"later"}"#;
    let (code, message) = (Some("ServerException".to_owned()), "later".to_owned());
    assert_eq!(refused(500, fault).await, AwsError::Other { operation, code, message });
}

#[tokio::test]
async fn a_task_definition_that_is_not_there_is_not_found() {
    let body = r#"{"__type":"ClientException","message":"Unable to describe task definition."}"#;
    assert!(matches!(refused(400, body).await, AwsError::NotFound { .. }));
}

#[tokio::test]
async fn a_load_balancer_is_denied_in_xml() {
    let aws = answering(
        403,
        r#"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: u is not authorized to perform: elasticloadbalancing:DescribeRules because no identity-based policy allows it</Message></Error><RequestId>r</RequestId></ErrorResponse>"#,
    )
    .await;
    let error = aws.elb.describe_rules().send().await.unwrap_err();
    let error = AwsError::of("elasticloadbalancing:DescribeRules", error);
    assert_eq!(error.permission(), Some("elasticloadbalancing:DescribeRules"));
}

#[tokio::test]
async fn silence_is_unreachable_and_says_why() {
    // Bound and let go: nobody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let aws = clients(&endpoint, Some(Credentials::new("id", "secret", None, None, "test")));
    let AwsError::Unreachable { reason, .. } = run_task(&aws).await else { panic!() };
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_said_to_be_missing() {
    #[derive(Debug)]
    struct Nobody;
    impl aws_sdk_ecs::config::ProvideCredentials for Nobody {
        fn provide_credentials<'a>(
            &'a self,
        ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let error = CredentialsError::not_loaded("the profile is signed out");
            aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
        }
    }
    let aws = clients("http://127.0.0.1:9", None);
    let config = aws.config.into_builder();
    let aws =
        Aws::from(config.credentials_provider(SharedCredentialsProvider::new(Nobody)).build());
    let AwsError::NoCredentials { reason, .. } = run_task(&aws).await else { panic!() };
    assert!(reason.contains("signed out"), "{reason}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_a_success() {
    assert!(matches!(refused(200, "<html>").await, AwsError::Other { .. }));
}
