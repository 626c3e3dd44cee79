//! A manifest's fields, as far as they say how a service is deployed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::seconds::Seconds;

/// A manifest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manifest {
    pub name: String,
    pub r#type: String,
    pub image: Image,
    pub http: OrOff<Http>,
    pub nlb: OrOff<Nlb>,
    pub cpu: Option<u32>,
    pub memory: Option<u32>,
    pub count: Count,
    pub entrypoint: Words,
    pub command: Words,
    pub variables: BTreeMap<String, Value>,
    pub secrets: BTreeMap<String, Value>,
    pub sidecars: BTreeMap<String, Sidecar>,
    pub deployment: Deployment,
    pub taskdef_overrides: Vec<Override>,
}

/// A section that `false` turns off.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Value", bound = "T: DeserializeOwned")]
pub enum OrOff<T> {
    #[default]
    Off,
    On(T),
}

impl<T: DeserializeOwned> TryFrom<Value> for OrOff<T> {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Bool(_) => Ok(OrOff::Off),
            section => within(section).map(OrOff::On),
        }
    }
}

impl<T> OrOff<T> {
    pub fn get(&self) -> Option<&T> {
        match self {
            OrOff::On(section) => Some(section),
            OrOff::Off => None,
        }
    }
}

/// `image` of a service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Image {
    pub location: Option<String>,
    pub port: Option<u16>,
    pub healthcheck: Option<ContainerCheck>,
    pub depends_on: BTreeMap<String, String>,
}

/// A container's own check.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerCheck {
    pub command: Option<Vec<String>>,
    pub interval: Option<Seconds>,
    pub retries: Option<u32>,
    pub timeout: Option<Seconds>,
    pub start_period: Option<Seconds>,
}

/// `http`, and each of its `additional_rules`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Http {
    pub healthcheck: Option<HttpCheck>,
    pub deregistration_delay: Option<Seconds>,
    #[serde(alias = "targetContainer")]
    pub target_container: Option<String>,
    pub target_port: Option<u16>,
    pub additional_rules: Vec<Http>,
}

/// A path alone, or all of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub enum HttpCheck {
    Path(String),
    Whole(TargetCheck),
}

impl TryFrom<Value> for HttpCheck {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(path) => Ok(HttpCheck::Path(path)),
            whole => within(whole).map(HttpCheck::Whole),
        }
    }
}

/// How a target is checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TargetCheck {
    pub path: Option<String>,
    pub port: Option<u16>,
    pub success_codes: Option<Value>,
    pub healthy_threshold: Option<u32>,
    pub unhealthy_threshold: Option<u32>,
    pub interval: Option<Seconds>,
    pub timeout: Option<Seconds>,
    pub grace_period: Option<Seconds>,
}

/// `nlb`, and each of its `additional_listeners`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Nlb {
    pub port: Option<Value>,
    pub healthcheck: TargetCheck,
    pub target_container: Option<String>,
    pub target_port: Option<u16>,
    pub deregistration_delay: Option<Seconds>,
    pub additional_listeners: Vec<Nlb>,
}

/// A number, or a map.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub enum Count {
    Tasks(u32),
    Scaled(Scaled),
}

impl TryFrom<Value> for Count {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            count @ Value::Number(_) => within(count).map(Count::Tasks),
            scaled => within(scaled).map(Count::Scaled),
        }
    }
}

impl Default for Count {
    fn default() -> Self {
        Count::Tasks(1)
    }
}

/// `count` as a map.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Scaled {
    pub spot: Option<u32>,
    pub range: Option<Range>,
}

/// `1-10`, or a map.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Range {
    Text(String),
    Map { min: u32, spot_from: Option<u32> },
}

/// A command: its words, or a line of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    List(Vec<String>),
    Line(String),
}

impl Default for Words {
    fn default() -> Self {
        Words::List(Vec::new())
    }
}

/// A sidecar.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sidecar {
    pub port: Option<Value>,
    pub image: SidecarImage,
    pub essential: Option<bool>,
    pub entrypoint: Words,
    pub command: Words,
    pub variables: BTreeMap<String, Value>,
    pub secrets: BTreeMap<String, Value>,
    pub depends_on: BTreeMap<String, String>,
    pub healthcheck: Option<ContainerCheck>,
}

/// A location alone, or a map.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum SidecarImage {
    Location(String),
    Map { location: Option<String> },
}

impl Default for SidecarImage {
    fn default() -> Self {
        SidecarImage::Map { location: None }
    }
}

/// `deployment`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    pub rolling: Option<String>,
}

/// An entry of `taskdef_overrides`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Override {
    pub path: String,
    pub value: Value,
}

/// A part that is read only when its kind is known: an error says where in it.
fn within<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string() {
        path if path == "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}
