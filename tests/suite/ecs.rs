//! The commands that work on ECS, as the real binary, against a fake of AWS whose containers are
//! processes.

mod agent;
mod deploy;
mod doctor;
mod draining;
mod hook;
#[cfg(feature = "lambda")]
mod lambda;
mod moto;
mod rollout;
mod run;
mod s1;
mod s2;
mod terminal;

use std::time::Duration;

use lockkeeper::deploy::facts::{Attachment, Network, Service};
use serde_json::{Value, json};

use crate::support::aws::{Aws, Pace, Program, Scale};
use crate::support::{Database, Kind, Lockkeeper, Project};

/// A fake second. A stop timeout of 30 s is three real ones: enough for a run to end in order.
const SECOND: Duration = Duration::from_millis(100);

/// A fake whose tasks start at once.
fn aws() -> Aws {
    Aws::at(Scale::Second(SECOND), Pace::immediate())
}

/// A task definition of one container, with its log in CloudWatch.
fn definition(family: &str, container: &str, image: &str, command: &[&str]) -> Value {
    json!({
        "family": family,
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": [{
            "name": container,
            "image": image,
            "command": command,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "/shop",
                    "awslogs-region": "eu-central-1",
                    "awslogs-stream-prefix": "ecs",
                },
            },
        }],
    })
}

/// The same of a container `web` that listens on a port.
fn web_definition(image: &str, port: u16, command: &[&str]) -> Value {
    let mut web = definition("web", "web", image, command);
    web["containerDefinitions"][0]["portMappings"] = json!([{ "containerPort": port }]);
    web
}

/// So many of those, as targets of the group `web`.
fn web_service(desired: u32, port: u16) -> Service {
    Service {
        name: "web".to_owned(),
        cluster: "shop".to_owned(),
        desired,
        load_balancers: vec![attachment("web", "web", port)],
        ..Service::default()
    }
}

/// A container's port as a target of this group.
fn attachment(group: &str, container: &str, port: u16) -> Attachment {
    let (target_group, container) = (group.to_owned(), container.to_owned());
    Attachment { target_group, alternate: None, container, port }
}

/// `lockkeeper ecs …` that finds the fake.
fn ecs(aws: &Aws, arguments: &[&str]) -> Lockkeeper {
    let all = Lockkeeper::new(["ecs"]).args(arguments).env("LOCKKEEPER_ECS_POLL", "50ms");
    let all = all.env("LOCKKEEPER_ECS_CLUSTER", "shop").env("AWS_MAX_ATTEMPTS", "1");
    aws.environment().into_iter().fold(all, |all, (name, value)| all.env(name, value))
}

/// What a service's network would be.
fn network() -> Network {
    Network {
        subnets: vec!["subnet-1".to_owned()],
        security_groups: vec!["sg-1".to_owned()],
        public_ip: false,
    }
}

/// lockkeeper as an image, with these migrations and this database.
fn migrations(project: &Project, database: &Database) -> Program {
    Program::new(env!("CARGO_BIN_EXE_lockkeeper"))
        .env("DATABASE_URL", &database.url)
        .env("LOCKKEEPER_DIR", project.migrations().display().to_string())
}

/// A table with so many rows, and a column to be filled by a batch each.
fn fill(rows: u32) -> Project {
    let table = format!(
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL);\n\
         INSERT INTO t SELECT i, 0 FROM generate_series(1, {rows}) AS i;\n"
    );
    let fill = "-- lockkeeper: batch rows=1000\nUPDATE t SET n = n + 1;\n";
    Project::with([("V1__table.sql", table.as_str()), ("V2__fill.sql", fill)])
}

/// A PostgreSQL database.
async fn postgres() -> Database {
    Database::of(Kind::Postgres15).await
}
