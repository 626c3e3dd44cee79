//! Task definitions: what there is, and a revision with another image.

use aws_sdk_ecs::types::{self as ecs, TaskDefinitionField};

use super::client::Aws;
use super::error::AwsError;
use crate::deploy::facts::TaskDefinition;
use crate::deploy::reply;

/// A registered task definition: what it says, and what a new revision of it is made from.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its ARN.
    pub arn: String,
    /// What counts of it here.
    pub facts: TaskDefinition,
    raw: ecs::TaskDefinition,
    tags: Vec<ecs::Tag>,
}

impl Aws {
    /// A task definition by family, family and revision, or ARN.
    ///
    /// # Errors
    /// AWS's.
    pub async fn definition(&self, name: &str) -> Result<Definition, AwsError> {
        let ask = self.ecs.describe_task_definition().task_definition(name);
        let answer = ask.include(TaskDefinitionField::Tags).send().await;
        let answer = answer.map_err(|error| AwsError::of("ecs:DescribeTaskDefinition", error))?;
        let raw = answer.task_definition().cloned().ok_or_else(|| AwsError::NotFound {
            operation: "ecs:DescribeTaskDefinition",
            what: format!("task definition {name}"),
        })?;
        Ok(Definition::of(raw, answer.tags().to_vec()))
    }

    /// A revision in which this container has this image: the newest of the family where that fits
    /// already, so that a step that is run twice registers one.
    ///
    /// # Errors
    /// AWS's.
    pub async fn with_image(
        &self,
        base: &Definition,
        container: &str,
        image: &str,
    ) -> Result<(Definition, bool), AwsError> {
        let wanted = base.raw_with(container, image);
        if content(&wanted) == content(&base.raw) {
            return Ok((base.clone(), false));
        }
        let newest = self.definition(&base.facts.family).await?;
        if content(&newest.raw) == content(&wanted) {
            return Ok((newest, false));
        }
        let tags = (!base.tags.is_empty()).then(|| base.tags.clone());
        let answer = self
            .ecs
            .register_task_definition()
            .set_family(wanted.family)
            .set_task_role_arn(wanted.task_role_arn)
            .set_execution_role_arn(wanted.execution_role_arn)
            .set_network_mode(wanted.network_mode)
            .set_container_definitions(wanted.container_definitions)
            .set_volumes(wanted.volumes)
            .set_placement_constraints(wanted.placement_constraints)
            .set_requires_compatibilities(wanted.requires_compatibilities)
            .set_cpu(wanted.cpu)
            .set_memory(wanted.memory)
            .set_pid_mode(wanted.pid_mode)
            .set_ipc_mode(wanted.ipc_mode)
            .set_proxy_configuration(wanted.proxy_configuration)
            .set_ephemeral_storage(wanted.ephemeral_storage)
            .set_runtime_platform(wanted.runtime_platform)
            .set_enable_fault_injection(wanted.enable_fault_injection)
            .set_tags(tags)
            .send()
            .await
            .map_err(|error| AwsError::of("ecs:RegisterTaskDefinition", error))?;
        let raw = answer.task_definition().cloned().ok_or_else(|| AwsError::Other {
            operation: "ecs:RegisterTaskDefinition",
            code: None,
            message: "the answer names no task definition".to_owned(),
        })?;
        Ok((Definition::of(raw, base.tags.clone()), true))
    }
}

impl Definition {
    fn of(raw: ecs::TaskDefinition, tags: Vec<ecs::Tag>) -> Self {
        let facts = reply::ecs::TaskDefinition::from(raw.clone()).into();
        let arn = raw.task_definition_arn().unwrap_or_default().to_owned();
        Definition { arn, facts, raw, tags }
    }

    fn raw_with(&self, container: &str, image: &str) -> ecs::TaskDefinition {
        let mut raw = self.raw.clone();
        for one in raw.container_definitions.iter_mut().flatten() {
            if one.name() == Some(container) {
                one.image = Some(image.to_owned());
            }
        }
        raw
    }
}

/// What makes two revisions the same.
fn content(raw: &ecs::TaskDefinition) -> ecs::TaskDefinition {
    let mut content = raw.clone();
    content.task_definition_arn = None;
    content.revision = 0;
    content.status = None;
    content.registered_at = None;
    content.registered_by = None;
    content.deregistered_at = None;
    content.delete_requested_at = None;
    content
}
