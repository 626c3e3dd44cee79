//! The thread that takes calls and answers at once what it can.
//!
//! A thread, and not the runtime: a question that is asked and answered between two calls is then never registered
//! anywhere, which is half of what a new connection costs. And whatever the runtime is at, health checks
//! needn't wait for that. The kernel hands a call over together with its first words, so that one needn't wake twice.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::setsockopt_impl;
use nix::sys::socket::{MsgFlags, SetSockOpt, recv, sockopt::SetUsize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::question::Question;
use super::{Heard, Lane};

/// Seconds after which the kernel hands over who has said nothing.
const SILENT: usize = 1;
/// Before another call is taken where there was no room for the last one.
const FULL: Duration = Duration::from_millis(100);

/// See tcp(7).
#[derive(Debug, Clone, Copy)]
struct DeferAccept;

setsockopt_impl!(DeferAccept, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, usize, SetUsize);

/// A call that takes longer.
pub(super) struct Taken {
    pub(super) stream: TcpStream,
    pub(super) from: SocketAddr,
    pub(super) heard: Heard,
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct Taker {
    /// Blocking. The thread ends when it is shut down.
    pub(super) listener: Arc<TcpListener>,
    pub(super) lane: Arc<Lane>,
    pub(super) others: mpsc::UnboundedSender<Taken>,
}

impl Taker {
    pub(super) fn start(self) -> io::Result<()> {
        // Where it isn't known, words are only waited for elsewhere.
        let _ = DeferAccept.set(&self.listener, &SILENT);
        thread::Builder::new().name("http".to_owned()).spawn(move || self.run())?;
        Ok(())
    }

    fn run(self) {
        loop {
            match self.listener.accept() {
                Ok((stream, from)) => self.take(stream, from),
                // What `accept` says of a socket that was shut down (tcp(7), inet_csk_accept).
                Err(error) if error.kind() == ErrorKind::InvalidInput => return,
                Err(error) if is_of_the_call(&error) => {}
                // Out of descriptors or memory; as others end, there will be some again.
                Err(_) => thread::sleep(FULL),
            }
        }
    }

    /// Answers what was asked with the call, for which there is always room; what comes later is waited for beside
    /// the others, if there is a place for it.
    fn take(&self, stream: TcpStream, from: SocketAddr) {
        let mut heard = Heard::default();
        let at_once =
            |piece: &mut [u8]| Ok(recv(stream.as_raw_fd(), piece, MsgFlags::MSG_DONTWAIT)?);
        if !heard.listen(at_once) {
            return;
        }
        let place = self.lane.places.clone().try_acquire_owned();
        if let Some(question) = Question::of(heard.words())
            && (question.closes || place.is_err())
        {
            return self.lane.answer_last(&stream, Question { closes: true, ..question });
        }
        if let Ok(place) = place {
            // A server that is gone takes no calls.
            let _ = self.others.send(Taken { stream, from, heard, place });
        }
    }
}

/// Whether the fault is of a call that is gone already.
fn is_of_the_call(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted)
}
