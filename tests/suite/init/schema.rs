//! Which fields a document may have: by the way to each object, its fields, and those it must have.

use std::collections::BTreeMap;

use serde_json::Value;

/// The fields of the objects at a place. `*` stands for any name, `[]` for a list's elements. A field
/// with a `!` must be there; `*` alone allows any.
pub type Fields = [(&'static str, &'static str)];

/// What is wrong with a document: fields that there aren't, and fields that are missing.
pub fn faults(document: &Value, fields: &Fields) -> Vec<String> {
    let fields: BTreeMap<_, _> = fields.iter().copied().collect();
    let mut faults = Vec::new();
    look("", document, &fields, &mut faults);
    faults
}

fn look(at: &str, value: &Value, fields: &BTreeMap<&str, &str>, faults: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let Some(known) = fields.get(at) else {
                return faults.push(format!("{at}: is no map"));
            };
            let known: Vec<_> = known.split_whitespace().collect();
            let any = known.contains(&"*");
            for wanted in known.iter().filter_map(|name| name.strip_suffix('!')) {
                if !object.contains_key(wanted) {
                    faults.push(format!("{at}: lacks {wanted}"));
                }
            }
            for (name, value) in object {
                let known = known.iter().any(|one| one.trim_end_matches('!') == name);
                if !known && !any {
                    faults.push(format!("{at}: there is no {name}"));
                }
                let name = if known { name } else { "*" };
                look(format!("{at}.{name}").trim_start_matches('.'), value, fields, faults);
            }
        }
        Value::Array(list) => {
            list.iter().for_each(|value| look(&format!("{at}[]"), value, fields, faults));
        }
        _ => {}
    }
}

/// `RegisterTaskDefinition`, as the SDK has it.
pub const TASK_DEFINITION: &Fields = &[
    (
        "",
        "family! taskRoleArn executionRoleArn networkMode containerDefinitions! volumes \
         placementConstraints requiresCompatibilities cpu memory tags pidMode ipcMode \
         proxyConfiguration inferenceAccelerators ephemeralStorage runtimePlatform \
         enableFaultInjection",
    ),
    ("containerDefinitions[]", CONTAINER),
    ("containerDefinitions[].environment[]", "name! value!"),
    ("containerDefinitions[].secrets[]", "name! valueFrom!"),
    ("containerDefinitions[].dependsOn[]", "containerName! condition!"),
    (
        "containerDefinitions[].portMappings[]",
        "containerPort! hostPort protocol name appProtocol containerPortRange",
    ),
    ("containerDefinitions[].healthCheck", "command! interval timeout retries startPeriod"),
    ("containerDefinitions[].logConfiguration", "logDriver! options secretOptions"),
    (
        "containerDefinitions[].logConfiguration.options",
        "awslogs-group awslogs-region awslogs-stream-prefix mode max-buffer-size",
    ),
];

const CONTAINER: &str = "name! image! repositoryCredentials cpu memory memoryReservation links portMappings essential \
     restartPolicy entryPoint command environment environmentFiles mountPoints volumesFrom \
     linuxParameters secrets dependsOn startTimeout stopTimeout versionConsistency hostname user \
     workingDirectory disableNetworking privileged readonlyRootFilesystem dnsServers \
     dnsSearchDomains extraHosts dockerSecurityOptions interactive pseudoTerminal dockerLabels \
     ulimits logConfiguration healthCheck systemControls resourceRequirements \
     firelensConfiguration credentialSpecs";

/// A Scheduled Job of Copilot, by its documentation.
pub const COPILOT_JOB: &Fields = &[
    (
        "",
        "name! type! on! image! entrypoint command cpu memory platform retries timeout network \
         variables env_file secrets storage logging sidecars taskdef_overrides environments \
         publish",
    ),
    ("on", "schedule!"),
    ("image", IMAGE),
    ("network", "vpc"),
    ("network.vpc", "placement security_groups"),
    ("variables", "*"),
    ("secrets", "*"),
];

const IMAGE: &str = "build location credentials labels depends_on healthcheck port";

/// A Load Balanced Web Service of Copilot, by its documentation.
pub const COPILOT_SERVICE: &Fields = &[
    (
        "",
        "name! type! http! nlb image! entrypoint command cpu memory platform count exec \
         deployment network variables env_file secrets storage publish logging observability \
         sidecars taskdef_overrides environments",
    ),
    (
        "http",
        "path! healthcheck deregistration_delay target_container target_port stickiness \
         allowed_source_ips alias hosted_zone redirect_to_https version additional_rules",
    ),
    (
        "http.healthcheck",
        "path port success_codes healthy_threshold unhealthy_threshold interval timeout \
         grace_period",
    ),
    ("image", IMAGE),
    ("image.depends_on", "*"),
    ("secrets", "*"),
    ("sidecars", "*"),
    (
        "sidecars.*",
        "port image! essential credentialsParameter variables secrets env_file mount_points \
         labels depends_on entrypoint command healthcheck",
    ),
    ("sidecars.*.variables", "*"),
    ("sidecars.*.secrets", "*"),
];

