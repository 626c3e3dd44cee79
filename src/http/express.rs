//! The express lane: what load balancers ask again and again is answered by one read and one write.
//!
//! They may come a thousand times a second, from many nodes at once, and the answer is always at hand. Whatever
//! isn't exactly such a question goes on to the server, with what was read of it.

mod line;
mod question;
mod taker;

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::serve::Listener;
use nix::libc::{MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL};
use socket2::SockRef;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ready;
use super::snapshot::Snapshots;
use crate::progress::Progress;
use crate::ready::Answer;
use line::Line;
use question::{Asks, Question};
use taker::{Taken, Taker};

/// The longest question of a load balancer; what is longer isn't one.
const LONGEST: usize = 1024;

/// How long a connection may take to its first word, to its next question, and to take an answer. Load balancers
/// ask at least once a minute on a connection that they keep.
const FIRST: Duration = Duration::from_secs(10);
const NEXT: Duration = Duration::from_secs(75);
const TAKING: Duration = Duration::from_secs(5);
/// With so few places left, whoever says nothing has to make room for who does.
const SCARCE: usize = 64;
const HURRIED: Duration = Duration::from_secs(1);

/// A connection that the server has to answer.
type Call = (Line, SocketAddr);

/// Answers as they go over the wire.
#[derive(Debug)]
pub(super) struct Lane {
    answers: Snapshots<Answers>,
    closing: CancellationToken,
    /// For connections, of whatever kind.
    places: Arc<Semaphore>,
}

impl Lane {
    /// Its connections end with `closing`, and there are never more than there are places.
    pub(super) fn new(
        progress: watch::Receiver<Progress>,
        closing: CancellationToken,
        places: Arc<Semaphore>,
    ) -> Arc<Self> {
        Arc::new(Lane { answers: Snapshots::new(progress, Answers::of), closing, places })
    }

    /// Answers for as long as it is asked for what it has.
    async fn attend(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        mut heard: Heard,
        place: OwnedSemaphorePermit,
        others: mpsc::UnboundedSender<Call>,
    ) {
        let mut patience = FIRST;
        loop {
            if !self.hear(&stream, &mut heard, patience).await {
                return;
            }
            let Some(question) = Question::of(heard.words()) else {
                let line = Line::new(stream, heard.words().to_vec(), self.hurried(FIRST), place);
                // A server that accepts no more is about to end.
                let _ = others.send((line, from));
                return;
            };
            if question.closes {
                return self.answer_last(&stream, question);
            }
            let answer = self.answers.latest().rendered.to(question);
            if !matches!(timeout(TAKING, write(&stream, &answer)).await, Ok(Ok(()))) {
                return;
            }
            heard = Heard::default();
            patience = NEXT;
        }
    }

    /// Waits until something was said. False where nothing will come any more, or nothing has in time.
    async fn hear(&self, stream: &TcpStream, heard: &mut Heard, patience: Duration) -> bool {
        let over = sleep(self.hurried(patience));
        tokio::pin!(over);
        while heard.is_nothing() {
            tokio::select! {
                ready = stream.readable() => if ready.is_err() { return false },
                () = &mut over => return false,
                () = self.closing.cancelled() => return false,
            }
            if !heard.listen(|piece| stream.try_read(piece)) {
                return false;
            }
        }
        true
    }

    fn hurried(&self, patience: Duration) -> Duration {
        match self.places.available_permits() < SCARCE {
            true => patience.min(HURRIED),
            false => patience,
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
    listener: Arc<std::net::TcpListener>,
    lane: Arc<Lane>,
    taken: mpsc::UnboundedReceiver<Taken>,
    others: mpsc::UnboundedReceiver<Call>,
    /// For who attends.
    other: mpsc::UnboundedSender<Call>,
}

impl Express {
    /// Takes calls from now on.
    ///
    /// # Errors
    /// The system's, where there is no room for a thread.
    pub(super) fn start(listener: TcpListener, lane: Arc<Lane>) -> io::Result<Self> {
        let listener = listener.into_std()?;
        listener.set_nonblocking(false)?;
        let listener = Arc::new(listener);
        let (take, taken) = mpsc::unbounded_channel();
        Taker { listener: listener.clone(), lane: lane.clone(), others: take }.start()?;
        let (other, others) = mpsc::unbounded_channel();
        Ok(Express { listener, lane, taken, others, other })
    }

    fn attend(&self, taken: Taken) {
        let Taken { stream, from, heard, place } = taken;
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        // One that can't be watched is lost, as one for which there is no room.
        if let Ok(stream) = stream {
            let (lane, other) = (self.lane.clone(), self.other.clone());
            tokio::spawn(async move { lane.attend(stream, from, heard, place, other).await });
        }
    }
}

impl Drop for Express {
    /// The thread that waits for calls can't be told otherwise.
    fn drop(&mut self) {
        // Of a socket that listens it is what ends `accept`.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
    }
}

impl Listener for Express {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(call) = self.others.recv() => return call,
                Some(taken) = self.taken.recv() => self.attend(taken),
                // `other` is ours.
                else => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
