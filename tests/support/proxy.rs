//! A TCP proxy in front of a server, with the accidents of a network: cut connections, refused
//! ones, replies that come late or never. It has a thread of its own, so that a test which blocks
//! doesn't hold it up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::faults::Moment;

/// What is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    Nothing,
    /// What the server answers.
    Replies,
    /// Everything: the network is down, and nobody has noticed.
    Everything,
}

/// A running proxy, which ends with this value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<SocketAddr>,
    refuse: AtomicBool,
    hold: watch::Sender<Hold>,
    /// Cancelled and renewed to cut all connections.
    cut: Mutex<CancellationToken>,
    trap: Mutex<Option<Trap>>,
    sprung: AtomicUsize,
    accepted: AtomicUsize,
}

#[derive(Debug)]
struct Trap {
    bytes: Vec<u8>,
    nth: usize,
    act: Act,
}

/// What a trap does.
#[derive(Debug)]
enum Act {
    Cut(Moment),
    /// The server gets this in the place of the message.
    Replace(Vec<u8>),
}

impl Proxy {
    /// One in front of this port on 127.0.0.1.
    pub fn before(port: u16) -> Proxy {
        let shared = Arc::new(Shared {
            server: Mutex::new((Ipv4Addr::LOCALHOST, port).into()),
            refuse: false.into(),
            hold: watch::Sender::new(Hold::Nothing),
            cut: Mutex::default(),
            trap: Mutex::default(),
            sprung: 0.into(),
            accepted: 0.into(),
        });
        let end = CancellationToken::new();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let accept = accept(listener, shared.clone());
        let ended = end.clone().cancelled_owned();
        let thread = thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! { () = accept => {}, () = ended => {} }
            });
        });
        Proxy { port, shared, end, thread: Some(thread) }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, through here.
    pub fn url(&self, database: &Database) -> String {
        database.url_through(self.port)
    }

    /// Leads new connections to another port, as a name does after a failover.
    pub fn lead_to(&self, port: u16) {
        *locked(&self.shared.server) = (Ipv4Addr::LOCALHOST, port).into();
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        std::mem::take(&mut *locked(&self.shared.cut)).cancel();
    }

    /// Whether new connections are cut as soon as they come.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refuse.store(refuse, Ordering::SeqCst);
    }

    /// Holds up what passes, until told otherwise.
    pub fn hold(&self, hold: Hold) {
        self.shared.hold.send_replace(hold);
    }

    /// Cuts the connection on which the next client message with these bytes passes, upper or
    /// lower case: before the server gets it, or after the server has answered it, when the answer
    /// is lost. It happens once.
    pub fn cut_at(&self, bytes: &str, moment: Moment) {
        self.cut_at_nth(bytes, 1, moment);
    }

    /// The same for the `nth` such message from now, counted from 1.
    pub fn cut_at_nth(&self, bytes: &str, nth: usize, moment: Moment) {
        self.set_trap(bytes, nth, Act::Cut(moment));
    }

    /// Sends this in the place of the `nth` such message, which must come alone. It happens once.
    pub fn replace_nth(&self, bytes: &str, nth: usize, by: Vec<u8>) {
        self.set_trap(bytes, nth, Act::Replace(by));
    }

    fn set_trap(&self, bytes: &str, nth: usize, act: Act) {
        assert!(nth > 0, "counted from 1");
        let bytes = bytes.to_ascii_lowercase().into_bytes();
        *locked(&self.shared.trap) = Some(Trap { bytes, nth, act });
    }

    /// How often a trap has sprung.
    pub fn sprung(&self) -> usize {
        self.shared.sprung.load(Ordering::SeqCst)
    }

    /// How many connections have come so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        if shared.refuse.load(Ordering::SeqCst) {
            continue;
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            let cut = locked(&shared.cut).clone();
            tokio::select! { () = serve(client, &shared) => {}, () = cut.cancelled() => {} }
        });
    }
}

/// Serves one connection until either side ends it, or a trap does.
async fn serve(mut client: TcpStream, shared: &Shared) {
    let server = *locked(&shared.server);
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let lose_reply = AtomicBool::new(false);
    tokio::select! {
        () = requests(&mut from_client, &mut to_server, shared, &lose_reply) => {}
        () = replies(&mut from_server, &mut to_client, shared, &lose_reply) => {}
    }
}

async fn requests(
    client: &mut (impl AsyncRead + Unpin),
    server: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
    lose_reply: &AtomicBool,
) {
    let mut hold = shared.hold.subscribe();
    let mut bytes = vec![0; 1 << 16];
    let mut tail = Vec::new();
    while let Ok(read @ 1..) = client.read(&mut bytes).await {
        if hold.wait_for(|hold| *hold != Hold::Everything).await.is_err() {
            return;
        }
        let mut message = &bytes[..read];
        let act = shared.trap(&mut tail, message);
        match &act {
            Some(Act::Cut(Moment::Before)) => {
                shared.sprung.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Some(Act::Cut(Moment::After)) => lose_reply.store(true, Ordering::SeqCst),
            Some(Act::Replace(by)) => {
                shared.sprung.fetch_add(1, Ordering::SeqCst);
                message = by;
            }
            None => {}
        }
        if server.write_all(message).await.is_err() {
            return;
        }
    }
}

async fn replies(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
    lose_reply: &AtomicBool,
) {
    let mut hold = shared.hold.subscribe();
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = server.read(&mut bytes).await {
        if lose_reply.load(Ordering::SeqCst) {
            // An answer may come in parts. What has begun it and fallen silent has ended it.
            let silence = Duration::from_millis(100);
            while let Ok(Ok(1..)) = timeout(silence, server.read(&mut bytes)).await {}
            shared.sprung.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if hold.wait_for(|hold| *hold == Hold::Nothing).await.is_err()
            || client.write_all(&bytes[..read]).await.is_err()
        {
            return;
        }
    }
}

impl Shared {
    /// Whether these bytes spring the trap. `tail` keeps the end of what came before them, since a
    /// message may come in parts.
    fn trap(&self, tail: &mut Vec<u8>, bytes: &[u8]) -> Option<Act> {
        let mut slot = locked(&self.trap);
        let trap = slot.as_mut()?;
        tail.extend(bytes.iter().map(u8::to_ascii_lowercase));
        let found = tail.windows(trap.bytes.len()).filter(|window| *window == trap.bytes).count();
        tail.drain(..tail.len().saturating_sub(trap.bytes.len() - 1));
        if found < trap.nth {
            trap.nth -= found;
            return None;
        }
        slot.take().map(|trap| trap.act)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
