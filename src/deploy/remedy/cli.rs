//! Changes as calls of the AWS CLI.

use std::fmt::Write;

use super::{Change, Setting, apply};
use crate::deploy::facts::{CodeDeploy, Controller, Facts, Service, TargetGroup};

/// What DescribeTaskDefinition says and RegisterTaskDefinition doesn't take.
const READ_ONLY: &str = "del(.taskDefinitionArn, .revision, .status, .requiresAttributes, \
                         .compatibilities, .registeredAt, .registeredBy, .deregisteredAt)";

/// What stands for the cluster where nobody names it.
const PLACEHOLDER: &str = "CLUSTER";
const UNNAMED: &str =
    "# Put your cluster's name in place of CLUSTER: nothing given says it (--cluster does).\n";
/// The one call that names the cluster.
const UPDATE: &str = "aws ecs update-service";

pub(super) fn render(facts: &Facts, changes: &[Change]) -> String {
    let after = apply(facts, changes);
    let mut calls = Vec::new();
    service(&mut calls, &after, changes);
    for group in &after.target_groups {
        target_group(&mut calls, group, changes);
    }
    for change in changes {
        match (&change.setting, &facts.service.controller) {
            (Setting::DummyListener { .. }, _) => listener(&mut calls, facts, change),
            (Setting::CodeDeployWait, Controller::CodeDeploy(deploy)) => {
                code_deploy(&mut calls, facts, deploy, change);
            }
            _ => {}
        }
    }
    // The last, for it starts a deployment.
    task_definition(&mut calls, facts, changes);
    let calls = calls.join("\n");
    match facts.service.cluster.is_empty() && calls.contains(UPDATE) {
        true => format!("{UNNAMED}{calls}"),
        false => calls,
    }
}

/// A word that a shell takes for itself.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Seconds as whole minutes, rounded up.
pub(super) fn minutes(seconds: u64) -> u64 {
    seconds.div_ceil(60)
}

/// The load balancer's ARN, told from the ARN of any listener of these target groups.
pub(super) fn load_balancer(facts: &Facts) -> Option<String> {
    let references = facts.target_groups.iter().flat_map(|group| &group.references);
    references.map(|reference| reference.listener.as_str()).find_map(|arn| {
        let (service, rest) = arn.split_once(":listener/")?;
        let (balancer, _listener) = rest.rsplit_once('/')?;
        Some(format!("{service}:loadbalancer/{balancer}"))
    })
}

/// The cluster's name, or a word in its place.
fn cluster(service: &Service) -> &str {
    if service.cluster.is_empty() { PLACEHOLDER } else { &service.cluster }
}

fn update_service(service: &Service) -> String {
    let (cluster, name) = (word(cluster(service)), word(&service.name));
    format!("{UPDATE} --cluster {cluster} --service {name}")
}

fn service(calls: &mut Vec<String>, after: &Facts, changes: &[Change]) {
    let service = &after.service;
    for change in changes {
        let call = match (&change.setting, change.to) {
            (Setting::Grace, Some(to)) => {
                let update = update_service(service);
                format!("{update} \\\n  --health-check-grace-period-seconds {to}\n")
            }
            (Setting::MaximumPercent, Some(to)) => maximum_percent(service, to),
            _ => continue,
        };
        calls.push(call);
    }
}

/// A part of the configuration that is left out would be set back, alarms and hooks among them: so all of
/// it is passed on.
fn maximum_percent(service: &Service, to: u64) -> String {
    let (cluster, name) = (word(cluster(service)), word(&service.name));
    format!(
        "aws ecs describe-services --cluster {cluster} --services {name} \\\n  \
         --query 'services[0].deploymentConfiguration' --output json |\n  \
         jq '.maximumPercent = {to}' > deployment-configuration.json\n\
         {} \\\n  --deployment-configuration file://deployment-configuration.json\n",
        update_service(service)
    )
}

/// The ARN, or a call that finds it by the name.
fn arn(group: &TargetGroup) -> String {
    match group.arn.is_empty() {
        false => word(&group.arn),
        true => format!(
            "\"$(aws elbv2 describe-target-groups --names {} \
             --query 'TargetGroups[0].TargetGroupArn' --output text)\"",
            word(&group.name)
        ),
    }
}

