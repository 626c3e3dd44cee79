//! A run inside a task: it is protected while it migrates, and heeds the wish that the task stop.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Agent, ProtectionError};
use crate::place::Explanation;
use crate::progress::{Event, Progress, Reporter, State, Warning};
use crate::stop::Stop;

/// For how long protection is asked for. It is asked for again long before that, so that a process
/// that is killed leaves no task behind that ECS may not touch for hours.
const MINUTES: u32 = 20;
/// Between two times.
const RENEW: Duration = Duration::from_secs(5 * 60);
/// After one in vain.
const RETRY: Duration = Duration::from_secs(30);
/// So long before it ends it is told that it couldn't be renewed.
const EARLY: Duration = Duration::from_secs(10 * 60);
/// How often the agent is asked whether the task is to stop.
const LOOK: Duration = Duration::from_secs(5);

/// Holds task protection for as long as the run has work under its lock, and gives it back then. Ends with
/// the run. Where there is none to be had, it says so once; a one-off task needs none.
pub async fn guard(agent: Agent, reporter: Reporter, mut progress: watch::Receiver<Progress>) {
    if !reached(&mut progress, is_at_work).await {
        return;
    }
    let mut granted = None::<Instant>;
    let mut told = Told::default();
    loop {
        let pause = match agent.protect(MINUTES).await {
            Ok(_) => {
                granted = Some(Instant::now());
                told = Told::default();
                RENEW
            }
            Err(ProtectionError::NotOfAService | ProtectionError::NoEndpoint) => return,
            Err(error) => {
                told.warn(&error, granted, &reporter);
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = reached(&mut progress, |state| !is_at_work(state)) => break,
        }
    }
    // Also where no answer came: it may have been granted all the same.
    if let Err(error) = agent.release().await
        && granted.is_some()
    {
        let next = format!("nothing: it ends by itself within {MINUTES} minutes");
        warn(&reporter, &format!("task protection can't be given back: {error}"), &next);
    }
}

/// What was said already.
#[derive(Default)]
struct Told {
    refused: bool,
    early: bool,
}

impl Told {
    fn warn(&mut self, error: &ProtectionError, granted: Option<Instant>, reporter: &Reporter) {
        let Some(granted) = granted else {
            if !std::mem::replace(&mut self.refused, true) {
                let next = "allow the task role ecs:GetTaskProtection and ecs:UpdateTaskProtection, or \
                            migrate in a one-off task";
                let what = format!(
                    "no task protection: a deployment or a scale-in may stop this task: {error}"
                );
                warn(reporter, &what, next);
            }
            return;
        };
        let left = Duration::from_secs(60 * u64::from(MINUTES)).saturating_sub(granted.elapsed());
        if left < EARLY && !std::mem::replace(&mut self.early, true) {
            let what = format!(
                "task protection ends in {} min, and can't be renewed: {error}",
                left.as_secs() / 60
            );
            warn(reporter, &what, "no deployment and no scale-in until this run has ended");
        }
    }
}

fn warn(reporter: &Reporter, message: &str, next: &str) {
    let explanation = Explanation::default().note("next", next);
    reporter.emit(Event::Warned(Warning::of_run(message, &explanation)));
}

fn is_at_work(state: State) -> bool {
    matches!(state, State::Migrating | State::Stopping)
}

/// Waits for a state; false when the run ended before.
async fn reached(progress: &mut watch::Receiver<Progress>, wanted: impl Fn(State) -> bool) -> bool {
    let seen = progress.wait_for(|now| wanted(now.state) || now.state.is_final()).await;
    seen.is_ok_and(|now| wanted(now.state))
}

/// Takes the agent's word that the task is to stop for a signal: it may come minutes before SIGTERM,
/// while targets drain. Ends then.
pub async fn heed(agent: Agent, reporter: Reporter, stop: Stop) {
    while !stop.is_requested() {
        stop.sleep(LOOK).await;
        if agent.task().await.is_ok_and(|task| task.desired_status == "STOPPED")
            && !stop.is_requested()
        {
            let reason = "ECS, which is to stop this task".to_owned();
            stop.request(reason.clone());
            reporter.emit(Event::Stopping { reason, ends_now: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> ProtectionError {
        ProtectionError::Silent("no answer".to_owned())
    }

    #[test]
    fn that_it_ends_and_cannot_be_renewed_is_told_once_and_early() {
        let (reporter, progress) = Reporter::new();
        let mut told = Told::default();
        let ago = |minutes: u64| Instant::now().checked_sub(Duration::from_secs(60 * minutes));
        let warnings = || progress.borrow().warnings.len();
        told.warn(&error(), ago(6), &reporter);
        assert_eq!(warnings(), 0, "14 minutes are left");
        told.warn(&error(), ago(11), &reporter);
        told.warn(&error(), ago(12), &reporter);
        assert_eq!(warnings(), 1);
        let message = progress.borrow().warnings[0].message.clone();
        assert!(message.starts_with("task protection ends in 8 min"), "{message}");
    }

    #[test]
    fn that_there_is_none_is_told_once() {
        let (reporter, progress) = Reporter::new();
        let mut told = Told::default();
        told.warn(&error(), None, &reporter);
        told.warn(&error(), None, &reporter);
        assert_eq!(progress.borrow().warnings.len(), 1);
    }
}
