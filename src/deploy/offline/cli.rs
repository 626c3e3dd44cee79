//! JSON as the AWS CLI prints it, and task definitions as they are registered.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::document::{value, whole};
use super::{Document, OfflineError, choose};
use crate::deploy::facts::Facts;
use crate::deploy::reply::codedeploy::DeploymentGroup;
use crate::deploy::reply::ecs::{Service, TaskDefinition};
use crate::deploy::reply::elb::{Attribute, Listener, Rule, TargetGroup, TargetHealthDescription};
use crate::deploy::reply::{Picture, family_of};

/// What a reply has at its top, and what a task definition and a service have.
pub const REPLIES: [&str; 11] = [
    "services",
    "taskDefinition",
    "TargetGroups",
    "Attributes",
    "TargetHealthDescriptions",
    "Listeners",
    "Rules",
    "LoadBalancers",
    "deploymentGroupInfo",
    "containerDefinitions",
    "serviceName",
];

const DEFINITIONS: [&str; 2] = ["taskDefinition", "containerDefinitions"];

/// A reply. Several may be merged into one document.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reply {
    services: Vec<Service>,
    #[serde(rename = "taskDefinition")]
    task_definition: Option<TaskDefinition>,
    #[serde(rename = "TargetGroups")]
    target_groups: Vec<TargetGroup>,
    #[serde(rename = "Attributes")]
    attributes: Option<Vec<Attribute>>,
    #[serde(rename = "TargetHealthDescriptions")]
    targets: Option<Vec<TargetHealthDescription>>,
    #[serde(rename = "Listeners")]
    listeners: Option<Vec<Listener>>,
    #[serde(rename = "Rules")]
    rules: Option<Vec<Rule>>,
    #[serde(rename = "deploymentGroupInfo")]
    deployment_group: Option<DeploymentGroup>,
}

/// The facts in such files.
///
/// # Errors
/// When one can't be read, or it isn't clear which service or task definition is meant.
pub fn facts(documents: &[Document], service: Option<&str>) -> Result<Facts, OfflineError> {
    let replies = documents.iter().map(|document| Ok((document.path.as_path(), reply(document)?)));
    let mut replies = replies.collect::<Result<Vec<_>, OfflineError>>()?;
    let service = chosen(&mut replies, service)?;
    let scheduling = scheduling(documents, service.service_name.as_deref())?;
    let definitions: Vec<_> =
        replies.iter_mut().filter_map(|(_, reply)| reply.task_definition.take()).collect();
    let (running, next) = definitions_of(&service, definitions, replies[0].0)?;
    let mut picture = Picture { service, running, next, scheduling, ..Picture::default() };
    for (_, reply) in &mut replies {
        let groups = std::mem::take(&mut reply.target_groups);
        add(&mut picture.target_groups, groups, |one| one.target_group_arn.as_deref());
        extend(&mut picture.listeners, reply.listeners.take(), |one| one.listener_arn.as_deref());
        extend(&mut picture.rules, reply.rules.take(), |one| one.rule_arn.as_deref());
    }
    for (path, reply) in replies {
        let groups = &picture.target_groups;
        put(&mut picture.attributes, groups, path, reply.attributes)?;
        put(&mut picture.targets, groups, path, reply.targets)?;
        let group = reply.deployment_group.filter(|group| deploys(group, &picture.service));
        picture.deployment_group = group.or(picture.deployment_group);
    }
    Ok(picture.facts())
}

/// What a service runs, and what it is to run, of files that hold task definitions alone.
///
/// # Errors
/// When one can't be read, or it isn't clear which is meant.
pub fn definitions(
    documents: &[Document],
    service: &Service,
) -> Result<(Option<TaskDefinition>, TaskDefinition), OfflineError> {
    let definition = |document| Ok(reply(document)?.task_definition);
    let all = documents.iter().map(definition).collect::<Result<Vec<_>, OfflineError>>()?;
    let path = documents.first().map_or(Path::new(""), |first| first.path.as_path());
    definitions_of(service, all.into_iter().flatten().collect(), path)
}

/// Whether a file holds a task definition and nothing else.
pub fn is_definition(document: &Document) -> bool {
    let top = value(document).ok();
    let has = |key: &str| top.as_ref().is_some_and(|top| top.get(key).is_some());
    let others = REPLIES.iter().filter(|key| !DEFINITIONS.contains(key));
    DEFINITIONS.iter().any(|key| has(key)) && !others.into_iter().any(|key| has(key))
}

