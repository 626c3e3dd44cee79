//! What ECS's reasons mean: words that stand in them.

/// Words in a reason, all of which must be there, and what they mean.
pub(super) struct Pattern {
    pub(super) words: &'static [&'static str],
    pub(super) sentence: &'static str,
    pub(super) next: &'static str,
}

const NO_IMAGE: &str =
    "see that the pipeline has pushed it before this step, and that name, tag and region fit";
const BUILD: &str = "build it for the task's cpuArchitecture (docker build --platform linux/amd64, or \
                     linux/arm64), or set runtimePlatform in the task definition";
const ROUTE: &str = "in a public subnet let the task have a public address (assignPublicIp); in a private \
                     one, a NAT gateway or endpoints for ecr.api, ecr.dkr, s3, secretsmanager, ssm and \
                     logs; see that the security group lets 443 out";
const PULL: &str = "see that the execution role has ecr:GetAuthorizationToken, ecr:BatchGetImage and \
                    ecr:GetDownloadUrlForLayer (AmazonECSTaskExecutionRolePolicy), and that the image is there";
const SECRET: &str = "allow the execution role secretsmanager:GetSecretValue or ssm:GetParameters on it, \
                      and kms:Decrypt where a key of one's own encrypts it";
const PROGRAM: &str = "look at entryPoint and command: what stands behind `--` here replaces the command, \
                       and follows the image's entry point";
const CHECKS: &str = "see `lockkeeper ecs doctor`: grace period, interval and thresholds against the time \
                      until the first good answer";

/// A pattern: its words, the sentence, what to do.
const fn fits(
    words: &'static [&'static str],
    sentence: &'static str,
    next: &'static str,
) -> Pattern {
    Pattern { words, sentence, next }
}

