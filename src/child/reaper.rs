//! Who is told of the ends of processes. As process 1 also of those that others have left behind.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpgid, getpgrp, getpid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::Ended;

/// Before it is looked again, where a process stands first that isn't ours to reap.
const AGAIN: Duration = Duration::from_millis(50);

/// Hears of the ends of processes. A process has one.
#[derive(Debug, Default)]
pub struct Reaper {
    children: Mutex<HashMap<Pid, watch::Sender<Option<Ended>>>>,
}

impl Reaper {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the handler for SIGCHLD can't be installed.
    pub fn start() -> io::Result<Arc<Self>> {
        let signals = signal(SignalKind::child())?;
        let reaper = Arc::new(Reaper::default());
        tokio::spawn(reap(Arc::downgrade(&reaper), signals));
        Ok(reaper)
    }

    /// Starts a process and is the one to hear of its end.
    pub(super) fn spawn(
        &self,
        command: &mut Command,
    ) -> io::Result<(std::process::Child, watch::Receiver<Option<Ended>>)> {
        // Held meanwhile: it may end before it is entered, and would be a stranger's.
        let mut children = self.children();
        let process = command.spawn()?;
        let (sender, receiver) = watch::channel(None);
        children.insert(pid_of(&process), sender);
        Ok((process, receiver))
    }

    fn children(&self) -> MutexGuard<'_, HashMap<Pid, watch::Sender<Option<Ended>>>> {
        // Nothing in here leaves it half made.
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at those that were started here.
    fn look_at_own(&self) {
        self.children().retain(|pid, sender| match waitpid(*pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(status) => match ended(status) {
                Some(ended) => {
                    // Nobody may want to know.
                    let _ = sender.send(Some(ended));
                    false
                }
                None => true,
            },
            // Somebody else has reaped it, or it was ended by a signal without a name; how is lost.
            Err(Errno::ECHILD | Errno::EINVAL) => {
                let _ = sender.send(Some(Ended::Exited(u8::MAX)));
                false
            }
            Err(_) => true,
        });
    }

    /// Reaps what was left to process 1. False where one is to be left to who has started it: a library
    /// of ours does so in our own group, which nothing below our children is in.
    fn adopt(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while let Ok(status) = waitid(Id::All, flags) {
            let Some(pid) = status.pid() else { return true };
            if self.children().contains_key(&pid) {
                self.look_at_own();
            } else if getpgid(Some(pid)) == Ok(getpgrp()) {
                return false;
            } else {
                // It is dead: this takes no time, and what it was is of no interest.
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
        }
        true
    }
}

/// Ends with the reaper.
async fn reap(reaper: std::sync::Weak<Reaper>, mut signals: Signal) {
    let adopts = getpid().as_raw() == 1;
    while signals.recv().await.is_some() {
        loop {
            let Some(reaper) = reaper.upgrade() else { return };
            reaper.look_at_own();
            if !adopts || reaper.adopt() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn ended(status: WaitStatus) -> Option<Ended> {
    match status {
        WaitStatus::Exited(_, code) => Some(Ended::Exited(u8::try_from(code).unwrap_or(u8::MAX))),
        WaitStatus::Signaled(_, signal, _) => Some(Ended::Killed(signal as i32)),
        _ => None,
    }
}

/// A process's id, in the other library's type.
pub(super) fn pid_of(process: &std::process::Child) -> Pid {
    // Linux has none above 2^22.
    Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX))
}
