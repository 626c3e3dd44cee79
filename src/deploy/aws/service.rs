//! What a service does now: its deployments, tasks, events and targets; and the order to deploy.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::{AssignPublicIp, DeploymentControllerType, DesiredStatus, LaunchType};
use aws_sdk_elasticloadbalancingv2::types as elb;

use super::client::Aws;
use super::error::AwsError;
use super::launch;
use crate::deploy::facts::{Balancer, Capacity, Launch, Network, Target, TargetState};
use crate::deploy::rollout::{Deployment, Group};
use crate::deploy::task::{Task, last_part};

/// DescribeTasks takes so many at once.
const PAGE: usize = 100;

/// A service at one look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceNow {
    /// Its ARN.
    pub arn: String,
    /// Who replaces its tasks, where that isn't ECS.
    pub controller: Option<&'static str>,
    /// Its task definition's ARN.
    pub definition: String,
    /// Its deployments.
    pub deployments: Vec<Deployment>,
    /// Its last hundred events, the newest first: id and words.
    pub events: Vec<(String, String)>,
    /// ARNs of its target groups, those of a blue/green deployment's other side among them.
    pub target_groups: Vec<String>,
    /// Where its tasks run.
    pub launch: Option<Launch>,
    /// `platformVersion`, where one is asked for.
    pub platform_version: Option<String>,
    /// Subnets and security groups, of `awsvpc`.
    pub network: Option<Network>,
    /// The container that is registered with the load balancer, where one is.
    pub container: Option<String>,
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
    pub async fn groups(&self, arns: &[String]) -> Result<Vec<Group>, AwsError> {
        let mut groups = Vec::new();
        for arn in arns {
            let targets = self.targets(arn).await?;
            let answer = self.elb.describe_target_groups().target_group_arns(arn).send().await;
            let answer = answer.map_err(|error| {
                AwsError::of("elasticloadbalancing:DescribeTargetGroups", error)
            })?;
            let Some(group) = answer.target_groups().first() else { continue };
            groups.push(Group {
                name: group.target_group_name().unwrap_or_else(|| last_part(arn)).to_owned(),
                balancer: balancer(group),
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
        Ok(answer.target_health_descriptions().iter().map(target).collect())
    }
}

fn read(service: &aws_sdk_ecs::types::Service) -> ServiceNow {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let controller = service.deployment_controller().map(|controller| controller.r#type());
    let mut groups = BTreeSet::new();
    for balancer in service.load_balancers() {
        groups.extend(balancer.target_group_arn().map(str::to_owned));
        let advanced = balancer.advanced_configuration();
        groups.extend(advanced.and_then(|one| one.alternate_target_group_arn()).map(str::to_owned));
    }
    let event =
        |event: &aws_sdk_ecs::types::ServiceEvent| (text(event.id()), text(event.message()));
    ServiceNow {
        arn: text(service.service_arn()),
        controller: match controller {
            Some(DeploymentControllerType::CodeDeploy) => Some("CodeDeploy"),
            Some(DeploymentControllerType::External) => Some("an external controller"),
            _ => None,
        },
        definition: text(service.task_definition()),
        deployments: service.deployments().iter().map(deployment).collect(),
        events: service.events().iter().map(event).collect(),
        target_groups: groups.into_iter().collect(),
        launch: launch(service),
        platform_version: service.platform_version().map(str::to_owned),
        network: service.network_configuration().and_then(network),
        container: service.load_balancers().iter().find_map(|one| one.container_name.clone()),
    }
}

fn launch(service: &aws_sdk_ecs::types::Service) -> Option<Launch> {
    let providers = service.capacity_provider_strategy();
    if !providers.is_empty() {
        // Neither is ever negative.
        let count = |count: i32| u32::try_from(count).unwrap_or_default();
        let capacity = |one: &aws_sdk_ecs::types::CapacityProviderStrategyItem| Capacity {
            provider: one.capacity_provider().to_owned(),
            weight: count(one.weight()),
            base: count(one.base()),
        };
        return Some(Launch::Providers(providers.iter().map(capacity).collect()));
    }
    Some(match service.launch_type()? {
        LaunchType::Fargate => Launch::Fargate,
        LaunchType::External => Launch::External,
        _ => Launch::Ec2,
    })
}

fn network(network: &aws_sdk_ecs::types::NetworkConfiguration) -> Option<Network> {
    let vpc = network.awsvpc_configuration()?;
    Some(Network {
        subnets: vpc.subnets().to_vec(),
        security_groups: vpc.security_groups().to_vec(),
        public_ip: vpc.assign_public_ip() == Some(&AssignPublicIp::Enabled),
    })
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

/// Which kind of load balancer a target group is for: its protocol says it.
pub fn balancer(group: &elb::TargetGroup) -> Balancer {
    use elb::ProtocolEnum::{Geneve, Tcp, TcpUdp, Tls, Udp};
    match group.protocol() {
        Some(Tcp | TcpUdp | Tls | Udp) => Balancer::Network,
        Some(Geneve) => Balancer::Gateway,
        _ => Balancer::Application,
    }
}

fn target(described: &elb::TargetHealthDescription) -> Target {
    let health = described.target_health();
    Target {
        id: described.target().and_then(|one| one.id()).unwrap_or_default().to_owned(),
        port: described.target().and_then(|one| one.port()).and_then(|port| port.try_into().ok()),
        state: health.and_then(|health| health.state()).map_or(TargetState::Unavailable, state),
        reason: health.and_then(|one| one.reason()).map(|reason| reason.as_str().to_owned()),
        description: health.and_then(|one| one.description()).map(str::to_owned),
    }
}

fn state(state: &elb::TargetHealthStateEnum) -> TargetState {
    use elb::TargetHealthStateEnum as State;
    match state {
        State::Initial => TargetState::Initial,
        State::Healthy => TargetState::Healthy,
        State::Unhealthy => TargetState::Unhealthy,
        State::UnhealthyDraining => TargetState::UnhealthyDraining,
        State::Unused => TargetState::Unused,
        State::Draining => TargetState::Draining,
        _ => TargetState::Unavailable,
    }
}
