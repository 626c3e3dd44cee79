//! The facts of a service, asked of AWS.
//!
//! A permission that is missing doesn't end it: what it would have told is unknown then, and says
//! so. Only without the service and the task definition that is to run there is nothing to say.

mod deployment_group;

use std::collections::BTreeSet;

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{Service, Task};

use deployment_group::deployment_group;

use super::startup::Rollout;
use super::{Aws, AwsError};
use crate::deploy::facts::{Facts, Unknown};
use crate::deploy::reply;
use crate::deploy::reply::codedeploy::DeploymentGroup;
use crate::deploy::reply::elb::{Listener, Rule};
use crate::deploy::reply::picture::{WHAT_LISTENERS, what_attributes, what_group};
use crate::deploy::reply::{Picture, name_of};

/// The facts of a service. `next` is what it is to run, as family, `family:revision` or ARN; what
/// it runs already where none is given.
///
/// # Errors
/// When the service or that task definition can't be read, or AWS can't be asked at all.
pub async fn facts(
    aws: &Aws,
    cluster: &str,
    service: &str,
    next: Option<&str>,
) -> Result<Facts, AwsError> {
    let found = find_service(aws, cluster, service).await?;
    let mut unknown = Vec::new();
    let said = reply::ecs::Service::from(found.clone());
    let current = said.current().map(str::to_owned);
    let running = match &current {
        Some(current) => {
            let what = format!("task definition {}", name_of(current));
            let found = task_definition(aws, current).await;
            // Without it there is nothing to judge.
            if next.is_none() { found.map(Some)? } else { allowed(found, what, &mut unknown)? }
        }
        None => None,
    };
    let next = match (next, &running) {
        (Some(next), _) => task_definition(aws, next).await?,
        (None, Some(running)) => running.clone(),
        (None, None) => {
            let what = format!("service {service} has no task definition");
            return Err(AwsError::NotFound { operation: "ecs:DescribeServices", what });
        }
    };
    let deployment_group = deployment_group(aws, &found, &mut unknown).await?;
    let scheduling = found.scheduling_strategy().map(|one| one.as_str().to_owned());
    let of_service = Picture { service: said, running, next, scheduling, ..Picture::default() };
    let mut picture = Picture { deployment_group, unknown, ..of_service };
    target_groups(aws, &mut picture).await?;
    listeners(aws, &mut picture).await?;
    let what = "how long the last rollout's tasks took to start".to_owned();
    let startup = observed(aws, cluster, &found).await;
    let startup = allowed(startup, what, &mut picture.unknown)?;
    Ok(Facts { observed_startup: startup.flatten(), ..picture.facts() })
}

