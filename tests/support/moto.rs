//! moto: AWS's interfaces as others have read them. Good for the shape of calls and answers, not for
//! what happens: its tasks do nothing, and end with 0.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::port;
use super::watcher::{Ending, Watcher};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, which ends with this value.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    _watcher: Watcher,
}

impl Moto {
    /// One with an empty account.
    pub fn start() -> Moto {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/moto/bin/moto_server");
        assert!(program.exists(), "moto isn't installed here; tests/run installs what is missing");
        for _ in 0..5 {
            let port = port::free();
            let mut watcher = Watcher::new(Ending::Tree);
            let command = [program.display().to_string(), "-p".to_owned(), port.to_string()];
            // It keeps nothing on the disk, and the other account may not reach our folder.
            watcher.start_as_ourselves(&command);
            if is_up(&watcher, port) {
                return Moto { port, _watcher: watcher };
            }
        }
        panic!("moto found no free port in five tries");
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a client's environment needs to find it.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

fn is_up(watcher: &Watcher, port: u16) -> bool {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if !watcher.runs() {
            return false;
        }
        let log = || fs::read_to_string(watcher.folder().join("log")).unwrap_or_default();
        assert!(started.elapsed() < PATIENCE, "moto doesn't start:\n{}", log());
        std::thread::sleep(super::POLL);
    }
    true
}
