//! The express lane: what load balancers ask again and again is answered by one read and one write.
//!
//! They may come a thousand times a second, from many nodes at once, and the answer is always at hand. Whatever
//! isn't exactly such a question goes on to the server, with what was read of it.

mod question;

use std::io::{self, Cursor, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::serve::Listener;
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
        others: mpsc::UnboundedSender<Call>,
    ) {
        let mut piece = [0; LONGEST];
        loop {
            tokio::select! {
                ready = stream.readable() => if ready.is_err() { return },
                () = self.closing.cancelled() => return,
            }
            let read = match stream.try_read(&mut piece) {
                Ok(0) => return,
                Ok(read) => &piece[..read],
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(_) => return,
            };
            let Some(question) = Question::of(read) else {
                let before = Cursor::new(read.to_vec());
                let (reader, writer) = stream.into_split();
                // A server that accepts no more is about to end.
                let _ = others.send((join(before.chain(reader), writer), from));
                return;
            };
            let answer = self.answers.latest().rendered.to(question);
            if write(&stream, &answer).await.is_err() || question.closes {
                return;
            }
        }
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
}

impl Listener for Express {
    type Io = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(call) = self.others.recv() => return call,
                (stream, from) = Listener::accept(&mut self.listener) => {
                    let (lane, other) = (self.lane.clone(), self.other.clone());
                    tokio::spawn(async move { lane.attend(stream, from, other).await });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
