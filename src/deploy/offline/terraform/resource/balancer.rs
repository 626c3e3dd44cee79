//! Target groups, listeners and their rules.

use serde::Deserialize;

use super::first;
use crate::deploy::reply::elb;
use crate::deploy::reply::number::number;

/// `aws_lb_target_group`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TargetGroup {
    name: Option<String>,
    protocol: Option<String>,
    health_check: Option<Vec<HealthCheck>>,
    #[serde(deserialize_with = "number")]
    deregistration_delay: Option<u64>,
    connection_termination: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HealthCheck {
    protocol: Option<String>,
    port: Option<String>,
    path: Option<String>,
    matcher: Option<String>,
    #[serde(deserialize_with = "number")]
    interval: Option<u64>,
    #[serde(deserialize_with = "number")]
    timeout: Option<u64>,
    #[serde(deserialize_with = "number")]
    healthy_threshold: Option<u32>,
    #[serde(deserialize_with = "number")]
    unhealthy_threshold: Option<u32>,
}

impl TargetGroup {
    /// What AWS has as attributes.
    pub fn attributes(&self) -> Vec<elb::Attribute> {
        let delay = self.deregistration_delay.map(|delay| delay.to_string());
        let ends = self.connection_termination.map(|ends| ends.to_string());
        let attributes = [
            ("deregistration_delay.timeout_seconds", delay),
            ("deregistration_delay.connection_termination.enabled", ends),
        ];
        let attribute = |(key, value): (&str, Option<String>)| {
            Some(elb::Attribute { key: key.to_owned(), value: Some(value?) })
        };
        attributes.into_iter().filter_map(attribute).collect()
    }
}

impl From<TargetGroup> for elb::TargetGroup {
    fn from(from: TargetGroup) -> Self {
        // An empty string is what Terraform has where nothing is said.
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        // The provider's own default in a block; without one the load balancer's hold.
        let threshold = from.health_check.is_some().then_some(3);
        let check = first(from.health_check).unwrap_or_default();
        let matcher = said(check.matcher);
        elb::TargetGroup {
            target_group_name: said(from.name),
            protocol: from.protocol,
            health_check_protocol: said(check.protocol),
            health_check_port: said(check.port),
            health_check_path: said(check.path),
            health_check_interval_seconds: check.interval,
            health_check_timeout_seconds: check.timeout,
            healthy_threshold_count: check.healthy_threshold.or(threshold),
            unhealthy_threshold_count: check.unhealthy_threshold.or(threshold),
            matcher: matcher.map(|codes| elb::Matcher { http_code: Some(codes), grpc_code: None }),
            ..elb::TargetGroup::default()
        }
    }
}

/// `aws_lb_listener`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Listener {
    #[serde(deserialize_with = "number")]
    pub port: Option<u16>,
    pub default_action: Vec<Action>,
}

/// `aws_lb_listener_rule`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rule {
    pub listener_arn: Option<String>,
    pub action: Vec<Action>,
}

/// What a listener or a rule does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Action {
    r#type: Option<String>,
    forward: Option<Vec<Forward>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Forward {
    target_group: Vec<Share>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Share {
    #[serde(deserialize_with = "number")]
    weight: Option<u32>,
}

impl Action {
    /// The same as AWS says it. `key` finds the target group that an attribute of it means.
    pub fn reply(&self, key: impl Fn(&str) -> Option<String>) -> elb::Action {
        if self.r#type.as_deref() != Some("forward") {
            return elb::Action::default();
        }
        let shares = self.forward.iter().flatten().flat_map(|forward| &forward.target_group);
        let tuple = |(number, share): (usize, &Share)| elb::TargetGroupTuple {
            target_group_arn: key(&format!("forward/0/target_group/{number}/arn")),
            weight: share.weight,
        };
        elb::Action {
            target_group_arn: key("target_group_arn"),
            forward_config: Some(elb::ForwardConfig {
                target_groups: Some(shares.enumerate().map(tuple).collect()),
            }),
        }
    }
}
