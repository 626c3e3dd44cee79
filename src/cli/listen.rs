//! `--listen`: where a run is served over HTTP.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::gate::Wish;
use crate::http::{self, Operator, Streams};
use crate::progress::{Event, Progress, Reporter};
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
    let is_host = |host: &str| host.chars().any(|c| c != '.') && host.chars().all(name);
    let is_ip = text.parse::<SocketAddr>().is_ok();
    match text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, _)) if !is_ip && is_host(host) && is_number(host) => {
            Err(format!("{host} is no IPv4 address: that has four numbers, such as 127.0.0.1"))
        }
        Some((host, port)) if is_ip || is_host(host) => Ok(Address { host: host.to_owned(), port }),
        _ => Err("an IP address or a name, and a port, such as 0.0.0.0:9002".to_owned()),
    }
}

/// Whether a host ends in a number, as no name does. The system takes such a one for an address in
/// an old way of writing, and then `127.1` is this machine, and `0x7f.1`, and `10.010.0.1` isn't 10.10.
fn is_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => !last.is_empty() && last.chars().all(|c| c.is_ascii_digit()),
    }
}

/// Answers until it is stopped.
pub struct Server {
    shutdown: CancellationToken,
    tasks: JoinSet<io::Result<()>>,
}

impl Server {
    /// Listens, says where, and answers. `None` where a stop was asked for while the name was looked
    /// up; the run then ends before it begins, and tells by itself by what.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn start(
        address: &Address,
        reporter: &Reporter,
        progress: &Receiver<Progress>,
        operator: Option<Operator>,
        stop: &Stop,
        streams: &Streams,
    ) -> Result<Option<Self>, Error> {
        let failed = |source| Error::Listen { address: address.to_string(), source };
        let listeners = tokio::select! {
            listeners = listeners(address) => listeners.map_err(failed)?,
            () = stop.requested() => return Ok(None),
        };
        let shutdown = streams.closing();
        let router = http::router(progress.clone(), operator, streams.clone());
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let address = listener.local_addr().map_err(failed)?.to_string();
            reporter.emit(Event::Listening { address });
            tasks.spawn(http::serve(listener, router.clone(), progress.clone(), streams.clone()));
        }
        Ok(Some(Server { shutdown, tasks }))
    }

    /// Does something while it answers, and wishes for the gate's end where it doesn't any more.
    pub async fn beside<T>(
        &mut self,
        work: impl Future<Output = T>,
        wish: &UnboundedSender<Wish>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            _ = self.tasks.join_next() => {}
        }
        // Who doesn't listen any more has ended.
        let _ = wish.send(Wish::Fatal { reason: "the management port is lost".to_owned() });
        work.await
    }

    /// Lets the open answers end, the event streams with the last state among them.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        // What became of the answers is no matter of the run's, not even a panic.
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        // An answer that a client doesn't fetch mustn't hold up the exit.
        tokio::time::timeout(Duration::from_secs(1), drained).await.ok();
    }
}

/// How often a port is asked for that is free at all addresses of a name.
const TRIES: u32 = 10;

/// A listener for each address of the name on which one can listen.
async fn listeners(address: &Address) -> io::Result<Vec<TcpListener>> {
    let places = lookup_host((bare(&address.host), address.port)).await?.collect();
    bind(places, address.port).await
}

/// A listener for each place on which one can listen: `localhost` is two on most machines, and a
/// client takes the one or the other. A container without IPv6 has but one of them. One that another
/// program listens on isn't passed over: clients would get its answers.
async fn bind(places: BTreeSet<SocketAddr>, port: u16) -> io::Result<Vec<TcpListener>> {
    // An address that stands for all takes the others' calls as well, and so it goes first.
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|place| match place.ip() {
        ip if !ip.is_unspecified() => 2,
        ip => u8::from(ip.is_ipv4()),
    });
    let mut tries = 1;
    loop {
        match bind_all(&places, port).await {
            // A port that was free at the first place need not be so at the next.
            Err(error) if error.kind() == ErrorKind::AddrInUse && port == 0 && tries < TRIES => {
                tries += 1;
            }
            result => return result,
        }
    }
}

