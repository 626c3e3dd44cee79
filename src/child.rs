//! A child process in a process group of its own, and the duties of a process 1.
//!
//! The group is what signals go to: a shell between us and the program would keep them for itself.

mod forward;
mod reaper;
mod signal;

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use tokio::sync::watch;

pub use forward::Forward;
pub use reaper::Reaper;
pub use signal::{Signal, name, parse};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By a signal, of this number.
    Killed(i32),
}

impl Ended {
    /// Of a process that has ended.
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, Some(signal)) => Ended::Killed(signal),
            // One that is only stopped isn't waited for.
            (None, None) => Ended::Exited(u8::MAX),
        }
    }

    /// The exit code that tells of it, as shells have it: 128 and the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Ended::Exited(code) => code,
            Ended::Killed(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Exited(code) => write!(f, "ended with exit code {code}"),
            Ended::Killed(signal) => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "was ended by {signal}"),
                Err(_) => write!(f, "was ended by signal {signal}"),
            },
        }
    }
}

/// The ends of a child's pipes, where it has some.
#[derive(Debug)]
pub struct Pipes {
    /// Its standard output.
    pub stdout: Option<ChildStdout>,
    /// Its standard error.
    pub stderr: Option<ChildStderr>,
}

/// A process that was started here. Clones are the same one. Dropped, it goes on.
#[derive(Debug, Clone)]
pub struct Child {
    pid: Pid,
    ended: watch::Receiver<Option<Ended>>,
    /// Keeps the end observed.
    _reaper: Arc<Reaper>,
}

impl Child {
    /// Starts it, as the leader of a group of its own.
    ///
    /// # Errors
    /// The system's, where there is no such program or no room for a process.
    pub fn spawn(reaper: &Arc<Reaper>, command: &mut Command) -> io::Result<(Self, Pipes)> {
        command.process_group(0);
        let (pid, pipes, ended) = reaper.spawn(command)?;
        Ok((Child { pid, ended, _reaper: reaper.clone() }, pipes))
    }

    /// Its process id, which is its group's.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        // The reaper, which has the other end, is ours, too.
        match ended.wait_for(Option::is_some).await.map(|ended| *ended) {
            Ok(Some(ended)) => ended,
            _ => std::future::pending().await,
        }
    }

    /// Whether processes of its group are there yet, after its end.
    pub fn has_left_some(&self) -> bool {
        killpg(self.pid, None) != Err(Errno::ESRCH)
    }

    /// Sends a signal to its whole group. That there is nobody any more is as good.
    ///
    /// # Errors
    /// The system's: such as a process of the group that has become another user's.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match killpg(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
