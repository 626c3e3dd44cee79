//! Hand-overs inside one process: the child is a thread with a socket of its own, or with a copy of ours.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::*;
use crate::http;
use crate::progress::Reporter;

const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// Of port 0 the system makes one that others may share who say so, as all tests here do.
fn anywhere() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let own = 20_000 + (std::process::id() % 100) as u16 * 100;
    loop {
        let port = own + TAKEN.fetch_add(1, Ordering::Relaxed) % 100;
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// One request on a connection of its own; the status of an answer that came whole.
fn call(address: SocketAddr, request: &[u8]) -> Result<u16, String> {
    let said = |error: io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(said)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(said)?;
    stream.write_all(request).map_err(said)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(said)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(format!("cut: {text}"))?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if body.len() == length => Ok(()),
        _ => Err(format!("cut: {text}")),
    }?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or(format!("no status: {head}"))
}

/// Answers each call with 200 until `stop`, after which one more call ends it.
fn child(listener: &TcpListener, stop: &AtomicBool) {
    while let Ok((mut stream, _)) = accept(listener) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut asked = [0; 4096];
        // A call that says nothing is one of ours, to wake who waits.
        if stream.read(&mut asked).is_ok_and(|read| read > 0) {
            let _ = stream.write_all(ANSWER).and_then(|()| stream.shutdown(Shutdown::Write));
            while stream.read(&mut asked).is_ok_and(|read| read > 0) {}
        }
    }
}

/// Waits for a call also where the socket is non-blocking, as servers do.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(200));
            }
            Ok((stream, from)) => {
                stream.set_nonblocking(false)?;
                return Ok((stream, from));
            }
            result => return result,
        }
    }
}

/// One call: when it was made, how long it took, and the status or the failure.
type Answer = (Instant, Duration, String);

