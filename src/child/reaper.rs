//! Who is told of the ends of processes. As process 1 also of those that others have left behind.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{Pid, getpgid, getpgrp, getpid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{Ended, Pipes};

/// Before it is looked again, where a process stands first that isn't ours to reap.
const AGAIN: Duration = Duration::from_millis(50);
/// After how long nobody will ask for a process that has ended.
const ASKED: Duration = Duration::from_secs(2);

/// Hears of the ends of processes. A process has one.
#[derive(Debug, Default)]
pub struct Reaper {
    children: Mutex<HashMap<Pid, Own>>,
}

/// A process that was started here.
#[derive(Debug)]
struct Own {
    process: std::process::Child,
    ended: watch::Sender<Option<Ended>>,
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
    ) -> io::Result<(Pid, Pipes, watch::Receiver<Option<Ended>>)> {
        // Held meanwhile: it may end before it is entered, and would be a stranger's.
        let mut children = self.children();
        let mut process = command.spawn()?;
        let pipes = Pipes { stdout: process.stdout.take(), stderr: process.stderr.take() };
        let (ended, receiver) = watch::channel(None);
        let pid = pid_of(&process);
        children.insert(pid, Own { process, ended });
        Ok((pid, pipes, receiver))
    }

    fn children(&self) -> MutexGuard<'_, HashMap<Pid, Own>> {
        // Nothing in here leaves it half made.
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at those that were started here.
    fn look_at_own(&self) {
        self.children().retain(|_, own| {
            let ended = match own.process.try_wait() {
                Ok(None) => return true,
                Ok(Some(status)) => Ended::of(status),
                // Somebody else has reaped it; how it ended is lost.
                Err(_) => Ended::Exited(u8::MAX),
            };
            // Nobody may want to know.
            let _ = own.ended.send(Some(ended));
            false
        });
    }

    /// Reaps what was left to process 1. False where one is left to who has started it: a library of ours
    /// does so in our own group, and asks for it at once. A shell that has become us may have left others in
    /// that group, for which nobody asks; the kernel shows the same one first for as long as it is there.
    fn adopt(&self, left: &mut Option<(Pid, Instant)>) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        loop {
            let pid = match waitid(Id::All, flags).map(|status| status.pid()) {
                Ok(Some(pid)) => pid,
                // Ended by a signal without a name, for which the library has no status. None of ours, which
                // were looked at a moment ago; and it is reaped all the same.
                Err(Errno::EINVAL) => {
                    let _ = waitpid(None, Some(WaitPidFlag::WNOHANG));
                    continue;
                }
                Ok(None) | Err(_) => return true,
            };
            if self.children().contains_key(&pid) {
                self.look_at_own();
            } else if getpgid(Some(pid)) == Ok(getpgrp()) && is_young(left, pid) {
                return false;
            } else {
                // It is dead: this takes no time, and what it was is of no interest.
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
        }
    }
}

/// Whether this one was seen for the first time a moment ago.
fn is_young(left: &mut Option<(Pid, Instant)>, pid: Pid) -> bool {
    let (_, since) = left.take_if(|(seen, _)| *seen == pid).unwrap_or((pid, Instant::now()));
    *left = Some((pid, since));
    since.elapsed() < ASKED
}

/// Ends with the reaper.
async fn reap(reaper: std::sync::Weak<Reaper>, mut signals: Signal) {
    let adopts = getpid().as_raw() == 1;
    let mut left = None;
    while signals.recv().await.is_some() {
        loop {
            let Some(reaper) = reaper.upgrade() else { return };
            reaper.look_at_own();
            if !adopts || reaper.adopt(&mut left) {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// A process's id, in the other library's type.
fn pid_of(process: &std::process::Child) -> Pid {
    // Linux has none above 2^22.
    Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX))
}
