//! The command that starts a child, with or without a socket for it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};

/// The first descriptor after the standard ones (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// It alone.
pub(super) fn plain(command: &[OsString]) -> Command {
    let (program, arguments) = parts(command);
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// With a listening socket, in systemd's manner. `LISTEN_PID` has to be the child's own process id, which is known
/// only when there is one: so it is this program first, which sets it and becomes the child.
pub(super) fn activated(command: &[OsString], socket: OwnedFd) -> io::Result<Command> {
    let (program, arguments) = parts(command);
    find(program)?;
    let mut command = Command::new("/proc/self/exe");
    command.args(["become", "--"]).arg(program).args(arguments);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "http");
    command
        .fd_mappings(vec![FdMapping { parent_fd: socket, child_fd: FIRST }])
        .map_err(io::Error::other)?;
    Ok(command)
}

fn parts(command: &[OsString]) -> (&OsStr, &[OsString]) {
    match command {
        [program, arguments @ ..] => (program, arguments),
        [] => (OsStr::new(""), &[]),
    }
}

/// Whether there is such a program: with the step between, the system's own answer would come too late.
fn find(program: &OsStr) -> io::Result<()> {
    if Path::new(program).components().count() != 1 || Path::new(program).is_absolute() {
        return runnable(Path::new(program));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut fault = io::Error::from(ErrorKind::NotFound);
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
        false => Err(ErrorKind::PermissionDenied.into()),
    }
}
