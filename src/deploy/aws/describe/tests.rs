//! The same service, asked and read from files, has the same facts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::deploy::offline::{Document, Offline};

const SERVICE: &str = include_str!("../../offline/tests/cli/service.json");
const RUNNING: &str = include_str!("../../offline/tests/cli/running.json");
const GROUPS: &str = include_str!("../../offline/tests/cli/groups.json");
const LISTENERS: &str = include_str!("../../offline/tests/cli/listeners.json");
const RULES: &str = include_str!("../../offline/tests/cli/rules.json");
const ATTRIBUTES: &str = include_str!("../../offline/tests/cli/attributes.json");
const HEALTH: &str = include_str!("../../offline/tests/cli/health.json");

/// Replies by operation, as the AWS CLI prints them; operations that are denied; what was asked.
#[derive(Clone, Default)]
struct Server {
    replies: Arc<Mutex<BTreeMap<String, Value>>>,
    denied: Arc<Mutex<Vec<&'static str>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

impl Server {
    fn new() -> Self {
        let server = Server::default();
        let mut groups = parsed(GROUPS);
        groups["TargetGroups"].as_array_mut().unwrap().truncate(1);
        let all = [
            ("DescribeServices", parsed(SERVICE)),
            ("DescribeTaskDefinition", parsed(RUNNING)),
            ("DescribeTargetGroups", groups),
            ("DescribeTargetGroupAttributes", parsed(ATTRIBUTES)),
            ("DescribeTargetHealth", parsed(HEALTH)),
            ("DescribeListeners", parsed(LISTENERS)),
            ("DescribeRules", parsed(RULES)),
            ("ListTasks", json!({"taskArns": ["arn:task"]})),
            ("DescribeTasks", json!({"tasks": []})),
        ];
        for (operation, reply) in all {
            server.reply(operation, reply);
        }
        server
    }

    fn reply(&self, operation: &str, reply: Value) {
        self.replies.lock().unwrap().insert(operation.to_owned(), reply);
    }

    fn deny(&self, operation: &'static str) {
        self.denied.lock().unwrap().push(operation);
    }

    async fn clients(&self) -> Aws {
        let server = self.clone();
        let handle =
            move |headers: HeaderMap, body: String| async move { server.answer(&headers, &body) };
        let app = axum::Router::new().fallback(handle);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(endpoint)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Aws::from(config.build())
    }

    /// ECS is asked in JSON, with a header that names the operation; ELB by a form, and answers in XML.
    fn answer(&self, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
        let of_ecs = headers.get("x-amz-target").map(|target| target.to_str().unwrap());
        let of_ecs = of_ecs.map(|target| target.rsplit('.').next().unwrap().to_owned());
        let is_ecs = of_ecs.is_some();
        let of_elb = || {
            let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
            action.unwrap().to_owned()
        };
        let operation = of_ecs.unwrap_or_else(of_elb);
        self.asked.lock().unwrap().push(operation.clone());
        if self.denied.lock().unwrap().iter().any(|denied| *denied == operation) {
            let service = if is_ecs { "ecs" } else { "elasticloadbalancing" };
            let message = format!("User: u is not authorized to perform: {service}:{operation}");
            let text = match is_ecs {
                true => json!({"__type": "AccessDeniedException", "message": message}).to_string(),
                false => format!(
                    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>{message}</Message>\
                     </Error></ErrorResponse>"
                ),
            };
            return (StatusCode::BAD_REQUEST, text);
        }
        let reply = self.replies.lock().unwrap()[&operation].clone();
        let text = match is_ecs {
            true => with_epochs(reply).to_string(),
            false => format!(
                "<{operation}Response><{operation}Result>{}</{operation}Result></{operation}Response>",
                xml(&reply)
            ),
        };
        (StatusCode::OK, text)
    }
}

/// The API gives times as seconds, where the AWS CLI prints them for people.
fn with_epochs(mut reply: Value) -> Value {
    match &mut reply {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                *value = match value.take() {
                    Value::String(_) if key.ends_with("At") => json!(1_795_165_200.0),
                    other => with_epochs(other),
                };
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|one| *one = with_epochs(one.take())),
        _ => {}
    }
    reply
}

