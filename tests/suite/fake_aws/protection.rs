//! Metadata and task protection, as a container sees them.

use serde_json::{Value, json};

use super::{definition, front, group, service};
use crate::support::aws::{Aws, Fault, Scale, Script};
use lockkeeper::deploy::facts::Balancer;

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn get(url: &str) -> Value {
    serde_json::from_str(&agent().get(url).call().unwrap().body_mut().read_to_string().unwrap())
        .unwrap()
}

fn put(url: &str, body: &Value) -> (u16, Value) {
    let mut answer = agent().put(url).send(body.to_string()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

fn aws() -> Aws {
    let aws = Aws::start(Scale::Virtual);
    aws.image("web", Script::web(0.0));
    aws.define(definition("web", "web", &[]));
    let arn = aws.target_group(group("web-8080", Balancer::Application));
    front(&aws, Balancer::Application, &[(&arn, 1)]);
    aws.service(service("web-8080", None), "web");
    aws.advance(60.0);
    aws
}

#[test]
fn a_task_of_a_service_protects_itself_until_it_expires() {
    let aws = aws();
    let task = aws.tasks_of("web")[0].clone();
    let metadata = get(&format!("{}/v4/{}/web/task", aws.url(), task.id));
    assert_eq!(metadata["ServiceName"], "web");
    assert_eq!(metadata["DesiredStatus"], "RUNNING");
    assert_eq!(metadata["Containers"][0]["Networks"][0]["IPv4Addresses"][0], task.address);

    let state = format!("{}/api/{}/web/task-protection/v1/state", aws.url(), task.id);
    let (status, answer) =
        put(&state, &json!({ "ProtectionEnabled": true, "ExpiresInMinutes": 10 }));
    assert_eq!((status, &answer["protection"]["ProtectionEnabled"]), (200, &json!(true)));
    // A deployment leaves it alone, and stops the other.
    let request = json!({ "cluster": "shop", "service": "web", "forceNewDeployment": true });
    aws.with(|world| world.answer("UpdateService", &request).unwrap());
    aws.advance(400.0);
    assert!(aws.task(&task.id).is_wanted());
    assert!(!aws.with(|world| world.services["shop/web"].is_steady));
    let events = aws.events("shop", "web").join("\n");
    assert!(events.contains("(reason 1 tasks under protection)"), "{events}");
    aws.advance(500.0);
    assert!(!aws.task(&task.id).is_wanted());
    assert!(aws.with(|world| world.services["shop/web"].is_steady));
    let metadata = get(&format!("{}/v4/{}/web/task", aws.url(), task.id));
    assert_eq!(metadata["DesiredStatus"], "STOPPED");
    assert_eq!(get(&state)["protection"]["ProtectionEnabled"], false);
}

#[test]
fn the_agent_refuses_in_its_own_ways() {
    let aws = aws();
    let task = aws.tasks_of("web")[0].id.clone();
    let state = format!("{}/api/{task}/web/task-protection/v1/state", aws.url());
    let (status, answer) = put(&state, &json!({ "ProtectionEnabled": true, "Minutes": 10 }));
    assert_eq!((status, &answer["error"]["Code"]), (400, &json!("InvalidParameterException")));
    let (status, _) = put(&state, &json!({ "ProtectionEnabled": true, "ExpiresInMinutes": 2881 }));
    assert_eq!(status, 400);
    aws.fail("UpdateTaskProtection", 1, Fault::Denied);
    let (_, answer) = put(&state, &json!({ "ProtectionEnabled": true }));
    assert_eq!(answer["error"]["Code"], "AccessDeniedException");

    let run = json!({ "cluster": "shop", "taskDefinition": "web" });
    let run = aws.with(|world| world.answer("RunTask", &run).unwrap());
    let id = run["tasks"][0]["taskArn"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let state = format!("{}/api/{id}/web/task-protection/v1/state", aws.url());
    let (status, answer) = put(&state, &json!({ "ProtectionEnabled": true }));
    assert_eq!((status, &answer["failure"]["Reason"]), (200, &json!("TASK_NOT_VALID")));
}
