//! Changes as a file of overrides, which Terraform merges into the resources of the same name.
//!
//! A block in an override replaces the whole block of its kind, so a health check is printed with
//! all that is known of it.

use std::fmt::Write;

use super::cli::{load_balancer, minutes};
use super::{Change, Setting, apply};
use crate::deploy::facts::{Controller, Facts, Protocol, TargetGroup};

const OVERRIDES: &str =
    "# lockkeeper_override.tf: Terraform merges this into your resources of the same name.\n";

const ADDITIONS: &str =
    "# lockkeeper.tf: new resources, which can't stand in a file of overrides.\n";

pub(super) fn render(facts: &Facts, changes: &[Change]) -> String {
    let after = apply(facts, changes);
    let (mut overrides, mut additions, mut remarks) = (String::new(), String::new(), String::new());
    service(&mut overrides, &after, changes);
    for group in &after.target_groups {
        target_group(&mut overrides, &after, group, changes);
    }
    for change in changes {
        match &change.setting {
            Setting::DummyListener { .. } => listener(&mut additions, facts, change),
            Setting::CodeDeployWait => code_deploy(&mut overrides, facts, change),
            _ => {}
        }
    }
    containers(&mut remarks, facts, changes);
    let files = [(OVERRIDES, overrides), (ADDITIONS, additions), ("", remarks)];
    let files = files.into_iter().filter(|(_, body)| !body.is_empty());
    let text = files.map(|(head, body)| format!("{head}{body}")).collect::<Vec<_>>().join("\n");
    text.trim_start().to_owned()
}

/// A resource as Terraform knows it.
struct Place {
    /// `aws_ecs_service`.
    kind: String,
    /// The label of its block.
    label: String,
    /// What the user must know of it: a line of comment, or nothing.
    remark: String,
}

impl Place {
    /// By its address, or else of this kind and with a label made of this name.
    fn of(address: Option<&String>, kind: &str, name: &str) -> Place {
        let made = || Place {
            kind: kind.to_owned(),
            label: label(name),
            remark: "# Rename the label to yours.\n".to_owned(),
        };
        let Some(address) = address else { return made() };
        // The index of an instance stands behind the label, and in brackets there may be any dots.
        let plain = match address.strip_suffix(']') {
            Some(inner) => inner.rsplit_once('[').map_or(address.as_str(), |(plain, _)| plain),
            None => address,
        };
        let mut parts = plain.rsplitn(3, '.');
        let (Some(label), Some(kind)) = (parts.next(), parts.next()) else { return made() };
        let (label, kind) = (label.to_owned(), kind.to_owned());
        let remark = parts.next().map_or(String::new(), within);
        Place { kind, label, remark }
    }

    fn of_group(facts: &Facts, group: &TargetGroup) -> Place {
        let address = facts.origin.target_groups.get(&group.name);
        Place::of(address, "aws_lb_target_group", &group.name)
    }

    /// The remark, and the head of its block.
    fn head(&self) -> String {
        format!("{}resource \"{}\" \"{}\" {{", self.remark, self.kind, self.label)
    }
}

/// An override works only in the folder of the module that has the resource.
fn within(module: &str) -> String {
    let module = module.replace(char::is_control, " ");
    format!(
        "# This belongs into the source folder of {module}, and counts for all its instances.\n"
    )
}

/// A label that Terraform takes.
fn label(name: &str) -> String {
    let part = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let label: String = name.chars().map(part).collect();
    if label.starts_with(|c: char| c.is_ascii_digit()) { format!("_{label}") } else { label }
}

/// A string that Terraform takes for itself: JSON's quoting, and no interpolation.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace("${", "$${").replace("%{", "%%{")
}

fn service(text: &mut String, after: &Facts, changes: &[Change]) {
    let own = [Setting::Grace, Setting::MaximumPercent];
    let own = changes.iter().filter(|change| own.contains(&change.setting));
    let lines: Vec<_> =
        own.filter_map(|change| Some((change.setting.name(), change.to?.to_string()))).collect();
    if lines.is_empty() {
        return;
    }
    let place = Place::of(after.origin.service.as_ref(), "aws_ecs_service", &after.service.name);
    let _ = writeln!(text, "\n{}", place.head());
    arguments(text, "  ", &lines);
    text.push_str("}\n");
}

/// Arguments as `terraform fmt` aligns them.
fn arguments<N: AsRef<str>>(text: &mut String, indent: &str, lines: &[(N, String)]) {
    let widest = lines.iter().map(|(name, _)| name.as_ref().len()).max().unwrap_or(0);
    for (name, value) in lines {
        let _ = writeln!(text, "{indent}{:widest$} = {value}", name.as_ref());
    }
}

