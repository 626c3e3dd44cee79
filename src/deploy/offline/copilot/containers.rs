//! The service's own container, and its sidecars.

use std::collections::BTreeMap;

use serde_json::Value;

use super::balancer::port;
use super::manifest::{ContainerCheck, Manifest, Override, Sidecar, SidecarImage, Words};
use super::seconds::Seconds;
use crate::deploy::facts::{self, Condition, Container, Dependency, Unknown};

/// What people set by an override most, since manifests have no field for it.
const STOP_TIMEOUT: &str = "ContainerDefinitions[0].StopTimeout";

/// All containers, the service's own first.
pub fn all(manifest: &Manifest) -> Vec<Container> {
    let sidecars = manifest.sidecars.iter().map(|(name, sidecar)| of_sidecar(name, sidecar));
    std::iter::once(own(manifest)).chain(sidecars).collect()
}

/// Overrides of the task definition that aren't understood.
pub fn unread(manifest: &Manifest) -> impl Iterator<Item = Unknown> {
    let others = manifest.taskdef_overrides.iter().filter(|one| stop_timeout(one).is_none());
    others.map(|one| Unknown {
        what: format!("what {} of the task definition is", one.path),
        why: "taskdef_overrides change it in a way that isn't read here".to_owned(),
        permission: None,
    })
}

fn own(manifest: &Manifest) -> Container {
    let image = &manifest.image;
    Container {
        name: manifest.name.clone(),
        image: image.location.clone().unwrap_or_default(),
        entry_point: words(&manifest.entrypoint),
        command: words(&manifest.command),
        stop_timeout: manifest.taskdef_overrides.iter().find_map(stop_timeout),
        check: image.healthcheck.as_ref().map(check),
        depends_on: dependencies(&image.depends_on),
        ports: image.port.into_iter().collect(),
        environment: names(&manifest.variables, &manifest.secrets),
        ..Container::default()
    }
}

fn of_sidecar(name: &str, sidecar: &Sidecar) -> Container {
    let image = match &sidecar.image {
        SidecarImage::Location(location) => Some(location.clone()),
        SidecarImage::Map { location } => location.clone(),
    };
    Container {
        name: name.to_owned(),
        image: image.unwrap_or_default(),
        essential: sidecar.essential.unwrap_or(true),
        entry_point: words(&sidecar.entrypoint),
        command: words(&sidecar.command),
        check: sidecar.healthcheck.as_ref().map(check),
        depends_on: dependencies(&sidecar.depends_on),
        ports: sidecar.port.as_ref().and_then(port).into_iter().collect(),
        environment: names(&sidecar.variables, &sidecar.secrets),
        ..Container::default()
    }
}

fn stop_timeout(one: &Override) -> Option<u64> {
    if one.path != STOP_TIMEOUT {
        return None;
    }
    one.value.as_u64()
}

/// Copilot's defaults are shorter than ECS's.
fn check(from: &ContainerCheck) -> facts::ContainerCheck {
    let seconds = |given: Option<Seconds>, usual| given.map_or(usual, |Seconds(given)| given);
    let command = || vec!["CMD-SHELL".to_owned(), "curl -f http://localhost/ || exit 1".to_owned()];
    facts::ContainerCheck {
        command: from.command.clone().unwrap_or_else(command),
        interval: seconds(from.interval, 10),
        timeout: seconds(from.timeout, 5),
        retries: from.retries.unwrap_or(2),
        start_period: seconds(from.start_period, 0),
    }
}

fn dependencies(from: &BTreeMap<String, String>) -> Vec<Dependency> {
    let dependency = |(container, condition): (&String, &String)| {
        let condition = match condition.to_ascii_lowercase().as_str() {
            "start" => Condition::Start,
            "complete" => Condition::Complete,
            "success" => Condition::Success,
            "healthy" => Condition::Healthy,
            _ => return None,
        };
        Some(Dependency { container: container.clone(), condition })
    };
    from.iter().filter_map(dependency).collect()
}

fn words(from: &Words) -> Vec<String> {
    match from {
        Words::List(words) => words.clone(),
        Words::Line(line) => line.split_whitespace().map(str::to_owned).collect(),
    }
}

fn names(variables: &BTreeMap<String, Value>, secrets: &BTreeMap<String, Value>) -> Vec<String> {
    variables.keys().chain(secrets.keys()).cloned().collect()
}
