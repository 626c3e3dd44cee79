//! Throwaway database servers. One of a kind serves many tests, with a database for each; a test
//! that stops or kills its server starts one of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::database::{Database, Place};
use super::watcher::{Ending, Watcher};
use super::{mariadb, port, postgres, process};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SQLite, which has no server.
    Sqlite,
    /// Debian's PostgreSQL: 15, or what a system has instead.
    Postgres15,
    /// PostgreSQL 18.
    Postgres18,
    /// MariaDB.
    MariaDb,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::Sqlite, Kind::Postgres15, Kind::Postgres18, Kind::MariaDb];

    /// Whether it is a PostgreSQL.
    pub fn is_postgres(self) -> bool {
        matches!(self, Kind::Postgres15 | Kind::Postgres18)
    }
}

/// What a server is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its kind.
    pub kind: Kind,
    /// Whether a commit survives a crash; slower.
    pub durable: bool,
    /// The host name or address in its certificate; then nobody gets in without TLS.
    pub tls: Option<String>,
    /// Further settings, `name=value`, as PostgreSQL's `-c` and MariaDB's `--` take them.
    pub settings: Vec<String>,
    /// The port of the PostgreSQL that it follows.
    pub standby_of: Option<u16>,
}

impl Options {
    /// A durable server without TLS.
    pub fn new(kind: Kind) -> Self {
        Options { kind, durable: true, tls: None, settings: Vec::new(), standby_of: None }
    }
}

/// A running server, which ends with this value, or with the process.
#[derive(Debug)]
pub struct Server {
    options: Options,
    port: u16,
    watcher: Mutex<Watcher>,
    databases: AtomicU32,
    dropped: Arc<Mutex<Vec<String>>>,
}

