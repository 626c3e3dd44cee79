//! `become`: the step between the gate and a child that is given a socket. For nobody else.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;

use crate::error::{Error, Exit};

/// Become CMD, with its own process id in LISTEN_PID
#[derive(Debug, Args)]
pub struct Become {
    /// The command
    #[arg(value_name = "CMD", required = true, num_args = 1.., last = true)]
    command: Vec<OsString>,
}

impl Become {
    /// Becomes it.
    ///
    /// # Errors
    /// That there is no such program, or none that can be run.
    pub fn run(self) -> Result<Exit, Error> {
        let mut parts = self.command.iter();
        let program = parts.next().map(OsString::as_os_str).unwrap_or_default();
        let mut command = Command::new(program);
        command.args(parts).env("LISTEN_PID", std::process::id().to_string());
        // It comes back only when that fails.
        let source = command.exec();
        let what = format!("can't start {}", program.display());
        Err(Error::File { what, source, next: "see that it is in the image, and may be run" })
    }
}
