//! The real binary, as a user runs it: its arguments, a clean environment, its output.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::database::Database;
use super::process;
use super::project::Project;

/// No test of ours runs the binary for longer, but on a machine that is much too busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command line that isn't started yet.
#[derive(Debug, Clone)]
pub struct Lockkeeper {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) folder: PathBuf,
}

impl Lockkeeper {
    /// `lockkeeper` with these arguments. Nothing of the tests' own environment reaches it but
    /// PATH.
    pub fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Lockkeeper::program(env!("CARGO_BIN_EXE_lockkeeper"), arguments)
    }

    /// Another program, which is to run in the same way.
    pub fn program<A: AsRef<OsStr>>(
        program: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let lockkeeper = Lockkeeper {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: "/".into(),
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let clean = lockkeeper.env("PATH", path).env("LANG", "C.UTF-8").env("HOME", "/");
        clean.args(arguments)
    }

    /// `lockkeeper up` for this project and database.
    pub fn up(project: &Project, database: &Database) -> Self {
        Lockkeeper::new(["up"]).project(project).database(database)
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Lockkeeper::arg)
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// In a project's folder.
    #[must_use]
    pub fn project(self, project: &Project) -> Self {
        self.folder(project.path())
    }

    /// In a folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// With a database, by `DATABASE_URL`.
    #[must_use]
    pub fn database(self, database: &Database) -> Self {
        self.url(&database.url)
    }

    /// With a database, by `DATABASE_URL`.
    #[must_use]
    pub fn url(self, url: &str) -> Self {
        self.env("DATABASE_URL", url)
    }

    /// Runs it to its end.
    pub async fn run(&self) -> Output {
        self.start().wait().await
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        let started = Instant::now();
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let stdout = Capture::of(child.stdout.take().expect("a pipe"));
        let stderr = Capture::of(child.stderr.take().expect("a pipe"));
        Running { child, started, stdout, stderr }
    }
}

/// A started lockkeeper, which is killed with this value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: Instant,
    stdout: Capture,
    stderr: Capture,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal: `libc::SIGTERM`. Until it is waited for, its id is its own.
    pub fn signal(&self, number: i32) {
        process::signal(self.child.id(), number);
    }

    /// Kills it.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Whether it hasn't ended yet.
    pub fn runs(&self) -> bool {
        process::runs(self.child.id())
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has printed a whole line with this text, on either stream, and returns the
    /// first such line.
    pub async fn line_with(&self, text: &str) -> String {
        let line = || {
            [self.stdout(), self.stderr()].iter().find_map(|printed| {
                let whole = printed.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                whole
                    .into_iter()
                    .find(|line| line.contains(text))
                    .map(|line| line.trim_end().into())
            })
        };
        let started = Instant::now();
        loop {
            // In this order: what it printed last must not be missed.
            let ended = !self.runs() && self.stdout.is_complete() && self.stderr.is_complete();
            if let Some(line) = line() {
                return line;
            }
            let waiting = !ended && started.elapsed() < PATIENCE;
            assert!(waiting, "no {text:?} in:\n{}\n{}", self.stdout(), self.stderr());
            tokio::time::sleep(super::POLL).await;
        }
    }

    /// Waits for its end.
    pub async fn wait(self) -> Output {
        self.wait_within(PATIENCE).await
    }

    /// Waits for its end, which may take longer.
    pub async fn wait_within(mut self, patience: Duration) -> Output {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            assert!(
                self.started.elapsed() < patience,
                "it doesn't end:\n{}\n{}",
                self.stdout(),
                self.stderr()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let took = self.started.elapsed();
        self.stdout.complete();
        self.stderr.complete();
        Output { status, stdout: self.stdout(), stderr: self.stderr(), took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it printed.
    pub stdout: String,
    /// All that it printed to standard error.
    pub stderr: String,
    /// From its start to its end, give or take a millisecond or two.
    pub took: Duration,
}

impl Output {
    /// Its exit code, when it wasn't killed.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that killed it.
    pub fn killed_by(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Both streams.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Itself, when it ended with this exit code; else the test fails with all that it printed.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        let Output { status, stdout, stderr, .. } = &self;
        let fits = self.code() == Some(code);
        assert!(fits, "{status}, not {code}\nstdout: {stdout}\nstderr: {stderr}");
        self
    }

    /// Itself, when either stream contains this text; else the test fails with all of it.
    #[track_caller]
    pub fn expect_text(self, text: &str) -> Self {
        let fits = self.text().contains(text);
        assert!(fits, "no {text:?} in\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// A stream that a thread reads line by line.
#[derive(Debug)]
struct Capture {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn of(stream: impl Read + Send + 'static) -> Capture {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = text.clone();
        let reader = thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                locked(&shared).push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Capture { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        locked(&self.text).clone()
    }

    fn is_complete(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn complete(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader");
        }
    }
}

fn locked(text: &Mutex<String>) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}
