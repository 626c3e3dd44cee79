//! PgBouncer in front of a PostgreSQL, which hands out a server connection for each transaction: a
//! session's lock stays behind in somebody else's session.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::database::Database;
use super::server::Server;
use super::watcher::{Ending, Watcher};
use super::{account, port, process};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running PgBouncer.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    watcher: Mutex<Watcher>,
}

/// A role that PgBouncer lets in beside the administrator, where a test has made it.
pub const VISITOR: &str = "visitor";

impl PgBouncer {
    /// One in front of this server, with `pool_mode=transaction`.
    pub fn before(server: &Server) -> PgBouncer {
        PgBouncer::with(server, "pool_mode = transaction")
    }

    /// One in front of this server, with these lines in its settings.
    pub fn with(server: &Server, settings: &str) -> PgBouncer {
        for _ in 0..5 {
            if let Some(bouncer) = PgBouncer::start(server, settings) {
                return bouncer;
            }
        }
        panic!("PgBouncer found no free port in five tries");
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of one of the server's databases, through here.
    pub fn url(&self, database: &Database) -> String {
        database.url_through(self.port)
    }

    /// The same for the [`VISITOR`].
    pub fn url_of_visitor(&self, database: &Database) -> String {
        self.url(database).replace("postgres@", &format!("{VISITOR}@"))
    }

    /// Kills it, so that all its connections are cut, and starts it again.
    pub fn restart(&self) {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = watcher.server() {
            process::kill_tree(pid);
            watcher.reap(PATIENCE);
        }
        let folder = watcher.folder().to_owned();
        let _ = fs::remove_file(folder.join("log"));
        let settings = folder.join("pgbouncer.ini").display().to_string();
        watcher.start(&["pgbouncer".to_owned(), settings]);
        assert!(is_up(&watcher, &folder), "its port is taken");
    }

    fn start(server: &Server, settings: &str) -> Option<PgBouncer> {
        let mut watcher = Watcher::new(Ending::Tree);
        let folder = watcher.folder().to_owned();
        let port = port::free();
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).expect("a file");
            account::give(&folder.join(name));
            folder.join(name).display().to_string()
        };
        let users = write("users", &format!("\"postgres\" \"\"\n\"{VISITOR}\" \"\"\n"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\n\
             {settings}\n",
            server.port()
        );
        let settings = write("pgbouncer.ini", &settings);
        watcher.start(&["pgbouncer".to_owned(), settings]);
        is_up(&watcher, &folder).then(|| PgBouncer { port, watcher: watcher.into() })
    }
}

impl Drop for PgBouncer {
    /// What it wrote tells why a test failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let watcher = self.watcher.get_mut().unwrap_or_else(PoisonError::into_inner);
            let log = fs::read_to_string(watcher.folder().join("log")).unwrap_or_default();
            eprintln!("PgBouncer's log:\n{log}");
        }
    }
}

fn is_up(watcher: &Watcher, folder: &Path) -> bool {
    let started = Instant::now();
    loop {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        if log.contains("process up") {
            return true;
        }
        if !watcher.runs() {
            assert!(log.contains("in use"), "PgBouncer doesn't start:\n{log}");
            return false;
        }
        assert!(started.elapsed() < PATIENCE, "PgBouncer doesn't start:\n{log}");
        std::thread::sleep(super::POLL);
    }
}
