//! Holding the child's port: whoever comes before the child is ready gets an answer there, and the port is
//! handed over without a gap.

mod acceptor;
mod command;
mod queue;
mod steer;
mod visit;

use std::io::{self, PipeWriter};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clap::ValueEnum;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use acceptor::Acceptor;
use queue::Queue;

/// As many as the system allows: until the child is there, and while it takes over, all have to wait here.
const BACKLOG: i32 = 4096;
/// How long a call of our own may take to reach whoever accepts.
const NUDGE: Duration = Duration::from_millis(20);

/// How the child gets the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HandOver {
    /// It is given the listening socket, as systemd gives it: as file descriptor 3
    Activation,
    /// It listens by itself, with SO_REUSEPORT
    #[value(name = "reuseport")]
    ReusePort,
}

/// A port that is held. Dropped, it is no longer answered, as far as that is ours.
#[derive(Debug)]
pub struct Holding {
    address: SocketAddr,
    /// Where the child is to be given it.
    socket: Option<Arc<Socket>>,
    /// Whose end tells the acceptor to stop.
    open: PipeWriter,
    stopped: oneshot::Receiver<()>,
}

impl Holding {
    /// Listens, and answers every call by `router`, whose answers must close their connections.
    ///
    /// # Errors
    /// The system's: such as of an address that another program has, or no room for a thread. For
    /// [`HandOver::ReusePort`] also where the kernel can't steer calls away from a socket.
    pub fn start(address: SocketAddr, hand_over: HandOver, router: Router) -> io::Result<Self> {
        let socket = Arc::new(listen(address, hand_over)?);
        let (closed, open) = io::pipe()?;
        let (stop, stopped) = oneshot::channel();
        let (visits, accepted) = mpsc::unbounded_channel();
        let (token, mut gone) = mpsc::channel(1);
        let acceptor =
            Acceptor { socket: socket.clone(), hand_over, closed, visits, token, _stop: stop };
        acceptor.start()?;
        let queue = Queue { accepted };
        tokio::spawn(async move {
            let served = async { axum::serve(queue, router).await };
            // Not by a graceful shutdown: that closes what was accepted and has asked nothing yet.
            tokio::select! {
                _ = served => {}
                _ = gone.recv() => {}
            }
        });
        let socket = (hand_over == HandOver::Activation).then_some(socket);
        Ok(Holding { address, socket, open, stopped })
    }

    /// The command of a child that is to be given the socket. It has a copy of it, and has to be dropped
    /// for that to be closed. `None` where the child makes a socket of its own.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] and [`io::ErrorKind::PermissionDenied`] where there is no such program,
    /// or none that may be run; and those of copying a socket.
    pub fn activate(&self, command: &Command) -> io::Result<Option<Command>> {
        let Some(socket) = &self.socket else { return Ok(None) };
        command::activated(command, socket.try_clone()?.into()).map(Some)
    }

    /// Leaves the port to the child, which has to be accepting by now. Calls that were taken before are
    /// answered to the end; none is refused or reset.
    pub async fn hand_over(self) {
        let Holding { address, socket, open, mut stopped } = self;
        drop(open);
        if socket.is_some() {
            drop(socket);
            // Where the child waits in `accept`, as we do, it may take the call that woke us. Then we wait for
            // another one, and that had better be our own.
            while tokio::time::timeout(NUDGE, &mut stopped).await.is_err() {
                let call = TcpStream::connect(from_here(address));
                // It only has to arrive.
                let _ = tokio::time::timeout(NUDGE, call).await;
            }
        } else {
            // An error only says that nobody has sent anything, as nobody was to.
            let _ = stopped.await;
        }
    }
}

fn listen(address: SocketAddr, hand_over: HandOver) -> io::Result<Socket> {
    let alone = bound(address, Socket::set_reuse_address)?;
    let socket = match hand_over {
        HandOver::Activation => alone,
        HandOver::ReusePort => {
            // That it could be bound alone shows that no other program's calls would be taken from it.
            drop(alone);
            let socket = bound(address, Socket::set_reuse_port)?;
            // What can't be done at the end had better be known at the start.
            steer::admit_all(&socket)?;
            socket
        }
    };
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bound(address: SocketAddr, share: fn(&Socket, bool) -> io::Result<()>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    share(&socket, true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Where one calls from this machine what listens at `address`.
fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests;
