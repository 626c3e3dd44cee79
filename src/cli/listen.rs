//! `--listen`: where a run is served over HTTP.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::http;
use crate::progress::{Event, Progress, Reporter};
use crate::runner::RunError;
use crate::stop::Stop;

/// An IP address or a name, and a port.
#[derive(Debug, Clone)]
pub struct Address {
    host: String,
    port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Where to listen. A port alone isn't guessed at: this machine alone and everybody are too far
/// apart, and a health check from outside sees the difference only in production.
pub fn address(text: &str) -> Result<Address, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        return Err(format!(
            "say for whom: 127.0.0.1:{port} for this machine or container alone, 0.0.0.0:{port} for \
             whoever reaches it"
        ));
    }
    // What is no host may be a password, and a host is shown when it can't be listened on.
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_host = |host: &str| !host.is_empty() && host.chars().all(name);
    let is_ip = text.parse::<std::net::SocketAddr>().is_ok();
    match text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) if is_ip || is_host(host) => Ok(Address { host: host.to_owned(), port }),
        _ => Err("an IP address or a name, and a port, such as 0.0.0.0:9002".to_owned()),
    }
}

/// Answers until it is stopped.
pub struct Server {
    shutdown: CancellationToken,
    tasks: JoinSet<io::Result<()>>,
}

impl Server {
    /// Listens, says where, and answers.
    ///
    /// # Errors
    /// [`Error::Listen`], or that of a run that was stopped while the name was looked up.
    pub async fn start(
        address: &Address,
        reporter: &Reporter,
        progress: &Receiver<Progress>,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: address.to_string(), source };
        let listeners = tokio::select! {
            listeners = listeners(address) => listeners.map_err(failed)?,
            () = stop.requested() => {
                return Err(RunError::Stopped { reason: stop.reason().to_owned() }.into());
            }
        };
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let address = listener.local_addr().map_err(failed)?.to_string();
            reporter.emit(Event::Listening { address });
            tasks.spawn(http::serve(listener, progress.clone(), shutdown.clone()));
        }
        Ok(Server { shutdown, tasks })
    }

    /// Lets the open answers end, the event streams with the last state among them.
    pub async fn stop(self) {
        self.shutdown.cancel();
        // An answer that a client doesn't fetch mustn't hold up the exit.
        tokio::time::timeout(Duration::from_secs(1), self.tasks.join_all()).await.ok();
    }
}

/// A listener for each address of the name on which one can listen: `localhost` is two on most
/// machines, and a client takes the one or the other. A container without IPv6 has but one of them.
/// One that another program listens on isn't passed over: clients would get its answers.
async fn listeners(address: &Address) -> io::Result<Vec<TcpListener>> {
    let mut port = address.port;
    let (mut listeners, mut failure) = (Vec::new(), None);
    let places: BTreeSet<_> = lookup_host((bare(&address.host), port)).await?.collect();
    for mut place in places {
        place.set_port(port);
        match TcpListener::bind(place).await {
            Ok(listener) => {
                // Of port 0 the system makes one that is free, and all have to share it.
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            Err(error) => failure = Some(error),
        }
    }
    if listeners.is_empty() {
        return Err(failure.unwrap_or_else(|| io::Error::other("the name has no address")));
    }
    Ok(listeners)
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in
            ["127.0.0.1:9002", "[::1]:9002", "0.0.0.0:0", "localhost:80", "web-1.shop_x:8080"]
        {
            assert_eq!(address(text).map(|address| address.to_string()), Ok(text.to_owned()));
        }
        for text in ["9002", ":9002", "localhost", "localhost:", "::1:9002", "a@b:1", "http://a:1"]
        {
            assert!(address(text).is_err(), "{text}");
        }
    }

    /// Whatever addresses the name has here, they share the port that the system made.
    #[tokio::test]
    async fn a_name_is_all_of_its_addresses() {
        let listeners = listeners(&address("localhost:0").unwrap()).await.unwrap();
        let places: Vec<_> =
            listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        assert!(!places.is_empty() && places.iter().all(|place| place.ip().is_loopback()));
        assert!(places.iter().all(|place| place.port() == places[0].port()), "{places:?}");
    }
}
