//! The sentences for what a deployment command tells.

use std::borrow::Cow;

use super::format;
use crate::deploy::news::News;

/// A line, or several; nothing for what only a changing row shows.
pub(super) fn text(news: &News) -> Option<String> {
    let line = format::one_line;
    Some(match news {
        News::Phase { phase } => format!("── {phase}"),
        News::Skipped { phase, reason } => format!("{phase}: nothing to do, {reason}"),
        News::Registered { definition } => format!("registered task definition {definition}"),
        News::Started { task, definition } => format!("task {task} of {definition} started"),
        News::Adopted { task } => {
            format!("task {task} runs for this release already; following that one")
        }
        News::TaskStatus { task, status } => format!("task {task} {status}"),
        News::Progress { .. } => return None,
        // A log may have lines of its own within one; each stays one.
        News::Log { line } => line
            .lines()
            .map(|line| format!("  {}", format::one_line(line)))
            .collect::<Vec<_>>()
            .join("\n"),
        News::Blind { reason } => format!("no log is shown: {}", line(reason)),
        News::Retrying { reason } => format!("trying again: {}", line(reason)),
        News::Stopping { task, reason } => format!("task {task} is told to stop: {}", line(reason)),
        News::LeftRunning { task, reason } => {
            format!("task {task} is LEFT RUNNING: {}", line(reason))
        }
        News::TaskDone { task, seconds } => {
            format!("task {task} done in {}", format::seconds(*seconds))
        }
        News::Deployment { id, definition, adopted: true } => {
            format!("{definition} is deployed already, or is being so: deployment {id}")
        }
        News::Deployment { id, definition, adopted: false } => {
            format!("deploying {definition}: deployment {id}")
        }
        News::Tasks { running, pending, failed, desired, old } => {
            tasks(*running, *pending, *failed, *desired, *old)
        }
        News::ServiceEvent { text } => format!("event: {}", line(text)),
        News::TaskLost { task, sentence, next } => {
            format!("task {task} stopped: {}\n  next: {}", line(sentence), line(next))
        }
        News::Target { target, group, state, reason } => {
            let reason = reason.as_deref().map(|reason| format!(" ({})", line(reason)));
            format!(
                "target {} of {} is {state}{}",
                line(target),
                line(group),
                reason.unwrap_or_default()
            )
        }
        News::Waiting { reason } => format!("waiting: {}", line(reason)),
        News::GoesOn { id, reason } => {
            format!("deployment {id} GOES ON in ECS, and nobody watches it: {}", line(reason))
        }
        News::Stage { stage } => format!("the deployment is at {}", line(stage)),
        News::MayRun { started_by } => format!(
            "a task MAY RUN: whether ECS has started it isn't known; list it with aws ecs list-tasks \
             --started-by {started_by}"
        ),
        News::Warning { message, next } => {
            format!("warning: {}\n  next: {}", line(message), line(next))
        }
        // For people it is printed at the end.
        News::Doctor { .. } => return None,
        News::Serving { definition, seconds } => {
            format!("{definition} serves, after {}", format::seconds(*seconds))
        }
        News::HookWaits { stage, hook } => format!("the deployment waits at {stage} (hook {hook})"),
        News::HookAnswered { stage, answer } => format!("{stage}: {answer}"),
    })
}

fn tasks(running: u32, pending: u32, failed: u32, desired: u32, old: u32) -> String {
    let mut parts = vec![format!("{running} of {desired} new tasks run")];
    let some = |count: u32, what: &str| (count > 0).then(|| format!("{count} {what}"));
    parts.extend(some(pending, "pending"));
    parts.extend(some(failed, "failed"));
    parts.extend(some(old, if old == 1 { "old one left" } else { "old ones left" }));
    parts.join(" · ")
}

/// What stands beside the spinner while nothing else is at work.
pub(super) fn standing(news: &News) -> Option<Cow<'_, str>> {
    Some(match news {
        News::TaskStatus { task, status } => format!("task {task} {status}").into(),
        News::Tasks { .. } => text(news)?.into(),
        News::Waiting { reason } => format!("waiting: {}", format::one_line(reason)).into(),
        _ => return None,
    })
}