fn target_group(text: &mut String, facts: &Facts, after: &TargetGroup, changes: &[Change]) {
    let of_group = |change: &&Change| match &change.setting {
        Setting::CheckInterval { target_group }
        | Setting::UnhealthyThreshold { target_group }
        | Setting::DeregistrationDelay { target_group } => *target_group == after.name,
        _ => false,
    };
    let own: Vec<_> = changes.iter().filter(of_group).collect();
    if own.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", Place::of_group(facts, after).head());
    for change in &own {
        if let (Setting::DeregistrationDelay { .. }, Some(to)) = (&change.setting, change.to) {
            let _ = writeln!(text, "  deregistration_delay = {to}");
        }
    }
    let is_check =
        |change: &&&Change| !matches!(change.setting, Setting::DeregistrationDelay { .. });
    if own.iter().any(|change| is_check(&change)) {
        check(text, after);
    }
    text.push_str("}\n");
}

fn check(text: &mut String, group: &TargetGroup) {
    let check = &group.check;
    let mut lines = vec![
        ("interval", check.interval.to_string()),
        ("timeout", check.timeout.to_string()),
        ("healthy_threshold", check.healthy.to_string()),
        ("unhealthy_threshold", check.unhealthy.to_string()),
    ];
    let protocol = match check.protocol {
        Protocol::Http => Some("HTTP"),
        Protocol::Https => Some("HTTPS"),
        Protocol::Tcp => Some("TCP"),
        Protocol::Other => None,
    };
    let is_http = matches!(check.protocol, Protocol::Http | Protocol::Https);
    let texts = [
        ("protocol", protocol),
        ("path", check.path.as_deref().filter(|_| is_http)),
        ("port", check.port.as_deref()),
        ("matcher", check.success.as_deref().filter(|_| is_http)),
    ];
    lines.extend(texts.into_iter().filter_map(|(name, text)| Some((name, quoted(text?)))));
    text.push_str("  health_check {\n");
    arguments(text, "    ", &lines);
    text.push_str("  }\n");
}

fn listener(text: &mut String, facts: &Facts, change: &Change) {
    let (Some(group), Some(port)) = (change.setting.group(facts), change.to) else { return };
    let balancer = match load_balancer(facts) {
        Some(arn) => quoted(&arn),
        None => "var.load_balancer_arn".to_owned(),
    };
    let name = label(&group.name);
    let of = Place::of_group(facts, group);
    let (remark, kind, target) = (of.remark, of.kind, of.label);
    let _ = write!(
        text,
        "\n# Nobody connects to it: it only keeps the target group referred to.\n{remark}\
         resource \"aws_lb_listener\" \"dummy_{name}\" {{\n  \
           load_balancer_arn = {balancer}\n  \
           port              = {port}\n  \
           protocol          = \"TCP\"\n\n  \
           default_action {{\n    \
             type             = \"forward\"\n    \
             target_group_arn = {kind}.{target}.arn\n  \
           }}\n\
         }}\n"
    );
}

fn code_deploy(text: &mut String, facts: &Facts, change: &Change) {
    let (Controller::CodeDeploy(deploy), Some(wait)) = (&facts.service.controller, change.to)
    else {
        return;
    };
    let terminate = minutes(deploy.terminate_wait.unwrap_or(0));
    let action = if deploy.keeps_old { "KEEP_ALIVE" } else { "TERMINATE" };
    let name = deploy.group.as_deref().unwrap_or(&facts.service.name);
    let address = facts.origin.deployment_group.as_ref();
    let head = Place::of(address, "aws_codedeploy_deployment_group", name).head();
    let _ = write!(
        text,
        "\n# CodeDeploy then waits for `aws deploy continue-deployment`: call it after {wait} s.\n\
         {head}\n  \
           blue_green_deployment_config {{\n    \
             deployment_ready_option {{\n      \
               action_on_timeout    = \"STOP_DEPLOYMENT\"\n      \
               wait_time_in_minutes = {}\n    \
             }}\n    \
             terminate_blue_instances_on_deployment_success {{\n      \
               action                           = \"{action}\"\n      \
               termination_wait_time_in_minutes = {terminate}\n    \
             }}\n  \
           }}\n\
         }}\n",
        2 * minutes(wait)
    );
}

/// A list of containers is one string of JSON to Terraform, which no override can change in part.
fn containers(text: &mut String, facts: &Facts, changes: &[Change]) {
    for change in changes {
        let Some(container) = change.setting.container(facts) else { continue };
        let made = || format!("aws_ecs_task_definition.{}", label(&facts.next.family));
        let definition = facts.origin.task_definition.clone().unwrap_or_else(made);
        let path = change.setting.path().join(".");
        let what = match change.to {
            Some(to) => format!("{path} = {to}"),
            None => format!("leave out {path}"),
        };
        let _ = writeln!(
            text,
            "\n# In container_definitions of {}, container {}:\n#   {what}",
            definition.replace(char::is_control, " "),
            quoted(&container.name)
        );
    }
}
