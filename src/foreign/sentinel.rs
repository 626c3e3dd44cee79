//! A second process of ours that outlives a SIGKILL of the first.
//!
//! PostgreSQL and MySQL notice that a client is gone only when its statement ends. Whoever kills the
//! process that has started a tool would leave the tool at work, or at least its statement. So a sentinel
//! stands by: in a session of its own, which a kill of the process group doesn't reach, it reads a pipe whose other
//! end nobody has but the process that it watches. When that pipe ends without a farewell, it kills the
//! tool's processes, and ends its sessions in the server.

use std::io::{self, BufRead, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, setsid};
use serde::{Deserialize, Serialize};

use crate::db::{Database, DbError};

use super::ending::end_sessions;
use super::observe::SessionKey;
use super::sockets::{self, Process, Socket};

/// How long what the tool has left in the server may take to roll back and go.
const PATIENCE: Duration = Duration::from_secs(30);
/// What it says when it is in a session of its own.
const READY: &[u8] = b"ready\n";

/// What the sentinel is told, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// The run's id.
    Run(String),
    /// The tool was started.
    Tool(Leader),
    /// Its sessions are these.
    Sessions(Vec<SessionKey>),
    /// All is well.
    Farewell,
}

/// The first process of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Leader {
    pid: u32,
    /// When it began: another one may get its id.
    started: Option<u64>,
}

/// The way to the sentinel. Dropped without [`Sentinel::dismiss`], it lets the sentinel act.
pub struct Sentinel {
    process: Child,
    input: ChildStdin,
    told: Vec<SessionKey>,
}

impl Sentinel {
    /// Starts it by this program's hidden command, and waits until it is ready. It gets the environment
    /// of this process and these variables: what stands in argv, everybody on the machine can read.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn post(run: &str, environment: &[(&'static str, String)]) -> io::Result<Self> {
        // Also when the file was replaced meanwhile.
        let mut process = Command::new("/proc/self/exe")
            .arg("sentinel")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("the sentinel has no pipe");
        let input = process.stdin.take().ok_or_else(missing)?;
        let mut ready = Vec::new();
        let output = process.stdout.take().ok_or_else(missing)?;
        output.take(READY.len() as u64).read_to_end(&mut ready)?;
        if ready != READY {
            return Err(io::Error::other("the sentinel has ended at once"));
        }
        let mut sentinel = Sentinel { process, input, told: Vec::new() };
        sentinel.say(&Word::Run(run.to_owned()))?;
        Ok(sentinel)
    }

    /// Tells which process it is about.
    ///
    /// # Errors
    /// When the sentinel is gone.
    pub fn watch(&mut self, pid: u32) -> io::Result<()> {
        self.say(&Word::Tool(Leader { pid, started: sockets::started(pid) }))
    }

    /// Tells which sessions it has, where that is news.
    pub fn tell(&mut self, sessions: &[SessionKey]) {
        if self.told != sessions {
            self.told = sessions.to_vec();
            // One that was killed is missed when it is needed, and not before.
            let _ = self.say(&Word::Sessions(self.told.clone()));
        }
    }

    /// All is well.
    pub fn dismiss(mut self) {
        let _ = self.say(&Word::Farewell);
        let Sentinel { mut process, input, .. } = self;
        drop(input);
        // It ends at once, and is nobody's to wait for; as process 1 somebody else of us has done it.
        tokio::task::spawn_blocking(move || process.wait());
    }

    fn say(&mut self, word: &Word) -> io::Result<()> {
        let mut line = serde_json::to_vec(word)?;
        line.push(b'\n');
        self.input.write_all(&line)
    }
}

/// What is left to a sentinel whose process has died.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Legacy {
    run: String,
    tool: Option<Leader>,
    sessions: Vec<SessionKey>,
}

/// Stands by, for as long as the process at the other end of the pipe lives. `None` when it took its leave.
///
/// # Errors
/// When the pipe can't be read.
pub fn stand_by(input: impl BufRead, mut output: impl Write) -> io::Result<Option<Legacy>> {
    // Of a group's leader, which this is only where somebody has started it by hand, none is made.
    let _ = setsid();
    output.write_all(READY)?;
    output.flush()?;
    heard(input)
}

fn heard(input: impl BufRead) -> io::Result<Option<Legacy>> {
    let mut legacy = Legacy::default();
    for line in input.lines() {
        // It may have died in the middle of a line.
        match serde_json::from_str(&line?) {
            Ok(Word::Run(run)) => legacy.run = run,
            Ok(Word::Tool(leader)) => legacy.tool = Some(leader),
            Ok(Word::Sessions(sessions)) => legacy.sessions = sessions,
            Ok(Word::Farewell) => return Ok(None),
            Err(_) => {}
        }
    }
    Ok(Some(legacy).filter(|legacy| legacy.tool.is_some()))
}

impl Legacy {
    /// Kills the tool's processes. Returns which connections they had.
    pub fn kill(&self) -> Vec<Socket> {
        let Some(leader) = self.tool else { return Vec::new() };
        // A group keeps its id for itself until its last process is gone.
        let is_another = sockets::started(leader.pid)
            .is_some_and(|started| leader.started.is_some_and(|before| before != started));
        if is_another {
            return Vec::new();
        }
        let tree = sockets::tree(leader.pid);
        let sockets = sockets::of(&tree);
        if let Ok(group) = i32::try_from(leader.pid) {
            // What has ended by itself needs no killing.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        // Some may have left the group.
        tree.iter().for_each(Process::kill);
        sockets
    }

    /// Ends in the server what it has left there.
    ///
    /// # Errors
    /// The server's.
    pub async fn end(&self, database: &dyn Database, sockets: &[Socket]) -> Result<(), DbError> {
        end_sessions(database, &self.run, &self.sessions, sockets, PATIENCE).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[Word]) -> Vec<u8> {
        let line = |word| serde_json::to_string(word).unwrap() + "\n";
        words.iter().map(line).collect::<String>().into_bytes()
    }

    #[test]
    fn only_a_farewell_is_one() {
        let (mark, application) = ("1".to_owned(), Some("lockkeeper".to_owned()));
        let key = SessionKey { id: 7, mark, application, client: None, port: Some(-1) };
        let leader = Leader { pid: 12, started: Some(3) };
        let words =
            [Word::Run("9f3c".to_owned()), Word::Tool(leader), Word::Sessions(vec![key.clone()])];
        let mut text = said(&words);
        let legacy = Legacy { run: "9f3c".to_owned(), tool: Some(leader), sessions: vec![key] };
        assert_eq!(heard(&text[..]).unwrap().as_ref(), Some(&legacy));
        // In the middle of a line.
        text.extend(br#"{"sessions":[{"id""#);
        assert_eq!(heard(&text[..]).unwrap(), Some(legacy));
        assert_eq!(heard(&said(&[&words[..], &[Word::Farewell]].concat())[..]).unwrap(), None);
        // Before the tool was started there is nothing to end.
        assert_eq!(heard(&said(&words[..1])[..]).unwrap(), None);
    }

    #[test]
    fn another_process_of_that_id_is_left_alone() {
        let pid = std::process::id();
        let another = sockets::started(pid).map(|started| started + 1);
        let legacy = Legacy { tool: Some(Leader { pid, started: another }), ..Legacy::default() };
        // This test would end here.
        assert_eq!(legacy.kill(), []);
    }
}
