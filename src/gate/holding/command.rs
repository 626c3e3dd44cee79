//! The command of a child that is given a socket.

use std::env;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use nix::errno::Errno;

/// The first descriptor after the standard ones (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// As `command`, with a listening socket in systemd's manner. `LISTEN_PID` has to be the child's own process id, which
/// is known only when there is one: so it is this program first, which sets it and becomes the child.
pub(super) fn activated(command: &Command, socket: OwnedFd) -> io::Result<Command> {
    let program = command.get_program();
    find(program)?;
    let mut activated = Command::new("/proc/self/exe");
    activated.args(["become", "--"]).arg(program).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => activated.env(name, value),
            None => activated.env_remove(name),
        };
    }
    activated.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "http");
    activated
        .fd_mappings(vec![FdMapping { parent_fd: socket, child_fd: FIRST }])
        .map_err(io::Error::other)?;
    Ok(activated)
}

/// Whether there is such a program: with the step between, the system's own answer would come too late.
fn find(program: &OsStr) -> io::Result<()> {
    if Path::new(program).components().count() != 1 || Path::new(program).is_absolute() {
        return runnable(Path::new(program));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut fault = io::Error::from(Errno::ENOENT);
    for folder in env::split_paths(&path) {
        match runnable(&folder.join(program)) {
            Ok(()) => return Ok(()),
            // One that is there and may not be run says more than all that aren't there.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => fault = error,
            Err(_) => {}
        }
    }
    Err(fault)
}

fn runnable(path: &Path) -> io::Result<()> {
    let about = path.metadata()?;
    match about.is_file() && about.permissions().mode() & 0o111 != 0 {
        true => Ok(()),
        false => Err(Errno::EACCES.into()),
    }
}
