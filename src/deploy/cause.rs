//! Why a task stopped, in a sentence, with what to do about it.
//!
//! ECS tells it in three places: the task's `stopCode` and `stoppedReason`, and each container's
//! `reason` and `exitCode`. The texts are those of AWS's page "Stopped task error messages" and of the
//! agent's sources; what isn't among them is told as it stands.

use super::task::{Task, TaskContainer};

/// Why, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Lowercase, without a full stop.
    pub sentence: String,
    /// What to do.
    pub next: String,
}

impl Cause {
    fn new(sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Cause { sentence: sentence.into(), next: next.into() }
    }
}

/// Words in a reason, all of which must be there, and what they mean.
struct Pattern {
    words: &'static [&'static str],
    sentence: &'static str,
    next: &'static str,
}

/// In this order; the first that fits counts.
const PATTERNS: &[Pattern] = &[
    Pattern {
        words: &["cannotpullcontainer", "platform"],
        sentence: "the image is not built for this platform",
        next: "build it for the task's cpuArchitecture (docker build --platform linux/amd64, or linux/arm64), \
               or set runtimePlatform in the task definition",
    },
    Pattern {
        words: &["cannotpullcontainer", "no space left"],
        sentence: "the image could not be pulled: the disk is full",
        next: "give the task more ephemeralStorage, or make the image smaller",
    },
    Pattern {
        words: &["cannotpullcontainer", "not found"],
        sentence: "the image could not be pulled: there is no such image or tag",
        next: "see that the pipeline has pushed it before this step, and that name, tag and region fit",
    },
    Pattern {
        words: &["cannotpullcontainer", "manifest unknown"],
        sentence: "the image could not be pulled: there is no such image or tag",
        next: "see that the pipeline has pushed it before this step, and that name, tag and region fit",
    },
    Pattern {
        words: &["cannotpullcontainer", "timeout"],
        sentence: "the image could not be pulled: there is no route to the registry",
        next: "in a public subnet let the task have a public address (assignPublicIp); in a private one, a \
               NAT gateway or endpoints for ecr.api, ecr.dkr and s3; see that the security group lets 443 out",
    },
    Pattern {
        words: &["cannotpullcontainer", "i/o"],
        sentence: "the image could not be pulled: there is no route to the registry",
        next: "in a public subnet let the task have a public address (assignPublicIp); in a private one, a \
               NAT gateway or endpoints for ecr.api, ecr.dkr and s3; see that the security group lets 443 out",
    },
    Pattern {
        words: &["cannotpullcontainer", "request canceled"],
        sentence: "the image could not be pulled: there is no route to the registry",
        next: "in a public subnet let the task have a public address (assignPublicIp); in a private one, a \
               NAT gateway or endpoints for ecr.api, ecr.dkr and s3; see that the security group lets 443 out",
    },
    Pattern {
        words: &["cannotpullcontainer", "toomanyrequests"],
        sentence: "the image could not be pulled: the registry limits how many are pulled",
        next: "log in to the registry (repositoryCredentials), or pull through a cache in ECR",
    },
    Pattern {
        words: &["cannotpullcontainer"],
        sentence: "the image could not be pulled",
        next: "see that the execution role has ecr:GetAuthorizationToken, ecr:BatchGetImage and \
               ecr:GetDownloadUrlForLayer (AmazonECSTaskExecutionRolePolicy), and that the image is there",
    },
    Pattern {
        words: &["unable to pull secrets or registry auth", "resourcenotfoundexception"],
        sentence: "a secret could not be read: it does not exist",
        next: "look at the valueFrom of each secret in the task definition: ARN, key and region",
    },
    Pattern {
        words: &["unable to pull secrets or registry auth", "not authorized"],
        sentence: "a secret could not be read: the execution role may not",
        next: "allow the execution role secretsmanager:GetSecretValue or ssm:GetParameters on it, and \
               kms:Decrypt where a key of one's own encrypts it",
    },
    Pattern {
        words: &["unable to pull secrets or registry auth", "accessdenied"],
        sentence: "a secret could not be read: the execution role may not",
        next: "allow the execution role secretsmanager:GetSecretValue or ssm:GetParameters on it, and \
               kms:Decrypt where a key of one's own encrypts it",
    },
    Pattern {
        words: &["unable to pull secrets or registry auth"],
        sentence: "a secret or the registry's login could not be read: there is no route to AWS",
        next: "in a public subnet let the task have a public address (assignPublicIp); in a private one, a \
               NAT gateway or endpoints for secretsmanager, ssm and ecr.api; the security group must let 443 out",
    },
    Pattern {
        words: &["resourceinitializationerror", "log"],
        sentence: "the log could not be opened",
        next: "make the log group, or let the execution role make it (logs:CreateLogGroup with \
               awslogs-create-group), and allow logs:CreateLogStream and logs:PutLogEvents",
    },
    Pattern {
        words: &["resourceinitializationerror", "efs"],
        sentence: "a file system could not be mounted",
        next: "see the mount targets and security groups of the EFS volume",
    },
    Pattern {
        words: &["network interface"],
        sentence: "the task got no network interface",
        next: "see that the subnets have free addresses, and the account room for more interfaces",
    },
    Pattern {
        words: &["capacity is unavailable"],
        sentence: "there is no capacity in this zone at this time",
        next: "try again, or give subnets of several zones",
    },
    Pattern {
        words: &["outofmemory"],
        sentence: "a container was killed: it needs more memory than it has",
        next: "give the task, and the container's own limit, more memory",
    },
    Pattern {
        words: &["exec format error"],
        sentence: "the image is not built for this platform",
        next: "build it for the task's cpuArchitecture (docker build --platform linux/amd64, or linux/arm64), \
               or set runtimePlatform in the task definition",
    },
    Pattern {
        words: &["executable file not found"],
        sentence: "the container has no such program",
        next: "look at entryPoint and command: what stands behind `--` here replaces the command, and \
               follows the image's entry point",
    },
    Pattern {
        words: &["no such file or directory", "container"],
        sentence: "the container has no such program",
        next: "look at entryPoint and command: what stands behind `--` here replaces the command, and \
               follows the image's entry point",
    },
    Pattern {
        words: &["cannotstartcontainer"],
        sentence: "a container could not be started",
        next: "look at entryPoint, command and mounts of the task definition",
    },
    Pattern {
        words: &["cannotcreatecontainer"],
        sentence: "a container could not be made",
        next: "look at its mounts, limits and links in the task definition",
    },
    Pattern {
        words: &["failed elb health checks"],
        sentence: "the load balancer's health checks failed",
        next: "see `lockkeeper ecs doctor`: grace period, interval and thresholds against the time until \
               the first good answer",
    },
    Pattern {
        words: &["is unhealthy in"],
        sentence: "the load balancer's health checks failed",
        next: "see `lockkeeper ecs doctor`: grace period, interval and thresholds against the time until \
               the first good answer",
    },
    Pattern {
        words: &["failed container health checks"],
        sentence: "the container's health check failed",
        next: "see `lockkeeper ecs doctor`: startPeriod, interval and retries of the healthCheck against \
               the time until the first good answer",
    },
    Pattern {
        words: &["scaling activity"],
        sentence: "the service replaced the task or scaled in",
        next: "run a migration as a one-off task, which no deployment stops",
    },
    Pattern {
        words: &["host ec2", "terminated"],
        sentence: "the machine under the task was terminated",
        next: "start it again; it goes on where it was",
    },
    Pattern {
        words: &["spot"],
        sentence: "Spot took the machine back",
        next: "start it again; it goes on where it was. Run migrations on FARGATE, not on FARGATE_SPOT",
    },
];

