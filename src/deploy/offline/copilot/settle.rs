//! What stands in a manifest but can't be read as it stands: nothing, `${…}`, and unknown keys.

use serde_json::{Map, Value};

use crate::deploy::facts::Unknown;

/// Fields that are no text. Copilot fills in `${…}` anywhere.
const FIGURES: [&str; 19] = [
    "count",
    "cpu",
    "memory",
    "port",
    "target_port",
    "interval",
    "timeout",
    "retries",
    "start_period",
    "grace_period",
    "healthy_threshold",
    "unhealthy_threshold",
    "deregistration_delay",
    "range",
    "min",
    "max",
    "spot",
    "spot_from",
    "essential",
];

/// Names that people choose, with whatever they mean by them.
const NAMES: [&str; 2] = ["variables", "secrets"];

const HTTP: [&str; 12] = [
    "path",
    "healthcheck",
    "deregistration_delay",
    "target_container",
    "targetContainer",
    "target_port",
    "additional_rules",
    "stickiness",
    "allowed_source_ips",
    "alias",
    "hosted_zone",
    "redirect_to_https",
];
const NLB: [&str; 9] = [
    "port",
    "healthcheck",
    "target_container",
    "target_port",
    "deregistration_delay",
    "additional_listeners",
    "stickiness",
    "alias",
    "ssl_policy",
];
const TARGET_CHECK: [&str; 8] = [
    "path",
    "port",
    "success_codes",
    "healthy_threshold",
    "unhealthy_threshold",
    "interval",
    "timeout",
    "grace_period",
];
const CONTAINER_CHECK: [&str; 5] = ["command", "interval", "retries", "timeout", "start_period"];

/// Takes out what has nothing under it: it is as if it weren't there.
pub fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // One without overrides is an environment nevertheless.
            if let Some(Value::Object(all)) = map.get_mut("environments") {
                let empty = all.values_mut().filter(|one| one.is_null());
                empty.for_each(|one| *one = Value::Object(Map::new()));
            }
            map.retain(|_, value| !value.is_null());
            let inner = map.iter_mut().filter(|(key, _)| !NAMES.contains(&key.as_str()));
            inner.for_each(|(_, value)| drop_empty(value));
        }
        Value::Array(all) => all.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

/// Takes out the figures that Copilot fills in from its environment, and says which.
pub fn take_filled_in(value: &mut Value, at: &str, unknown: &mut Vec<Unknown>) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| {
                let filled = value.as_str().filter(|text| text.contains("${"));
                let Some(text) = filled.filter(|_| FIGURES.contains(&key.as_str())) else {
                    return true;
                };
                unknown.push(Unknown {
                    what: join(at, key),
                    why: format!("Copilot fills in {text} when it deploys"),
                    permission: None,
                });
                false
            });
            for (key, inner) in map.iter_mut().filter(|(key, _)| !NAMES.contains(&key.as_str())) {
                take_filled_in(inner, &join(at, key), unknown);
            }
        }
        Value::Array(all) => {
            for (number, inner) in all.iter_mut().enumerate() {
                take_filled_in(inner, &format!("{at}[{number}]"), unknown);
            }
        }
        _ => {}
    }
}

/// Keys of load balancers and checks that aren't read, and aren't known to change nothing.
pub fn unread(manifest: &Value) -> Vec<Unknown> {
    let mut found = Vec::new();
    balanced(manifest.get("http"), "http", ("additional_rules", &HTTP), &mut found);
    balanced(manifest.get("nlb"), "nlb", ("additional_listeners", &NLB), &mut found);
    let check = manifest.pointer("/image/healthcheck");
    strange(check, "image.healthcheck", &CONTAINER_CHECK, &mut found);
    for (name, sidecar) in manifest.get("sidecars").and_then(Value::as_object).into_iter().flatten()
    {
        let at = format!("sidecars.{name}.healthcheck");
        strange(sidecar.get("healthcheck"), &at, &CONTAINER_CHECK, &mut found);
    }
    found
}

fn balanced(
    section: Option<&Value>,
    at: &str,
    (more, known): (&str, &[&str]),
    found: &mut Vec<Unknown>,
) {
    let Some(section) = section else { return };
    strange(Some(section), at, known, found);
    strange(section.get("healthcheck"), &join(at, "healthcheck"), &TARGET_CHECK, found);
    let others = section.get(more).and_then(Value::as_array).into_iter().flatten();
    for (number, other) in others.enumerate() {
        balanced(Some(other), &format!("{at}.{more}[{number}]"), (more, known), found);
    }
}

fn strange(section: Option<&Value>, at: &str, known: &[&str], found: &mut Vec<Unknown>) {
    let keys = section.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    found.extend(keys.filter(|key| !known.contains(&key.as_str())).map(|key| Unknown {
        what: join(at, key),
        why: "it isn't read, and may be misspelt".to_owned(),
        permission: None,
    }));
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}
