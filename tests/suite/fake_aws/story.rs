//! All of it with real processes, connections and time.

use std::time::Duration;

use lockkeeper::deploy::facts::{Balancer, Service};
use serde_json::json;

use super::{definition, front, group, service};
use crate::support::aws::{Aws, OnTerm, Program, Scale, Script};
use crate::support::process;

#[tokio::test]
async fn a_service_of_scripted_containers_is_checked_over_http() {
    let aws = Aws::start(Scale::FAST);
    aws.image(
        "web",
        Script { on_term: OnTerm::Exits { after: 1.0, code: 0 }, ..Script::web(20.0) },
    );
    let arn = aws.target_group(group("web", Balancer::Application));
    front(&aws, Balancer::Application, &[(&arn, 1)]);
    aws.define(definition("web", "web", &[]));
    aws.service(Service { grace: Some(120), ..service("web", None) }, "web");
    aws.wait_for_steady("shop", "web").await;
    for task in aws.tasks_of("web") {
        let moments = task.moments;
        assert!(moments.first_failed_check < moments.healthy);
        assert!(moments.healthy.unwrap() - moments.registered.unwrap() >= 20.0);
    }
}

#[tokio::test]
async fn the_real_binary_serves_as_a_container_on_the_tasks_own_address() {
    let aws = Aws::start(Scale::Second(Duration::from_millis(50)));
    aws.image("web", Program::new(env!("CARGO_BIN_EXE_lockkeeper")).argument("up"));
    let mut facts = group("web", Balancer::Application);
    facts.check.path = Some("/ready".to_owned());
    let arn = aws.target_group(facts);
    front(&aws, Balancer::Application, &[(&arn, 1)]);
    let folder = crate::support::folder::new();
    std::fs::write(folder.path().join("V1__nothing.sql"), "SELECT 1;").unwrap();
    let migrations = folder.path().to_str().unwrap();
    let command = ["--migrations", migrations, "--listen", "{address}:8080", "--linger", "1h"];
    let mut json = definition("web", "web", &command);
    let url = format!("sqlite:{migrations}/{{address}}.db");
    json["containerDefinitions"][0]["environment"] =
        json!([{ "name": "DATABASE_URL", "value": url }]);
    aws.define(json);
    aws.service(Service { grace: Some(120), ..service("web", None) }, "web");
    aws.wait_for_steady("shop", "web").await;
    let tasks = aws.tasks_of("web");
    assert_ne!(tasks[0].address, tasks[1].address);
    let pids: Vec<u32> = tasks.iter().filter_map(|task| aws.pid(&task.id, "web")).collect();
    assert_eq!(pids.len(), 2);
    drop(aws);
    for pid in pids {
        assert!(!process::runs(pid), "it ends with the fake");
    }
}
