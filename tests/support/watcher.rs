//! A watcher: the small shell process that a server runs under and that outlives us, so that the
//! server and its folder are gone even after a SIGKILL.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::{account, process};

const SCRIPT: &str = include_str!("watcher.sh");

/// How the server is ended in the end.
#[derive(Debug, Clone, Copy)]
pub enum Ending {
    /// By SIGQUIT, after which PostgreSQL clears its shared memory away.
    Quit,
    /// By SIGKILL to it and all its descendants.
    Tree,
}

/// A watcher, with a folder of its own.
#[derive(Debug)]
pub struct Watcher {
    shell: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    server: Option<u32>,
}

impl Watcher {
    /// A watcher that runs nothing yet.
    pub fn new(ending: Ending) -> Self {
        let folder = account::folder();
        let ending = match ending {
            Ending::Quit => "QUIT",
            Ending::Tree => "TREE",
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "watcher"])
            .arg(&folder)
            .arg(ending)
            // Nothing of ours leaks in, PGPORT and the like least of all.
            .env_clear()
            .env("PATH", format!("{path}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"))
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .envs([("LC_ALL", "C"), ("TZ", "UTC")])
            .current_dir("/")
            // Ctrl-C at the terminal is for us; the watcher has to outlive it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        let commands = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().expect("a pipe"));
        Watcher { shell, commands, answers, folder, server: None }
    }

    /// Its folder, which goes with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's process id, while it was started and not reaped.
    pub fn server(&self) -> Option<u32> {
        self.server
    }

    /// What everything here has printed so far.
    pub fn log(&self) -> String {
        fs::read(self.folder.join("log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Runs a command under the servers' account to its end.
    pub fn run(&mut self, command: &[String]) {
        let status = self.ask("run", &account::command(command));
        assert_eq!(status, "0", "{command:?} failed:\n{}", self.log());
    }

    /// Starts the server, under the servers' account.
    pub fn start(&mut self, command: &[String]) -> u32 {
        self.start_as_ourselves(&account::command(command))
    }

    /// Starts the server under our own account.
    pub fn start_as_ourselves(&mut self, command: &[String]) -> u32 {
        assert_eq!(self.server, None, "one server a watcher");
        let pid = self.ask("start", command).parse().expect("a process id");
        self.server = Some(pid);
        pid
    }

    /// Whether the server runs.
    pub fn runs(&self) -> bool {
        self.server.is_some_and(process::runs)
    }

    /// Waits for the server's end. The watcher isn't asked before: it couldn't see our own end.
    pub fn reap(&mut self, timeout: Duration) {
        let started = Instant::now();
        while self.runs() {
            assert!(started.elapsed() < timeout, "it doesn't end:\n{}", self.log());
            std::thread::sleep(super::POLL);
        }
        if self.server.take().is_some() {
            self.ask("reap", &[]);
        }
    }

    fn ask(&mut self, word: &str, arguments: &[String]) -> String {
        let quoted = arguments.iter().map(|word| format!(" '{}'", word.replace('\'', r"'\''")));
        let line = format!("{word}{}\n", quoted.collect::<String>());
        assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
        self.commands.as_mut().expect("a pipe").write_all(line.as_bytes()).expect("the watcher");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the watcher's answer");
        answer.trim_end().to_owned()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.shell.wait();
    }
}
