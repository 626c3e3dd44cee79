//! What the load balancers say: `describe-target-groups` and its kin.

use serde::Deserialize;

use super::number::number;

/// A target group.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TargetGroup {
    pub target_group_arn: Option<String>,
    pub target_group_name: Option<String>,
    pub protocol: Option<String>,
    pub health_check_protocol: Option<String>,
    pub health_check_port: Option<String>,
    pub health_check_path: Option<String>,
    #[serde(deserialize_with = "number")]
    pub health_check_interval_seconds: Option<u64>,
    #[serde(deserialize_with = "number")]
    pub health_check_timeout_seconds: Option<u64>,
    #[serde(deserialize_with = "number")]
    pub healthy_threshold_count: Option<u32>,
    #[serde(deserialize_with = "number")]
    pub unhealthy_threshold_count: Option<u32>,
    pub matcher: Option<Matcher>,
    pub load_balancer_arns: Option<Vec<String>>,
}

/// Which answers are a success.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Matcher {
    pub http_code: Option<String>,
    pub grpc_code: Option<String>,
}

/// An attribute of a target group.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Attribute {
    pub key: String,
    pub value: Option<String>,
}

/// A target, and how it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TargetHealthDescription {
    pub target: TargetDescription,
    pub target_health: TargetHealth,
}

/// A target.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TargetDescription {
    pub id: String,
    #[serde(deserialize_with = "number")]
    pub port: Option<u16>,
}

/// How a target is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TargetHealth {
    pub state: Option<String>,
    pub reason: Option<String>,
    pub description: Option<String>,
}

/// A listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Listener {
    pub listener_arn: Option<String>,
    #[serde(deserialize_with = "number")]
    pub port: Option<u16>,
    pub default_actions: Option<Vec<Action>>,
}

/// A rule of a listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Rule {
    pub rule_arn: Option<String>,
    /// Not in AWS's own document, where the rule's ARN tells it.
    pub listener_arn: Option<String>,
    pub is_default: Option<bool>,
    pub actions: Option<Vec<Action>>,
}

/// What a listener or a rule does.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct Action {
    pub target_group_arn: Option<String>,
    pub forward_config: Option<ForwardConfig>,
}

/// Target groups that share the traffic.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct ForwardConfig {
    pub target_groups: Option<Vec<TargetGroupTuple>>,
}

/// A target group and its share.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "they are AWS's own names")]
pub struct TargetGroupTuple {
    pub target_group_arn: Option<String>,
    #[serde(deserialize_with = "number")]
    pub weight: Option<u32>,
}