/// A crowd of clients, each with one call at a time.
struct Crowd {
    answers: Arc<Mutex<Vec<Answer>>>,
    enough: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn at(address: SocketAddr, clients: usize, pause: Duration) -> Crowd {
        let (answers, enough) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let client = |_| {
            let (answers, enough): (Arc<Mutex<Vec<Answer>>>, _) =
                (Arc::clone(&answers), enough.clone());
            thread::spawn(move || {
                while !enough.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = call(address, REQUEST).map(|status| status.to_string());
                    let answer = answer.unwrap_or_else(|fault| fault);
                    answers.lock().unwrap().push((began, began.elapsed(), answer));
                    thread::sleep(pause);
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Crowd { answers, enough, clients }
    }

    /// Waits for so many more answers of this status.
    async fn hears(&self, status: &str, more: usize) {
        let count = || {
            let answers = self.answers.lock().unwrap();
            answers.iter().filter(|(_, _, answer)| answer == status).count()
        };
        let (began, wanted) = (Instant::now(), count() + more);
        while count() < wanted {
            assert!(began.elapsed() < PATIENCE, "no {status}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn end(self) -> Vec<Answer> {
        self.enough.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        Arc::into_inner(self.answers).unwrap().into_inner().unwrap()
    }
}

/// What many hand-overs looked like from outside.
#[derive(Debug, Default)]
struct Seen {
    /// How often each status, or failure, was the answer.
    answers: BTreeMap<String, usize>,
    /// How often 503 was the answer to a call that was made after a hand-over.
    late: usize,
    slowest: Duration,
    longest_hand_over: Duration,
}

impl Seen {
    /// A crowd calls while a child takes over, who has what `listen` makes.
    async fn hand_over(
        &mut self,
        crowd: (usize, Duration),
        kind: HandOver,
        listen: impl Fn(&Holding) -> Socket,
    ) {
        let (_reporter, progress) = Reporter::new();
        let holding = Holding::start(anywhere(), kind, http::holding(progress)).unwrap();
        let address = holding.address;
        let crowd = Crowd::at(address, crowd.0, crowd.1);
        crowd.hears("503", 5).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (listener, stopping) = (listen(&holding).into(), stop.clone());
        let child = thread::spawn(move || child(&listener, &stopping));
        crowd.hears("200", 5).await;
        let began = Instant::now();
        holding.hand_over().await;
        self.longest_hand_over = self.longest_hand_over.max(began.elapsed());
        let over = Instant::now();
        crowd.hears("200", 20).await;
        // Of what has come to the thread's queue by then, something may be answered a moment later.
        let answers = tokio::task::spawn_blocking(|| crowd.end()).await.unwrap();
        stop.store(true, Ordering::Relaxed);
        TcpStream::connect(address).unwrap();
        child.join().unwrap();
        for (began, took, answer) in answers {
            self.late += usize::from(began > over && answer == "503");
            self.slowest = self.slowest.max(took);
            *self.answers.entry(answer).or_default() += 1;
        }
    }

    /// Nothing but 503 and 200, and no 503 after the hand-over.
    #[track_caller]
    fn is_without_a_gap(&self) {
        println!("{self:?}");
        let statuses: Vec<_> = self.answers.keys().map(String::as_str).collect();
        assert_eq!(statuses, ["200", "503"], "{self:?}");
        assert_eq!(self.late, 0, "{self:?}");
    }
}

/// Two hundred hand-overs each, where there is time.
fn times() -> usize {
    match std::env::var_os("LOCKKEEPER_TEST_LONG").is_some_and(|value| value == "1") {
        true => 200,
        false => 10,
    }
}

const CALM: (usize, Duration) = (1, Duration::from_millis(5));
const HARSH: (usize, Duration) = (20, Duration::ZERO);

async fn hand_overs(crowd: (usize, Duration), kind: HandOver, listen: impl Fn(&Holding) -> Socket) {
    let mut seen = Seen::default();
    for _ in 0..times() {
        seen.hand_over(crowd, kind, &listen).await;
    }
    seen.is_without_a_gap();
}

fn copy(holding: &Holding, nonblocking: bool) -> Socket {
    let socket = holding.socket.as_ref().unwrap().try_clone().unwrap();
    socket.set_nonblocking(nonblocking).unwrap();
    socket
}

fn own(holding: &Holding) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&holding.address.into()).unwrap();
    socket.listen(BACKLOG).unwrap();
    socket
}

#[tokio::test]
async fn a_socket_is_handed_over_to_a_child_that_polls() {
    hand_overs(CALM, HandOver::Activation, |holding| copy(holding, true)).await;
    hand_overs(HARSH, HandOver::Activation, |holding| copy(holding, true)).await;
}

/// It waits in `accept`, as we do then.
#[tokio::test]
async fn a_socket_is_handed_over_to_a_child_that_blocks() {
    hand_overs(CALM, HandOver::Activation, |holding| copy(holding, false)).await;
    hand_overs(HARSH, HandOver::Activation, |holding| copy(holding, false)).await;
}

#[tokio::test]
async fn a_child_listens_beside_us() {
    hand_overs(CALM, HandOver::ReusePort, own).await;
    hand_overs(HARSH, HandOver::ReusePort, own).await;
}

/// What the client still sends is read, so that the answer isn't lost by a reset.
#[tokio::test]
async fn a_large_body_that_nobody_wants_resets_nothing() {
    let (_reporter, progress) = Reporter::new();
    let holding =
        Holding::start(anywhere(), HandOver::Activation, http::holding(progress)).unwrap();
    let address = holding.address;
    let mut request = b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n".to_vec();
    request.resize(request.len() + 8_000_000, b'x');
    let called = tokio::task::spawn_blocking(move || call(address, &request));
    assert_eq!(called.await.unwrap(), Ok(503));
}

/// Before and after the hand-over, the system spreads calls over all sockets of a child.
#[tokio::test]
async fn a_child_with_several_sockets_is_called_at_each() {
    let (_reporter, progress) = Reporter::new();
    let holding = Holding::start(anywhere(), HandOver::ReusePort, http::holding(progress)).unwrap();
    let address = holding.address;
    let own = [(); 3].map(|()| own(&holding));
    holding.hand_over().await;
    let calls: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let taken = own.map(|socket| {
        socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| socket.accept().ok()).count()
    });
    assert_eq!(taken.iter().sum::<usize>(), calls.len());
    assert!(taken.iter().all(|taken| *taken > 0), "{taken:?}");
}
