//! The manifest of an AWS Copilot service.
//!
//! What a manifest leaves out is what Copilot's own documentation and templates say (its last
//! release, 1.34): the load balancer's defaults for the target group's check, but a grace period
//! and a deregistration delay of 60 s, and container checks of its own.

mod balancer;
mod containers;
mod count;
mod manifest;
mod seconds;
mod settle;

use serde_json::{Map, Value};

use super::document::{part, value};
use super::{Document, OfflineError, choose};
use crate::deploy::facts::{
    Attachment, Breaker, Facts, Origin, Service, TargetGroup, TaskDefinition, Unknown,
};
use manifest::Manifest;

/// Kinds of workloads that are services on ECS.
const SERVICES: [&str; 3] = ["Load Balanced Web Service", "Backend Service", "Worker Service"];

/// The facts in such a manifest, for one environment, whose name is said where the changes go.
///
/// # Errors
/// When it can't be read, isn't of a service on ECS, isn't of this service, or lacks the environment.
pub fn facts(
    document: &Document,
    service: Option<&str>,
    environment: Option<&str>,
) -> Result<Facts, OfflineError> {
    let mut manifest = value(document)?;
    settle::drop_empty(&mut manifest);
    let mut unknown = Vec::new();
    let overrides = manifest.as_object_mut().and_then(|top| top.remove("environments"));
    let overrides = match overrides {
        Some(Value::Object(overrides)) => overrides,
        _ => Map::new(),
    };
    match environment {
        Some(name) => apply(&mut manifest, overrides, name, document)?,
        None => unknown.extend(unchosen(&overrides)),
    }
    settle::take_filled_in(&mut manifest, "", &mut unknown);
    unknown.extend(settle::unread(&manifest));
    let manifest: Manifest = part(&document.path, "", manifest)?;
    if !SERVICES.contains(&manifest.r#type.as_str()) {
        let (path, kind) = (document.path.clone(), manifest.r#type);
        return Err(OfflineError::NotDeployed { path, kind });
    }
    let manifest = choose(vec![(manifest.name.clone(), manifest)], service, &document.path)?;
    let origin = Origin { environment: environment.map(str::to_owned), ..Origin::default() };
    Ok(Facts { origin, ..gather(manifest, unknown) })
}

/// Lays an environment's overrides over the manifest.
fn apply(
    manifest: &mut Value,
    mut overrides: Map<String, Value>,
    chosen: &str,
    document: &Document,
) -> Result<(), OfflineError> {
    let names = overrides.keys().cloned().collect();
    match overrides.remove(chosen) {
        // An environment may be named without any overrides.
        Some(Value::Null) => Ok(()),
        Some(found) => {
            lay_over(manifest, found);
            Ok(())
        }
        None => {
            let (path, name) = (document.path.clone(), chosen.to_owned());
            Err(OfflineError::NotThatEnvironment { path, name, names })
        }
    }
}

/// Which overrides weren't laid over the manifest.
fn unchosen(overrides: &Map<String, Value>) -> Option<Unknown> {
    let names = overrides.keys().cloned().collect::<Vec<_>>().join(", ");
    (!overrides.is_empty()).then(|| Unknown {
        what: format!("what differs in the environments {names}"),
        why: "none of them was chosen".to_owned(),
        permission: None,
    })
}

/// Maps are laid over each other; anything else takes the place of what was there.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

fn gather(manifest: Manifest, mut unknown: Vec<Unknown>) -> Facts {
    let (desired, launch) = count::tasks(&manifest.count);
    let balanced = balancer::balanced(&manifest);
    let recreates = manifest.deployment.rolling.as_deref() == Some("recreate");
    let containers = containers::all(&manifest);
    unknown.extend(containers::unread(&manifest));
    let (attachments, target_groups): (Vec<Attachment>, Vec<TargetGroup>) =
        balanced.into_iter().unzip();
    let service = Service {
        name: manifest.name.clone(),
        desired,
        grace: balancer::grace(&manifest).filter(|_| !attachments.is_empty()),
        minimum_percent: Some(if recreates { 0 } else { 100 }),
        maximum_percent: Some(if recreates { 100 } else { 200 }),
        breaker: Some(Breaker { rollback: true, threshold: None, resets: false }),
        launch,
        load_balancers: attachments,
        ..Service::default()
    };
    let next = TaskDefinition {
        family: manifest.name,
        cpu: Some(manifest.cpu.unwrap_or(256)),
        memory: Some(manifest.memory.unwrap_or(512)),
        network_mode: Some("awsvpc".to_owned()),
        containers,
        ..TaskDefinition::default()
    };
    Facts { service, next, target_groups, knows_listeners: true, unknown, ..Facts::default() }
}
