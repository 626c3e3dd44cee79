//! From the load balancers' words to facts.

use super::elb::{Action, Attribute, Listener, Rule, TargetGroup, TargetHealthDescription};
use crate::deploy::facts::{self, Balancer, Protocol, Reference, Target, TargetCheck, TargetState};

impl TargetGroup {
    /// The facts in it and in its attributes.
    pub fn facts(&self, attributes: &[Attribute]) -> facts::TargetGroup {
        let attribute = |key: &str| {
            let found = attributes.iter().find(|one| one.key == key)?;
            found.value.as_deref()
        };
        let balancer = self.balancer();
        facts::TargetGroup {
            name: self.target_group_name.clone().unwrap_or_default(),
            arn: self.target_group_arn.clone().unwrap_or_default(),
            balancer,
            check: self.check(balancer),
            deregistration_delay: attribute("deregistration_delay.timeout_seconds")
                .and_then(|seconds| seconds.parse().ok()),
            connection_termination: attribute(
                "deregistration_delay.connection_termination.enabled",
            )
            .map(|word| word == "true"),
            ..facts::TargetGroup::default()
        }
    }

    /// What a target group speaks says whom it is for.
    fn balancer(&self) -> Balancer {
        match self.protocol.as_deref() {
            Some("TCP" | "TLS" | "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC") => Balancer::Network,
            Some("GENEVE") => Balancer::Gateway,
            _ => Balancer::Application,
        }
    }

    fn check(&self, balancer: Balancer) -> TargetCheck {
        let usual = TargetCheck::default();
        let protocol = match self.health_check_protocol.as_deref() {
            Some("HTTP") => Protocol::Http,
            Some("HTTPS") => Protocol::Https,
            Some("TCP") => Protocol::Tcp,
            Some(_) => Protocol::Other,
            None if balancer == Balancer::Application => Protocol::Http,
            None => Protocol::Tcp,
        };
        let is_http = matches!(protocol, Protocol::Http | Protocol::Https);
        let matcher = self.matcher.clone().unwrap_or_default();
        TargetCheck {
            protocol,
            path: self.health_check_path.clone().or(usual.path).filter(|_| is_http),
            port: self.health_check_port.clone(),
            interval: self.health_check_interval_seconds.unwrap_or(usual.interval),
            timeout: self.health_check_timeout_seconds.unwrap_or(match (balancer, protocol) {
                (Balancer::Network, Protocol::Http) => 6,
                (Balancer::Network, _) => 10,
                _ => usual.timeout,
            }),
            healthy: self.healthy_threshold_count.unwrap_or(usual.healthy),
            unhealthy: self.unhealthy_threshold_count.unwrap_or(usual.unhealthy),
            success: matcher.http_code.or(matcher.grpc_code),
        }
    }
}

impl From<TargetHealthDescription> for Target {
    fn from(from: TargetHealthDescription) -> Self {
        Target {
            id: from.target.id,
            port: from.target.port,
            state: match from.target_health.state.as_deref() {
                Some("initial") => TargetState::Initial,
                Some("healthy") => TargetState::Healthy,
                Some("unhealthy") => TargetState::Unhealthy,
                Some("unhealthy.draining") => TargetState::UnhealthyDraining,
                Some("unused") => TargetState::Unused,
                Some("draining") => TargetState::Draining,
                _ => TargetState::Unavailable,
            },
            reason: from.target_health.reason,
            description: from.target_health.description,
        }
    }
}

/// Who forwards to the target group of this ARN.
pub fn references(group: &str, listeners: &[Listener], rules: &[Rule]) -> Vec<Reference> {
    let mut found = Vec::new();
    for listener in listeners {
        let arn = listener.listener_arn.clone().unwrap_or_default();
        for weight in shares(group, listener.default_actions.as_deref()) {
            let listener = arn.clone();
            found.push(Reference {
                listener,
                port: listener_port(&arn, listeners),
                rule: None,
                weight,
            });
        }
    }
    // The default action is a rule too.
    for rule in rules.iter().filter(|rule| rule.is_default != Some(true)) {
        let listener = listener_of(rule);
        for weight in shares(group, rule.actions.as_deref()) {
            found.push(Reference {
                port: listener_port(&listener, listeners),
                listener: listener.clone(),
                rule: rule.rule_arn.clone(),
                weight,
            });
        }
    }
    found
}

fn listener_port(arn: &str, listeners: &[Listener]) -> Option<u16> {
    listeners.iter().find(|one| one.listener_arn.as_deref() == Some(arn))?.port
}

/// The shares that the actions give this group: none where they don't forward to it.
fn shares(group: &str, actions: Option<&[Action]>) -> Vec<Option<u32>> {
    let mut found = Vec::new();
    for action in actions.unwrap_or_default() {
        let forward = action.forward_config.as_ref();
        let tuples = forward.and_then(|forward| forward.target_groups.as_deref());
        // A single group stands in both places.
        match tuples {
            Some(tuples) if !tuples.is_empty() => {
                let here =
                    tuples.iter().filter(|one| one.target_group_arn.as_deref() == Some(group));
                found.extend(here.map(|one| one.weight));
            }
            _ if action.target_group_arn.as_deref() == Some(group) => found.push(None),
            _ => {}
        }
    }
    found
}

/// `…:listener-rule/app/shop/1/2/3` is a rule of `…:listener/app/shop/1/2`.
fn listener_of(rule: &Rule) -> String {
    let arn = rule.rule_arn.as_deref().unwrap_or_default();
    let derived = || {
        let (listener, _) = arn.rsplit_once('/')?;
        Some(listener.replacen(":listener-rule/", ":listener/", 1))
    };
    rule.listener_arn.clone().or_else(derived).unwrap_or_default()
}