/// Where the stop code alone says it.
fn by_stop_code(code: &str) -> Option<Cause> {
    Some(match code {
        "SpotInterruption" => Cause::new(
            "Spot took the machine back",
            "start it again; it goes on where it was. Run migrations on FARGATE, not on FARGATE_SPOT",
        ),
        "TerminationNotice" => Cause::new(
            "the machine under the task was taken back",
            "start it again; it goes on where it was. Run migrations on FARGATE, not on Spot",
        ),
        "InfrastructureHealth" => Cause::new(
            "the machine under the task is ill, and AWS replaces it",
            "start it again; it goes on where it was",
        ),
        "UserInitiated" => {
            Cause::new("somebody stopped the task", "start it again; it goes on where it was")
        }
        "ServiceSchedulerInitiated" => Cause::new(
            "the service's scheduler stopped the task",
            "see the service's events; run a migration as a one-off task, which no deployment stops",
        ),
        _ => return None,
    })
}

/// What an exit code says where no reason does.
fn by_exit_code(container: &str, code: i32) -> Cause {
    let log = "see the end of its log";
    match code {
        1 => Cause::new(format!("container {container} failed, exit code 1"), log),
        2 => Cause::new(
            format!("container {container} can't begin with these options, exit code 2"),
            "see the end of its log; the runbook says what exit code 2 means",
        ),
        3 => Cause::new(
            format!("in container {container} another run held the lock too long, exit code 3"),
            "wait for that run to end, or look at it with `lockkeeper status`",
        ),
        4 => Cause::new(
            format!("container {container} was interrupted, exit code 4"),
            "start it again; it goes on where it was",
        ),
        5 => Cause::new(
            format!("container {container} needs a human, exit code 5"),
            "see the end of its log, and the runbook",
        ),
        137 => Cause::new(
            format!("container {container} was killed (SIGKILL, exit code 137)"),
            "it had too little memory, or it didn't end within its stopTimeout",
        ),
        139 => Cause::new(format!("container {container} crashed (SIGSEGV, exit code 139)"), log),
        143 => Cause::new(
            format!("container {container} was ended by SIGTERM (exit code 143)"),
            "start it again; see who stopped the task",
        ),
        code => Cause::new(format!("container {container} ended with exit code {code}"), log),
    }
}