/// What was found; nothing where that isn't allowed, which becomes known to be unknown.
fn allowed<T>(
    found: Result<T, AwsError>,
    what: String,
    unknown: &mut Vec<Unknown>,
) -> Result<Option<T>, AwsError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(AwsError::Denied { permission, .. }) => {
            let why = format!("not allowed: {permission}");
            unknown.push(Unknown { what, why, permission: Some(permission) });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// As [`allowed`]; what was deleted, though others still name it, is unknown as well.
fn allowed_or_gone<T>(
    found: Result<T, AwsError>,
    what: String,
    unknown: &mut Vec<Unknown>,
) -> Result<Option<T>, AwsError> {
    match found {
        Err(AwsError::NotFound { operation, what: said }) => {
            let why = format!("{operation} finds none: {said}");
            unknown.push(Unknown { what, why, permission: None });
            Ok(None)
        }
        other => allowed(other, what, unknown),
    }
}

async fn find_service(aws: &Aws, cluster: &str, service: &str) -> Result<Service, AwsError> {
    const OPERATION: &str = "ecs:DescribeServices";
    let reply = aws.ecs.describe_services().cluster(cluster).services(service).send();
    let reply = reply.await.map_err(|error| AwsError::of(OPERATION, error))?;
    let is_there = |found: &Service| found.status.as_deref() != Some("INACTIVE");
    let found = reply.services.unwrap_or_default().into_iter().find(is_there);
    found.ok_or_else(|| AwsError::NotFound {
        operation: OPERATION,
        what: format!("service {service} in cluster {cluster}"),
    })
}

async fn task_definition(aws: &Aws, name: &str) -> Result<reply::ecs::TaskDefinition, AwsError> {
    const OPERATION: &str = "ecs:DescribeTaskDefinition";
    let reply = aws.ecs.describe_task_definition().task_definition(name).send().await;
    let found = reply.map_err(|error| match AwsError::of(OPERATION, error) {
        // ECS's own words don't say which.
        AwsError::NotFound { operation, .. } => {
            AwsError::NotFound { operation, what: format!("task definition {name}") }
        }
        other => other,
    })?;
    let what = || format!("task definition {name}");
    let none = || AwsError::NotFound { operation: OPERATION, what: what() };
    found.task_definition.map(Into::into).ok_or_else(none)
}

/// All target groups that the service has to do with, and what belongs to them.
async fn target_groups(aws: &Aws, picture: &mut Picture) -> Result<(), AwsError> {
    let attached = picture.service.attachments().iter();
    let arns: BTreeSet<_> = attached
        .flat_map(|one| {
            let advanced = one.advanced_configuration.as_ref();
            let alternate = advanced.and_then(|one| one.alternate_target_group_arn.clone());
            one.target_group_arn.clone().into_iter().chain(alternate)
        })
        .collect();
    // CodeDeploy knows its pair by name; one of the two is attached, the other is idle.
    let is_attached = |name: &str| arns.iter().any(|arn| group_name(arn) == name);
    let pair = picture.deployment_group.iter().flat_map(DeploymentGroup::target_groups);
    let idle: Vec<_> = pair.filter(|name| !is_attached(name)).map(str::to_owned).collect();
    for arn in &arns {
        let reply = aws.elb.describe_target_groups().target_group_arns(arn).send().await;
        let reply = asked(DESCRIBE_GROUPS, reply);
        let reply = allowed(reply, what_group(group_name(arn)), &mut picture.unknown)?;
        let found = reply.and_then(|reply| reply.target_groups).unwrap_or_default();
        picture.target_groups.extend(found.into_iter().map(Into::into));
        belongings(aws, picture, arn).await?;
    }
    for name in &idle {
        let reply = aws.elb.describe_target_groups().names(name).send().await;
        let reply = asked(DESCRIBE_GROUPS, reply);
        let reply = allowed_or_gone(reply, what_group(name), &mut picture.unknown)?;
        for found in reply.and_then(|reply| reply.target_groups).unwrap_or_default() {
            let arn = found.target_group_arn.clone().unwrap_or_default();
            picture.target_groups.push(found.into());
            belongings(aws, picture, &arn).await?;
        }
    }
    Ok(())
}

const DESCRIBE_GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";

/// `web` of `arn:…:targetgroup/web/73e2d6bc24d8a067`.
fn group_name(arn: &str) -> &str {
    arn.rsplit('/').nth(1).unwrap_or(arn)
}

/// Attributes and targets of a target group.
async fn belongings(aws: &Aws, picture: &mut Picture, arn: &str) -> Result<(), AwsError> {
    let name = group_name(arn);
    let reply = aws.elb.describe_target_group_attributes().target_group_arn(arn).send().await;
    let reply = asked("elasticloadbalancing:DescribeTargetGroupAttributes", reply);
    if let Some(reply) = allowed(reply, what_attributes(name), &mut picture.unknown)? {
        let attributes = reply.attributes.unwrap_or_default();
        let attributes = attributes.into_iter().map(Into::into).collect();
        picture.attributes.insert(arn.to_owned(), attributes);
    }

    let reply = aws.elb.describe_target_health().target_group_arn(arn).send().await;
    let reply = asked("elasticloadbalancing:DescribeTargetHealth", reply);
    let what = format!("the targets of target group {name}");
    if let Some(reply) = allowed(reply, what, &mut picture.unknown)? {
        let targets = reply.target_health_descriptions.unwrap_or_default();
        let targets = targets.into_iter().map(Into::into).collect();
        picture.targets.insert(arn.to_owned(), targets);
    }
    Ok(())
}

/// Listeners and rules of the load balancers that the target groups name: whoever forwards to a
/// group is among them.
async fn listeners(aws: &Aws, picture: &mut Picture) -> Result<(), AwsError> {
    let named =
        picture.target_groups.iter().flat_map(|one| one.load_balancer_arns.iter().flatten());
    let balancers: BTreeSet<_> = named.cloned().collect();
    let found = forwards(aws, balancers.iter().map(String::as_str)).await;
    let found = allowed(found, WHAT_LISTENERS.to_owned(), &mut picture.unknown)?;
    (picture.listeners, picture.rules) = found.unzip();
    Ok(())
}

/// All listeners of these load balancers, and all rules.
///
/// # Errors
/// AWS's.
pub async fn forwards(
    aws: &Aws,
    balancers: impl Iterator<Item = &str>,
) -> Result<(Vec<Listener>, Vec<Rule>), AwsError> {
    let mut listeners = Vec::new();
    let mut rules = Vec::new();
    for balancer in balancers {
        let pages = aws.elb.describe_listeners().load_balancer_arn(balancer).into_paginator();
        let found = pages.items().send().collect::<Result<Vec<_>, _>>().await;
        let found = asked("elasticloadbalancing:DescribeListeners", found)?;
        // Only an ALB's listeners have rules.
        let with_rules = balancer.contains(":loadbalancer/app/");
        for listener in found.iter().filter(|_| with_rules) {
            let pages = aws.elb.describe_rules().set_listener_arn(listener.listener_arn.clone());
            let found = pages.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
            let found = asked("elasticloadbalancing:DescribeRules", found)?;
            rules.extend(found.into_iter().map(Into::into));
        }
        listeners.extend(found.into_iter().map(Into::into));
    }
    Ok((listeners, rules))
}

fn asked<T, E>(operation: &'static str, reply: Result<T, SdkError<E>>) -> Result<T, AwsError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    reply.map_err(|error| AwsError::of(operation, error))
}

/// How long the tasks of the last rollout took, where its events tell it.
async fn observed(aws: &Aws, cluster: &str, service: &Service) -> Result<Option<f64>, AwsError> {
    let primary = service.deployments().iter().find(|one| one.status() == Some("PRIMARY"));
    let Some(primary) = primary else { return Ok(None) };
    let (Some(id), Some(began)) = (primary.id(), primary.created_at()) else { return Ok(None) };
    let tasks = tasks(aws, cluster, service.service_name().unwrap_or_default()).await?;
    let own = tasks.iter().filter(|task| task.started_by() == Some(id));
    let event = |event: &aws_sdk_ecs::types::ServiceEvent| {
        Some((event.created_at()?.as_secs_f64(), event.message()?.to_owned()))
    };
    let rollout = Rollout {
        id: id.to_owned(),
        began: began.as_secs_f64(),
        failed: primary.failed_tasks(),
        started: own.filter_map(Task::started_at).map(DateTime::as_secs_f64).collect(),
        events: service.events().iter().filter_map(event).collect(),
    };
    Ok(rollout.startup())
}

/// A hundred of the service's tasks: as many as one request describes, and enough to tell.
async fn tasks(aws: &Aws, cluster: &str, service: &str) -> Result<Vec<Task>, AwsError> {
    let list = aws.ecs.list_tasks().cluster(cluster).service_name(service).max_results(100);
    let arns = asked("ecs:ListTasks", list.send().await)?.task_arns.unwrap_or_default();
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let describe = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns));
    Ok(asked("ecs:DescribeTasks", describe.send().await)?.tasks.unwrap_or_default())
}

#[cfg(test)]
mod tests;
