//! CloudWatch's logs of the containers.

use std::collections::BTreeMap;

/// Events of all streams, by group and stream.
#[derive(Debug, Default)]
pub struct Logs {
    streams: BTreeMap<(String, String), Vec<LogEvent>>,
}

/// A line.
#[derive(Debug, Clone)]
pub struct LogEvent {
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// The line.
    pub message: String,
}

impl Logs {
    /// Makes a stream, as the driver does at a container's start.
    pub fn open(&mut self, group: &str, stream: &str) {
        self.streams.entry((group.to_owned(), stream.to_owned())).or_default();
    }

    /// Adds a line to a stream.
    pub fn write(&mut self, group: &str, stream: &str, event: LogEvent) {
        self.streams.entry((group.to_owned(), stream.to_owned())).or_default().push(event);
    }

    /// A stream's events; `None` where there is no such stream.
    pub fn stream(&self, group: &str, stream: &str) -> Option<&[LogEvent]> {
        self.streams.get(&(group.to_owned(), stream.to_owned())).map(Vec::as_slice)
    }

    /// Whether any stream of this group exists.
    pub fn knows(&self, group: &str) -> bool {
        self.streams.keys().any(|(one, _)| one == group)
    }

    /// Streams of a group whose names begin so.
    pub fn streams(&self, group: &str, prefix: &str) -> Vec<&str> {
        let of = |(one, stream): &&(String, String)| one == group && stream.starts_with(prefix);
        self.streams.keys().filter(of).map(|(_, stream)| stream.as_str()).collect()
    }
}
