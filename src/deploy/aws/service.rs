//! What a service does now: its deployments, tasks, events and targets; and the order to deploy.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::DesiredStatus;

use super::client::Aws;
use super::error::AwsError;
use super::launch;
use crate::deploy::facts::{Controller, Service, Target};
use crate::deploy::reply;
use crate::deploy::rollout::{Deployment, Group};
use crate::deploy::task::Task;

/// DescribeTasks takes so many at once.
const PAGE: usize = 100;

/// A service at one look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceNow {
    /// Its task definition's ARN.
    pub definition: String,
    /// Its deployments.
    pub deployments: Vec<Deployment>,
    /// Its last hundred events, the newest first: id and words.
    pub events: Vec<(String, String)>,
    /// What else it is.
    pub facts: Service,
}

impl ServiceNow {
    /// Who replaces its tasks, where that isn't ECS.
    pub fn controller(&self) -> Option<&'static str> {
        match self.facts.controller {
            Controller::Ecs => None,
            Controller::CodeDeploy(_) => Some("CodeDeploy"),
            Controller::External => Some("an external controller"),
        }
    }

    /// ARNs of its target groups, those of a blue/green deployment's other side among them.
    pub fn target_groups(&self) -> BTreeSet<&str> {
        let attached = self.facts.load_balancers.iter();
        let both = attached.flat_map(|one| [Some(&one.target_group), one.alternate.as_ref()]);
        both.flatten().map(String::as_str).collect()
    }

    /// The container that is registered with the load balancer, where one is.
    pub fn container(&self) -> Option<&str> {
        self.facts.load_balancers.first().map(|one| one.container.as_str())
    }
}

impl Aws {
    /// A service, or `None` where there is none that is active.
    ///
    /// # Errors
    /// AWS's.
    pub async fn service_now(
        &self,
        cluster: &str,
        service: &str,
    ) -> Result<Option<ServiceNow>, AwsError> {
        let answer = self.ecs.describe_services().cluster(cluster).services(service).send().await;
        let answer = answer.map_err(|error| AwsError::of("ecs:DescribeServices", error))?;
        let active = answer.services().iter().find(|one| one.status() == Some("ACTIVE"));
        Ok(active.map(read))
    }

    /// Tells a service what to run. Returns the id of the deployment that is to do it.
    ///
    /// # Errors
    /// AWS's.
    pub async fn update_service(
        &self,
        cluster: &str,
        service: &str,
        definition: Option<&str>,
        force: bool,
    ) -> Result<Option<Deployment>, AwsError> {
        let answer = self
            .ecs
            .update_service()
            .cluster(cluster)
            .service(service)
            .set_task_definition(definition.map(str::to_owned))
            .force_new_deployment(force)
            .send()
            .await
            .map_err(|error| AwsError::of("ecs:UpdateService", error))?;
        let deployments = answer.service().map(read).unwrap_or_default().deployments;
        Ok(deployments.into_iter().find(|one| one.status == "PRIMARY"))
    }

    /// The service's tasks: those that are to run, and those that aren't any more, which ECS shows for
    /// about an hour.
    ///
    /// # Errors
    /// AWS's.
    pub async fn service_tasks(
        &self,
        cluster: &str,
        service: &str,
    ) -> Result<(Vec<Task>, Vec<Task>), AwsError> {
        let mut both = Vec::new();
        for desired in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let mut arns = Vec::new();
            let mut token = None;
            loop {
                let answer = self
                    .ecs
                    .list_tasks()
                    .cluster(cluster)
                    .service_name(service)
                    .desired_status(desired.clone())
                    .set_next_token(token)
                    .send()
                    .await
                    .map_err(|error| AwsError::of("ecs:ListTasks", error))?;
                arns.extend_from_slice(answer.task_arns());
                token = answer.next_token().map(str::to_owned);
                if token.is_none() {
                    break;
                }
            }
            let mut tasks = Vec::new();
            for page in arns.chunks(PAGE) {
                let ask = self.ecs.describe_tasks().cluster(cluster);
                let answer = ask.set_tasks(Some(page.to_vec())).send().await;
                let answer = answer.map_err(|error| AwsError::of("ecs:DescribeTasks", error))?;
                tasks.extend(answer.tasks().iter().map(launch::read));
            }
            both.push(tasks);
        }
        let leaving = both.pop().unwrap_or_default();
        Ok((both.pop().unwrap_or_default(), leaving))
    }

    /// Target groups with their targets, and whether a listener refers to them.
    ///
    /// # Errors
    /// AWS's.
    pub async fn groups(&self, arns: BTreeSet<&str>) -> Result<Vec<Group>, AwsError> {
        let mut groups = Vec::new();
        for arn in arns {
            let targets = self.targets(arn).await?;
            let answer = self.elb.describe_target_groups().target_group_arns(arn).send().await;
            let answer = answer.map_err(|error| {
                AwsError::of("elasticloadbalancing:DescribeTargetGroups", error)
            })?;
            let Some(group) = answer.target_groups().first() else { continue };
            let facts = reply::elb::TargetGroup::from(group.clone()).facts(&[]);
            groups.push(Group {
                name: facts.name,
                balancer: facts.balancer,
                is_referred: Some(!group.load_balancer_arns().is_empty()),
                targets,
            });
        }
        Ok(groups)
    }

    /// The targets of a group.
    ///
    /// # Errors
    /// AWS's.
    pub async fn targets(&self, arn: &str) -> Result<Vec<Target>, AwsError> {
        let answer = self.elb.describe_target_health().target_group_arn(arn).send().await;
        let answer = answer
            .map_err(|error| AwsError::of("elasticloadbalancing:DescribeTargetHealth", error))?;
        let described = answer.target_health_descriptions.unwrap_or_default().into_iter();
        Ok(described.map(reply::elb::TargetHealthDescription::from).map(Target::from).collect())
    }
}

fn read(service: &aws_sdk_ecs::types::Service) -> ServiceNow {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let event =
        |event: &aws_sdk_ecs::types::ServiceEvent| (text(event.id()), text(event.message()));
    ServiceNow {
        definition: text(service.task_definition()),
        deployments: service.deployments().iter().map(deployment).collect(),
        events: service.events().iter().map(event).collect(),
        facts: reply::ecs::Service::from(service.clone()).facts(),
    }
}

fn deployment(deployment: &aws_sdk_ecs::types::Deployment) -> Deployment {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    // A count is never negative.
    let count = |count: i32| u32::try_from(count).unwrap_or_default();
    Deployment {
        id: text(deployment.id()),
        status: text(deployment.status()),
        definition: text(deployment.task_definition()),
        desired: count(deployment.desired_count()),
        running: count(deployment.running_count()),
        pending: count(deployment.pending_count()),
        failed: count(deployment.failed_tasks()),
        state: deployment.rollout_state().map(|state| state.as_str().to_owned()),
        reason: deployment.rollout_state_reason().map(str::to_owned),
    }
}
