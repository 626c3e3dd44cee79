//! The account that servers run under. PostgreSQL and PgBouncer refuse root, and containers are
//! often root: there the servers run as `nobody`, who must be able to reach what they need.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Another account than our own, when we are root.
static OTHER: LazyLock<Option<(u32, u32)>> = LazyLock::new(|| {
    let root = fs::metadata("/proc/self").expect("/proc/self").uid() == 0;
    root.then(|| {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut nobody = users.lines().filter_map(|line| line.strip_prefix("nobody:"));
        let ids = nobody.next().and_then(|line| {
            let mut fields = line.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        ids.expect("an account named nobody")
    })
});

/// The command line that runs `command` under the account.
pub fn command(command: &[String]) -> Vec<String> {
    let mut line = Vec::new();
    if let Some((user, group)) = *OTHER {
        line.extend(["setpriv".to_owned(), format!("--reuid={user}"), format!("--regid={group}")]);
        line.push("--clear-groups".to_owned());
    }
    line.extend_from_slice(command);
    line
}

/// Makes the account the owner.
pub fn give(path: &Path) {
    if let Some((user, group)) = *OTHER {
        chown(path, Some(user), Some(group)).expect("chown");
    }
}

/// Whether the account can reach what is below this folder.
pub fn reaches(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    OTHER.is_none()
        || folder.ancestors().all(|folder| {
            fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
        })
}

/// A new folder of the account's, below the first place for temporary files that serves: the path
/// must be short as well, since a socket's path must fit into 107 bytes.
pub fn folder() -> PathBuf {
    let places = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let folder = places
        .iter()
        .filter(|place| place.is_absolute() && place.as_os_str().len() <= 60 && reaches(place))
        .find_map(|place| tempfile::Builder::new().prefix("lockkeeper-").tempdir_in(place).ok())
        .unwrap_or_else(|| panic!("no place for temporary files among {places:?}"))
        .keep();
    give(&folder);
    folder
}

/// Lets the account read a whole tree, and run its programs.
pub fn open(tree: &Path) {
    let mut chmod = Command::new("chmod");
    chmod.args(["-R", "a+rX"]).arg(tree);
    assert!(chmod.status().expect("chmod").success(), "chmod failed");
}
