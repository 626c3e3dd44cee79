//! `terraform show -json`, of a plan or of a state.
//!
//! A plan knows both what runs (`before`) and what is to run (`after`). What it can't know before
//! it is applied, such as the ARN of what it makes, is followed through the configuration.

mod configuration;
mod plan;
mod resource;

use std::path::Path;

use serde_json::Value;

use super::document::{part, value};
use super::{Document, OfflineError, choose, cli};
use crate::deploy::facts::{Facts, Origin, Unknown};
use crate::deploy::reply::Picture;
use crate::deploy::reply::codedeploy::DeploymentGroup;
use crate::deploy::reply::ecs::{Service, TaskDefinition};
use crate::deploy::reply::elb::{Attribute, Listener, Rule, TargetGroup};
use plan::{Plan, Resource};

const FARGATE: &str = "FARGATE";
const SERVICES: [&str; 1] = ["aws_ecs_service"];
const CLUSTERS: [&str; 1] = ["aws_ecs_cluster"];
const DEFINITIONS: [&str; 1] = ["aws_ecs_task_definition"];
const GROUPS: [&str; 2] = ["aws_lb_target_group", "aws_alb_target_group"];
const LISTENERS: [&str; 2] = ["aws_lb_listener", "aws_alb_listener"];
const RULES: [&str; 2] = ["aws_lb_listener_rule", "aws_alb_listener_rule"];
const BALANCERS: [&str; 2] = ["aws_lb", "aws_alb"];
const DEPLOYMENT_GROUPS: [&str; 1] = ["aws_codedeploy_deployment_group"];

/// The facts in such a file. Where task definitions are made elsewhere, `definitions` are theirs.
///
/// # Errors
/// When it can't be read, or it isn't clear which service or task definition is meant.
pub fn facts(
    document: &Document,
    definitions: &[Document],
    service: Option<&str>,
) -> Result<Facts, OfflineError> {
    let top = value(document)?;
    let plan = Plan::of(&top);
    let reader = Reader { path: &document.path, plan: &plan };
    let all = plan.of_types(&SERVICES).map(|found| (found.name(), found)).collect();
    let of = choose(all, service, &document.path)?;
    let facts = reader.picture(of, definitions)?.facts();
    Ok(Facts { origin: reader.origin(of), ..facts })
}

struct Reader<'a> {
    path: &'a Path,
    plan: &'a Plan<'a>,
}