/// A buildspec of CodeBuild.
pub const BUILDSPEC: &Fields = &[
    ("", "version! run-as env proxy batch phases! reports artifacts cache"),
    (
        "env",
        "shell variables parameter-store exported-variables secrets-manager git-credential-helper",
    ),
    ("env.variables", "*"),
    ("phases", "install pre_build build post_build"),
    ("phases.build", "run-as on-failure commands! finally"),
];

/// A workflow of GitHub Actions.
pub const WORKFLOW: &Fields = &[
    ("", "name on! permissions env defaults concurrency jobs! run-name"),
    ("on", "push pull_request workflow_dispatch release schedule workflow_call"),
    ("on.push", "branches branches-ignore tags tags-ignore paths paths-ignore"),
    (
        "permissions",
        "actions attestations checks contents deployments discussions id-token issues packages \
         pages pull-requests repository-projects security-events statuses",
    ),
    ("concurrency", "group! cancel-in-progress"),
    ("env", "*"),
    ("jobs", "*"),
    (
        "jobs.*",
        "name permissions needs if runs-on! environment concurrency outputs env defaults steps! \
         timeout-minutes strategy continue-on-error container services uses with secrets",
    ),
    (
        "jobs.*.steps[]",
        "id if name uses run working-directory shell with env continue-on-error timeout-minutes",
    ),
    ("jobs.*.steps[].with", "*"),
    ("jobs.*.steps[].env", "*"),
];

/// Terraform, as `hcl` reads it, of the types that the module has.
pub const TERRAFORM: &Fields = &[
    ("", "variable data locals resource output"),
    ("variable", "*"),
    ("variable.*", "description type! default"),
    ("locals", "*"),
    ("output", "*"),
    ("output.*", "description value!"),
    ("data", "aws_caller_identity aws_partition aws_region aws_iam_policy_document"),
    ("data.aws_caller_identity", "*"),
    ("data.aws_caller_identity.*", ""),
    ("data.aws_partition", "*"),
    ("data.aws_partition.*", ""),
    ("data.aws_region", "*"),
    ("data.aws_region.*", ""),
    ("data.aws_iam_policy_document", "*"),
    ("data.aws_iam_policy_document.*", "statement!"),
    ("data.aws_iam_policy_document.*.statement", STATEMENT),
    ("data.aws_iam_policy_document.*.statement[]", STATEMENT),
    ("data.aws_iam_policy_document.*.statement.principals", "type! identifiers!"),
    ("data.aws_iam_policy_document.*.statement[].condition", "test! variable! values!"),
    (
        "resource",
        "aws_cloudwatch_log_group aws_iam_role aws_iam_role_policy_attachment aws_iam_role_policy \
         aws_ecs_task_definition aws_iam_policy",
    ),
    ("resource.aws_cloudwatch_log_group", "*"),
    (
        "resource.aws_cloudwatch_log_group.*",
        "name name_prefix skip_destroy log_group_class retention_in_days kms_key_id tags",
    ),
    ("resource.aws_iam_role", "*"),
    (
        "resource.aws_iam_role.*",
        "assume_role_policy! description force_detach_policies max_session_duration name \
         name_prefix path permissions_boundary tags",
    ),
    ("resource.aws_iam_role_policy_attachment", "*"),
    ("resource.aws_iam_role_policy_attachment.*", "role! policy_arn!"),
    ("resource.aws_iam_role_policy", "*"),
    ("resource.aws_iam_role_policy.*", "name name_prefix policy! role!"),
    ("resource.aws_iam_policy", "*"),
    ("resource.aws_iam_policy.*", "description name name_prefix path policy! tags"),
    ("resource.aws_ecs_task_definition", "*"),
    (
        "resource.aws_ecs_task_definition.*",
        "container_definitions! family! cpu enable_fault_injection execution_role_arn ipc_mode \
         memory network_mode pid_mode requires_compatibilities skip_destroy tags task_role_arn \
         track_latest",
    ),
];

const STATEMENT: &str = "actions! condition effect not_actions not_principals not_resources \
                         principals resources sid";
