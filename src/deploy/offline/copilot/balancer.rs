//! `http` and `nlb`: target groups, their checks, and what is registered there.

use serde_json::Value;

use super::manifest::{Http, HttpCheck, Manifest, Nlb, TargetCheck};
use super::seconds::Seconds;
use crate::deploy::facts::{self, Attachment, Balancer, Protocol, Reference, TargetGroup};

/// Copilot's own; the load balancer's would be 300.
const DEREGISTRATION_DELAY: u64 = 60;

/// Copilot's own; ECS's would be 0.
const GRACE: u64 = 60;

/// Each target group, with what is registered there. CloudFormation makes up their names, so they
/// are called as the manifest's sections are. Copilot always makes the listener too.
pub fn balanced(manifest: &Manifest) -> Vec<(Attachment, TargetGroup)> {
    let mut found = Vec::new();
    if let Some(http) = manifest.http.get() {
        found.push(of_http(manifest, "http".to_owned(), http));
        for (number, rule) in http.additional_rules.iter().enumerate() {
            found.push(of_http(manifest, format!("http.additional_rules[{number}]"), rule));
        }
    }
    if let Some(nlb) = manifest.nlb.get() {
        found.push(of_nlb(manifest, "nlb".to_owned(), nlb));
        for (number, listener) in nlb.additional_listeners.iter().enumerate() {
            found.push(of_nlb(manifest, format!("nlb.additional_listeners[{number}]"), listener));
        }
    }
    found
}

/// A service has one grace period: `http` says it, or else `nlb`.
pub fn grace(manifest: &Manifest) -> Option<u64> {
    let of_http = manifest.http.get().and_then(|http| match &http.healthcheck {
        Some(HttpCheck::Whole(check)) => check.grace_period,
        _ => None,
    });
    let of_nlb = || manifest.nlb.get().and_then(|nlb| nlb.healthcheck.grace_period);
    Some(of_http.or_else(of_nlb).map_or(GRACE, |Seconds(seconds)| seconds))
}

fn of_http(manifest: &Manifest, name: String, http: &Http) -> (Attachment, TargetGroup) {
    let attachment =
        attachment(manifest, &name, http.target_container.as_deref(), http.target_port);
    let check = match &http.healthcheck {
        Some(HttpCheck::Whole(check)) => check.clone(),
        Some(HttpCheck::Path(path)) => {
            TargetCheck { path: Some(path.clone()), ..TargetCheck::default() }
        }
        None => TargetCheck::default(),
    };
    // A container that is reached at 443 speaks TLS.
    let protocol = match check.port.unwrap_or(attachment.port) {
        443 => Protocol::Https,
        _ => Protocol::Http,
    };
    let check = facts::TargetCheck {
        protocol,
        path: Some(check.path.clone().unwrap_or_else(|| "/".to_owned())),
        success: Some(check.success_codes.as_ref().map_or_else(|| "200".to_owned(), words)),
        ..timing(&check, facts::TargetCheck::default())
    };
    let group = group(name, Balancer::Application, check, http.deregistration_delay, Some(443));
    (attachment, group)
}

fn of_nlb(manifest: &Manifest, name: String, nlb: &Nlb) -> (Attachment, TargetGroup) {
    let port = nlb.port.as_ref().and_then(port);
    let target_port = nlb.target_port.or_else(|| {
        // The listener's port serves both, unless a container says otherwise.
        let of_container = nlb.target_container.is_none().then_some(manifest.image.port);
        of_container.flatten().or(port)
    });
    let attachment = attachment(manifest, &name, nlb.target_container.as_deref(), target_port);
    let usual = facts::TargetCheck { timeout: 10, ..facts::TargetCheck::default() };
    let check = facts::TargetCheck {
        protocol: Protocol::Tcp,
        path: None,
        ..timing(&nlb.healthcheck, usual)
    };
    let group = group(name, Balancer::Network, check, nlb.deregistration_delay, port);
    (attachment, group)
}

fn timing(check: &TargetCheck, usual: facts::TargetCheck) -> facts::TargetCheck {
    let seconds = |given: Option<Seconds>, usual| given.map_or(usual, |Seconds(given)| given);
    facts::TargetCheck {
        port: check.port.map(|port| port.to_string()),
        interval: seconds(check.interval, usual.interval),
        timeout: seconds(check.timeout, usual.timeout),
        healthy: check.healthy_threshold.unwrap_or(usual.healthy),
        unhealthy: check.unhealthy_threshold.unwrap_or(usual.unhealthy),
        ..usual
    }
}

fn group(
    name: String,
    balancer: Balancer,
    check: facts::TargetCheck,
    delay: Option<Seconds>,
    port: Option<u16>,
) -> TargetGroup {
    // An ALB's listeners are the environment's, at 80, and at 443 where it has a domain.
    let port = port.filter(|_| balancer == Balancer::Network);
    let reference = Reference { listener: name.clone(), port, rule: None, weight: None };
    TargetGroup {
        name,
        balancer,
        check,
        deregistration_delay: Some(delay.map_or(DEREGISTRATION_DELAY, |Seconds(delay)| delay)),
        references: vec![reference],
        ..TargetGroup::default()
    }
}

fn attachment(
    manifest: &Manifest,
    group: &str,
    container: Option<&str>,
    port: Option<u16>,
) -> Attachment {
    let container = container.unwrap_or(&manifest.name);
    let of_sidecar = || manifest.sidecars.get(container)?.port.as_ref().and_then(self::port);
    let exposed = port.or_else(of_sidecar).or(manifest.image.port);
    Attachment {
        target_group: group.to_owned(),
        alternate: None,
        container: container.to_owned(),
        // Copilot's default where nobody exposes one.
        port: exposed.unwrap_or(80),
    }
}

/// `8080`, or `8080/udp`.
pub fn port(value: &Value) -> Option<u16> {
    words(value).split('/').next()?.trim().parse().ok()
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