impl Reader<'_> {
    fn picture(&self, of: &Resource, elsewhere: &[Document]) -> Result<Picture, OfflineError> {
        let mut service = self.service(of)?;
        let mut unknown = self.later(of, &resource::SERVICE);
        let (running, next) = match elsewhere {
            [] => self.definitions(of, &mut unknown)?,
            elsewhere => cli::definitions(elsewhere, &service)?,
        };
        self.launch(of, &mut service, &mut unknown);
        let scheduling = of.text("scheduling_strategy").map(str::to_owned);
        let mut picture =
            Picture { service, running, next, scheduling, unknown, ..Picture::default() };
        for group in self.plan.of_types(&GROUPS) {
            let (found, attributes) = self.target_group(group)?;
            if attaches(&picture.service, &group.key()) {
                picture.unknown.extend(self.later(group, &resource::TARGET_GROUP));
            }
            picture.attributes.insert(group.key(), attributes);
            picture.target_groups.push(found);
        }
        // Where the load balancer is another configuration's, so may be its listeners.
        let mut own = self.plan.of_types(&BALANCERS).filter(|one| !one.is_data);
        if own.next().is_some() || self.plan.of_types(&LISTENERS).next().is_some() {
            picture.listeners = Some(self.listeners()?);
            picture.rules = Some(self.rules()?);
        }
        picture.deployment_group = self.deployment_group(&picture.service)?;
        Ok(picture)
    }

    /// Where Terraform has the service and what belongs to it. What is only looked up can't be
    /// changed there.
    fn origin(&self, of: &Resource) -> Origin {
        let own = |found: &&Resource| !found.is_data;
        let definition = self.plan.linked(of, "/task_definition", &DEFINITIONS).filter(own);
        let groups = self.plan.of_types(&GROUPS).filter(own);
        let deploys = self.plan.of_types(&DEPLOYMENT_GROUPS).find(|found| {
            let read = self.read::<resource::DeploymentGroup>(&found.address, found.values);
            read.is_ok_and(|read| read.deploys(Some(&of.name())))
        });
        Origin {
            service: Some(of.address.clone()),
            task_definition: definition.map(|found| found.address.clone()),
            target_groups: groups.map(|found| (found.name(), found.address.clone())).collect(),
            deployment_group: deploys.map(|found| found.address.clone()),
            ..Origin::default()
        }
    }

    /// The cluster's name, or its ARN.
    fn cluster(&self, of: &Resource) -> Option<String> {
        let linked = self.plan.linked(of, "/cluster", &CLUSTERS);
        let named = linked.and_then(|found| found.values.get("name")?.as_str());
        let value = || of.values.get("cluster")?.as_str();
        named.or_else(value).map(str::to_owned)
    }

    fn service(&self, of: &Resource) -> Result<Service, OfflineError> {
        let read: resource::Service = self.read(&of.address, of.values)?;
        let blocks = read.load_balancer.len();
        let mut service = Service { cluster: self.cluster(of), ..read.into() };
        // Terraform sorts the blocks, while the configuration has them as they were written. Where
        // there are several and nothing is known yet, two groups may be taken for each other.
        let attached = service.load_balancers.iter_mut().flatten().zip(0..blocks);
        for (attachment, number) in attached {
            let at = |field: &str| format!("/load_balancer/{number}/{field}");
            let group = self.plan.key(of, &at("target_group_arn"), &GROUPS);
            attachment.target_group_arn = group.or(attachment.target_group_arn.take());
            if let Some(advanced) = &mut attachment.advanced_configuration {
                let at = at("advanced_configuration/0/alternate_target_group_arn");
                let group = self.plan.key(of, &at, &GROUPS);
                advanced.alternate_target_group_arn =
                    group.or(advanced.alternate_target_group_arn.take());
            }
        }
        Ok(service)
    }

    /// A task definition for Fargate alone says where its tasks run, if the service doesn't.
    fn launch(&self, of: &Resource, service: &mut Service, unknown: &mut Vec<Unknown>) {
        let providers = service.capacity_provider_strategy.as_deref().unwrap_or_default();
        if service.launch_type.is_some() || !providers.is_empty() {
            return;
        }
        let definition = self.plan.linked(of, "/task_definition", &DEFINITIONS);
        let kinds = definition.and_then(|one| one.values.get("requires_compatibilities"));
        if kinds.is_some_and(|kinds| *kinds == serde_json::json!([FARGATE])) {
            service.launch_type = Some(FARGATE.to_owned());
            let known = format!("launch_type of {}", of.address);
            unknown.retain(|one| one.what != known);
        }
    }

    /// What the service runs, and what it is to run.
    fn definitions(
        &self,
        of: &Resource,
        unknown: &mut Vec<Unknown>,
    ) -> Result<(Option<TaskDefinition>, TaskDefinition), OfflineError> {
        let none =
            || OfflineError::NoTaskDefinition { path: self.path.to_owned(), service: of.name() };
        let found = self.plan.linked(of, "/task_definition", &DEFINITIONS);
        // One that is looked up comes without its containers.
        let found = found.filter(|found| !found.is_data).ok_or_else(none)?;
        let mut next = self.definition(found, found.values)?;
        let Some(change) = self.plan.change(found) else {
            // A state: what is there runs.
            return Ok((Some(next.clone()), next));
        };
        unknown.extend(self.later(found, &resource::TASK_DEFINITION));
        let before = change.before.filter(|before| before.is_object());
        let running = before.map(|before| self.definition(found, before)).transpose()?;
        if change.is_later("container_definitions") {
            let containers = running.as_ref().and_then(|one| one.container_definitions.clone());
            let why = match containers {
                Some(_) => "it is known after apply; those that run are taken for them",
                None => "it is known after apply",
            };
            unknown.push(later(format!("the containers of {}", found.address), why));
            next.container_definitions = containers;
        }
        Ok((running, next))
    }

    fn definition(&self, of: &Resource, values: &Value) -> Result<TaskDefinition, OfflineError> {
        let read: resource::TaskDefinition = self.read(&of.address, values)?;
        let containers = read.container_definitions.as_deref().map(|text| {
            let at = format!("{}.container_definitions", of.address);
            let value = serde_json::from_str(text).map_err(|error| OfflineError::Value {
                path: self.path.to_owned(),
                line: None,
                at: at.clone(),
                message: error.to_string(),
            });
            part(self.path, &at, value?)
        });
        let containers = containers.transpose()?;
        Ok(TaskDefinition { container_definitions: containers, ..read.into() })
    }

    /// What of these attributes isn't known before it is applied.
    fn later(&self, of: &Resource, attributes: &[&str]) -> Vec<Unknown> {
        let unknown = self.plan.given_later(of, attributes);
        let say = |field| later(format!("{field} of {}", of.address), "it is known after apply");
        unknown.into_iter().map(say).collect()
    }

    fn target_group(&self, of: &Resource) -> Result<(TargetGroup, Vec<Attribute>), OfflineError> {
        let read: resource::TargetGroup = self.read(&of.address, of.values)?;
        let attributes = read.attributes();
        let mut group = TargetGroup::from(read);
        group.target_group_arn = Some(of.key());
        let name = group.target_group_name.take();
        group.target_group_name = Some(name.unwrap_or_else(|| of.address.clone()));
        Ok((group, attributes))
    }

    fn listeners(&self) -> Result<Vec<Listener>, OfflineError> {
        let listener = |of: &Resource| {
            let read: resource::Listener = self.read(&of.address, of.values)?;
            let actions = self.actions(of, "default_action", &read.default_action);
            Ok(Listener {
                listener_arn: Some(of.key()),
                port: read.port,
                default_actions: Some(actions),
            })
        };
        self.plan.of_types(&LISTENERS).map(listener).collect()
    }

    fn rules(&self) -> Result<Vec<Rule>, OfflineError> {
        let rule = |of: &Resource| {
            let read: resource::Rule = self.read(&of.address, of.values)?;
            let listener = self.plan.key(of, "/listener_arn", &LISTENERS);
            Ok(Rule {
                rule_arn: Some(of.key()),
                listener_arn: listener.or(read.listener_arn),
                is_default: None,
                actions: Some(self.actions(of, "action", &read.action)),
            })
        };
        self.plan.of_types(&RULES).map(rule).collect()
    }

    fn actions(
        &self,
        of: &Resource,
        block: &str,
        actions: &[resource::Action],
    ) -> Vec<crate::deploy::reply::elb::Action> {
        let action = |(number, action): (usize, &resource::Action)| {
            let key =
                |field: &str| self.plan.key(of, &format!("/{block}/{number}/{field}"), &GROUPS);
            action.reply(key)
        };
        actions.iter().enumerate().map(action).collect()
    }

    fn deployment_group(&self, service: &Service) -> Result<Option<DeploymentGroup>, OfflineError> {
        for of in self.plan.of_types(&DEPLOYMENT_GROUPS) {
            let read: resource::DeploymentGroup = self.read(&of.address, of.values)?;
            if read.deploys(service.service_name.as_deref()) {
                return Ok(Some(read.into()));
            }
        }
        Ok(None)
    }

    fn read<T: serde::de::DeserializeOwned>(
        &self,
        address: &str,
        values: &Value,
    ) -> Result<T, OfflineError> {
        part(self.path, address, values.clone())
    }
}

/// Whether a service registers its tasks with the target group that is known by this key.
fn attaches(service: &Service, key: &str) -> bool {
    service.load_balancers.iter().flatten().any(|one| {
        let advanced = one.advanced_configuration.as_ref();
        let other = advanced.and_then(|one| one.alternate_target_group_arn.as_deref());
        one.target_group_arn.as_deref() == Some(key) || other == Some(key)
    })
}

fn later(what: String, why: &str) -> Unknown {
    Unknown { what, why: why.to_owned(), permission: None }
}