fn xml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("<{key}>{}</{key}>", xml(value))).collect()
        }
        Value::Array(all) => {
            all.iter().map(|one| format!("<member>{}</member>", xml(one))).collect()
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn of_files(files: &[(&str, &str)]) -> Facts {
    let document =
        |(path, text): &(&str, &str)| Document { path: path.into(), text: (*text).to_owned() };
    let documents = files.iter().map(document).collect();
    Offline { documents, ..Offline::default() }.facts().unwrap()
}

const FILES: [(&str, &str); 7] = [
    ("service.json", SERVICE),
    ("running.json", RUNNING),
    ("groups.json", GROUPS),
    ("attributes-web-8080.json", ATTRIBUTES),
    ("health-web-8080.json", HEALTH),
    ("listeners.json", LISTENERS),
    ("rules.json", RULES),
];

#[tokio::test]
async fn what_is_asked_and_what_is_read_from_files_are_the_same_facts() {
    let aws = Server::new().clients().await;
    let asked = facts(&aws, "shop", "web", None).await.unwrap();
    assert_eq!(asked, of_files(&FILES));
    assert_eq!(asked.unknown, []);
    assert!(!asked.target_groups[0].references.is_empty());
}

#[tokio::test]
async fn what_it_is_to_run_may_be_another_task_definition() {
    let server = Server::new();
    let aws = server.clients().await;
    let asked = facts(&aws, "shop", "web", Some("web")).await.unwrap();
    assert_eq!(asked.running.unwrap().name(), "web:41");
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|one| *one == "DescribeTaskDefinition").count(), 2);
}

#[tokio::test]
async fn a_missing_permission_is_named_and_ends_nothing() {
    for (operation, what) in [
        ("DescribeTargetGroups", "target group web-8080"),
        ("DescribeTargetGroupAttributes", "the deregistration delay of target group web-8080"),
        ("DescribeTargetHealth", "the targets of target group web-8080"),
        ("DescribeListeners", "who forwards to the target groups"),
        ("DescribeRules", "who forwards to the target groups"),
        ("ListTasks", "how long the last rollout's tasks took to start"),
    ] {
        let server = Server::new();
        server.deny(operation);
        let asked = facts(&server.clients().await, "shop", "web", None).await.unwrap();
        let service = if operation == "ListTasks" { "ecs" } else { "elasticloadbalancing" };
        let permission = format!("{service}:{operation}");
        let why = format!("not allowed: {permission}");
        let expected = Unknown { what: what.to_owned(), why, permission: Some(permission) };
        assert_eq!(asked.unknown, [expected], "{operation}");
        let knows = !["DescribeListeners", "DescribeRules"].contains(&operation);
        assert_eq!(asked.knows_listeners, knows, "{operation}");
        assert_eq!(asked.service.name, "web");
    }
}

#[tokio::test]
async fn without_service_or_task_definition_there_is_nothing_to_say() {
    for operation in ["DescribeServices", "DescribeTaskDefinition"] {
        let server = Server::new();
        server.deny(operation);
        let error = facts(&server.clients().await, "shop", "web", None).await.unwrap_err();
        assert_eq!(error.permission(), Some(format!("ecs:{operation}").as_str()));
    }
    let server = Server::new();
    server.reply("DescribeServices", json!({"services": [], "failures": [{"reason": "MISSING"}]}));
    let error = facts(&server.clients().await, "shop", "web", None).await.unwrap_err();
    assert_eq!(error.to_string(), "ecs:DescribeServices: not found: service web in cluster shop");
}

#[tokio::test]
async fn the_last_rollout_says_how_long_its_tasks_took() {
    let server = Server::new();
    let mut service = parsed(SERVICE);
    let at = |seconds: f64| json!(1_795_165_200.0 + seconds);
    let found = &mut service["services"][0];
    found["deployments"][0]["failedTasks"] = json!(0);
    found["deployments"][0]["createdAt"] = at(0.0);
    found["events"] = json!([
        {"id": "2", "createdAt": at(400.0), "message": "(service web) (deployment ecs-svc/1) deployment completed."},
        {"id": "1", "createdAt": at(180.0), "message": "(service web) deregistered 1 targets in (target-group arn:x)"}
    ]);
    server.reply("DescribeServices", service);
    server.reply(
        "DescribeTasks",
        json!({"tasks": [{"startedBy": "ecs-svc/1", "startedAt": at(30.0)},
                         {"startedBy": "ecs-svc/0", "startedAt": at(1.0)}]}),
    );
    let asked = facts(&server.clients().await, "shop", "web", None).await.unwrap();
    assert_eq!(asked.observed_startup, Some(150.0));
}