fn reply(document: &Document) -> Result<Reply, OfflineError> {
    let top = value(document)?;
    let has = |key: &str| top.get(key).is_some();
    if has("containerDefinitions") {
        return Ok(Reply { task_definition: Some(whole(document)?), ..Reply::default() });
    }
    if has("serviceName") {
        return Ok(Reply { services: vec![whole(document)?], ..Reply::default() });
    }
    whole(document)
}

fn chosen(replies: &mut [(&Path, Reply)], name: Option<&str>) -> Result<Service, OfflineError> {
    let path = replies.iter().find(|(_, reply)| !reply.services.is_empty());
    let path = path.or(replies.first()).map_or(Path::new(""), |(path, _)| *path);
    let all = replies.iter_mut().flat_map(|(_, reply)| reply.services.drain(..));
    // What was deleted stays in the list for a while.
    let all = all.filter(|service| service.status.as_deref() != Some("INACTIVE"));
    let named = |service: Service| (service.service_name.clone().unwrap_or_default(), service);
    choose(all.map(named).collect(), name, path)
}

/// The scheduling strategy of the service of that name.
fn scheduling(documents: &[Document], name: Option<&str>) -> Result<Option<String>, OfflineError> {
    for document in documents {
        let top = value(document)?;
        let several = top.get("services").and_then(Value::as_array);
        let mut all = several.into_iter().flatten().chain([&top]);
        let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
        let found = all.find(|one| name.is_some() && text(one, "serviceName").as_deref() == name);
        if let Some(found) = found {
            return Ok(text(found, "schedulingStrategy"));
        }
    }
    Ok(None)
}

/// What the service runs, and what it is to run: the one that it doesn't run yet, or the same.
fn definitions_of(
    service: &Service,
    definitions: Vec<TaskDefinition>,
    path: &Path,
) -> Result<(Option<TaskDefinition>, TaskDefinition), OfflineError> {
    let (running, mut others): (Vec<_>, Vec<_>) =
        definitions.into_iter().partition(|one| runs(service, one));
    let running = running.into_iter().next();
    if others.len() > 1 {
        let names = others.into_iter().map(|one| facts_name(&one)).collect();
        return Err(OfflineError::SeveralTaskDefinitions { names });
    }
    let next = others.pop().or_else(|| running.clone());
    let next = next.ok_or_else(|| OfflineError::NoTaskDefinition {
        path: path.to_owned(),
        service: service.service_name.clone().unwrap_or_default(),
    })?;
    Ok((running, next))
}

fn runs(service: &Service, definition: &TaskDefinition) -> bool {
    let Some(current) = service.current() else { return false };
    let arn = definition.task_definition_arn.as_deref();
    let named =
        (definition.family.as_deref().unwrap_or_default(), definition.revision.unwrap_or(0));
    arn == Some(current) || (named.1 > 0 && family_of(current) == named)
}

fn facts_name(definition: &TaskDefinition) -> String {
    crate::deploy::facts::TaskDefinition::from(definition.clone()).name()
}

fn extend<T>(all: &mut Option<Vec<T>>, more: Option<Vec<T>>, arn: fn(&T) -> Option<&str>) {
    if let Some(more) = more {
        add(all.get_or_insert_default(), more, arn);
    }
}

/// Adds what isn't there yet: two files may well show the same.
fn add<T>(all: &mut Vec<T>, more: Vec<T>, arn: fn(&T) -> Option<&str>) {
    for one in more {
        if arn(&one).is_none() || !all.iter().any(|known| arn(known) == arn(&one)) {
            all.push(one);
        }
    }
}

/// Puts what belongs to a target group to it. These replies don't name it, so where there are
/// several the file's name must.
fn put<T>(
    all: &mut BTreeMap<String, T>,
    groups: &[TargetGroup],
    path: &Path,
    found: Option<T>,
) -> Result<(), OfflineError> {
    let Some(found) = found else { return Ok(()) };
    let file = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = |one: &TargetGroup| one.target_group_name.clone().unwrap_or_default();
    let named = |one: &&TargetGroup| !name(one).is_empty() && file.contains(&name(one));
    let group = match groups {
        [only] => Some(only),
        // Of `web` and `web-green` the longer one is meant where both fit.
        several => several.iter().filter(named).max_by_key(|one| name(one).len()),
    };
    match group.and_then(|group| group.target_group_arn.clone()) {
        Some(arn) => {
            all.insert(arn, found);
            Ok(())
        }
        None => {
            let names = groups.iter().map(name).collect();
            Err(OfflineError::WhichTargetGroup { path: path.to_owned(), names })
        }
    }
}

fn deploys(group: &DeploymentGroup, service: &Service) -> bool {
    let mut of = group.ecs_services.iter().flatten();
    group.ecs_services.is_none() || of.any(|one| one.service_name == service.service_name)
}
