//! The real binary in a terminal: a pseudo-terminal, and the screen that a person would see.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::lockkeeper::Lockkeeper;
use super::process;

const PATIENCE: Duration = Duration::from_secs(60);

/// A lockkeeper in a terminal, which is killed with this value.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    reader: JoinHandle<()>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Terminal {
    /// Starts it in a terminal of this size.
    pub fn start(lockkeeper: &Lockkeeper, rows: u16, columns: u16) -> Terminal {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(&lockkeeper.program);
        command.args(&lockkeeper.arguments);
        command.env_clear();
        for (name, value) in &lockkeeper.environment {
            command.env(name, value);
        }
        if command.get_env("TERM").is_none() {
            command.env("TERM", "xterm-256color");
        }
        command.cwd(&lockkeeper.folder);
        let child = pair.slave.spawn_command(command).expect("lockkeeper");
        // While we held this end, the other would never end.
        drop(pair.slave);

        let parser = vt100::Parser::new(rows, columns, 0);
        let seen = Arc::new(Mutex::new(Seen { parser, raw: Vec::new() }));
        let mut stream = pair.master.try_clone_reader().expect("a reader");
        let shared = seen.clone();
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                let mut seen = locked(&shared);
                seen.parser.process(&bytes[..read]);
                seen.raw.extend_from_slice(&bytes[..read]);
            }
        });
        let keyboard = pair.master.take_writer().expect("a writer");
        Terminal { child, master: pair.master, keyboard, seen, reader }
    }

    /// What the screen shows, row by row, without trailing spaces. Rows, since bars are drawn up to
    /// the right edge, where a terminal takes the next row for the same line.
    pub fn screen(&self) -> String {
        let seen = locked(&self.seen);
        let screen = seen.parser.screen();
        let rows: Vec<_> = screen.rows(0, screen.size().1).collect();
        let rows: Vec<_> = rows.iter().map(|row| row.trim_end()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// Every byte that was printed, escape sequences included.
    pub fn raw(&self) -> Vec<u8> {
        locked(&self.seen).raw.clone()
    }

    /// Whether the cursor was left hidden.
    pub fn hides_cursor(&self) -> bool {
        locked(&self.seen).parser.screen().hide_cursor()
    }

    /// Waits until the screen shows this text, and returns the screen.
    pub async fn shows(&self, text: &str) -> String {
        self.shows_that(text, |screen| screen.contains(text)).await
    }

    /// Waits until the screen fulfils a condition, and returns the screen.
    pub async fn shows_that(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            // In this order: what it printed last must not be missed.
            let ended = self.reader.is_finished();
            let screen = self.screen();
            if condition(&screen) {
                return screen;
            }
            let waiting = !ended && started.elapsed() < PATIENCE;
            assert!(waiting, "not on the screen: {what}\n{screen}");
            tokio::time::sleep(super::POLL).await;
        }
    }

    /// Types: `"\x03"` is Ctrl-C.
    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Makes the window larger or smaller.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        locked(&self.seen).parser.screen_mut().set_size(rows, columns);
        self.master.resize(size).expect("a terminal");
    }

    /// Sends a signal.
    pub fn signal(&self, number: i32) {
        process::signal(self.child.process_id().expect("a process"), number);
    }

    /// Waits for its end and until all is on the screen; returns the exit code.
    pub async fn wait(&mut self) -> u32 {
        let started = Instant::now();
        loop {
            let status = self.child.try_wait().expect("wait");
            if let Some(status) = status.filter(|_| self.reader.is_finished()) {
                return status.exit_code();
            }
            assert!(started.elapsed() < PATIENCE, "it doesn't end:\n{}", self.screen());
            tokio::time::sleep(super::POLL).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The crate's own kill asks politely first, and sleeps.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(libc::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
