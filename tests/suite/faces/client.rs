//! A client that shows answers as they came.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Lockkeeper, Running, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A served run.
pub struct Served {
    pub running: Running,
    /// `127.0.0.1:41234`.
    pub address: String,
}

impl Served {
    /// Starts it on a port that the system chooses, and reads which.
    pub async fn start(up: Lockkeeper) -> Served {
        Served::start_as_told(up.args(["--listen", "127.0.0.1:0"])).await
    }

    /// Starts what is told where to listen already.
    pub async fn start_as_told(command: Lockkeeper) -> Served {
        let running = command.start();
        let line = running.line_with("listening on ").await;
        let (_, address) = line.split_once("http://").expect("an address");
        let address = address.to_owned();
        Served { running, address }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    pub async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, "").await
    }

    /// With further headers, each with its line's end.
    pub async fn ask_with(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).await.expect("it listens");
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut text = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut text)).await;
        read.expect("it answers").expect("it answers");
        let text = String::from_utf8(text).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        Answer { head: head.to_owned(), body: body.to_owned() }
    }

    pub async fn progress(&self) -> Value {
        self.get("/progress").await.expect(200).json()
    }

    /// Waits until the progress fulfils a condition, and returns it.
    pub async fn progress_that(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut progress = Value::Null;
        wait_until(what, PATIENCE, async || {
            progress = self.progress().await;
            holds(&progress)
        })
        .await;
        progress
    }

    /// Waits until it is in this migration's step, and so far.
    pub async fn reaches(&self, version: i64, fraction: f64) -> Value {
        self.progress_that(&format!("{version} at {fraction}"), |progress| {
            let current = &progress["current"];
            current["version"] == version && current["fraction"].as_f64().unwrap_or(0.0) >= fraction
        })
        .await
    }

    /// Opens the stream of events.
    pub async fn events(&self) -> Events {
        let mut stream = TcpStream::connect(&self.address).await.expect("it listens");
        let head = "GET /events HTTP/1.1\r\nHost: here\r\nAccept: text/event-stream\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("it reads");
        Events { stream, text: String::new() }
    }
}

/// An answer.
pub struct Answer {
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Itself, when it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{}\n{}", self.head, self.body);
        self
    }
}

/// An open stream of events.
pub struct Events {
    stream: TcpStream,
    text: String,
}

/// One event.
#[derive(Debug)]
pub struct Event {
    pub id: u64,
    pub data: Value,
}

impl Events {
    /// Reads on until a condition holds for all events so far.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        loop {
            let events = self.so_far();
            if holds(&events) {
                return events;
            }
            assert!(self.read().await, "the stream ended before {what}: {}", self.text);
        }
    }

    /// Reads to the stream's end.
    pub async fn until_the_end(mut self) -> (Vec<Event>, String) {
        while self.read().await {}
        (self.so_far(), self.text)
    }

    async fn read(&mut self) -> bool {
        let mut bytes = [0; 16_384];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("news in time");
        let read = read.unwrap_or(0);
        self.text.push_str(std::str::from_utf8(&bytes[..read]).expect("ASCII in these tests"));
        read > 0
    }

    fn so_far(&self) -> Vec<Event> {
        let whole = self.text.split("\n\n").filter(|block| block.contains("data: "));
        let field = |block: &str, name: &str| {
            block.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        whole
            .filter_map(|block| {
                let id = field(block, "id: ")?.split_once('-')?.1.parse().ok()?;
                // The last block may still be on its way.
                let data = serde_json::from_str(&field(block, "data: ")?).ok()?;
                Some(Event { id, data })
            })
            .collect()
    }
}