/// Generous: the machine may be compiling beside the tests.
const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    /// The PostgreSQL 15 that all tests share.
    pub fn postgres15() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::fast(Kind::Postgres15))
    }

    /// The PostgreSQL 18 that all tests share.
    pub fn postgres18() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::fast(Kind::Postgres18))
    }

    /// The MariaDB that all tests share.
    pub fn mariadb() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::fast(Kind::MariaDb))
    }

    /// The shared server of a kind. SQLite has none: see [`Database::of`].
    pub fn shared(kind: Kind) -> &'static Server {
        match kind {
            Kind::Postgres15 => Server::postgres15(),
            Kind::Postgres18 => Server::postgres18(),
            Kind::MariaDb => Server::mariadb(),
            Kind::Sqlite => panic!("SQLite has no server"),
        }
    }

    /// A server of one's own, to stop and to kill: durable, as in production.
    pub fn own(kind: Kind) -> Server {
        Server::with(Options::new(kind))
    }

    /// A PostgreSQL 15 of one's own that takes TLS only (18's wheel was built without TLS); `name`
    /// is the host name or address in its certificate. Its authority is [`Server::authority`].
    pub fn tls(name: &str) -> Server {
        let options = Options::new(Kind::Postgres15);
        Server::with(Options { durable: false, tls: Some(name.to_owned()), ..options })
    }

    /// A streaming replica of this PostgreSQL, which the primary knows by this name.
    pub fn standby(&self, name: &str) -> Server {
        let settings = vec![format!("cluster_name={name}")];
        let options = Options { durable: false, settings, ..Options::new(self.kind()) };
        Server::with(Options { standby_of: Some(self.port), ..options })
    }

    /// A MariaDB that writes a log for replicas.
    pub fn mariadb_with_log() -> Server {
        let settings = ["server-id=1", "log-bin=log"].map(str::to_owned).to_vec();
        Server::with(Options { durable: false, settings, ..Options::new(Kind::MariaDb) })
    }

    /// A replica of this MariaDB, which has its log from its begin on.
    pub async fn replica(&self) -> Server {
        let settings = vec!["server-id=2".to_owned()];
        let replica =
            Server::with(Options { durable: false, settings, ..Options::new(Kind::MariaDb) });
        let follow = format!(
            "change master to master_host = '127.0.0.1', master_port = {}, master_user = 'root', \
             master_use_gtid = slave_pos; start slave",
            self.port
        );
        replica.admin().execute(&follow).await;
        replica
    }

    /// The same database on a replica.
    pub fn copy_of(&self, database: &Database) -> Database {
        let place = Place { port: self.port, name: database.name().to_owned() };
        Database::at(self.options.kind, place, None)
    }

    /// A server of one's own.
    pub fn with(options: Options) -> Server {
        for _ in 0..5 {
            match Server::begin(&options) {
                Ok(server) => return server,
                // Somebody was faster at this port.
                Err(log) if log.contains("in use") => {}
                Err(log) => panic!("{:?} doesn't start:\n{log}", options.kind),
            }
        }
        panic!("{:?} found no free port in five tries", options.kind);
    }

    fn fast(kind: Kind) -> Server {
        Server::with(Options { durable: false, ..Options::new(kind) })
    }

    fn begin(options: &Options) -> Result<Server, String> {
        let postgres = options.kind.is_postgres();
        let mut watcher = Watcher::new(if postgres { Ending::Quit } else { Ending::Tree });
        match options.kind {
            Kind::Sqlite => panic!("SQLite has no server"),
            Kind::MariaDb => mariadb::prepare(&mut watcher, options),
            Kind::Postgres15 | Kind::Postgres18 => match options.standby_of {
                Some(primary) => postgres::prepare_standby(&mut watcher, options, primary),
                None => postgres::prepare(&mut watcher, options),
            },
        }
        let server = Server {
            options: options.clone(),
            port: port::free(),
            watcher: watcher.into(),
            databases: AtomicU32::new(0),
            dropped: Arc::default(),
        };
        server.try_start()?;
        Ok(server)
    }

    fn try_start(&self) -> Result<(), String> {
        let mut watcher = self.watcher();
        let folder = watcher.folder().to_owned();
        let (command, is_ready): (_, fn(&_, _) -> _) = match self.options.kind {
            Kind::MariaDb => {
                (mariadb::command(&folder, self.port, &self.options), mariadb::is_ready)
            }
            _ => (postgres::command(&folder, self.port, &self.options), postgres::is_ready),
        };
        let pid = watcher.start(&command);
        let started = Instant::now();
        while !is_ready(&folder, pid) {
            if !watcher.runs() || started.elapsed() > PATIENCE {
                let log = watcher.log();
                process::kill_tree(pid);
                watcher.reap(PATIENCE);
                return Err(log);
            }
            std::thread::sleep(super::POLL);
        }
        Ok(())
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.options.kind
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.watcher().server()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.watcher().log()
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.watcher().folder().to_owned()
    }

    /// The file with the certificate of the authority that signed the server's.
    pub fn authority(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// Stops it in an orderly way; sessions are ended.
    pub fn stop(&self) {
        self.end(|pid| {
            let postgres = self.options.kind.is_postgres();
            process::signal(pid, if postgres { libc::SIGINT } else { libc::SIGTERM });
        });
    }

    /// Stops it as `pg_ctl stop -m immediate` does: no checkpoint, recovery at the next start. For
    /// MariaDB the same as [`Server::kill`].
    pub fn stop_immediate(&self) {
        if self.options.kind.is_postgres() {
            self.end(|pid| process::signal(pid, libc::SIGQUIT));
        } else {
            self.kill();
        }
    }

    /// Kills it and all its processes at one moment, as a power cut does.
    pub fn kill(&self) {
        self.end(process::kill_tree);
        if self.options.kind.is_postgres() {
            postgres::clear_shared_memory(self.watcher().folder());
        }
    }

    fn end(&self, end: impl Fn(u32)) {
        let mut watcher = self.watcher();
        if let Some(pid) = watcher.server() {
            end(pid);
            watcher.reap(PATIENCE);
        }
    }

    /// Starts it again, on the same port, after any of the above.
    pub fn start(&self) {
        let started = Instant::now();
        while let Err(log) = self.try_start() {
            let in_use = log.contains("in use") && started.elapsed() < PATIENCE;
            assert!(in_use, "{:?} doesn't start again:\n{log}", self.options.kind);
        }
    }

    /// [`Server::stop_immediate`] and [`Server::start`].
    pub fn restart(&self) {
        self.stop_immediate();
        self.start();
    }

    /// Freezes all its processes: connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.signal_all(libc::SIGSTOP);
    }

    /// The end of [`Server::freeze`].
    pub fn thaw(&self) {
        self.signal_all(libc::SIGCONT);
    }

    fn signal_all(&self, number: i32) {
        if let Some(pid) = self.pid() {
            process::tree(pid).into_iter().for_each(|pid| process::signal(pid, number));
        }
    }

    /// A new, empty database. It is dropped some time after the value.
    pub async fn database(&self) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
        let place = Place { port: self.port, name: format!("test_{number}") };
        let database = Database::at(self.options.kind, place, Some(self.dropped.clone()));
        let mut admin = self.admin().connect().await;
        let dropped = std::mem::take(&mut *locked(&self.dropped));
        for name in dropped {
            let force = if self.options.kind.is_postgres() { " with (force)" } else { "" };
            admin.execute(&format!("drop database if exists {name}{force}")).await;
        }
        admin.execute(&format!("create database {}", database.name())).await;
        database
    }

    /// The database that administers the others.
    pub fn admin(&self) -> Database {
        let name = if self.options.kind.is_postgres() { "postgres" } else { "mysql" };
        let place = Place { port: self.port, name: name.to_owned() };
        Database::at(self.options.kind, place, None)
    }

    fn watcher(&self) -> MutexGuard<'_, Watcher> {
        locked(&self.watcher)
    }
}

/// Another test's panic is no reason to fail.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
