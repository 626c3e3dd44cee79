//! Elastic Load Balancing, version 2.

use lockkeeper::deploy::facts::{Balancer, Protocol, TargetState};
use serde_json::{Value, json};

use super::super::target::{Forward, Group, Listener, Rule};
use super::super::world::World;
use super::{Refusal, Reply, strings};

impl World {
    /// Answers an operation of the load balancers. Members have AWS's names, which become elements.
    pub fn answer_query(&mut self, request: &Value) -> Reply {
        match request["Action"].as_str().unwrap_or_default() {
            "DescribeTargetGroups" => self.describe_groups(request),
            "DescribeTargetGroupAttributes" => self.describe_group_attributes(request),
            "DescribeTargetHealth" => self.describe_target_health(request),
            "DescribeListeners" => self.describe_listeners(request),
            "DescribeRules" => self.describe_rules(request),
            "DescribeLoadBalancers" => self.describe_balancers(request),
            other => Err(Refusal::new("InvalidAction", format!("unknown action {other}"))),
        }
    }

    fn group(&self, arn: &str) -> Result<&Group, Refusal> {
        let missing = || Refusal::new("TargetGroupNotFound", "One or more target groups not found");
        self.balancers.groups.get(arn).ok_or_else(missing)
    }

    fn describe_groups(&self, request: &Value) -> Reply {
        let (arns, names) = (strings(&request["TargetGroupArns"]), strings(&request["Names"]));
        for arn in &arns {
            self.group(arn)?;
        }
        let balancer = request["LoadBalancerArn"].as_str();
        let is_asked = |one: &&Group| {
            let facts = &one.facts;
            (arns.is_empty() || arns.contains(&facts.arn))
                && (names.is_empty() || names.contains(&facts.name))
                && balancer
                    .is_none_or(|arn| self.balancers.of(&facts.arn).iter().any(|one| one == arn))
        };
        let all: Vec<&Group> = self.balancers.groups.values().filter(is_asked).collect();
        if all.is_empty() && !names.is_empty() {
            return Err(Refusal::new("TargetGroupNotFound", "One or more target groups not found"));
        }
        let all: Vec<Value> = all.into_iter().map(|one| self.group_json(one)).collect();
        Ok(json!({ "TargetGroups": all }))
    }

    fn group_json(&self, group: &Group) -> Value {
        let facts = &group.facts;
        let check = &facts.check;
        let is_http = matches!(check.protocol, Protocol::Http | Protocol::Https);
        let port = self.services.values().flat_map(|one| &one.facts.load_balancers).find(|one| {
            one.target_group == facts.arn || one.alternate.as_ref() == Some(&facts.arn)
        });
        let mut json = json!({
            "TargetGroupArn": facts.arn,
            "TargetGroupName": facts.name,
            "Protocol": if facts.balancer == Balancer::Application { "HTTP" } else { "TCP" },
            "Port": port.map_or(80, |one| one.port),
            "VpcId": "vpc-1",
            "HealthCheckProtocol": protocol(check.protocol),
            "HealthCheckPort": check.port.as_deref().unwrap_or("traffic-port"),
            "HealthCheckEnabled": true,
            "HealthCheckIntervalSeconds": check.interval,
            "HealthCheckTimeoutSeconds": check.timeout,
            "HealthyThresholdCount": check.healthy,
            "UnhealthyThresholdCount": check.unhealthy,
            "LoadBalancerArns": self.balancers.of(&facts.arn),
            "TargetType": "ip",
            "IpAddressType": "ipv4",
        });
        if is_http {
            json["HealthCheckPath"] = json!(check.path.as_deref().unwrap_or("/"));
            let usual = if facts.balancer == Balancer::Application { "200" } else { "200-399" };
            json["Matcher"] = json!({ "HttpCode": check.success.as_deref().unwrap_or(usual) });
        }
        if facts.balancer == Balancer::Application {
            json["ProtocolVersion"] = json!("HTTP1");
        }
        json
    }

    fn describe_group_attributes(&self, request: &Value) -> Reply {
        let group = self.group(request["TargetGroupArn"].as_str().unwrap_or_default())?;
        let facts = &group.facts;
        let delay = facts.deregistration_delay_or_default().to_string();
        let mut all =
            vec![json!({ "Key": "deregistration_delay.timeout_seconds", "Value": delay })];
        if facts.balancer == Balancer::Network {
            let ends = facts.connection_termination.unwrap_or(false).to_string();
            let key = "deregistration_delay.connection_termination.enabled";
            all.push(json!({ "Key": key, "Value": ends }));
        }
        Ok(json!({ "Attributes": all }))
    }

    fn describe_target_health(&self, request: &Value) -> Reply {
        let group = self.group(request["TargetGroupArn"].as_str().unwrap_or_default())?;
        let check = group.facts.check.port.as_deref();
        let mut all: Vec<Value> = group
            .targets
            .iter()
            .filter(|one| asks_for(request, &one.address, one.port))
            .map(|one| {
                let port = check.filter(|port| port.parse::<u16>().is_ok());
                json!({
                    "Target": {
                        "Id": one.address, "Port": one.port, "AvailabilityZone": "eu-central-1a",
                    },
                    "HealthCheckPort": port.map_or_else(|| one.port.to_string(), str::to_owned),
                    "TargetHealth": {
                        "State": state(one.state),
                        "Reason": one.reason,
                        "Description": one.description,
                    },
                })
            })
            .collect();
        // One that is named and isn't there is answered all the same.
        if let (true, Some(id)) = (all.is_empty(), request["Targets.member.1.Id"].as_str()) {
            all.push(json!({
                "Target": { "Id": id, "Port": request["Targets.member.1.Port"] },
                "TargetHealth": {
                    "State": "unused",
                    "Reason": "Target.NotRegistered",
                    "Description": "Target is not registered to the target group",
                },
            }));
        }
        Ok(json!({ "TargetHealthDescriptions": all }))
    }

