//! The fake of AWS is asked by the SDK's own clients, and does what the real one does.

mod balancers;
mod blue_green;
mod faults;
mod logs;
mod protection;
mod rolling;
mod story;
mod tasks;

use lockkeeper::deploy::facts::{Attachment, Balancer, Service, TargetCheck, TargetGroup};
use serde_json::{Value, json};

use crate::support::aws::Aws;

/// A task definition with one container.
fn definition(family: &str, image: &str, command: &[&str]) -> Value {
    json!({
        "family": family,
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "containerDefinitions": [{
            "name": family,
            "image": image,
            "command": command,
            "portMappings": [{ "containerPort": 8080 }],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": { "awslogs-group": "/shop", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "ecs" },
            },
        }],
    })
}

/// A target group with checks every 15 s, each of at most 5 s.
fn group(name: &str, balancer: Balancer) -> TargetGroup {
    TargetGroup {
        name: name.to_owned(),
        balancer,
        check: TargetCheck { interval: 15, unhealthy: 3, healthy: 2, ..TargetCheck::default() },
        deregistration_delay: Some(30),
        ..TargetGroup::default()
    }
}

/// A service with two tasks behind one target group, or two.
fn service(group: &str, alternate: Option<&str>) -> Service {
    Service {
        name: "web".to_owned(),
        cluster: "shop".to_owned(),
        desired: 2,
        load_balancers: vec![Attachment {
            target_group: group.to_owned(),
            alternate: alternate.map(str::to_owned),
            container: "web".to_owned(),
            port: 8080,
        }],
        ..Service::default()
    }
}

/// An ALB whose listener forwards to a group.
fn front(aws: &Aws, kind: Balancer, forward: &[(&str, u32)]) -> String {
    let balancer = aws.balancer("shop", kind);
    aws.listener(&balancer, 80, forward)
}
