//! How a MariaDB is set up and started.

use std::fs;
use std::path::Path;

use super::server::Options;
use super::watcher::Watcher;

/// Creates the data folder. `root` has no password.
pub fn prepare(watcher: &mut Watcher, options: &Options) {
    let mut command = vec!["mariadb-install-db".to_owned()];
    command.extend(common(watcher.folder(), options));
    command.push("--auth-root-authentication-method=normal".to_owned());
    command.push("--skip-test-db".to_owned());
    watcher.run(&command);
}

/// The command line of the server.
pub fn command(folder: &Path, port: u16, options: &Options) -> Vec<String> {
    // Beyond a limit to the size of its files a write fails then, as on a full disk, where this
    // signal would end the server. PostgreSQL sees to that itself.
    let mut command = ["env", "--ignore-signal=XFSZ", "mariadbd"].map(str::to_owned).to_vec();
    command.extend(common(folder, options));
    command.extend([
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        // Relative to the data folder, which is its working directory: no limit on the path.
        "--socket=mariadb.sock".to_owned(),
        format!("--pid-file={}", folder.join("pid").display()),
        "--max-connections=200".to_owned(),
        "--character-set-server=utf8mb4".to_owned(),
    ]);
    command.extend(options.settings.iter().map(|setting| format!("--{setting}")));
    command
}

/// Whether the server with this process id takes connections. An earlier one, which was killed, has
/// left the same file behind.
pub fn is_ready(folder: &Path, pid: u32) -> bool {
    let file = fs::read_to_string(folder.join("pid")).unwrap_or_default();
    file.trim() == pid.to_string()
}

/// Options of the installation and of the server alike, `--no-defaults` first.
fn common(folder: &Path, options: &Options) -> Vec<String> {
    let mut common = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", folder.join("data").display()),
        format!("--tmpdir={}", folder.display()),
        "--skip-name-resolve".to_owned(),
        "--innodb-log-file-size=48M".to_owned(),
    ];
    if !options.durable {
        common.push("--innodb-flush-log-at-trx-commit=0".to_owned());
        common.push("--innodb-flush-method=nosync".to_owned());
        common.push("--innodb-doublewrite=0".to_owned());
    }
    common
}