    fn describe_listeners(&self, request: &Value) -> Reply {
        let (balancer, arns) =
            (request["LoadBalancerArn"].as_str(), strings(&request["ListenerArns"]));
        let is_asked = |one: &&Listener| {
            balancer.is_none_or(|arn| one.balancer == arn)
                && (arns.is_empty() || arns.contains(&one.arn))
        };
        if balancer.is_some_and(|arn| !self.balancers.all.contains_key(arn)) {
            return Err(Refusal::new(
                "LoadBalancerNotFound",
                "One or more load balancers not found",
            ));
        }
        let json = |one: &Listener| {
            let kind = self.balancers.all.get(&one.balancer).map(|(_, kind)| *kind);
            json!({
                "ListenerArn": one.arn,
                "LoadBalancerArn": one.balancer,
                "Port": one.port,
                "Protocol": if kind == Some(Balancer::Application) { "HTTP" } else { "TCP" },
                "DefaultActions": [forward_json(&one.default)],
            })
        };
        let all: Vec<Value> = self.balancers.listeners.iter().filter(is_asked).map(json).collect();
        Ok(json!({ "Listeners": all }))
    }

    fn describe_rules(&self, request: &Value) -> Reply {
        let (asked, arns) = (request["ListenerArn"].as_str(), strings(&request["RuleArns"]));
        let is_asked = |one: &&Rule| {
            asked.is_none_or(|arn| one.listener == arn)
                && (arns.is_empty() || arns.contains(&one.arn))
        };
        let mut all: Vec<Value> =
            self.balancers.rules.iter().filter(is_asked).map(rule_json).collect();
        let listener = self.balancers.listeners.iter().find(|one| Some(one.arn.as_str()) == asked);
        if asked.is_some() && listener.is_none() {
            return Err(Refusal::new("ListenerNotFound", "One or more listeners not found"));
        }
        if let Some(listener) = listener {
            let resource = listener.arn.replace(":listener/", ":listener-rule/");
            all.push(json!({
                "RuleArn": format!("{resource}/default"),
                "Priority": "default",
                "Conditions": [],
                "Actions": [forward_json(&listener.default)],
                "IsDefault": true,
            }));
        }
        Ok(json!({ "Rules": all }))
    }

    fn describe_balancers(&self, request: &Value) -> Reply {
        let (arns, names) = (strings(&request["LoadBalancerArns"]), strings(&request["Names"]));
        let all = self.balancers.all.iter().filter(|(arn, (name, _))| {
            (arns.is_empty() || arns.contains(arn)) && (names.is_empty() || names.contains(name))
        });
        let all: Vec<Value> = all
            .map(|(arn, (name, kind))| {
                json!({
                    "LoadBalancerArn": arn,
                    "LoadBalancerName": name,
                    "DNSName": format!("{name}.eu-central-1.elb.amazonaws.com"),
                    "Scheme": "internet-facing",
                    "VpcId": "vpc-1",
                    "State": { "Code": "active" },
                    "Type": match kind {
                        Balancer::Application => "application",
                        Balancer::Network => "network",
                        Balancer::Gateway => "gateway",
                    },
                    "IpAddressType": "ipv4",
                })
            })
            .collect();
        if all.is_empty() && !(arns.is_empty() && names.is_empty()) {
            return Err(Refusal::new(
                "LoadBalancerNotFound",
                "One or more load balancers not found",
            ));
        }
        Ok(json!({ "LoadBalancers": all }))
    }
}

/// Whether a DescribeTargetHealth without, or with, this target among those named.
fn asks_for(request: &Value, address: &str, port: u16) -> bool {
    let named = (1..).map_while(|at| {
        let id = request[format!("Targets.member.{at}.Id")].as_str()?;
        Some((id, request[format!("Targets.member.{at}.Port")].as_str()))
    });
    let mut named = named.peekable();
    let port = port.to_string();
    named.peek().is_none() || named.any(|(id, of)| id == address && of.is_none_or(|of| of == port))
}

fn forward_json(forward: &Forward) -> Value {
    let tuples =
        forward.iter().map(|(group, weight)| json!({ "TargetGroupArn": group, "Weight": weight }));
    let mut json = json!({
        "Type": "forward",
        "Order": 1,
        "ForwardConfig": { "TargetGroups": tuples.collect::<Vec<Value>>() },
    });
    if let [(group, _)] = forward.as_slice() {
        json["TargetGroupArn"] = json!(group);
    }
    json
}

fn rule_json(rule: &Rule) -> Value {
    json!({
        "RuleArn": rule.arn,
        "Priority": rule.priority.to_string(),
        "Conditions": [{
            "Field": "path-pattern",
            "Values": [rule.path],
            "PathPatternConfig": { "Values": [rule.path] },
        }],
        "Actions": [forward_json(&rule.forward)],
        "IsDefault": false,
    })
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "HTTP",
        Protocol::Https => "HTTPS",
        Protocol::Tcp => "TCP",
        Protocol::Other => "GENEVE",
    }
}

/// A target's state as the API says it.
pub fn state(state: TargetState) -> &'static str {
    match state {
        TargetState::Initial => "initial",
        TargetState::Healthy => "healthy",
        TargetState::Unhealthy => "unhealthy",
        TargetState::UnhealthyDraining => "unhealthy.draining",
        TargetState::Unused => "unused",
        TargetState::Draining => "draining",
        TargetState::Unavailable => "unavailable",
    }
}
