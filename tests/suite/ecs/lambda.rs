//! `ecs lambda`, run as Lambda runs it: events by its runtime's HTTP interface.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::hook::paused;
use super::{definition, ecs};
use crate::support::aws::{Aws, Status};
use crate::support::{Lockkeeper, Running, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be handed out, and what was answered.
#[derive(Default)]
struct Invocations {
    events: Mutex<VecDeque<Value>>,
    answers: Mutex<Vec<Value>>,
}

/// The function at work.
struct Function {
    invocations: Arc<Invocations>,
    process: Running,
}

impl Function {
    /// The binary, as a function's bootstrap starts it.
    async fn start(aws: &Aws, arguments: &[&str]) -> Function {
        let lambda = ecs(aws, &["lambda", "--migrate-task-definition", "migrate"]);
        Function::of(lambda.args(arguments)).await
    }

    async fn of(lambda: Lockkeeper) -> Function {
        let invocations = Arc::new(Invocations::default());
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{how}", post(answered))
            .with_state(invocations.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        let process = lambda
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "migrate")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .start();
        Function { invocations, process }
    }

    /// The answer to one event.
    async fn call(&self, event: Value) -> Value {
        let before = self.invocations.answers.lock().expect("answers").len();
        self.invocations.events.lock().expect("events").push_back(event);
        let answers = || self.invocations.answers.lock().expect("answers").clone();
        wait_until("an answer", PATIENCE, async || answers().len() > before).await;
        answers()[before].clone()
    }

    /// As ECS calls: again, with the details of the last answer, until it is no longer IN_PROGRESS.
    async fn called_by_ecs(&self, mut event: Value) -> (Value, u32) {
        for calls in 1..1000 {
            let answer = self.call(event.clone()).await;
            if answer["hookStatus"] != "IN_PROGRESS" {
                return (answer, calls);
            }
            assert!(answer["callBackDelay"].as_u64().is_some(), "{answer}");
            event["hookDetails"] = answer["hookDetails"].clone();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never ends:\n{}", self.process.stderr());
    }
}

async fn next(State(invocations): State<Arc<Invocations>>) -> Response {
    loop {
        let event = invocations.events.lock().expect("events").pop_front();
        if let Some(event) = event {
            let deadline = SystemTime::now() + Duration::from_secs(60);
            let deadline = deadline.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
            let headers = [
                ("lambda-runtime-aws-request-id", "id".to_owned()),
                ("lambda-runtime-deadline-ms", deadline.to_string()),
                ("lambda-runtime-invoked-function-arn", "arn:function".to_owned()),
            ];
            return (headers, event.to_string()).into_response();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answered(
    State(invocations): State<Arc<Invocations>>,
    Path((_, how)): Path<(String, String)>,
    body: String,
) -> Response {
    let answer = serde_json::from_str(&body).unwrap_or_else(|_| json!({ "raw": body }));
    assert_eq!(how, "response", "{answer}");
    invocations.answers.lock().expect("answers").push(answer);
    axum::http::StatusCode::ACCEPTED.into_response()
}

/// An event as ECS sends it today.
fn nested() -> Value {
    json!({
        "executionId": "0123",
        "lifecycleStage": "PRE_SCALE_UP",
        "resourceArn": "arn:aws:ecs:eu-central-1:123456789012:service-deployment/shop/web/1",
        "executionDetails": {
            "serviceArn": "arn:aws:ecs:eu-central-1:123456789012:service/shop/web",
            "targetServiceRevisionArn": "arn:aws:ecs:eu-central-1:123456789012:service-revision/shop/web/1",
        },
        "hookDetails": {},
    })
}

#[tokio::test]
async fn ecs_is_told_in_progress_until_the_task_has_ended() {
    let aws = paused("exit 0").await;
    let function = Function::start(&aws, &["--", "sleep 0.2"]).await;
    let (answer, calls) = function.called_by_ecs(nested()).await;
    assert_eq!(answer["hookStatus"], "SUCCEEDED");
    assert!(calls > 1, "it waits for the task");
    let tasks = aws.tasks();
    let ours: Vec<_> = tasks.iter().filter(|task| task.family == "migrate").collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].status, Status::Stopped);

    // The flat shape of older texts; the same release once more is another task.
    let flat = json!({
        "executionId": "0124", "lifecycleStage": "PRE_SCALE_UP",
        "serviceArn": "arn:aws:ecs:eu-central-1:123456789012:service/shop/web",
    });
    let (answer, _) = function.called_by_ecs(flat).await;
    assert_eq!(answer["hookStatus"], "SUCCEEDED");
}

#[tokio::test]
async fn a_failed_task_fails_the_hook_and_an_interrupted_one_is_started_again() {
    let aws = paused("exit 0").await;
    let failing = Function::start(&aws, &["--", "echo no; exit 1"]).await;
    let (answer, _) = failing.called_by_ecs(nested()).await;
    assert_eq!(answer["hookStatus"], "FAILED");
    assert!(failing.process.stderr().contains("exit code 1"), "{}", failing.process.stderr());

    let mark = crate::support::Project::new();
    let mark = mark.path().join("second");
    let script = format!("[ -e {0} ] || {{ touch {0}; exit 4; }}", mark.display());
    let resumed = Function::start(&aws, &["--", &script]).await;
    let (answer, _) = resumed.called_by_ecs(nested()).await;
    assert_eq!(answer["hookStatus"], "SUCCEEDED", "{}", resumed.process.stderr());
}

#[tokio::test]
async fn code_deploy_is_told_how_it_ended() {
    let aws = paused("exit 0").await;
    aws.define(definition("migrate", "migrate", "shell:1", &["exit 0"]));
    let event = json!({ "DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1" });
    for (script, status) in [("exit 0", "Succeeded"), ("exit 5", "Failed")] {
        let function = Function::start(&aws, &["--service", "web", "--", script]).await;
        function.call(event.clone()).await;
        let calls = aws.calls("PutLifecycleEventHookExecutionStatus");
        let last = calls.last().expect("a call");
        assert_eq!(last["status"], status);
        assert_eq!(last["deploymentId"], "d-1");
        assert_eq!(last["lifecycleEventHookExecutionId"], "e-1");
    }
    // The service still has the old task definition when CodeDeploy's first hooks come.
    let old = ["lambda", "--service", "web"];
    let old = Function::of(ecs(&aws, &old).args(["--", "exit 0"])).await;
    old.call(event.clone()).await;
    let calls = aws.calls("PutLifecycleEventHookExecutionStatus");
    assert_eq!(calls.last().expect("a call")["status"], "Failed");
    assert!(old.process.stderr().contains("MIGRATE_TASK_DEFINITION"), "{}", old.process.stderr());
    let unnamed = Function::start(&aws, &["--", "exit 0"]).await;
    unnamed.call(event).await;
    let calls = aws.calls("PutLifecycleEventHookExecutionStatus");
    assert_eq!(calls.last().expect("a call")["status"], "Failed");
    assert!(unnamed.process.stderr().contains("LOCKKEEPER_ECS_SERVICE"));
}

#[tokio::test]
async fn a_strange_event_fails_and_outside_of_lambda_it_says_so() {
    let aws = paused("exit 0").await;
    let function = Function::start(&aws, &[]).await;
    let answer = function.call(json!({ "Records": [] })).await;
    assert_eq!(answer["hookStatus"], "FAILED");
    ecs(&aws, &["lambda"]).run().await.expect(2).expect_text("this isn't run by Lambda");
}
