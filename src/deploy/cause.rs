//! Why a task stopped, in a sentence, with what to do about it.
//!
//! ECS tells it in three places: the task's `stopCode` and `stoppedReason`, and each container's
//! `reason` and `exitCode`. The texts are those of AWS's page "Stopped task error messages" and of the
//! agent's sources; what isn't among them is told as it stands.

mod pattern;

use super::task::{Task, TaskContainer};
use pattern::{PATTERNS, Pattern};

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
pub fn of_exit_code(container: &str, code: i32) -> Cause {
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
        (Some(code), None) if code != 0 => of_exit_code(container, code),
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
        Some(TaskContainer { name, exit_code: Some(code), .. }) => of_exit_code(name, *code),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As AWS's pages and users' threads have them.
    const REAL: &[(&str, &str)] = &[
        (
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve \
             ref registry.example/acme/platform-api:42: registry.example/acme/platform-api:42: not found",
            "the image could not be pulled: there is no such image or tag",
        ),
        (
            "CannotPullContainerError: Error response from daemon: pull access denied for \
             registry.example/api/orders, repository does not exist or may require 'docker login'",
            "the image could not be pulled:",
        ),
        (
            "CannotPullContainerError: inspect image has been retried 5 time(s): failed to resolve ref \
             \"docker.io/library/x:1\": failed to do request: Head https://registry-1.docker.io/v2/: dial \
             tcp 54.198.86.24:443: i/o timeout",
            "the image could not be pulled: there is no route to the registry",
        ),
        (
            "CannotPullContainerError: image Manifest does not contain descriptor matching platform \
             'linux/amd64'",
            "the image is not built for this platform",
        ),
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource \
             retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): \
             retrieved secret from Secrets Manager did not contain json key password",
            "a secret could not be read: it has no such key",
        ),
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource \
             retrieval failed: unable to retrieve secrets from ssm: service call has been retried 1 \
             time(s): invalid ssm parameters: /shop/url",
            "a secret could not be read: it does not exist",
        ),
        (
            "ResourceInitializationError: unable to pull secrets or registry auth: execution resource \
             retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 \
             time(s): AccessDeniedException: User: arn:aws:sts::1:assumed-role/x is not authorized to \
             perform: ecr:GetAuthorizationToken on resource: *",
            "the registry's login could not be read: the execution role may not",
        ),
        (
            "CannotStartContainerError: ResourceInitializationError: failed to create new container \
             runtime task: failed to create shim task: OCI runtime create failed: runc create failed: \
             unable to start container process: exec: \"catalog-migrate\": executable file not found in \
             $PATH: unknown",
            "the container has no such program",
        ),
    ];

    #[test]
    fn real_texts_have_their_own_sentences() {
        for (text, sentence) in REAL {
            let task = Task { stopped_reason: Some((*text).to_owned()), ..Task::default() };
            let said = of(&task, "migrate").sentence;
            assert!(said.starts_with(sentence), "{text}\n  is told as: {said}");
        }
    }

    #[test]
    fn what_is_not_known_is_told_as_it_stands() {
        let reason = Some("a spotless new reason".to_owned());
        let task = Task { stopped_reason: reason, ..Task::default() };
        assert!(of(&task, "migrate").sentence.ends_with("a spotless new reason"));
    }
}
