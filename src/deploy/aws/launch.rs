//! One-off tasks: RunTask, DescribeTasks, StopTask.

use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerOverride, Failure,
    KeyValuePair, LaunchType, NetworkConfiguration, TaskOverride,
};

use super::client::Aws;
use super::error::AwsError;
use crate::deploy::cause::{self, Cause};
use crate::deploy::facts::{Launch, Network};
use crate::deploy::task::{Task, TaskContainer};

/// What is to be started.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The cluster.
    pub cluster: String,
    /// The task definition: family, family and revision, or ARN.
    pub definition: String,
    /// The container whose command is replaced, and whose end counts.
    pub container: String,
    /// Its command; empty for its own.
    pub command: Vec<String>,
    /// More of its environment.
    pub environment: Vec<(String, String)>,
    /// Where it runs; `None` for what the cluster does by default.
    pub launch: Option<Launch>,
    /// `platformVersion`.
    pub platform_version: Option<String>,
    /// Subnets and security groups, of `awsvpc`.
    pub network: Option<Network>,
    /// `startedBy`.
    pub started_by: String,
    /// By what this start differs from any other ([`MARK`]).
    pub mark: String,
}

/// What came of an order.
#[derive(Debug)]
pub enum Started {
    /// A task of ours.
    New(Box<Task>),
    /// An earlier start had this token; its tasks, by ARN.
    Taken(Vec<String>),
    /// ECS placed none.
    Refused(Cause),
}

impl Aws {
    /// Starts one task. The token makes it idempotent: ECS starts no second one for it. Each command's
    /// order differs from any other's in its mark, so that another's with the same token is told as a
    /// conflict, and an old task is never taken for a new one. The same order again, after a lost
    /// answer, is the same task.
    ///
    /// # Errors
    /// AWS's.
    pub async fn start(&self, order: &Order, token: &str) -> Result<Started, AwsError> {
        let (launch_type, providers) = placement(order.launch.as_ref());
        let answer = self
            .ecs
            .run_task()
            .cluster(&order.cluster)
            .task_definition(&order.definition)
            .client_token(token)
            .started_by(&order.started_by)
            .count(1)
            .set_launch_type(launch_type)
            .set_capacity_provider_strategy(providers)
            .set_platform_version(order.platform_version.clone())
            .set_network_configuration(order.network.as_ref().map(network))
            .overrides(overrides(order))
            .send()
            .await
            .map_err(|error| AwsError::of("ecs:RunTask", error));
        let answer = match answer {
            // Without a task, the earlier request was refused, and its token is used up nevertheless.
            Err(AwsError::Conflict { ids, .. }) => return Ok(Started::Taken(ids)),
            answer => answer?,
        };
        if let Some(task) = answer.tasks().first() {
            return Ok(Started::New(Box::new(read(task))));
        }
        Ok(Started::Refused(match answer.failures().first() {
            Some(failure) => cause::of_failure(failure.reason().unwrap_or("?"), failure.detail()),
            None => Cause {
                sentence: "ECS placed no task, and gives no reason".to_owned(),
                next: "see the cluster's capacity, and try again".to_owned(),
            },
        }))
    }

    /// The tasks with this `startedBy` that run, or will, by ARN.
    ///
    /// # Errors
    /// AWS's.
    pub async fn tasks_started_by(&self, cluster: &str, by: &str) -> Result<Vec<String>, AwsError> {
        let answer = self.ecs.list_tasks().cluster(cluster).started_by(by).send().await;
        let answer = answer.map_err(|error| AwsError::of("ecs:ListTasks", error))?;
        Ok(answer.task_arns.unwrap_or_default())
    }