async fn bind_all(places: &[SocketAddr], mut port: u16) -> io::Result<Vec<TcpListener>> {
    let (mut listeners, mut failure) = (Vec::<TcpListener>::new(), None);
    for place in places {
        let mut place = *place;
        place.set_port(port);
        match TcpListener::bind(place).await {
            Ok(listener) => {
                // Of port 0 the system makes one that is free, and all have to share it.
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if !listeners.iter().any(|listener| takes(listener, place)) {
                    return Err(error);
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    if listeners.is_empty() {
        return Err(failure.unwrap_or_else(|| io::Error::other("the name has no address")));
    }
    Ok(listeners)
}

/// Whether a listener has the calls to this place as well: 0.0.0.0 has all of IPv4, and `::` all.
fn takes(listener: &TcpListener, place: SocketAddr) -> bool {
    let own = listener.local_addr();
    own.is_ok_and(|own| own.ip().is_unspecified() && (own.is_ipv6() || place.is_ipv4()))
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in [
            "127.0.0.1:9002",
            "[::1]:9002",
            "0.0.0.0:0",
            "localhost:80",
            "web-1.shop_x:8080",
            "10.web:80",
            "0xa.web:80",
            "web.:80",
        ] {
            assert_eq!(address(text).map(|address| address.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["9002", ":9002", "localhost", "localhost:", "::1:9002", "a@b:1", "http://a:1", ".:1"]
        {
            assert!(address(text).is_err(), "{text}");
        }
        for host in ["127.1", "1", "10.0.0.256", "1.2.3.4.5", "1.2.3.4.", "0x7f000001", "0X7f.0x1"]
        {
            let refusal = address(&format!("{host}:9002")).unwrap_err();
            assert!(refusal.starts_with(&format!("{host} is no IPv4 address")), "{refusal}");
        }
    }

    /// Whatever addresses the name has here, they share the port that the system made.
    #[tokio::test]
    async fn a_name_is_all_of_its_addresses() {
        let listeners = listeners(&address("localhost:0").unwrap()).await.unwrap();
        let places = places(&listeners);
        assert!(!places.is_empty() && places.iter().all(|place| place.ip().is_loopback()));
        assert!(places.iter().all(|place| place.port() == places[0].port()), "{places:?}");
    }

    /// Addresses that are none of this machine are passed over, and taken ones are not.
    #[tokio::test]
    async fn it_listens_wherever_it_can_and_nobody_else_does() {
        let listeners = bind(set(&["127.0.0.1", "127.0.0.2", "203.0.113.1"]), 0).await.unwrap();
        let (found, port) = (places(&listeners), places(&listeners)[0].port());
        let expected =
            ["127.0.0.1", "127.0.0.2"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
        assert_eq!(found, expected);
        for ip in ["127.0.0.1", "127.0.0.2"] {
            TcpStream::connect((ip, port)).await.unwrap();
        }

        let error = bind(set(&["203.0.113.1"]), 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);

        // Taken at the first place, and at the last.
        let [first, last] = <[TcpListener; 2]>::try_from(listeners).unwrap();
        drop(last);
        let both = || set(&["127.0.0.1", "127.0.0.2"]);
        assert_eq!(bind(both(), port).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(first);
        let _taken = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
        assert_eq!(bind(both(), port).await.unwrap_err().kind(), ErrorKind::AddrInUse);
        // The one that was free is so again.
        TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    }

    /// `::` has IPv4, too, where there is IPv6, and a name may have both.
    #[tokio::test]
    async fn addresses_that_stand_for_all_go_together() {
        for ips in [&["0.0.0.0", "::"][..], &["0.0.0.0", "127.0.0.1", "::1"]] {
            let listeners = bind(set(ips), 0).await.unwrap();
            let port = places(&listeners)[0].port();
            TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            assert!(places(&listeners).iter().all(|place| place.port() == port));
        }
    }

    /// The run tells of it, as of any other interruption.
    #[tokio::test]
    async fn a_stop_before_it_listens_is_the_runs_to_tell() {
        let ((reporter, progress), stop) = (Reporter::new(), Stop::default());
        stop.request("SIGTERM");
        let address = address("localhost:0").unwrap();
        let streams = Streams::default();
        let server = Server::start(&address, &reporter, &progress, None, &stop, &streams);
        let server = server.await.unwrap();
        assert!(server.is_none() && progress.borrow().listening.is_empty());
    }

    fn set(ips: &[&str]) -> BTreeSet<SocketAddr> {
        ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect()
    }

    fn places(listeners: &[TcpListener]) -> Vec<SocketAddr> {
        listeners.iter().map(|listener| listener.local_addr().unwrap()).collect()
    }
}
