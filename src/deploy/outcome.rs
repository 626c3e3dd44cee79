//! How a one-off task ended, as the command that waits for it must see it.

use super::cause::{self, Cause};
use super::task::Task;

/// How a stopped task ended, seen from the container that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was started for.
    Done,
    /// It didn't.
    Failed {
        /// What a command that waited for it is to exit with; never 0.
        exit: u8,
        /// Why.
        cause: Cause,
    },
}

/// The stops after which the same command goes on where it was, whatever became of the container.
const RESUMABLE: [&str; 3] = ["SpotInterruption", "TerminationNotice", "InfrastructureHealth"];
/// Failed, and nobody knows how.
const FAILED: u8 = 1;
/// Interrupted: run it again to resume.
const INTERRUPTED: u8 = 4;

impl Outcome {
    /// Success is a stop because an essential container ended, and the named container's exit code 0.
    /// A container that had ended before somebody stopped the rest of its task (`after_its_end`)
    /// counts as well, and its own code says how. Without an exit code nothing is a success: the image
    /// wasn't pulled, memory ran out, or it never started.
    pub fn of(task: &Task, container: &str, after_its_end: bool) -> Self {
        let code = task.container(container).and_then(|one| one.exit_code);
        let by_itself = task.stop_code.as_deref() == Some("EssentialContainerExited");
        if code == Some(0) && (by_itself || after_its_end) {
            return Outcome::Done;
        }
        let resumable = task.stop_code.as_deref().is_some_and(|code| RESUMABLE.contains(&code));
        let exit = match code {
            // The signals of a stop say no more than the stop itself.
            None | Some(0 | 137 | 143) if resumable => INTERRUPTED,
            // Exit codes have eight bits; what has more isn't one.
            Some(code @ 1..=255) => code as u8,
            _ => FAILED,
        };
        let cause = match code {
            Some(code) if after_its_end => cause::of_exit_code(container, code),
            _ => cause::of(task, container),
        };
        Outcome::Failed { exit, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::TaskContainer;
    use super::*;

    fn task(stop_code: &str, reason: &str, exit_code: Option<i32>) -> Task {
        Task {
            status: "STOPPED".to_owned(),
            stop_code: Some(stop_code.to_owned()),
            stopped_reason: Some(reason.to_owned()),
            containers: vec![TaskContainer {
                name: "migrate".to_owned(),
                status: "STOPPED".to_owned(),
                exit_code,
                reason: None,
            }],
            ..Task::default()
        }
    }

    fn failed(task: &Task) -> (u8, String) {
        match Outcome::of(task, "migrate", false) {
            Outcome::Failed { exit, cause } => (exit, cause.sentence),
            Outcome::Done => panic!("passes as a success: {task:?}"),
        }
    }

    const EXITED: &str = "EssentialContainerExited";

    #[test]
    fn only_an_exit_code_of_0_and_a_stop_by_itself_are_a_success() {
        assert_eq!(Outcome::of(&task(EXITED, "", Some(0)), "migrate", false), Outcome::Done);
        assert_eq!(
            Outcome::of(&task("UserInitiated", "", Some(0)), "migrate", true),
            Outcome::Done
        );
        assert_eq!(failed(&task(EXITED, "Essential container in task exited", None)).0, 1);
        assert_eq!(failed(&task("UserInitiated", "stopped", Some(0))).0, 1);
        assert_eq!(failed(&task(EXITED, "", Some(256))).0, 1);
        assert_eq!(failed(&task(EXITED, "", Some(-1))).0, 1);
    }

    #[test]
    fn a_container_that_is_not_there_is_no_success() {
        let task = task(EXITED, "", Some(0));
        assert!(matches!(Outcome::of(&task, "other", false), Outcome::Failed { exit: 1, .. }));
    }

    #[test]
    fn a_stop_that_is_resumable_is_told_as_such_also_after_its_signals() {
        for code in [None, Some(0), Some(137), Some(143)] {
            assert_eq!(failed(&task("SpotInterruption", "", code)).0, 4, "{code:?}");
        }
        assert_eq!(failed(&task("SpotInterruption", "", Some(5))).0, 5);
        assert_eq!(failed(&task("UserInitiated", "", Some(137))).0, 137);
    }

    #[test]
    fn a_container_that_had_ended_before_the_stop_says_how_itself() {
        let stopped = task("UserInitiated", "by hand", Some(5));
        let Outcome::Failed { exit, cause } = Outcome::of(&stopped, "migrate", true) else {
            panic!("it failed")
        };
        assert_eq!(exit, 5);
        assert!(cause.sentence.contains("needs a human"), "{}", cause.sentence);
    }

    #[test]
    fn exit_codes_pass_through() {
        for code in [1, 2, 3, 4, 5, 137, 255] {
            assert_eq!(failed(&task(EXITED, "", Some(code))).0, code as u8);
        }
    }

    #[test]
    fn each_failure_has_a_sentence_of_its_own() {
        let pull = "CannotPullContainerError: ref pull has been retried 1 time(s): failed to resolve \
                    reference: registry.example/shop:42: not found";
        let secret = "ResourceInitializationError: unable to pull secrets or registry auth: execution \
                      resource retrieval failed: unable to retrieve secret from asm: \
                      AccessDeniedException: User is not authorized to perform: \
                      secretsmanager:GetSecretValue";
        let route = "ResourceInitializationError: unable to pull secrets or registry auth: The task \
                     cannot pull registry auth from Amazon ECR: There is a connection issue between \
                     the task and Amazon ECR: i/o timeout";
        let said = [
            failed(&task("TaskFailedToStart", pull, None)),
            failed(&task("TaskFailedToStart", secret, None)),
            failed(&task("TaskFailedToStart", route, None)),
            failed(&task(
                EXITED,
                "OutOfMemoryError: Container killed due to memory usage",
                Some(137),
            )),
            failed(&task("SpotInterruption", "Your Spot Task was interrupted.", None)),
            failed(&task("UserInitiated", "by hand", None)),
            failed(&task("TaskFailedToStart", "something new", None)),
        ];
        let expected = [
            (1, "the image could not be pulled: there is no such image or tag"),
            (1, "a secret could not be read: the execution role may not"),
            (1, "a secret or the registry's login could not be read: there is no route to AWS"),
            (137, "a container was killed: it needs more memory than it has"),
            (4, "Spot took the machine back"),
            (1, "somebody stopped the task"),
            (1, "container migrate has no exit code: something new"),
        ];
        for ((exit, sentence), (wanted, words)) in said.iter().zip(expected) {
            assert_eq!(*exit, wanted, "{sentence}");
            assert!(sentence.starts_with(words), "{sentence}");
        }
    }
}
