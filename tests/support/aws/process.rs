//! Containers that are processes of this machine.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::process;
use super::super::watcher::{Ending, Watcher};
use super::agent;
use super::clock::millis;
use super::effect::{ContainerProbe, Launch};
use super::shared::Shared;

/// The processes of all containers. They end with the test process at the latest.
#[derive(Debug)]
pub struct Processes {
    shared: Arc<Shared>,
    /// What every container finds in its environment.
    environment: Vec<(String, String)>,
    running: Mutex<BTreeMap<(String, String), u32>>,
    folder: PathBuf,
    /// It ends all that have its mark in their environment.
    undertaker: Mutex<Option<Watcher>>,
}

impl Processes {
    /// None yet.
    pub fn new(shared: Arc<Shared>, mut environment: Vec<(String, String)>) -> Self {
        let mut undertaker = Watcher::new(Ending::Tree);
        undertaker.start_as_ourselves(&["sleep".to_owned(), "infinity".to_owned()]);
        let folder = undertaker.folder().to_owned();
        environment.push(("LOCKKEEPER_TEST_FOLDER".to_owned(), folder.display().to_string()));
        let path = std::env::var("PATH").unwrap_or_default();
        environment.push(("PATH".to_owned(), path));
        environment.push(("HOME".to_owned(), folder.display().to_string()));
        let (running, undertaker) = (Mutex::default(), Mutex::new(Some(undertaker)));
        Processes { shared, environment, running, folder, undertaker }
    }

    fn spawn(&self, launch: &Launch) -> std::io::Result<Child> {
        let (program, arguments) =
            launch.command.split_first().ok_or(std::io::ErrorKind::NotFound)?;
        Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .envs(agent::environment(&self.shared.url, &launch.task, &launch.container))
            .envs(launch.environment.iter().cloned())
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Ends them all.
    pub fn end(&self) {
        drop(self.undertaker.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Starts a container.
    pub fn start(self: &Arc<Self>, launch: Launch) {
        let mut child = match self.spawn(&launch) {
            Ok(child) => child,
            Err(error) => {
                let reason = format!("CannotStartContainerError: {error}");
                let exit = |world: &mut super::World| {
                    world.container_exited(&launch.task, &launch.container, None, Some(reason));
                };
                return self.shared.with(exit);
            }
        };
        let key = (launch.task, launch.container);
        let pid = child.id();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), pid);
        let readers = [
            child.stdout.take().map(|out| self.read(&key, out)),
            child.stderr.take().map(|out| self.read(&key, out)),
        ];
        let this = self.clone();
        thread::spawn(move || {
            let status = child.wait().expect("a child of ours");
            this.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            // A container ends with its first process, whatever else runs in it.
            process::signal_group(pid, libc::SIGKILL);
            readers.into_iter().flatten().for_each(|reader| drop(reader.join()));
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            this.shared.with(|world| world.container_exited(&key.0, &key.1, code, None));
        });
    }

    fn read(
        &self,
        key: &(String, String),
        out: impl Read + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let (shared, key) = (self.shared.clone(), key.clone());
        thread::spawn(move || {
            let mut lines = BufReader::new(out);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                shared.with(|world| world.write(&key.0, &key.1, &text));
                line.clear();
            }
        })
    }

    /// SIGTERM to the first process, as Docker does.
    pub fn terminate(&self, key: &(String, String)) {
        if let Some(pid) = self.pid(key) {
            process::signal(pid, libc::SIGTERM);
        }
    }

    /// SIGKILL to all processes of a container.
    pub fn kill(&self, key: &(String, String)) {
        if let Some(pid) = self.pid(key) {
            process::signal_group(pid, libc::SIGKILL);
        }
    }

    /// The first process of a container, while it runs.
    pub fn pid(&self, key: &(String, String)) -> Option<u32> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Runs the check of a container, a process beside it.
    pub fn check(self: &Arc<Self>, probe: ContainerProbe) {
        let this = self.clone();
        let limit = self.shared.clock.real(millis(probe.timeout)).max(Duration::from_millis(100));
        thread::spawn(move || {
            let passed = this.spawn(&probe.launch).is_ok_and(|child| ends_well(child, limit));
            let (task, container) = (&probe.launch.task, &probe.launch.container);
            this.shared.with(|world| world.container_checked(task, container, passed));
        });
    }
}

/// Whether a check ends in time, and with 0.
fn ends_well(mut child: Child, limit: Duration) -> bool {
    // Nobody reads what it says, and it mustn't wait for that.
    drop((child.stdout.take(), child.stderr.take()));
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if started.elapsed() < limit => thread::sleep(super::super::POLL),
            _ => {
                process::signal_group(child.id(), libc::SIGKILL);
                let _ = child.wait();
                return false;
            }
        }
    }
}
