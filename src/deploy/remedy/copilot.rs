//! Changes as a part of a Copilot manifest (`copilot/SERVICE/manifest.yml`), to be merged into it.

use serde_json::{Map, Value, json};

use super::{Change, Setting};
use crate::deploy::facts::{Balancer, Facts, TargetGroup};

/// Of a list, Copilot takes the environment's alone.
const LIST: &str = "taskdef_overrides of an environment take the place of those at the top: copy \
                    the ones over that are to stay.";

pub(super) fn render(facts: &Facts, changes: &[Change]) -> String {
    let mut manifest = Value::Object(Map::new());
    let mut remarks = Vec::new();
    for change in changes {
        if let Err(remark) = enter(&mut manifest, facts, change) {
            remarks.push(format!("# {}: {remark}", change.summary()));
        }
    }
    let mut text = String::new();
    if manifest.as_object().is_some_and(|map| !map.is_empty()) {
        text.push_str("# Merge this into the service's manifest.yml, then `copilot svc deploy`.\n");
        if let Some(name) = &facts.origin.environment {
            if manifest.get("taskdef_overrides").is_some() {
                remarks.push(format!("# {LIST}"));
            }
            // What stands there goes before what stands at the top.
            manifest = json!({ "environments": { (name): manifest } });
        }
        // Maps, lists, strings and numbers have a form in YAML, so there is no error to show.
        text.push_str(&serde_saphyr::to_string(&manifest).unwrap_or_default());
    }
    for remark in remarks {
        // A name from a file mustn't end the comment.
        text.push_str(&remark.replace(char::is_control, " "));
        text.push('\n');
    }
    text
}

/// Enters a change, or says why a manifest has no field for it.
fn enter(manifest: &mut Value, facts: &Facts, change: &Change) -> Result<(), String> {
    let nothing = "a manifest has no such field";
    let seconds = change.to.map(|to| Value::from(format!("{to}s")));
    let group = change.setting.group(facts);
    match &change.setting {
        Setting::Grace => {
            let group = facts.target_groups.first().ok_or(
                "a manifest has this field only at a load balancer's health check (`http` or `nlb`)",
            )?;
            checked(manifest, group, "grace_period", seconds);
        }
        Setting::CheckInterval { .. } => {
            checked(manifest, group.ok_or(nothing)?, "interval", seconds);
        }
        Setting::UnhealthyThreshold { .. } => {
            let to = change.to.map(Value::from);
            checked(manifest, group.ok_or(nothing)?, "unhealthy_threshold", to);
        }
        Setting::DeregistrationDelay { .. } => {
            let of = section(group.ok_or(nothing)?);
            set(manifest, &[of, "deregistration_delay"], seconds);
        }
        Setting::StartPeriod { container } => {
            let path = match main(facts) == Some(container) {
                true => vec!["image", "healthcheck", "start_period"],
                false => vec!["sidecars", container, "healthcheck", "start_period"],
            };
            set(manifest, &path, seconds);
        }
        Setting::StopTimeout { container } => {
            let containers = &facts.next.containers;
            let index = containers.iter().position(|one| one.name == *container);
            let index = index.ok_or("the task definition has no such container")?;
            let path = format!("ContainerDefinitions[{index}].StopTimeout");
            overrides(manifest, json!({ "path": path, "value": change.to }));
        }
        Setting::StartTimeout { .. } => {
            return Err("Copilot sets none: take it out of your taskdef_overrides".to_owned());
        }
        // `default` is a minimum of 100 % and a maximum of 200 %.
        Setting::MaximumPercent if facts.service.minimum_percent_or_default() == 100 => {
            set(manifest, &["deployment", "rolling"], Some("default".into()));
        }
        Setting::MaximumPercent => {
            return Err(format!("{nothing} but deployment.rolling, `default` or `recreate`"));
        }
        Setting::DummyListener { .. } => {
            return Err(format!("{nothing}; make the listener by the AWS CLI, or in an add-on"));
        }
        Setting::CodeDeployWait => {
            return Err("Copilot doesn't deploy by CodeDeploy".to_owned());
        }
    }
    Ok(())
}

/// Where a manifest speaks of a load balancer.
fn section(group: &TargetGroup) -> &'static str {
    match group.balancer {
        Balancer::Network | Balancer::Gateway => "nlb",
        Balancer::Application => "http",
    }
}

/// A field of the health check. Where the manifest has the check as a mere path, this replaces it,
/// so the path comes along.
fn checked(manifest: &mut Value, group: &TargetGroup, field: &str, value: Option<Value>) {
    let section = section(group);
    set(manifest, &[section, "healthcheck", field], value);
    if let Some(path) = group.check.path.as_deref().filter(|_| section == "http") {
        set(manifest, &["http", "healthcheck", "path"], Some(path.into()));
    }
}

/// Copilot calls the container of the service by the service's name; it is what is registered.
fn main(facts: &Facts) -> Option<&String> {
    let registered = facts.service.load_balancers.first().map(|one| &one.container);
    registered.or(facts.next.containers.first().map(|one| &one.name))
}

fn set(manifest: &mut Value, path: &[&str], value: Option<Value>) {
    let mut place = manifest;
    for name in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[*name];
    }
    *place = value.unwrap_or(Value::Null);
}

fn overrides(manifest: &mut Value, entry: Value) {
    let place = &mut manifest["taskdef_overrides"];
    match place.as_array_mut() {
        Some(list) => list.push(entry),
        None => *place = Value::Array(vec![entry]),
    }
}
