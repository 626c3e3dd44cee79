//! Task definitions: what was registered, and the part of it that the fake acts on.

use serde::Deserialize;
use serde_json::{Value, json};

/// A registered revision.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its ARN.
    pub arn: String,
    /// `family`.
    pub family: String,
    /// `revision`, from 1.
    pub revision: u32,
    /// As it was registered, defaults filled in.
    pub json: Value,
    /// Its containers.
    pub containers: Vec<ContainerSpec>,
}

/// One of `containerDefinitions`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSpec {
    /// `name`.
    pub name: String,
    /// `image`.
    #[serde(default)]
    pub image: String,
    /// `essential`, by default true.
    #[serde(default = "yes")]
    pub essential: bool,
    /// `entryPoint`.
    #[serde(default)]
    pub entry_point: Vec<String>,
    /// `command`.
    #[serde(default)]
    pub command: Vec<String>,
    /// `environment`.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// `stopTimeout` in seconds.
    pub stop_timeout: Option<u64>,
    /// `startTimeout` in seconds.
    pub start_timeout: Option<u64>,
    /// `healthCheck`.
    pub health_check: Option<CheckSpec>,
    /// `dependsOn`.
    #[serde(default)]
    pub depends_on: Vec<DependencySpec>,
    /// `portMappings`.
    #[serde(default)]
    pub port_mappings: Vec<PortSpec>,
    /// `logConfiguration`.
    pub log_configuration: Option<LogSpec>,
}

fn yes() -> bool {
    true
}

impl ContainerSpec {
    /// The stop timeout; ECS's default is 30 s, and Fargate's longest 120 s.
    pub fn stop_timeout(&self) -> f64 {
        self.stop_timeout.unwrap_or(30).min(120) as f64
    }

    /// Its log group and stream, where its log goes to CloudWatch.
    pub fn stream(&self, task: &str) -> Option<(String, String)> {
        let log = self.log_configuration.as_ref().filter(|log| log.log_driver == "awslogs")?;
        let option = |name: &str| log.options.get(name).and_then(Value::as_str);
        let prefix = option("awslogs-stream-prefix")?;
        Some((option("awslogs-group")?.to_owned(), format!("{prefix}/{}/{task}", self.name)))
    }
}

/// A name and a value.
#[derive(Debug, Clone, Deserialize)]
pub struct Variable {
    /// `name`.
    pub name: String,
    /// `value`.
    #[serde(default)]
    pub value: String,
}

/// `healthCheck` of a container, in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckSpec {
    /// `["CMD", …]` or `["CMD-SHELL", "…"]`.
    pub command: Vec<String>,
    /// `interval`.
    #[serde(default = "thirty")]
    pub interval: f64,
    /// `timeout`.
    #[serde(default = "five")]
    pub timeout: f64,
    /// `retries`.
    #[serde(default = "three")]
    pub retries: u32,
    /// `startPeriod`.
    #[serde(default)]
    pub start_period: f64,
}

fn thirty() -> f64 {
    30.0
}

fn five() -> f64 {
    5.0
}

fn three() -> u32 {
    3
}

/// One of `dependsOn`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependencySpec {
    /// `containerName`.
    pub container_name: String,
    /// START, COMPLETE, SUCCESS, HEALTHY.
    pub condition: String,
}

/// One of `portMappings`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortSpec {
    /// `containerPort`.
    pub container_port: u16,
}

/// `logConfiguration`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogSpec {
    /// `logDriver`.
    pub log_driver: String,
    /// `options`.
    #[serde(default)]
    pub options: Value,
}

impl Definition {
    /// What is registered by this JSON, in the shape of RegisterTaskDefinition; an error in words
    /// where it isn't valid.
    pub fn new(mut json: Value, place: &str, revision: u32) -> Result<Self, String> {
        let family = json["family"].as_str().ok_or("Family can not be blank.")?.to_owned();
        let containers = json["containerDefinitions"].as_array_mut();
        let containers = containers.ok_or("Container list cannot be empty.")?;
        for container in containers.iter_mut() {
            let container =
                container.as_object_mut().ok_or("Container.name should not be null.")?;
            for (name, value) in defaults() {
                container.entry(name).or_insert(value);
            }
        }
        let containers: Vec<ContainerSpec> =
            serde_json::from_value(json["containerDefinitions"].clone())
                .map_err(|error| format!("Container definition is not valid: {error}"))?;
        if !containers.iter().any(|one| one.essential) {
            return Err("Invalid setting for container. At least one container in a task \
                        definition must be marked as essential."
                .to_owned());
        }
        let arn = format!("{place}:task-definition/{family}:{revision}");
        json["taskDefinitionArn"] = json!(arn);
        json["revision"] = json!(revision);
        json["status"] = json!("ACTIVE");
        Ok(Definition { arn, family, revision, json, containers })
    }
}

/// What ECS fills in.
fn defaults() -> [(&'static str, Value); 5] {
    [
        ("cpu", json!(0)),
        ("essential", json!(true)),
        ("environment", json!([])),
        ("portMappings", json!([])),
        ("mountPoints", json!([])),
    ]
}