fn target_group(calls: &mut Vec<String>, after: &TargetGroup, changes: &[Change]) {
    let mut check = Vec::new();
    for change in changes {
        match (&change.setting, change.to) {
            (Setting::CheckInterval { target_group }, Some(to)) if *target_group == after.name => {
                check.push(format!("--health-check-interval-seconds {to}"));
            }
            (Setting::UnhealthyThreshold { target_group }, Some(to))
                if *target_group == after.name =>
            {
                check.push(format!("--unhealthy-threshold-count {to}"));
            }
            (Setting::DeregistrationDelay { target_group }, Some(to))
                if *target_group == after.name =>
            {
                calls.push(format!(
                    "aws elbv2 modify-target-group-attributes --target-group-arn {} \\\n  \
                     --attributes Key=deregistration_delay.timeout_seconds,Value={to}\n",
                    arn(after)
                ));
            }
            _ => {}
        }
    }
    if !check.is_empty() {
        calls.push(format!(
            "aws elbv2 modify-target-group --target-group-arn {} \\\n  {}\n",
            arn(after),
            check.join(" ")
        ));
    }
}

fn listener(calls: &mut Vec<String>, facts: &Facts, change: &Change) {
    let (Some(group), Some(port)) = (change.setting.group(facts), change.to) else { return };
    let balancer = load_balancer(facts).map_or_else(
        || "\"${LOAD_BALANCER_ARN:?the ARN of the NLB}\"".to_owned(),
        |arn| word(&arn),
    );
    calls.push(format!(
        "# Nobody connects to it: it only keeps the target group referred to.\n\
         aws elbv2 create-listener --load-balancer-arn {balancer} \\\n  \
         --protocol TCP --port {port} \\\n  \
         --default-actions Type=forward,TargetGroupArn={}\n",
        arn(group)
    ));
}

fn code_deploy(calls: &mut Vec<String>, facts: &Facts, deploy: &CodeDeploy, change: &Change) {
    let Some(wait) = change.to else { return };
    let name = |name: &Option<String>, variable: &str| match name {
        Some(name) => word(name),
        None => format!("\"${{{variable}:?}}\""),
    };
    let application = name(&deploy.application, "APPLICATION");
    let group = name(&deploy.group, "DEPLOYMENT_GROUP");
    let configuration = serde_json::json!({
        "deploymentReadyOption": {
            // As long again, for the call to come.
            "actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 2 * minutes(wait),
        },
        "terminateBlueInstancesOnDeploymentSuccess": {
            "action": if deploy.keeps_old { "KEEP_ALIVE" } else { "TERMINATE" },
            "terminationWaitTimeInMinutes": minutes(deploy.terminate_wait.unwrap_or(0)),
        },
    });
    calls.push(format!(
        "aws deploy update-deployment-group --application-name {application} \\\n  \
         --current-deployment-group-name {group} \\\n  \
         --blue-green-deployment-configuration {}\n\
         # Then, in each deployment of {}, once its targets have been registered for {wait} s:\n\
         aws deploy continue-deployment --deployment-id \"${{DEPLOYMENT_ID:?}}\" \\\n  \
         --deployment-wait-type READY_WAIT\n",
        word(&configuration.to_string()),
        facts.service.name.escape_debug()
    ));
}

/// A task definition can't be changed, so a new revision is made from the last one.
fn task_definition(calls: &mut Vec<String>, facts: &Facts, changes: &[Change]) {
    let mut filter = String::new();
    for change in changes {
        let Some(container) = change.setting.container(facts) else { continue };
        // JSON's quoting is jq's, too, but for `\(`, which JSON doesn't write.
        let name = serde_json::Value::from(container.name.as_str());
        let path = change.setting.path().join(".");
        let at = format!("(.containerDefinitions[] | select(.name == {name})).{path}");
        let _ = match change.to {
            Some(to) => write!(filter, "{at} = {to} | "),
            None => write!(filter, "del({at}) | "),
        };
    }
    if filter.is_empty() {
        return;
    }
    let (name, family) = (word(&facts.next.name()), word(&facts.next.family));
    let filter = word(&format!("{filter}{READ_ONLY}"));
    // What isn't registered yet is in a file: by its family AWS would give the revision that it replaces.
    let edited = match facts.next.revision {
        0 => format!("jq {filter} \\\n  \"${{NEW:?the file of the new task definition}}\""),
        _ => format!(
            "aws ecs describe-task-definition --task-definition {name} \\\n  \
             --query taskDefinition --output json |\n  jq {filter}"
        ),
    };
    calls.push(format!(
        "{edited} > task-definition.json\n\
         aws ecs register-task-definition --cli-input-json file://task-definition.json\n\
         {}\n",
        deployment(&facts.service, &family)
    ));
}

/// How a new revision is deployed. UpdateService refuses it where another controller does that.
fn deployment(service: &Service, family: &str) -> String {
    match service.controller {
        Controller::Ecs => format!("{} --task-definition {family}", update_service(service)),
        Controller::CodeDeploy(_) => {
            "# Then name the new revision in the AppSpec of the next deployment by CodeDeploy."
                .to_owned()
        }
        Controller::External => {
            "# Then name the new revision in the next task set of the service.".to_owned()
        }
    }
}
