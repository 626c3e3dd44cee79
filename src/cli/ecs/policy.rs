//! `ecs policy`: what IAM must allow.

use clap::Args;

use crate::cli::{flag, print_json, text};
use crate::deploy::policy::{Scope, Subject, policy};
use crate::error::{Error, Exit};

/// Print the least IAM policy that a command needs, as JSON
#[derive(Debug, Args)]
pub struct Policy {
    /// Who needs it: the caller of a command of `ecs`, or a role
    #[arg(value_enum)]
    command: Subject,
    /// The region
    #[arg(long, env = "LOCKKEEPER_AWS_REGION", value_name = "REGION", value_parser = text)]
    region: Option<String>,
    /// The account
    #[arg(long, env = "LOCKKEEPER_AWS_ACCOUNT", value_name = "DIGITS", value_parser = text)]
    account: Option<String>,
    /// The cluster, by name or ARN
    #[arg(long, env = "LOCKKEEPER_ECS_CLUSTER", value_name = "NAME", value_parser = text)]
    cluster: Option<String>,
    /// The service
    #[arg(long, env = "LOCKKEEPER_ECS_SERVICE", value_name = "NAME", value_parser = text)]
    service: Option<String>,
    /// A family of task definitions that may be run; may be given several times
    #[arg(long, env = "LOCKKEEPER_ECS_FAMILY", value_name = "FAMILY", value_delimiter = ',',
          value_parser = text)]
    family: Vec<String>,
    /// A task role or execution role that tasks may be given; may be given several times
    #[arg(long, env = "LOCKKEEPER_ECS_ROLE", value_name = "ARN", value_delimiter = ',',
          value_parser = text)]
    role: Vec<String>,
    /// A log group of the containers; may be given several times
    #[arg(long, env = "LOCKKEEPER_ECS_LOG_GROUP", value_name = "NAME", value_delimiter = ',',
          value_parser = text)]
    log_group: Vec<String>,
    /// The Lambda function
    #[arg(long, env = "LOCKKEEPER_LAMBDA_FUNCTION", value_name = "NAME", value_parser = text)]
    function: Option<String>,
    /// For use with --image, which registers task definitions
    #[arg(long, env = "LOCKKEEPER_ECS_REGISTERS", value_parser = flag())]
    registers: bool,
}

impl Policy {
    /// Runs it.
    ///
    /// # Errors
    /// When standard output can't be written to.
    pub fn run(self) -> Result<Exit, Error> {
        let scope = Scope {
            region: self.region,
            account: self.account,
            cluster: self.cluster,
            service: self.service,
            families: self.family,
            roles: self.role,
            log_groups: self.log_group,
            function: self.function,
            registers: self.registers,
        };
        print_json(&policy(self.command, &scope))?;
        Ok(Exit::Done)
    }
}
