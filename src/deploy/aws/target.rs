//! What a process asks of its own target: how it is, and for how long it drains.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetTypeEnum};

use super::client::Aws;
use super::error::AwsError;
use crate::deploy::draining::OwnTarget;
use crate::deploy::facts::Target;
use crate::deploy::reply;

impl Aws {
    /// The first of these target groups whose targets aren't addresses, but instances or functions.
    ///
    /// # Errors
    /// AWS's.
    pub async fn without_addresses(&self, arns: &[String]) -> Result<Option<String>, AwsError> {
        let ask = self.elb.describe_target_groups().set_target_group_arns(Some(arns.to_vec()));
        let answer = ask.send().await;
        let answer = answer
            .map_err(|error| AwsError::of("elasticloadbalancing:DescribeTargetGroups", error))?;
        let mut groups = answer.target_groups().iter();
        let other = groups.find(|group| group.target_type() != Some(&TargetTypeEnum::Ip));
        Ok(other.and_then(|group| group.target_group_arn()).map(str::to_owned))
    }

    /// How long a target of this group drains.
    ///
    /// # Errors
    /// AWS's.
    pub async fn deregistration_delay(&self, arn: &str) -> Result<Duration, AwsError> {
        let answer = self.elb.describe_target_group_attributes().target_group_arn(arn).send().await;
        let answer = answer.map_err(|error| {
            AwsError::of("elasticloadbalancing:DescribeTargetGroupAttributes", error)
        })?;
        let attributes = answer.attributes.unwrap_or_default().into_iter();
        let attributes: Vec<_> = attributes.map(reply::elb::Attribute::from).collect();
        let group = reply::elb::TargetGroup::default().facts(&attributes);
        Ok(Duration::from_secs(group.deregistration_delay_or_default()))
    }

    /// How one target is: the answer is small, however many there are beside it.
    ///
    /// # Errors
    /// AWS's.
    pub async fn target(&self, own: &OwnTarget) -> Result<Target, AwsError> {
        const OPERATION: &str = "elasticloadbalancing:DescribeTargetHealth";
        let place = TargetDescription::builder().id(&own.place.id).port(own.place.port.into());
        let ask = self.elb.describe_target_health().target_group_arn(&own.group);
        let answer = ask.targets(place.build()).send().await;
        let answer = answer.map_err(|error| AwsError::of(OPERATION, error))?;
        let mut described = answer.target_health_descriptions.unwrap_or_default().into_iter();
        let found = described.next().map(reply::elb::TargetHealthDescription::from);
        found.map(Target::from).ok_or_else(|| AwsError::Other {
            operation: OPERATION,
            code: None,
            message: format!("the answer doesn't say how {} is", own.place),
        })
    }

    /// The service of a task, where it is of one.
    ///
    /// # Errors
    /// AWS's.
    pub async fn service_of(&self, cluster: &str, task: &str) -> Result<Option<String>, AwsError> {
        let answer = self.ecs.describe_tasks().cluster(cluster).tasks(task).send().await;
        let answer = answer.map_err(|error| AwsError::of("ecs:DescribeTasks", error))?;
        let group = answer.tasks().first().and_then(|task| task.group());
        Ok(group.and_then(|group| group.strip_prefix("service:")).map(str::to_owned))
    }
}
