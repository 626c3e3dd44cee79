//! The least that IAM must allow for each command.
//!
//! Which actions can be narrowed to resources, and by which conditions, is what the service
//! authorization reference of AWS says: `DescribeTaskDefinition` and all that reads load balancers
//! can't, so they are allowed on everything. What isn't given stands as a word in capitals, with
//! which IAM refuses the policy: nothing is allowed by an oversight.

use serde_json::{Value, json};

use super::reply::name_of;

/// Who needs the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// Who calls `ecs run`.
    Run,
    /// Who calls `ecs rollout`.
    Rollout,
    /// Who calls `ecs deploy`.
    Deploy,
    /// Who calls `ecs hook`.
    Hook,
    /// Who calls `ecs doctor`.
    Doctor,
    /// The Lambda function's role.
    Lambda,
    /// The role of a service's task that migrates, and holds its own protection.
    Protection,
    /// The role of a service's task that watches for its own draining.
    Gate,
}

/// What the policy is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The region.
    pub region: Option<String>,
    /// The account's twelve digits.
    pub account: Option<String>,
    /// The cluster, by name or ARN.
    pub cluster: Option<String>,
    /// The service's name.
    pub service: Option<String>,
    /// Families of the task definitions that may be run.
    pub families: Vec<String>,
    /// ARNs of the task roles and execution roles that may be handed to tasks.
    pub roles: Vec<String>,
    /// Log groups of the containers that are followed.
    pub log_groups: Vec<String>,
    /// The Lambda function's name.
    pub function: Option<String>,
    /// Whether task definitions are registered, as `--image` does.
    pub registers: bool,
}

/// The policy, as IAM takes it.
pub fn policy(subject: Subject, scope: &Scope) -> Value {
    let statements = match subject {
        Subject::Run => scope.run(),
        Subject::Rollout => scope.rollout(),
        Subject::Deploy => merged(scope.run(), scope.rollout()),
        Subject::Hook => merged(scope.run(), vec![scope.find_deployments(), scope.answer_hooks()]),
        Subject::Doctor => scope.doctor(),
        Subject::Lambda => merged(scope.run(), scope.lambda()),
        Subject::Protection => vec![statement(
            "ProtectOwnTask",
            ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"],
            scope.tasks(),
        )],
        Subject::Gate => scope.gate(),
    };
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Without those that say the same.
fn merged(mut statements: Vec<Value>, more: Vec<Value>) -> Vec<Value> {
    for statement in more {
        if !statements.contains(&statement) {
            statements.push(statement);
        }
    }
    statements
}

fn statement<const N: usize>(sid: &str, actions: [&str; N], resource: impl Into<Value>) -> Value {
    let (actions, resource) = (actions.to_vec(), resource.into());
    json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource})
}