    /// A task, or `None` when ECS doesn't know it: not yet, since its reads lag behind, or no more.
    ///
    /// # Errors
    /// AWS's.
    pub async fn task(&self, cluster: &str, arn: &str) -> Result<Option<Task>, AwsError> {
        let answer = self.ecs.describe_tasks().cluster(cluster).tasks(arn).send().await;
        let answer = answer.map_err(|error| AwsError::of("ecs:DescribeTasks", error))?;
        if let Some(task) = answer.tasks().first() {
            return Ok(Some(read(task)));
        }
        match answer.failures().iter().find(|failure| !is_missing(failure)) {
            Some(failure) => Err(AwsError::Invalid {
                operation: "ecs:DescribeTasks",
                message: failure.reason().unwrap_or("a failure without a reason").to_owned(),
            }),
            None => Ok(None),
        }
    }

    /// Tells a task to stop: SIGTERM, its stop timeout, SIGKILL.
    ///
    /// # Errors
    /// AWS's.
    pub async fn stop(&self, cluster: &str, arn: &str, reason: &str) -> Result<(), AwsError> {
        let answer = self.ecs.stop_task().cluster(cluster).task(arn).reason(reason).send().await;
        answer.map(drop).map_err(|error| AwsError::of("ecs:StopTask", error))
    }
}

fn is_missing(failure: &&Failure) -> bool {
    failure.reason() == Some("MISSING")
}

/// The two ways to place a task exclude each other.
fn placement(
    launch: Option<&Launch>,
) -> (Option<LaunchType>, Option<Vec<CapacityProviderStrategyItem>>) {
    match launch {
        None => (None, None),
        Some(Launch::Fargate) => (Some(LaunchType::Fargate), None),
        Some(Launch::Ec2) => (Some(LaunchType::Ec2), None),
        Some(Launch::External) => (Some(LaunchType::External), None),
        Some(Launch::Providers(providers)) => {
            let item = |one: &crate::deploy::facts::Capacity| {
                CapacityProviderStrategyItem::builder()
                    .capacity_provider(&one.provider)
                    .weight(i32::try_from(one.weight).unwrap_or(i32::MAX))
                    .base(i32::try_from(one.base).unwrap_or(i32::MAX))
                    .build()
                    .ok()
            };
            (None, Some(providers.iter().filter_map(item).collect()))
        }
    }
}

fn network(network: &Network) -> NetworkConfiguration {
    let public = if network.public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(network.subnets.clone()))
        .set_security_groups(Some(network.security_groups.clone()))
        .assign_public_ip(public)
        .build()
        .ok();
    NetworkConfiguration::builder().set_awsvpc_configuration(vpc).build()
}

/// The variable that carries [`Order::mark`].
pub const MARK: &str = "LOCKKEEPER_ECS_START";

fn overrides(order: &Order) -> TaskOverride {
    let pair =
        |(name, value): &(String, String)| KeyValuePair::builder().name(name).value(value).build();
    let mark = (MARK.to_owned(), order.mark.clone());
    let environment = order.environment.iter().chain([&mark]).map(pair).collect();
    let command = (!order.command.is_empty()).then(|| order.command.clone());
    let container = ContainerOverride::builder()
        .name(&order.container)
        .set_command(command)
        .set_environment(Some(environment))
        .build();
    TaskOverride::builder().container_overrides(container).build()
}

/// A task in our words.
pub fn read(task: &aws_sdk_ecs::types::Task) -> Task {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let containers = task.containers().iter().map(|one| TaskContainer {
        name: text(one.name()),
        status: text(one.last_status()),
        exit_code: one.exit_code(),
        reason: one.reason().map(str::to_owned),
    });
    Task {
        arn: text(task.task_arn()),
        definition: text(task.task_definition_arn()),
        status: text(task.last_status()),
        desired: text(task.desired_status()),
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
        started_by: task.started_by().map(str::to_owned),
        address: address(task, "privateIPv4Address"),
        address_v6: address(task, "privateIPv6Address"),
        stopped_at: task.stopped_at().map(|at| at.as_secs_f64()),
        containers: containers.collect(),
    }
}

/// An address of the task's own network interface.
fn address(task: &aws_sdk_ecs::types::Task, kind: &str) -> Option<String> {
    let details = task.attachments().iter().flat_map(|attachment| attachment.details());
    let mut named = details.filter(|detail| detail.name() == Some(kind));
    named.next().and_then(|detail| detail.value()).map(str::to_owned)
}
