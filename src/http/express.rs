//! The express lane: what load balancers ask again and again is answered by one read and one write.
//!
//! They may come a thousand times a second, from many nodes at once, and the answer is always at hand. Whatever
//! isn't exactly such a question goes on to the server, with what was read of it.

mod question;

use std::io::{self, Cursor, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use axum::body::Bytes;
use axum::serve::Listener;
use nix::libc::{MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL};
use nix::sys::socket::{MsgFlags, recv};
use socket2::SockRef;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncReadExt, Chain, Join, join};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::ready;
use super::snapshot::Snapshots;
use crate::progress::Progress;
use crate::ready::Answer;
use question::{Asks, Question};

/// The longest question of a load balancer; what is longer isn't one.
const LONGEST: usize = 1024;

/// A connection that the server has to answer, and what was read of it already.
type Call = (Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>, SocketAddr);

/// Answers as they go over the wire.
#[derive(Debug)]
pub(super) struct Lane {
    answers: Snapshots<Answers>,
    closing: CancellationToken,
}

impl Lane {
    /// Its connections end with `closing`.
    pub(super) fn new(
        progress: watch::Receiver<Progress>,
        closing: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Lane { answers: Snapshots::new(progress, Answers::of), closing })
    }

    /// Answers for as long as it is asked for what it has.
    async fn attend(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        mut heard: Heard,
        others: mpsc::UnboundedSender<Call>,
    ) {
        loop {
            while heard.is_nothing() {
                tokio::select! {
                    ready = stream.readable() => if ready.is_err() { return },
                    () = self.closing.cancelled() => return,
                }
                if !heard.listen(|piece| stream.try_read(piece)) {
                    return;
                }
            }
            let Some(question) = Question::of(heard.words()) else {
                let before = Cursor::new(heard.words().to_vec());
                let (reader, writer) = stream.into_split();
                // A server that accepts no more is about to end.
                let _ = others.send((join(before.chain(reader), writer), from));
                return;
            };
            if question.closes {
                return self.answer_last(&stream, question);
            }
            let answer = self.answers.latest().rendered.to(question);
            if write(&stream, &answer).await.is_err() {
                return;
            }
            heard = Heard::default();
        }
    }

    /// Answers what ends its connection, for which the caller has only to drop it. The answer waits for that
    /// and goes with it in one packet, which is half of the work for the kernel on either side.
    fn answer_last(&self, stream: &impl AsFd, question: Question) {
        let answer = self.answers.latest().rendered.to(question);
        let flags = MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL;
        // There is room for it: nothing else is on the way. Whoever has gone needs no answer.
        let _ = SockRef::from(stream).send_with_flags(&answer, flags);
    }
}

/// What a connection has brought and isn't answered yet.
struct Heard {
    piece: [u8; LONGEST],
    length: usize,
}

impl Default for Heard {
    fn default() -> Self {
        Heard { piece: [0; LONGEST], length: 0 }
    }
}

impl Heard {
    /// Takes what is there. False where nothing will come any more.
    fn listen(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> bool {
        match read(&mut self.piece) {
            Ok(length) => {
                self.length = length;
                length > 0
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    fn is_nothing(&self) -> bool {
        self.length == 0
    }

    fn words(&self) -> &[u8] {
        &self.piece[..self.length]
    }
}

async fn write(stream: &TcpStream, mut answer: &[u8]) -> io::Result<()> {
    while !answer.is_empty() {
        match stream.try_write(answer) {
            Ok(written) => answer = &answer[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Each of them for a connection that is kept, and for one that ends.
#[derive(Debug, Clone)]
struct Answers {
    alive: [Bytes; 2],
    ready: [Bytes; 2],
}

impl Answers {
    fn of(progress: &Progress) -> Self {
        // It is made anew each second, as long as somebody asks.
        let date = OffsetDateTime::now_utc().format(format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        ));
        let date = date.unwrap_or_default();
        let both = |answer: Answer| [false, true].map(|closes| answer.on_the_wire(&date, closes));
        Answers { alive: both(Answer::alive()), ready: both(ready::answer(progress)) }
    }

    fn to(&self, question: Question) -> Bytes {
        let [kept, ending] = match question.asks {
            Asks::Alive => &self.alive,
            Asks::Ready => &self.ready,
        };
        if question.closes { ending.clone() } else { kept.clone() }
    }
}

/// A listener whose calls come by way of the lane.
pub(super) struct Express {
    listener: TcpListener,
    lane: Arc<Lane>,
    others: mpsc::UnboundedReceiver<Call>,
    /// For who attends.
    other: mpsc::UnboundedSender<Call>,
}

impl Express {
    pub(super) fn new(listener: TcpListener, lane: Arc<Lane>) -> Self {
        let (other, others) = mpsc::unbounded_channel();
        Express { listener, lane, others, other }
    }

    /// Answers at once what was asked with the call; what comes later is waited for beside the others.
    fn take(&self, stream: TcpStream, from: SocketAddr) {
        let mut heard = Heard::default();
        // The stream itself doesn't know yet whether there is something.
        let at_once =
            |piece: &mut [u8]| Ok(recv(stream.as_raw_fd(), piece, MsgFlags::MSG_DONTWAIT)?);
        if !heard.listen(at_once) {
            return;
        }
        if let Some(question) = Question::of(heard.words())
            && question.closes
        {
            return self.lane.answer_last(&stream, question);
        }
        let (lane, other) = (self.lane.clone(), self.other.clone());
        tokio::spawn(async move { lane.attend(stream, from, heard, other).await });
    }
}

impl Listener for Express {
    type Io = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(call) = self.others.recv() => return call,
                (stream, from) = Listener::accept(&mut self.listener) => self.take(stream, from),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
