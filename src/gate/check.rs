//! How a child shows that it is ready.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ask::{self, Asked, Uri};

/// Between two looks.
const POLL: Duration = Duration::from_millis(100);
/// How long one look may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// An address that it listens on.
    Tcp(String),
    /// A URL that answers 2xx.
    Http(Uri),
    /// A text in a line of its standard output or standard error.
    Line(String),
}

impl Check {
    /// Of the command line: `tcp:4000`, `tcp:127.0.0.1:4000`, `http://127.0.0.1:4000/health`,
    /// `line:Running MyApp.Endpoint`.
    ///
    /// # Errors
    /// What would be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(line) = text.strip_prefix("line:").filter(|line| !line.is_empty()) {
            return Ok(Check::Line(line.to_owned()));
        }
        let (host, port) = match text.strip_prefix("tcp:") {
            Some(address) => address.rsplit_once(':').unwrap_or(("127.0.0.1", address)),
            None => {
                return ask::uri(text)
                    .map(Check::Http)
                    .ok_or_else(|| "give tcp:PORT, tcp:HOST:PORT, a URL or line:TEXT".to_owned());
            }
        };
        match port.parse::<u16>() {
            Ok(1..) if !host.is_empty() => Ok(Check::Tcp(format!("{host}:{port}"))),
            _ => Err("give tcp:PORT or tcp:HOST:PORT".to_owned()),
        }
    }

    /// Looks again and again, and leaves in `reason` what was missing the last time. A line is looked for
    /// elsewhere.
    pub(super) async fn passed(&self, reason: &mut String) {
        loop {
            match self.look().await {
                Ok(()) => return,
                Err(missing) => *reason = missing,
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn look(&self) -> Result<(), String> {
        match self {
            Check::Tcp(address) => {
                let connected = timeout(ANSWER, TcpStream::connect(address)).await;
                match connected {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(format!("{address}: {error}")),
                    Err(_) => Err(format!("{address} gives no answer")),
                }
            }
            Check::Http(uri) => {
                let shown = ask::without_passwords(&uri.to_string());
                match ask::get(uri.clone(), ANSWER).await {
                    Asked::Well => Ok(()),
                    Asked::Unwell { status, body } => {
                        Err(format!("{shown} {}", ask::says(&status, &body)))
                    }
                    Asked::Silent(reason) => Err(format!("{shown} gives no answer: {reason}")),
                }
            }
            Check::Line(_) => std::future::pending().await,
        }
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Check::Tcp(address) => write!(f, "a listener on {address}"),
            Check::Http(uri) => write!(f, "2xx of {}", ask::without_passwords(&uri.to_string())),
            Check::Line(line) => write!(f, "a line with {line:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_an_address_a_url_or_a_line() {
        let tcp = |address: &str| Ok(Check::Tcp(address.to_owned()));
        assert_eq!(Check::parse("tcp:4000"), tcp("127.0.0.1:4000"));
        assert_eq!(Check::parse("tcp:db:1"), tcp("db:1"));
        assert_eq!(Check::parse("line:up: 1"), Ok(Check::Line("up: 1".to_owned())));
        assert!(matches!(Check::parse("http://a/b"), Ok(Check::Http(_))));
        for text in ["", "tcp:", "tcp:x", "tcp::1", "tcp:0", "line:", "4000", "a:1"] {
            assert!(Check::parse(text).is_err(), "{text}");
        }
    }
}
