//! The thread that accepts calls on a held port.
//!
//! A thread, since the socket must not be set to non-blocking as tokio needs it: the flag is the socket's, not the
//! descriptor's, and a child that gets the socket would find it set, or clear it for us.

use std::convert::Infallible;
use std::io::{self, ErrorKind, PipeReader};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;
use tokio::sync::{mpsc, oneshot};

use super::HandOver;
use super::steer;

/// Calls that are answered at once; others wait in the system's queue.
const MOST: usize = 1024;
/// Before it is looked again whether there is room for another call.
const FULL: u16 = 10;
/// How long handshakes may take that began before the hand-over: after that, a client's system takes its call for lost,
/// and repeats it.
const HANDSHAKE: Duration = Duration::from_secs(1);

/// A call, and what is dropped with it.
pub(super) type Call = (TcpStream, mpsc::Sender<Infallible>);

pub(super) struct Acceptor {
    pub(super) socket: Arc<Socket>,
    pub(super) hand_over: HandOver,
    /// At its end when the port is to be handed over.
    pub(super) closed: PipeReader,
    pub(super) visits: mpsc::UnboundedSender<Call>,
    /// Each open call has a clone.
    pub(super) token: mpsc::Sender<Infallible>,
    /// Dropped with all of this.
    pub(super) _stop: oneshot::Sender<()>,
}

/// Why the thread goes on.
enum Woken {
    Called,
    Closing,
    /// There may be room again.
    Later,
}

impl Acceptor {
    pub(super) fn start(self) -> io::Result<()> {
        thread::Builder::new().name("holding".to_owned()).spawn(move || self.run())?;
        Ok(())
    }

    fn run(self) {
        loop {
            match self.wait() {
                Woken::Called => self.accept(),
                Woken::Closing => break,
                Woken::Later => {}
            }
        }
        if self.hand_over == HandOver::ReusePort {
            steer::leave(&self.socket, || self.take_for(HANDSHAKE));
        }
    }

    fn take_for(&self, time: Duration) {
        let over = Instant::now() + time;
        loop {
            let left = over.saturating_duration_since(Instant::now());
            let mut fd = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(&mut fd, timeout) {
                Ok(0) if left.is_zero() => return,
                _ if is_ready(&fd[0]) => self.accept(),
                _ => {}
            }
        }
    }

    fn wait(&self) -> Woken {
        let mut fds = [
            PollFd::new(self.closed.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
        ];
        let full = self.token.strong_count() > MOST;
        let (fds, timeout) = match full {
            true => (&mut fds[..1], PollTimeout::from(FULL)),
            false => (&mut fds[..], PollTimeout::NONE),
        };
        // A signal only means to look again.
        let _ = poll(fds, timeout);
        let [closed, called] = [fds.first(), fds.get(1)].map(|fd| fd.is_some_and(is_ready));
        match (closed, called) {
            (true, _) => Woken::Closing,
            (false, true) => Woken::Called,
            (false, false) => Woken::Later,
        }
    }

    fn accept(&self) {
        match self.socket.accept() {
            Ok((socket, _)) => {
                // The server ends after the last call only.
                let _ = self.visits.send((socket.into(), self.token.clone()));
            }
            // Out of descriptors or memory, as others end their calls there will be some again.
            Err(error) if !is_of_the_call(&error) => {
                thread::sleep(Duration::from_millis(FULL.into()));
            }
            Err(_) => {}
        }
    }
}

fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.revents().is_some_and(|events| !events.is_empty())
}

/// Whether the fault is of a call that is gone, or went to the child.
fn is_of_the_call(error: &io::Error) -> bool {
    let kinds = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::ConnectionAborted];
    kinds.contains(&error.kind())
}