fn only_if(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

impl Scope {
    fn run(&self) -> Vec<Value> {
        let in_cluster =
            json!({"ArnEquals": {"ecs:cluster": self.arn("ecs", &self.cluster_path())}});
        let run = statement("RunTask", ["ecs:RunTask"], self.definitions());
        let mut statements = vec![
            self.read_service(),
            self.read_definitions(),
            only_if(run, in_cluster),
            self.list_tasks(),
            self.read_tasks(),
            statement("StopTask", ["ecs:StopTask"], self.tasks()),
            self.pass_roles(),
            statement("ReadLog", ["logs:GetLogEvents"], self.logs()),
        ];
        statements.extend(self.register());
        statements
    }

    /// What `--image` does. RegisterTaskDefinition can be narrowed to families.
    fn register(&self) -> Vec<Value> {
        if !self.registers {
            return Vec::new();
        }
        let register = ["ecs:RegisterTaskDefinition"];
        let tag = statement("TagDefinition", ["ecs:TagResource"], self.definitions());
        let when = json!({"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}});
        vec![statement("RegisterDefinition", register, self.definitions()), only_if(tag, when)]
    }

    fn rollout(&self) -> Vec<Value> {
        // The doctor's view of a rollout that has failed needs what he needs.
        let mut statements = self.doctor();
        let deployments = [self.service_arn(), self.of_service("service-deployment")];
        statements.extend([
            statement("UpdateService", ["ecs:UpdateService"], self.service_arn()),
            self.find_deployments(),
            statement("ReadDeployments", ["ecs:DescribeServiceDeployments"], deployments.to_vec()),
            self.pass_roles(),
        ]);
        statements.extend(self.register());
        statements
    }

    fn doctor(&self) -> Vec<Value> {
        vec![
            self.read_service(),
            self.read_definitions(),
            self.list_tasks(),
            self.read_tasks(),
            self.read_deployment_group(),
            statement(
                "ReadLoadBalancers",
                [
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTargetGroupAttributes",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ],
                "*",
            ),
        ]
    }

    fn lambda(&self) -> Vec<Value> {
        let function = placeholder(&self.function, "FUNCTION");
        let own = format!("log-group:/aws/lambda/{function}:log-stream:*");
        let revisions = json!([self.service_arn(), self.of_service("service-revision")]);
        vec![
            statement("FindRevision", ["ecs:DescribeServiceRevisions"], revisions),
            statement("AnswerCodeDeploy", ["codedeploy:PutLifecycleEventHookExecutionStatus"], "*"),
            statement(
                "WriteOwnLog",
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                self.arn("logs", &own),
            ),
        ]
    }

    fn gate(&self) -> Vec<Value> {
        vec![
            self.read_service(),
            self.read_definitions(),
            self.read_tasks(),
            statement(
                "ReadOwnTarget",
                [
                    "elasticloadbalancing:DescribeTargetGroupAttributes",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ],
                "*",
            ),
        ]
    }

    fn read_service(&self) -> Value {
        statement("ReadService", ["ecs:DescribeServices"], self.service_arn())
    }

    fn read_definitions(&self) -> Value {
        statement("ReadDefinitions", ["ecs:DescribeTaskDefinition"], "*")
    }

    fn read_tasks(&self) -> Value {
        statement("ReadTasks", ["ecs:DescribeTasks"], self.tasks())
    }

    /// Which group deploys the service only CodeDeploy knows: all of the account's may be read.
    fn read_deployment_group(&self) -> Value {
        statement(
            "ReadDeploymentGroup",
            ["codedeploy:GetDeployment", "codedeploy:GetDeploymentGroup"],
            self.arn("codedeploy", "deploymentgroup:*"),
        )
    }

    /// Its resources are container instances, which tasks on Fargate don't have: the condition
    /// narrows it.
    fn list_tasks(&self) -> Value {
        let in_cluster =
            json!({"ArnEquals": {"ecs:cluster": self.arn("ecs", &self.cluster_path())}});
        only_if(statement("ListTasks", ["ecs:ListTasks"], "*"), in_cluster)
    }

    fn find_deployments(&self) -> Value {
        statement("FindDeployment", ["ecs:ListServiceDeployments"], self.service_arn())
    }

    fn answer_hooks(&self) -> Value {
        let resources = [self.service_arn(), self.of_service("service-deployment")];
        let resources = [resources.as_slice(), &[self.of_service("service-revision")]].concat();
        statement(
            "AnswerHooks",
            [
                "ecs:ContinueServiceDeployment",
                "ecs:DescribeServiceDeployments",
                "ecs:DescribeServiceRevisions",
            ],
            resources,
        )
    }

    /// RunTask, UpdateService and RegisterTaskDefinition hand a task its roles.
    fn pass_roles(&self) -> Value {
        let account = placeholder(&self.account, "ACCOUNT");
        let roles = match self.roles.as_slice() {
            [] => vec![format!("arn:{}:iam::{account}:role/ROLE", self.partition())],
            roles => roles.to_vec(),
        };
        let to = json!({"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}});
        only_if(statement("PassRoles", ["iam:PassRole"], roles), to)
    }

    fn arn(&self, service: &str, path: &str) -> String {
        let region = placeholder(&self.region, "REGION");
        let account = placeholder(&self.account, "ACCOUNT");
        format!("arn:{}:{service}:{region}:{account}:{path}", self.partition())
    }

    fn partition(&self) -> &'static str {
        match self.region.as_deref() {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn cluster_name(&self) -> &str {
        self.cluster.as_deref().map_or("CLUSTER", name_of)
    }

    fn cluster_path(&self) -> String {
        format!("cluster/{}", self.cluster_name())
    }

    fn service_arn(&self) -> String {
        let service = placeholder(&self.service, "SERVICE");
        self.arn("ecs", &format!("service/{}/{}", self.cluster_name(), name_of(service)))
    }

    /// What belongs to the service: its deployments, its revisions.
    fn of_service(&self, kind: &str) -> String {
        let service = placeholder(&self.service, "SERVICE");
        self.arn("ecs", &format!("{kind}/{}/{}/*", self.cluster_name(), name_of(service)))
    }

    fn tasks(&self) -> String {
        self.arn("ecs", &format!("task/{}/*", self.cluster_name()))
    }

    fn definitions(&self) -> Vec<String> {
        let arn = |family: &str| self.arn("ecs", &format!("task-definition/{family}:*"));
        match self.families.as_slice() {
            [] => vec![arn("FAMILY")],
            families => families.iter().map(|family| arn(family)).collect(),
        }
    }

    fn logs(&self) -> Vec<String> {
        let arn = |group: &str| self.arn("logs", &format!("log-group:{group}:log-stream:*"));
        match self.log_groups.as_slice() {
            [] => vec![arn("LOG_GROUP")],
            groups => groups.iter().map(|group| arn(group)).collect(),
        }
    }
}

fn placeholder<'a>(given: &'a Option<String>, word: &'a str) -> &'a str {
    given.as_deref().unwrap_or(word)
}

#[cfg(test)]
mod tests;
