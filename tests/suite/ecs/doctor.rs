//! `ecs doctor`, held against the simulated ECS.

mod files;
mod property;
mod s4;
mod s5;
mod setting;

use lockkeeper::deploy::aws::describe;
use lockkeeper::deploy::facts::{Attachment, Facts, Service};
use serde_json::{Value, json};

use crate::support::Lockkeeper;
use crate::support::aws::Aws;

/// A task definition of one container that serves on port 8080.
fn definition(image: &str) -> Value {
    let mut json = super::definition("web", "web", image, &[]);
    json["containerDefinitions"][0]["portMappings"] = json!([{ "containerPort": 8080 }]);
    json
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

/// The command, as in a terminal of 80 columns.
fn doctor(aws: &Aws, arguments: &[&str]) -> Lockkeeper {
    super::ecs(aws, &["doctor", "--service", "web"]).args(arguments).env("COLUMNS", "80")
}

/// The facts that AWS tells of the service.
async fn asked(aws: &Aws, next: Option<&str>) -> Facts {
    let clients = lockkeeper::deploy::aws::Aws::from(aws.config());
    describe::facts(&clients, "shop", "web", next).await.expect("the facts")
}