/// In this order; the first that fits counts. Names of images, programs and groups stand in these texts
/// too, so a pattern has no word that may be one.
pub(super) const PATTERNS: &[Pattern] = &[
    fits(&["descriptor matching platform"], "the image is not built for this platform", BUILD),
    fits(
        &["does not match the specified platform"],
        "the image is not built for this platform",
        BUILD,
    ),
    fits(&["no match for platform"], "the image is not built for this platform", BUILD),
    fits(&["exec format error"], "the image is not built for this platform", BUILD),
    fits(
        &["cannotpullcontainer", "no space left"],
        "the image could not be pulled: the disk is full",
        "give the task more ephemeralStorage, or make the image smaller",
    ),
    fits(
        &["cannotpullcontainer", "toomanyrequests"],
        "the image could not be pulled: the registry limits how many are pulled",
        "log in to the registry (repositoryCredentials), or pull through a cache in ECR",
    ),
    fits(&["cannotpullcontainer", "i/o timeout"], NO_ROUTE_TO_REGISTRY, ROUTE),
    fits(&["cannotpullcontainer", "dial tcp"], NO_ROUTE_TO_REGISTRY, ROUTE),
    fits(&["cannotpullcontainer", "no such host"], NO_ROUTE_TO_REGISTRY, ROUTE),
    fits(&["cannotpullcontainer", "request canceled"], NO_ROUTE_TO_REGISTRY, ROUTE),
    fits(&["cannotpullcontainer", "context deadline exceeded"], NO_ROUTE_TO_REGISTRY, ROUTE),
    fits(
        &["cannotpullcontainer", ": not found"],
        "the image could not be pulled: there is no such image or tag",
        NO_IMAGE,
    ),
    fits(
        &["cannotpullcontainer", "manifest unknown"],
        "the image could not be pulled: there is no such image or tag",
        NO_IMAGE,
    ),
    fits(&["cannotpullcontainer"], "the image could not be pulled", PULL),
    fits(
        &["ecr:getauthorizationtoken"],
        "the registry's login could not be read: the execution role may not",
        PULL,
    ),
    fits(&[SECRETS, "resourcenotfoundexception"], NO_SECRET, WHICH_SECRET),
    fits(&[SECRETS, "invalid ssm parameters"], NO_SECRET, WHICH_SECRET),
    fits(
        &[SECRETS, "did not contain json key"],
        "a secret could not be read: it has no such key",
        WHICH_SECRET,
    ),
    fits(&[SECRETS, "not authorized"], DENIED_SECRET, SECRET),
    fits(&[SECRETS, "accessdenied"], DENIED_SECRET, SECRET),
    fits(&[SECRETS, "timeout"], NO_ROUTE_TO_AWS, ROUTE),
    fits(&[SECRETS, "deadline exceeded"], NO_ROUTE_TO_AWS, ROUTE),
    fits(&[SECRETS, "connection issue"], NO_ROUTE_TO_AWS, ROUTE),
    fits(&[SECRETS, "requesterror"], NO_ROUTE_TO_AWS, ROUTE),
    fits(&[SECRETS, "dial tcp"], NO_ROUTE_TO_AWS, ROUTE),
    fits(
        &[SECRETS],
        "a secret or the registry's login could not be read",
        "look at the valueFrom of each secret, at the execution role, and at the route to AWS",
    ),
    fits(&["executable file not found"], "the container has no such program", PROGRAM),
    fits(
        &["cannotstartcontainer", "no such file or directory"],
        "the container has no such program",
        PROGRAM,
    ),
    fits(&["failed to validate logger args"], "the log could not be opened", LOG),
    fits(&["log group does not exist"], "the log could not be opened", LOG),
    fits(&["logging driver"], "the log could not be opened", LOG),
    fits(
        &["failed to invoke efs utils"],
        "a file system could not be mounted",
        "see the mount targets and security groups of the EFS volume",
    ),
    fits(
        &["network interface"],
        "the task got no network interface",
        "see that the subnets have free addresses, and the account room for more interfaces",
    ),
    fits(
        &["capacity is unavailable"],
        "there is no capacity in this zone at this time",
        "try again, or give subnets of several zones",
    ),
    fits(
        &["outofmemoryerror"],
        "a container was killed: it needs more memory than it has",
        "give the task, and the container's own limit, more memory",
    ),
    fits(
        &["cannotstartcontainer"],
        "a container could not be started",
        "look at entryPoint, command and mounts of the task definition",
    ),
    fits(
        &["cannotcreatecontainer"],
        "a container could not be made",
        "look at its mounts, limits and links in the task definition",
    ),
    fits(&["failed elb health checks"], "the load balancer's health checks failed", CHECKS),
    fits(&["is unhealthy in"], "the load balancer's health checks failed", CHECKS),
    fits(
        &["failed container health checks"],
        "the container's health check failed",
        "see `lockkeeper ecs doctor`: startPeriod, interval and retries of the healthCheck against \
         the time until the first good answer",
    ),
    fits(
        &["scaling activity"],
        "the service replaced the task or scaled in",
        "run a migration as a one-off task, which no deployment stops",
    ),
    fits(
        &["host ec2", "terminated"],
        "the machine under the task was terminated",
        "start it again; it goes on where it was",
    ),
];

const SECRETS: &str = "unable to pull secrets or registry auth";
const NO_SECRET: &str = "a secret could not be read: it does not exist";
const WHICH_SECRET: &str =
    "look at the valueFrom of each secret in the task definition: ARN, key and region";
const DENIED_SECRET: &str = "a secret could not be read: the execution role may not";
const NO_ROUTE_TO_AWS: &str =
    "a secret or the registry's login could not be read: there is no route to AWS";
const NO_ROUTE_TO_REGISTRY: &str =
    "the image could not be pulled: there is no route to the registry";
const LOG: &str = "make the log group, or let the execution role make it (logs:CreateLogGroup with \
                   awslogs-create-group), and allow logs:CreateLogStream and logs:PutLogEvents";
