//! Where the facts stand in the files that they were read from, so that changes can be made there.

use std::collections::BTreeMap;

/// Names that only the files know; empty for what AWS told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Copilot's environment, whose overrides were laid over the manifest.
    pub environment: Option<String>,
    /// Terraform's address of the service: `module.shop.aws_ecs_service.web[0]`.
    pub service: Option<String>,
    /// Terraform's address of the task definition to come.
    pub task_definition: Option<String>,
    /// Terraform's addresses of the target groups, by their names.
    pub target_groups: BTreeMap<String, String>,
    /// Terraform's address of CodeDeploy's deployment group.
    pub deployment_group: Option<String>,
}