fn by_text(text: &str) -> Option<Cause> {
    let lower = text.to_lowercase();
    let fits = |pattern: &&Pattern| pattern.words.iter().all(|word| lower.contains(word));
    let pattern = PATTERNS.iter().find(fits)?;
    Some(Cause::new(format!("{}: {}", pattern.sentence, text.trim()), pattern.next))
}

/// Why a stopped task stopped, as seen from one of its containers.
pub fn of(task: &Task, container: &str) -> Cause {
    let one = task.container(container);
    let reasons = [one.and_then(|one| one.reason.as_deref()), task.stopped_reason.as_deref()];
    let others = task.containers.iter().filter(|other| other.name != container);
    let other_reasons = others.filter_map(|other| other.reason.as_deref());
    if let Some(cause) = reasons.into_iter().flatten().chain(other_reasons).find_map(by_text) {
        return cause;
    }
    let stopped_by = task.stop_code.as_deref().and_then(by_stop_code);
    match (one.and_then(|one| one.exit_code), stopped_by) {
        // Its own code says more than that somebody stopped it.
        (Some(code), None) if code != 0 => by_exit_code(container, code),
        (_, Some(cause)) => with_words(cause, task),
        (Some(_), None) => other_failed(task, container),
        (None, None) => Cause::new(
            match &task.stopped_reason {
                Some(reason) => format!("container {container} has no exit code: {reason}"),
                None => format!("container {container} has no exit code, and ECS gives no reason"),
            },
            "see the task in the console while it is shown there, for about an hour",
        ),
    }
}

fn with_words(cause: Cause, task: &Task) -> Cause {
    match task.stopped_reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty()) {
        Some(reason) => Cause { sentence: format!("{}: {reason}", cause.sentence), ..cause },
        None => cause,
    }
}

/// The container itself ended well, and yet the task didn't.
fn other_failed(task: &Task, container: &str) -> Cause {
    let failed = |one: &&TaskContainer| one.name != container && one.exit_code != Some(0);
    match task.containers.iter().find(failed) {
        Some(TaskContainer { name, exit_code: Some(code), .. }) => by_exit_code(name, *code),
        Some(one) => Cause::new(
            format!("container {} has no exit code", one.name),
            "see the task in the console while it is shown there, for about an hour",
        ),
        None => Cause::new(
            format!("the task did not stop because container {container} ended"),
            "see the task in the console while it is shown there, for about an hour",
        ),
    }
}

/// Why RunTask placed no task: a `reason` of its `failures`.
pub fn of_failure(reason: &str, detail: Option<&str>) -> Cause {
    let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    let (sentence, next) = match reason {
        "RESOURCE:MEMORY" | "RESOURCE:CPU" => (
            "no instance of the cluster has the CPU or memory that the task asks for",
            "add instances or a capacity provider, or ask for less",
        ),
        "RESOURCE:ENI" => (
            "no instance of the cluster has a free network interface",
            "add instances, or use ENI trunking",
        ),
        "RESOURCE:PORTS" => {
            ("the task's host port is taken on every instance", "add instances, or use awsvpc")
        }
        "AGENT" => {
            ("the agent of the instance is not connected", "look at the instance's ECS agent")
        }
        "ATTRIBUTE" => (
            "no instance has an attribute that the task needs",
            "look at the attributes of the task definition and of the cluster's instances",
        ),
        "LOCATION" => (
            "the task's zone and the instance's differ",
            "give subnets in the zones of the instances",
        ),
        "MISSING" => ("ECS does not know it", "look at cluster and region"),
        "INACTIVE" => ("it is no longer active", "look at the cluster's instances"),
        "EMPTY CAPACITY PROVIDER" => (
            "the capacity provider has no instances, and does not scale",
            "look at the capacity provider's managed scaling",
        ),
        "NO ACTIVE INSTANCES" => (
            "the cluster has no instances, and the launch type is EC2",
            "give --launch-type FARGATE, or add instances",
        ),
        reason => {
            return by_text(reason).unwrap_or_else(|| {
                Cause::new(
                    format!("ECS placed no task: {reason}{detail}"),
                    "see the cluster's capacity, and AWS's page on API failure reasons",
                )
            });
        }
    };
    Cause::new(format!("ECS placed no task: {sentence}: {reason}{detail}"), next)
}
